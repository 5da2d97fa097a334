"""Failed outputs become what to move away from, and never what to imitate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.services.curation import Recipe, freeze_training_set, training_rows
from backend.services.curation.formats import TrainingRow
from backend.services.review import Answer
from backend.tables.runs import Generation
from tests.fixtures_review import BAD, GOOD, Desk, build_desk, review_next

FAITHFUL = {"criterion": "faithful", "equals": "yes"}
QUALITY = {"criterion": "quality", "at_least": 4}


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


def furnish(session: Session) -> Desk:
    return build_desk(session, splits={"train": 2})


def freeze(session: Session, desk: Desk, answer: Answer, **recipe: Any) -> list[TrainingRow]:
    """The rows from one output that was answered so."""
    queue = desk.open(session, "q", n_items=1)
    review_next(session, queue, desk.experts[0], answer)
    chosen = Recipe.model_validate({"queues": ["q"], "negatives": FAITHFUL, **recipe})
    frozen = freeze_training_set(session, project_id=desk.project.id, name="s", recipe=chosen)
    return list(training_rows(session, frozen.id))


@pytest.mark.parametrize(
    ("answer", "chosen"), [(Answer(BAD, correction="right"), "right"), (Answer(BAD), None)]
)
def test_a_failed_output_is_rejected_for_the_best_known_answer(
    session: Session, desk: Desk, answer: Answer, chosen: str | None
) -> None:
    rows = freeze(session, desk, answer)
    [pair] = [row for row in rows if row.kind == "dpo"]
    output = session.get_one(Generation, pair.provenance["generation_id"])
    assert pair.rejected == output.text
    assert pair.completion == (chosen or output.example.references[0])
    assert pair.provenance["source"] == "negative"
    assert pair.provenance["review_id"] is not None


def test_a_failed_output_is_labelled_false(session: Session, desk: Desk) -> None:
    rows = freeze(session, desk, Answer({**BAD, "quality": 5}), kto=QUALITY)
    assert [row.label for row in rows if row.kind == "kto"] == [False]


def test_sft_never_imitates_a_failed_output(session: Session, desk: Desk) -> None:
    """Another rule approves what this one fails."""
    rows = freeze(session, desk, Answer({**BAD, "quality": 5}), approved=QUALITY)
    assert {row.kind for row in rows} == {"dpo", "kto"}


def test_a_pair_that_a_correction_gave_is_not_given_twice(session: Session, desk: Desk) -> None:
    rows = freeze(session, desk, Answer(BAD, correction="right"), dpo_corrections=True)
    assert [row.provenance["source"] for row in rows if row.kind == "dpo"] == ["corrected"]


def test_an_output_that_did_not_fail_is_no_negative(session: Session, desk: Desk) -> None:
    rows = freeze(session, desk, Answer(GOOD), approved=FAITHFUL)
    assert [row.provenance["source"] for row in rows] == ["approved"]
