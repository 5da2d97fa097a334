"""Scenario `failures` with stand-in models: which outputs fail, and what the second rounds get."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.cli.common import Installation
from backend.cli.demo.scenarios import failures
from backend.cli.demo.scenarios.claims import ScenarioOutcome
from backend.cli.demo.steps import Demo
from backend.errors import CannotCompute
from backend.services.review import Answer
from backend.settings import Settings
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.runs import Generation
from tests.fixtures_review import BAD, GOOD, build_desk, review_next
from tests.fixtures_scenarios import StandInDemo, settings_in, stand_in_demo

SIZES = failures.FailureSizes(calls=90, first=10, reviewed=40, failures=15)


def write(model: str, example: Example) -> str:
    """The first adapter gets every second ticket's price wrong; the second rounds none."""
    true = str(example.references[0])
    if model == "negatives" or (model != "base" and example.id % 2):
        return true
    return f"{true} The price is EUR 1.23."


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[StandInDemo, ScenarioOutcome]]:
    settings = settings_in(tmp_path_factory.mktemp("failures"), sqlite_template)
    demo = stand_in_demo(settings, bar=failures.BAR, write=write)
    yield demo, failures.play(demo, SIZES)
    demo.installation.sessions.kw["bind"].dispose()


def test_both_second_rounds_are_made_of_the_same_failures(
    played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    demo, outcome = played
    assert {arm.model: arm.rows for arm in outcome.arms} == {
        "base": 0,
        "first": 10,
        "corrections": 15,
        "negatives": 15,
    }
    with demo.installation.sessions() as session:

        def examples(name: str) -> set[int]:
            query = select(TrainingSetRow.example_id).join(
                TrainingSet, TrainingSet.id == TrainingSetRow.training_set_id
            )
            return set(session.scalars(query.where(TrainingSet.name == name)))

        assert examples("corrections") == examples("negatives")


def test_the_rejected_answer_is_the_output_that_failed(
    played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    demo, _ = played
    with demo.installation.sessions() as session:
        query = (
            select(TrainingSetRow, Generation)
            .join(Generation, Generation.id == TrainingSetRow.generation_id)
            .where(TrainingSetRow.kind == "dpo")
        )
        rows = session.execute(query).all()
    assert len(rows) == 15
    assert all(row.rejected == output.text != row.completion for row, output in rows)


def test_second_rounds_go_on_from_the_first(played: tuple[StandInDemo, ScenarioOutcome]) -> None:
    demo, _ = played
    first, *second = demo.trained
    assert "start_from" not in first
    assert [row.get("method", "sft") for row in second] == ["sft", "dpo"]
    (folder,) = {row["start_from"] for row in second}
    assert Path(folder).name.startswith("first-run-")


def test_claims_are_about_changes_on_the_same_examples(
    played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    _, outcome = played
    by_negatives, by_corrections, between = outcome.claims
    assert by_negatives.value < -0.2
    assert by_negatives.result == "shown"
    assert by_corrections.value == 0.0
    assert between.value == pytest.approx(by_negatives.value)


def test_too_few_failures_are_said(played: tuple[StandInDemo, ScenarioOutcome]) -> None:
    demo, _ = played
    with pytest.raises(CannotCompute, match="outputs failed in 'reviews of first', and 41"):
        failures.failed_reviews(demo, failures.QUEUE, limit=41)


def test_a_correction_of_an_answer_that_passed_is_no_failure(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sqlite_sessions.begin() as session:
        desk = build_desk(session, splits={"train": 3})
        queue = desk.open(session, "q")
        for answer in (GOOD, BAD, BAD):
            review_next(session, queue, desk.experts[0], Answer(answer, correction="better words"))
        demo = Demo(Installation(settings, sqlite_sessions), desk.project.id, "fake")
    assert len(failures.failed_reviews(demo, "q", limit=2)) == 2
    with pytest.raises(CannotCompute, match="Only 2"):
        failures.failed_reviews(demo, "q", limit=3)
