"""Every way into a training set, tried with what is held out; each must be refused or set aside."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import LeakRefused, NotFound
from backend.services import review
from backend.services.curation import (
    Recipe,
    ReplayPart,
    Rule,
    add_row,
    freeze_training_set,
    guard_project,
    training_rows,
)
from backend.services.curation.candidates import CandidateRow
from backend.services.datasets.versions import ExampleRow, import_dataset, list_examples
from backend.services.review import Answer
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.review import Review, ReviewItem
from backend.tables.runs import Generation
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, make_rows, review_next, run_over

FAITHFUL = Rule(criterion="faithful", at_least=1)
EVERYTHING = {
    "approved": FAITHFUL,
    "dpo_corrections": True,
    "dpo_votes": True,
    "kto": FAITHFUL,
    "references": ReplayPart(),
}


def furnish(session: Session) -> Desk:
    """Reviews of four train, two validation and two test outputs, single and in pairs."""
    desk = build_desk(session, splits={"train": 4, "validation": 2, "test": 2})
    expert = desk.experts[0]
    queue = desk.open(session, "single")
    for n in range(8):
        answer = Answer(GOOD) if n % 2 else Answer(BAD, correction=f"corrected {n}")
        review_next(session, queue, expert, answer, now=NOW + timedelta(seconds=n))
    pairs = desk.open(session, "pairs", kind="pair")
    for n in range(8):
        review_next(session, pairs, expert, Answer(winner="left"), now=NOW + timedelta(seconds=n))
    session.flush()
    return desk


def freeze(session: Session, desk: Desk, **recipe: object) -> TrainingSet:
    return freeze_training_set(
        session, project_id=desk.project.id, name="s", recipe=Recipe.model_validate(recipe)
    )


def splits_in(session: Session, frozen: TrainingSet) -> set[str]:
    query = select(Example.split).join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
    return set(session.scalars(query.where(TrainingSetRow.training_set_id == frozen.id)))


def held_out_reviews(session: Session, *, kind: str) -> list[Review]:
    query = (
        select(Review)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(Example, Example.id == Generation.example_id)
        .where(Example.split != "train")
    )
    return [found for found in session.scalars(query) if found.item.queue.kind == kind]


def test_a_queue_with_held_out_reviews_gives_only_train_rows(session: Session, desk: Desk) -> None:
    frozen = freeze(session, desk, queues=["single", "pairs"], **EVERYTHING)
    assert splits_in(session, frozen) == {"train"}
    assert {row.kind for row in training_rows(session, frozen.id)} == {"sft", "dpo", "kto"}


def test_what_was_set_aside_is_counted_with_its_reason(session: Session, desk: Desk) -> None:
    frozen = freeze(session, desk, queues=["single", "pairs"], **EVERYTHING)
    assert frozen.recipe["n_refused"] == 8
    assert frozen.recipe["reasons"] == {
        "it is in the validation split": 4,
        "it is in the test split": 4,
    }


def test_a_queue_of_held_out_items_alone_is_refused(session: Session) -> None:
    desk = build_desk(session, splits={"test": 2})
    queue = desk.open(session, "single")
    review_next(session, queue, desk.experts[0], Answer(BAD, correction="better"))
    with pytest.raises(LeakRefused, match="test split") as caught:
        freeze(session, desk, queues=["single"])
    assert caught.value.exit_code == 2


def by_review(session: Session) -> dict[str, object]:
    return {"reviews": [held_out_reviews(session, kind="single")[0].id]}


def by_correction(session: Session) -> dict[str, object]:
    corrected = [r for r in held_out_reviews(session, kind="single") if r.corrections]
    return {"reviews": [corrected[0].id], "dpo_corrections": True}


def by_vote(session: Session) -> dict[str, object]:
    return {"reviews": [held_out_reviews(session, kind="pair")[0].id], "dpo_votes": True}


def by_review_that_gives_no_row(session: Session) -> dict[str, object]:
    return {"reviews": [held_out_reviews(session, kind="pair")[0].id], "dpo_votes": False}


def by_output_that_gives_no_row(session: Session) -> dict[str, object]:
    return {"generations": [held_out_reviews(session, kind="pair")[0].item.generation_b_id]}


def by_output(session: Session) -> dict[str, object]:
    item = held_out_reviews(session, kind="single")[0].item
    return {"generations": [item.generation_a_id], "approved": FAITHFUL}


def by_second_output_of_a_pair(session: Session) -> dict[str, object]:
    item = held_out_reviews(session, kind="pair")[0].item
    return {"generations": [item.generation_b_id], "dpo_votes": True}


def by_reference(session: Session) -> dict[str, object]:
    return {
        "examples": [
            session.scalars(
                select(Example.id).where(Example.split == "test").order_by(Example.id)
            ).first()
        ]
    }


def by_validation_reference(session: Session) -> dict[str, object]:
    held = select(Example.id).where(Example.split == "validation")
    return {"examples": [session.scalars(held.order_by(Example.id)).first()]}


@pytest.mark.parametrize(
    "way",
    [
        by_review,
        by_correction,
        by_vote,
        by_review_that_gives_no_row,
        by_output_that_gives_no_row,
        by_output,
        by_second_output_of_a_pair,
        by_reference,
        by_validation_reference,
    ],
)
def test_naming_what_is_held_out_is_refused(
    session: Session, desk: Desk, way: Callable[[Session], dict[str, object]]
) -> None:
    session.commit()
    with pytest.raises(LeakRefused) as caught:
        freeze(session, desk, queues=["single"], **way(session))
    assert caught.value.exit_code == 2
    session.rollback()
    assert session.scalar(select(func.count()).select_from(TrainingSetRow)) == 0


def test_replay_takes_references_of_the_train_split_only(session: Session, desk: Desk) -> None:
    frozen = freeze(session, desk, dataset="tickets", references=ReplayPart())
    assert frozen.n_rows == 4
    assert splits_in(session, frozen) == {"train"}


def test_the_same_text_under_a_new_id_is_set_aside(session: Session, desk: Desk) -> None:
    held = next(e for e in desk.examples if e.split == "test")
    rows = [
        ExampleRow("new-id", held.input, held.context, ("a new reference",), split="train"),
        ExampleRow("spaced", f"  {held.input.upper()} ", held.context, ("x",), split="train"),
        ExampleRow("own", "Another call", None, ("fine",), split="train"),
    ]
    import_dataset(session, desk.project.id, "other", rows, source_name="made here")
    frozen = freeze(session, desk, dataset="other", references=ReplayPart())
    assert [row.provenance["example"] for row in training_rows(session, frozen.id)] == ["own"]
    assert frozen.recipe["n_refused"] == 2
    twin = session.scalars(select(Example).where(Example.external_id == "new-id")).one()
    with pytest.raises(LeakRefused, match="held out as 'test-0'"):
        freeze_training_set(
            session, project_id=desk.project.id, name="t", recipe=Recipe(examples=(twin.id,))
        )


def test_an_example_moved_to_train_in_a_second_version_is_set_aside(
    session: Session, desk: Desk
) -> None:
    moved = [
        ExampleRow(r.external_id, r.input, r.context, r.references, r.group, split="train")
        for r in make_rows({"train": 1, "test": 1})
    ]
    second = import_dataset(session, desk.project.id, "tickets", moved, source_name="made here")
    assert second.number == 2
    desk.run = run_over(session, desk, second)
    queue = desk.open(session, "second")
    for _ in range(2):
        review_next(session, queue, desk.experts[0], Answer(BAD, correction="better"))
    frozen = freeze(session, desk, queues=["second"])
    assert frozen.n_rows == frozen.recipe["n_refused"] == 1
    [row] = training_rows(session, frozen.id)
    assert row.provenance["example"] == "train-0"


def test_what_another_project_holds_out_does_not_bind_this_one(session: Session) -> None:
    mine = build_desk(session, splits={"train": 2}, name="mine")
    theirs = build_desk(session, splits={"test": 1}, name="theirs")
    held = theirs.examples[0]
    import_dataset(
        session,
        mine.project.id,
        "other",
        [ExampleRow("own", held.input, held.context, ("fine",), split="train")],
        source_name="made here",
    )
    assert freeze(session, mine, dataset="other", references=ReplayPart()).n_rows == 1
    with pytest.raises(NotFound, match="not of this project"):
        freeze_training_set(
            session, project_id=mine.project.id, name="t", recipe=Recipe(examples=(held.id,))
        )


def empty_set(session: Session, desk: Desk) -> TrainingSet:
    frozen = TrainingSet(
        project_id=desk.project.id, name="direct", recipe={}, digest="0" * 64, n_rows=1
    )
    session.add(frozen)
    session.flush()
    return frozen


def direct_row(frozen: TrainingSet, example: Example, **values: object) -> TrainingSetRow:
    row = {
        "training_set_id": frozen.id,
        "position": 0,
        "kind": "sft",
        "prompt": [],
        "completion": "leaked",
        "source": "reference",
        "example_id": example.id,
        **values,
    }
    return TrainingSetRow(**row)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_one_way_in_checks_again(session: Session, desk: Desk, split: str) -> None:
    held = next(e for e in desk.examples if e.split == split)
    guard = guard_project(session, desk.project.id)
    with pytest.raises(LeakRefused):
        add_row(
            session,
            guard,
            empty_set(session, desk),
            CandidateRow("sft", "reference", held, "leaked"),
            position=0,
        )


def test_an_answer_of_another_example_is_refused(session: Session, desk: Desk) -> None:
    train = next(e for e in desk.examples if e.split == "train")
    leaked = held_out_reviews(session, kind="single")[0]
    guard = guard_project(session, desk.project.id)
    with pytest.raises(LeakRefused, match="another example"):
        add_row(
            session,
            guard,
            empty_set(session, desk),
            CandidateRow("sft", "corrected", train, "leaked", reviews=(leaked,)),
            position=0,
        )


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_database_refuses_a_held_out_row(session: Session, desk: Desk, split: str) -> None:
    held = next(e for e in desk.examples if e.split == split)
    session.add(direct_row(empty_set(session, desk), held))
    with pytest.raises(IntegrityError, match="held out"):
        session.flush()


def test_the_database_refuses_the_same_text_under_a_new_id(session: Session, desk: Desk) -> None:
    held = next(e for e in desk.examples if e.split == "test")
    version = import_dataset(
        session,
        desk.project.id,
        "other",
        [ExampleRow("new-id", held.input, held.context, split="train")],
        source_name="made here",
    )
    [twin] = list_examples(session, version.id)
    session.add(direct_row(empty_set(session, desk), twin))
    with pytest.raises(IntegrityError, match="held out"):
        session.flush()


def test_the_database_refuses_an_output_of_another_example(session: Session, desk: Desk) -> None:
    train = next(e for e in desk.examples if e.split == "train")
    leaked = held_out_reviews(session, kind="single")[0]
    row = direct_row(empty_set(session, desk), train, generation_id=leaked.item.generation_a_id)
    session.add(row)
    with pytest.raises(IntegrityError, match="another example"):
        session.flush()


def test_the_database_refuses_a_review_of_another_example(session: Session, desk: Desk) -> None:
    train = next(e for e in desk.examples if e.split == "train")
    leaked = held_out_reviews(session, kind="single")[0]
    session.add(direct_row(empty_set(session, desk), train, review_id=leaked.id))
    with pytest.raises(IntegrityError, match="another example"):
        session.flush()


def test_a_row_cannot_be_turned_to_a_held_out_example(session: Session, desk: Desk) -> None:
    frozen = freeze(session, desk, queues=["single"])
    held = next(e for e in desk.examples if e.split == "test")
    change = update(TrainingSetRow).where(TrainingSetRow.training_set_id == frozen.id)
    with pytest.raises(IntegrityError, match="never changed"):
        session.execute(change.values(example_id=held.id))


def test_a_split_cannot_be_changed_in_place(session: Session, desk: Desk) -> None:
    with pytest.raises(IntegrityError, match="frozen"):
        session.execute(text("UPDATE examples SET split = 'train' WHERE split = 'test'"))


def test_a_held_out_review_stays_stored_and_shown(session: Session, desk: Desk) -> None:
    freeze(session, desk, queues=["single"])
    leaked = held_out_reviews(session, kind="single")[0]
    shown = review.past_review(session, leaked.id, desk.experts[0].id)
    assert shown.review_id == leaked.id


def test_a_freeze_waits_for_an_import_that_holds_its_text_out(
    sessions: sessionmaker[Session],
) -> None:
    """Both at once: what the import has not committed yet, the freeze must not overlook."""
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": 4})
    held_out = replace(make_rows({"train": 1})[0], split="test")
    recipe = Recipe(dataset="tickets", references=ReplayPart())
    with ThreadPoolExecutor(1) as thread, sessions.begin() as importing:
        import_dataset(importing, desk.project.id, "exam", [held_out], source_name="exam")
        freezing = thread.submit(_freeze_by_itself, sessions, desk, recipe)
        with pytest.raises(TimeoutError):
            freezing.result(timeout=0.5)
        importing.commit()
        taught = freezing.result(timeout=30)
    assert held_out.external_id not in taught
    assert len(taught) == 3


def _freeze_by_itself(sessions: sessionmaker[Session], desk: Desk, recipe: Recipe) -> set[str]:
    with sessions.begin() as session:
        frozen = freeze_training_set(
            session, project_id=desk.project.id, name="raced", recipe=recipe
        )
        rows = session.scalars(
            select(TrainingSetRow.example_id).where(TrainingSetRow.training_set_id == frozen.id)
        )
        return {session.get_one(Example, example_id).external_id for example_id in rows}
