"""What a checker is taught with: no held-out text, whole groups kept out, reviews found again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound
from backend.services.checks.checkers.teaching import LEAST_GROUPS, Lessons, freeze_lessons
from backend.services.curation import Recipe, sets_with_review, stored_digest, training_rows
from backend.services.derivation import contributions
from backend.services.review import Answer
from backend.services.review.answer import SpanMark
from backend.tables.curation import TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.review import Review
from backend.tables.runs import Generation, GenerationRun, GenerationRunModel
from evaluators.checks.checker.checker import CheckerForm
from evaluators.checks.checker.lessons import TAUGHT_KINDS
from tests.fixtures_checkers import Notes, dialogue, lay_down_notes, note
from tests.fixtures_review import BAD, GOOD, NOW, review_next

FORM = CheckerForm("yes", "no")


@pytest.fixture
def notes(session: Session) -> Notes:
    return lay_down_notes(session)


def freeze(session: Session, notes: Notes, *, most: int = 200, **recipe: Any) -> Lessons:
    marks = recipe.pop("mark_kinds", ())
    said = {"dataset": "notes", "references": {}, **recipe}
    return freeze_lessons(
        session,
        notes.project,
        "facts",
        Recipe.model_validate({key: value for key, value in said.items() if value is not None}),
        form=FORM,
        fit=lambda asked, form: form,
        most=most,
        mark_kinds=marks,
    )


def rows_of(session: Session, lessons: Lessons) -> list[TrainingSetRow]:
    query = select(TrainingSetRow).where(TrainingSetRow.training_set_id == lessons.training_set.id)
    return list(session.scalars(query.order_by(TrainingSetRow.position)))


def splits_of(session: Session, ids: set[int]) -> set[str]:
    return {session.get_one(Example, number).split for number in ids}


def test_that_rows_are_balanced_questions_of_the_train_split_alone(
    session: Session, notes: Notes
) -> None:
    lessons = freeze(session, notes)
    rows = rows_of(session, lessons)
    assert Counter(row.completion for row in rows) == {"yes": len(rows) / 2, "no": len(rows) / 2}
    assert len(rows) >= 60
    assert splits_of(session, {row.example_id for row in rows}) == {"train"}
    assert {row.source for row in rows} == {"reference", "planted"}
    assert all(row.kind == "sft" for row in rows)
    asked = rows[0].prompt[0]["content"]
    assert dialogue(int(session.get_one(Example, rows[0].example_id).external_id[6:])) in asked
    assert set(lessons.training_set.recipe["check"]["errors"]) <= set(TAUGHT_KINDS)
    assert len(lessons.training_set.recipe["check"]["errors"]) >= 4


def test_that_the_set_is_for_checkers_and_its_digest_is_what_is_stored(
    session: Session, notes: Notes
) -> None:
    frozen = freeze(session, notes).training_set
    assert (frozen.purpose, frozen.name, frozen.simulated) == ("check", "checker facts 1", False)
    assert stored_digest(session, frozen.id) == frozen.digest
    assert len(list(training_rows(session, frozen.id))) == frozen.n_rows
    assert freeze(session, notes).training_set.name == "checker facts 2"
    assert freeze(session, notes).training_set.digest == frozen.digest
    assert freeze(session, notes, seed=8).training_set.digest != frozen.digest


def test_that_what_is_held_out_is_the_validation_split_and_nothing_of_the_test_split(
    session: Session, notes: Notes
) -> None:
    held = freeze(session, notes).held_out
    for part in ("sentences", "texts"):
        assert splits_of(session, {row["example"] for row in held[part]}) == {"validation"}
    labels = Counter(row["supported"] for row in held["sentences"])
    assert labels[True] == labels[False] >= 20
    assert Counter(row["kind"] is None for row in held["texts"]) == {True: 12, False: 12}
    assert {row["text"] for row in held["texts"] if row["kind"] is None} == {
        note(n) for n in range(100, 112)
    }


def test_that_whole_groups_of_the_train_split_are_kept_out_where_validation_is_thin(
    session: Session,
) -> None:
    notes = lay_down_notes(session, train=30, validation=3, name="thin")
    lessons = freeze(session, notes)
    taught = {row.example_id for row in rows_of(session, lessons)}
    held = {row["example"] for row in lessons.held_out["sentences"]}
    assert len(held) == LEAST_GROUPS
    assert splits_of(session, held) == {"train"}
    assert taught.isdisjoint(held)


@pytest.mark.parametrize("groups", [19, 2, 1])
def test_that_too_few_groups_are_refused(session: Session, groups: int) -> None:
    notes = lay_down_notes(session, train=30, validation=2, name="few")
    for n, one in enumerate(one for one in notes.examples if one.split == "train"):
        one.group = f"patient {min(n, groups - 1)}"
    session.flush()
    with pytest.raises(InvalidInput, match=f"of {groups} groups, and 20 are needed"):
        freeze(session, notes)


def test_that_a_text_of_the_test_split_is_not_read_under_another_name(
    session: Session, notes: Notes
) -> None:
    validation = [one for one in notes.examples if one.split == "validation"]
    test = [one for one in notes.examples if one.split == "test"]
    validation[0].content_digest = test[0].content_digest
    session.flush()
    held = freeze(session, notes).held_out
    assert validation[0].id not in {row["example"] for row in held["sentences"]}


def test_that_a_near_duplicate_of_what_is_held_out_teaches_nothing(
    session: Session, notes: Notes
) -> None:
    train = next(one for one in notes.examples if one.split == "train")
    test = next(one for one in notes.examples if one.split == "test")
    train.input, train.context = f"{test.input}.", test.context
    session.flush()
    lessons = freeze(session, notes)
    assert train.id not in {row.example_id for row in rows_of(session, lessons)}
    assert lessons.training_set.recipe["dropped_as_leaks"]


def test_that_examples_without_a_source_teach_nothing(session: Session, notes: Notes) -> None:
    for one in notes.examples:
        one.context = " " if one.split == "train" else one.context
    session.flush()
    with pytest.raises(InvalidInput, match="0 sentences to learn from, of 0 right texts"):
        freeze(session, notes)


@pytest.fixture
def reviewed(session: Session, notes: Notes) -> Notes:
    """Outputs of the train split of notes: approved, corrected, marked, marked for its tone."""
    model, train = notes.desk.models[0], [one for one in notes.examples if one.split == "train"]
    run = GenerationRun(
        project_id=notes.project,
        dataset_version_id=notes.version.id,
        split="train",
        engine="fake",
        params={},
    )
    session.add(run)
    session.flush()
    session.add(GenerationRunModel(run_id=run.id, model_version_id=model.id, position=0))
    session.add_all(
        Generation(
            run_id=run.id,
            model_version_id=model.id,
            example_id=one.id,
            text=note(int(one.external_id.split("-")[1])),
        )
        for one in train
    )
    session.flush()
    session.refresh(run)
    notes.desk.run = run
    queue = notes.desk.open(session, n_items=4)
    expert = notes.desk.experts[0]
    answers = [
        Answer(GOOD),
        Answer(BAD, correction="She is old. She takes much aspirin. There is no fever at all."),
        Answer(BAD, spans=(SpanMark(0, 4, "invented_fact"),)),
        Answer(GOOD, spans=(SpanMark(0, 4, "language"),)),
    ]
    for n, answer in enumerate(answers):
        review_next(session, queue, expert, answer, now=NOW + timedelta(seconds=n))
    return notes


def test_that_reviews_teach_and_are_found_again(session: Session, reviewed: Notes) -> None:
    lessons = freeze(
        session,
        reviewed,
        queues=["q"],
        dataset=None,
        approved={"criterion": "faithful", "equals": "yes"},
    )
    rows = rows_of(session, lessons)
    by_source = Counter(row.source for row in rows)
    assert set(by_source) == {"reference", "planted", "approved", "corrected", "marked"} - (
        {"corrected"} if not by_source["corrected"] else set()
    )
    [marked] = [row for row in rows if row.source == "marked"]
    assert marked.completion == "no"
    reviews = list(session.scalars(select(Review).order_by(Review.id)))
    assert marked.review_id == reviews[2].id
    for review in (reviews[0], reviews[2], reviews[3]):
        assert lessons.training_set in sets_with_review(session, review.id)
    reviews[2].withdrawn_at = NOW
    session.flush()
    told = contributions(session, lessons.training_set.id)
    assert sum(one.withdrawn for one in told if one.source == "marked") == 1
    anew = freeze(session, reviewed, queues=["q"], dataset=None)
    assert "marked" not in {row.source for row in rows_of(session, anew)}


def test_that_kinds_of_marks_can_be_named(session: Session, reviewed: Notes) -> None:
    lessons = freeze(session, reviewed, queues=["q"], dataset=None, mark_kinds=("language",))
    marked = [row for row in rows_of(session, lessons) if row.source == "marked"]
    reviews = list(session.scalars(select(Review).order_by(Review.id)))
    assert [row.review_id for row in marked] == [reviews[3].id]


def test_that_an_unknown_source_is_named(session: Session, notes: Notes) -> None:
    with pytest.raises(NotFound, match="no review queue 'other'"):
        freeze(session, notes, queues=["other"])


def test_that_the_form_fits_before_rows_are_written(session: Session, notes: Notes) -> None:
    lessons = freeze_lessons(
        session,
        notes.project,
        "facts",
        Recipe.model_validate({"dataset": "notes", "references": {}}),
        form=FORM,
        fit=lambda asked, form: replace(form, source_bytes=300, yes="true", no="false"),
        most=40,
    )
    rows = rows_of(session, lessons)
    assert {row.completion for row in rows} == {"true", "false"}
    assert len(rows) <= 40
    assert lessons.form.source_bytes == 300
    assert lessons.training_set.recipe["check"]["form"]["yes"] == "true"
