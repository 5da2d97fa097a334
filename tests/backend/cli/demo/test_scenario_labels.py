"""Scenario `labels` with stand-in models: arms, what is corrected, claims, words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from backend.cli.demo.scenarios import find_scenario, labels
from backend.cli.demo.scenarios.claims import ScenarioOutcome
from backend.cli.demo.scenarios.show import make_report
from backend.services.datasets.versions import get_dataset_version, list_examples
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from tests.fixtures_scenarios import StandInDemo, settings_in, stand_in_demo

SIZES = labels.LabelSizes(tickets=150, first=20, more=60)


def write(model: str, example: Example) -> str:
    """The corrected arm knows every label, the others only those of outages."""
    true = str(example.references[0])
    return true if model == "corrected" or true == "outage" else "billing_error"


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[StandInDemo, ScenarioOutcome]]:
    settings = settings_in(tmp_path_factory.mktemp("labels"), sqlite_template)
    demo = stand_in_demo(settings, bar=labels.BAR, write=write)
    yield demo, labels.play(demo, SIZES)
    demo.installation.sessions.kw["bind"].dispose()


def test_the_true_labels_stand_in_the_test_split_only(
    played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    demo, _ = played
    with demo.installation.sessions() as session:
        true = get_dataset_version(session, demo.project_id, labels.TRUE)
        given = get_dataset_version(session, demo.project_id, labels.LABELLED)

        def label_of(version: int, split: str) -> dict[str, str]:
            rows = list_examples(session, version, split)
            return {row.external_id: str(row.references[0]) for row in rows}

        assert label_of(true.id, "test") == label_of(given.id, "test")
        assert set(label_of(true.id, "train")) == set(label_of(given.id, "train"))
        assert label_of(true.id, "train") != label_of(given.id, "train")


def test_arms_have_their_rows_and_the_corrected_one_the_same_tickets(
    played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    demo, outcome = played
    rows = {arm.model: arm.rows for arm in outcome.arms}
    assert (rows["base"], rows["as-labelled"], rows["more-rows"]) == (0, 20, 60)
    assert rows["corrected"] <= 20
    with demo.installation.sessions() as session:

        def tickets(name: str) -> set[str]:
            query = (
                select(Example.external_id)
                .join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
                .join(TrainingSet, TrainingSet.id == TrainingSetRow.training_set_id)
                .where(TrainingSet.name == name)
            )
            return set(session.scalars(query))

        assert tickets("corrected") <= tickets("as-labelled")
        assert len(tickets("corrected")) >= 16


def test_what_experts_corrected_is_true_but_for_their_slips(
    played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    demo, outcome = played
    with demo.installation.sessions() as session:
        query = (
            select(TrainingSetRow.completion, Example.references, TrainingSet.simulated)
            .join(Example, Example.id == TrainingSetRow.example_id)
            .join(TrainingSet, TrainingSet.id == TrainingSetRow.training_set_id)
            .where(TrainingSet.name == "corrected")
        )
        found = session.execute(query).all()
    assert all(simulated for *_, simulated in found)
    assert sum(text == true[0] for text, true, _ in found) >= 0.8 * len(found)
    assert {arm.model: arm.reviews for arm in outcome.arms}["corrected"] == 20


def test_claims_are_figures_with_n_and_interval(
    played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    _, outcome = played
    as_labelled, more, corrected, gain = outcome.claims
    assert as_labelled.value == more.value < 0.3
    assert corrected.value == 1.0
    assert gain.value == pytest.approx(1 - more.value)
    assert {claim.n for claim in outcome.claims} == {corrected.n}
    assert all(claim.low <= claim.value <= claim.high for claim in outcome.claims)


def test_the_report_says_simulated_and_has_every_arm(
    played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    demo, outcome = played
    with demo.installation.sessions() as session:
        report = make_report(session, find_scenario("labels"), outcome, engine="fake", seconds=1.0)
    assert report["simulated"] is True
    assert "simulated" in report["experts"]
    assert [arm["model"] for arm in report["arms"]] == [
        "base",
        "as-labelled",
        "more-rows",
        "corrected",
    ]
    figures = report["run"]["scores"][0]["figures"]
    assert all({"value", "low", "high", "n", "signature"} <= set(f) for f in figures)


def test_playing_it_again_trains_and_freezes_nothing_new(
    played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    demo, outcome = played
    before = len(demo.trained)
    assert labels.play(demo, SIZES).claims == outcome.claims
    assert len(demo.trained) == before == 3
