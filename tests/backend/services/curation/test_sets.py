"""Training sets: which answers become which rows, frozen, with provenance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput, NotFound, UnknownName
from backend.services import review
from backend.services.curation import (
    Recipe,
    ReplayPart,
    Rule,
    find_training_set,
    freeze_training_set,
    sets_with_review,
    training_rows,
)
from backend.services.curation.formats import TrainingRow
from backend.services.datasets.conversations import chat_messages
from backend.services.review import Answer
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.review import Review, ReviewQueue
from backend.tables.runs import Generation
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, review_next

YES = Rule(criterion="faithful", equals="yes")
LEFT_OUT = Answer({**BAD, "faithful": "no"})


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only; what depends on the backend is in test_leaks."""
    with sqlite_sessions() as session:
        yield session


def furnish(session: Session) -> Desk:
    return build_desk(session, splits={"train": 6})


def open_for_all(session: Session, desk: Desk, n_items: int = 1, **options: object) -> ReviewQueue:
    """Every item is reviewed by all three experts."""
    return desk.open(session, n_items=n_items, overlap=3, overlap_share=1.0, **options)


def answer_all(session: Session, queue: ReviewQueue, desk: Desk, answers: list[Answer]) -> None:
    """One answer of each expert, a second apart."""
    for n, (expert, answer) in enumerate(zip(desk.experts, answers, strict=False)):
        review_next(session, queue, expert, answer, now=NOW + timedelta(seconds=n))


def freeze(session: Session, desk: Desk, *, name: str = "s", **recipe: object) -> TrainingSet:
    return freeze_training_set(
        session, project_id=desk.project.id, name=name, recipe=Recipe.model_validate(recipe)
    )


def rows_of(session: Session, frozen: TrainingSet) -> list[TrainingRow]:
    return list(training_rows(session, frozen.id))


@pytest.mark.parametrize(
    ("answers", "source", "completion"),
    [
        ([Answer(GOOD)], "approved", None),
        ([Answer(GOOD), Answer(GOOD), Answer(BAD)], "approved", None),
        ([Answer(GOOD), Answer(BAD, correction="mine")], "corrected", "mine"),
        ([Answer(BAD, correction="old"), Answer(BAD, correction="new")], "corrected", "new"),
        ([Answer(GOOD, correction="better")], "corrected", "better"),
        ([Answer(GOOD), Answer(GOOD), Answer(BAD, correction="one man's")], "approved", None),
    ],
)
def test_several_reviews_of_one_output_give_one_row(
    session: Session, desk: Desk, answers: list[Answer], source: str, completion: str | None
) -> None:
    queue = open_for_all(session, desk)
    answer_all(session, queue, desk, answers)
    [row] = rows_of(session, freeze(session, desk, queues=["q"], approved=YES))
    output = session.get_one(Generation, row.provenance["generation_id"])
    assert row.provenance["source"] == source
    assert row.completion == (completion or output.text)
    assert row.prompt == chat_messages(output.example)


@pytest.mark.parametrize(
    ("answers", "recipe"),
    [
        ([Answer(BAD)], {"approved": YES}),
        ([Answer(GOOD), Answer(BAD)], {"approved": YES}),
        ([Answer(GOOD)], {}),
        ([Answer(BAD, correction="x")], {"corrected": False}),
        ([Answer(GOOD)], {"approved": Rule(criterion="quality", at_least=5.5)}),
    ],
)
def test_an_answer_that_no_rule_takes_gives_no_row(
    session: Session, desk: Desk, answers: list[Answer], recipe: dict[str, object]
) -> None:
    queue = open_for_all(session, desk)
    answer_all(session, queue, desk, answers)
    with pytest.raises(InvalidInput, match="no row"):
        freeze(session, desk, queues=["q"], **recipe)


def test_dpo_prefers_the_correction_over_the_output(session: Session, desk: Desk) -> None:
    queue = open_for_all(session, desk)
    answer_all(session, queue, desk, [Answer(BAD, correction="right")])
    sft, dpo = rows_of(session, freeze(session, desk, queues=["q"], dpo_corrections=True))
    output = session.get_one(Generation, dpo.provenance["generation_id"])
    assert (sft.kind, dpo.kind) == ("sft", "dpo")
    assert (dpo.completion, dpo.rejected) == ("right", output.text)


@pytest.mark.parametrize(
    ("winners", "expected"),
    [
        (["v1"], "v1"),
        (["base", "v1", "v1"], "v1"),
        (["base", "v1"], None),
        (["v1", "tie"], None),
        (["v1", "v1", "both_bad"], "v1"),
        (["tie"], None),
        (["both_bad"], None),
        (["cannot_judge"], None),
    ],
)
def test_dpo_by_votes_needs_more_than_half_of_them(
    session: Session, desk: Desk, winners: list[str], expected: str | None
) -> None:
    queue = open_for_all(session, desk, kind="pair")
    for expert, winner in zip(desk.experts, winners, strict=False):
        claim = review.claim_review_item(session, queue.id, expert.id, now=NOW)
        assert claim is not None
        shown = review.item_view(session, claim.slot_id, expert.id)
        assert shown.left is not None
        left_model = shown.left.text.split()[0]
        choice = winner
        if winner in ("base", "v1"):
            choice = "left" if left_model == winner else "right"
        review_next(session, queue, expert, Answer(winner=choice))
    if expected is None:
        with pytest.raises(InvalidInput):
            freeze(session, desk, queues=["q"], dpo_votes=True)
        return
    [row] = rows_of(session, freeze(session, desk, queues=["q"], dpo_votes=True))
    assert row.completion.startswith(f"{expected} says")
    assert row.rejected is not None
    assert row.rejected.startswith("base" if expected == "v1" else "v1")
    assert row.provenance["source"] == "vote"


@pytest.mark.parametrize(
    ("answers", "label"),
    [
        ([Answer(GOOD)], True),
        ([Answer(BAD)], False),
        ([Answer(BAD), Answer(BAD), Answer(GOOD)], False),
        ([Answer(GOOD), Answer(BAD)], None),
    ],
)
def test_kto_labels_follow_the_majority(
    session: Session, desk: Desk, answers: list[Answer], label: bool | None
) -> None:
    queue = open_for_all(session, desk)
    answer_all(session, queue, desk, answers)
    rule = Rule(criterion="quality", at_least=4)
    if label is None:
        with pytest.raises(InvalidInput):
            freeze(session, desk, queues=["q"], kto=rule)
        return
    [row] = rows_of(session, freeze(session, desk, queues=["q"], kto=rule))
    assert (row.kind, row.label) == ("kto", label)


def test_a_withdrawn_review_does_not_count(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=2)
    for _ in range(2):
        review_next(session, queue, desk.experts[0], Answer(BAD, correction="x"))
    withdrawn = session.scalars(select(Review).order_by(Review.id)).first()
    assert withdrawn is not None
    withdrawn.withdrawn_at = NOW
    session.flush()
    assert freeze(session, desk, queues=["q"]).n_rows == 1
    with pytest.raises(InvalidInput, match="withdrawn"):
        freeze(session, desk, name="t", reviews=[withdrawn.id])


def test_the_latest_review_of_a_person_counts(session: Session, desk: Desk) -> None:
    """The same output in two queues, judged twice by one person."""
    for n, answer in enumerate([Answer(GOOD), Answer(BAD, correction="on second thought")]):
        queue = desk.open(session, f"q{n}", n_items=1)
        review_next(session, queue, desk.experts[0], answer, now=NOW + timedelta(days=n))
    [row] = rows_of(session, freeze(session, desk, queues=["q0", "q1"], approved=YES))
    assert row.completion == "on second thought"


def test_drafts_and_skips_give_nothing(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    claim = review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
    assert claim is not None
    with pytest.raises(InvalidInput, match="0 usable reviews"):
        freeze(session, desk, queues=["q"])


@pytest.mark.parametrize(
    ("replay", "n_references"),
    [
        (ReplayPart(), 5),
        (ReplayPart(count=2), 2),
        (ReplayPart(count=99), 5),
        (ReplayPart(share=0.75), 3),
    ],
)
def test_replay_adds_references_of_untaught_examples(
    session: Session, desk: Desk, replay: ReplayPart, n_references: int
) -> None:
    queue = desk.open(session, n_items=1)
    review_next(session, queue, desk.experts[0], Answer(BAD, correction="taught"))
    frozen = freeze(session, desk, queues=["q"], references=replay)
    rows = rows_of(session, frozen)
    assert rows[0].completion == "taught"
    references = [row for row in rows if row.provenance["source"] == "reference"]
    assert len(references) == n_references
    assert rows[0].provenance["example"] not in [r.provenance["example"] for r in references]


def test_the_seed_chooses_the_references(session: Session, desk: Desk) -> None:
    replay = {"dataset": "tickets", "references": ReplayPart(count=3)}
    first, same, other = (
        freeze(session, desk, name=f"s{n}", seed=seed, **replay) for n, seed in enumerate([1, 1, 2])
    )
    assert first.digest == same.digest
    assert first.digest != other.digest


def test_the_digest_does_not_depend_on_the_database(
    session: Session, desk: Desk, tmp_path: object
) -> None:
    other = build_desk(session, splits={"train": 6}, name="other")
    replay = {"dataset": "tickets", "references": ReplayPart()}
    assert freeze(session, desk, **replay).digest == freeze(session, other, **replay).digest


def test_examples_without_a_reference_are_counted(session: Session, desk: Desk) -> None:
    first = desk.examples[0]
    first.references = []
    session.flush()
    frozen = freeze(session, desk, dataset="tickets", references=ReplayPart())
    assert (frozen.n_rows, frozen.recipe["n_without_reference"]) == (5, 1)
    with pytest.raises(InvalidInput, match="no reference"):
        freeze(session, desk, name="t", examples=[first.id])


def test_every_row_says_where_it_comes_from(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=1)
    done = review_next(session, queue, desk.experts[0], Answer(BAD, correction="x"))
    frozen = freeze(session, desk, queues=["q"])
    [row] = rows_of(session, frozen)
    example = session.scalars(
        select(Example).where(Example.external_id == row.provenance["example"])
    ).one()
    assert row.provenance == {
        "training_set_id": frozen.id,
        "position": 0,
        "source": "corrected",
        "example": example.external_id,
        "group": example.group,
        "dataset": "tickets@1",
        "generation_id": row.provenance["generation_id"],
        "model": "base",
        "review_id": done.review_id,
        "reviewer": desk.experts[0].pseudonym,
        "simulated": False,
    }
    assert [found.id for found in sets_with_review(session, done.review_id)] == [frozen.id]


@pytest.mark.parametrize("simulated", [True, False])
def test_a_set_is_simulated_when_a_row_is(session: Session, desk: Desk, simulated: bool) -> None:
    desk.experts[1].simulated = simulated
    session.flush()
    queue = desk.open(session, n_items=2)
    for expert in desk.experts[:2]:
        review_next(session, queue, expert, Answer(BAD, correction="x"))
    assert freeze(session, desk, queues=["q"]).simulated is simulated


def test_the_recipe_is_kept_with_what_came_of_it(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=1)
    review_next(session, queue, desk.experts[0], Answer(BAD, correction="x"))
    kept = freeze(session, desk, queues=["q"], approved=YES, references=ReplayPart(count=1)).recipe
    assert Recipe.model_validate(kept["asked"]).approved == YES
    assert kept["rows_by_source"] == {"corrected": 1, "reference": 1}
    assert kept["n_refused"] == 0


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"criterion": "faithfull", "equals": "yes"}, UnknownName),
        ({"criterion": "faithful", "equals": "true"}, InvalidInput),
        ({"criterion": "problem", "equals": "nothing"}, InvalidInput),
        ({"criterion": "problem", "at_least": 1}, InvalidInput),
        ({"criterion": "quality", "equals": "6"}, InvalidInput),
    ],
)
def test_a_rule_that_no_answer_can_meet_is_refused(
    session: Session, desk: Desk, rule: dict[str, object], error: type[Exception]
) -> None:
    queue = desk.open(session, n_items=1)
    review_next(session, queue, desk.experts[0], Answer(BAD, correction="x"))
    with pytest.raises(error):
        freeze(session, desk, queues=["q"], approved=rule)


def test_a_name_is_taken_once(session: Session, desk: Desk) -> None:
    replay = {"dataset": "tickets", "references": ReplayPart()}
    freeze(session, desk, **replay)
    with pytest.raises(Conflict):
        freeze(session, desk, **replay)


@pytest.mark.parametrize("recipe", [{"reviews": [99]}, {"examples": [99]}, {"generations": [99]}])
def test_an_unknown_id_is_not_found(
    session: Session, desk: Desk, recipe: dict[str, list[int]]
) -> None:
    with pytest.raises(NotFound):
        freeze(session, desk, **recipe)


def test_a_missing_set_lists_those_that_exist(session: Session, desk: Desk) -> None:
    freeze(session, desk, name="first", dataset="tickets", references=ReplayPart())
    with pytest.raises(NotFound, match="first"):
        find_training_set(session, desk.project.id, "second")


def test_equal_rows_of_two_models_are_one_row(session: Session, desk: Desk) -> None:
    queue = desk.open(session, model_ids=[model.id for model in desk.models])
    for _ in range(12):
        review_next(session, queue, desk.experts[0], Answer(BAD, correction="the same"))
    assert freeze(session, desk, queues=["q"]).n_rows == 6
    assert len(session.scalars(select(TrainingSetRow)).all()) == 6
