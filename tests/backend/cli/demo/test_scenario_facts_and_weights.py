"""Scenarios `invented-facts` (through rounds) and `lora-or-full`, with stand-in models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from backend.cli.demo.scenarios import invented_facts, lora_or_full
from backend.cli.demo.scenarios.claims import ScenarioOutcome
from backend.cli.demo.scenarios.ratios import claim_kept
from backend.errors import CannotCompute
from backend.services.models.versions import list_models
from backend.services.runs import scoring
from backend.tables.accounts import User
from backend.tables.curation import TrainingSet
from backend.tables.datasets import Example
from backend.tables.rounds import Round
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Promotion
from tests.fixtures_scenarios import StandInDemo, settings_in, stand_in_demo

WRONG = {"base": 10, "round1": 2, "round2": 1}  # of ten summaries


def invent(model: str, example: Example) -> str:
    """As many summaries with an invented price as WRONG says of the model."""
    true = str(example.references[0])
    number = int(example.external_id.rpartition("-")[2])
    return f"{true} It costs EUR 1.23." if number % 10 < WRONG[model] else true


@pytest.fixture(scope="module")
def rounds_played(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[StandInDemo, ScenarioOutcome]]:
    settings = settings_in(tmp_path_factory.mktemp("facts"), sqlite_template)
    demo = stand_in_demo(settings, bar=invented_facts.BAR, write=invent)
    with demo.working():
        outcome = invented_facts.play(demo, invented_facts.InventedFactSizes(calls=130, reviews=8))
    yield demo, outcome
    demo.installation.sessions.kw["bind"].dispose()


def test_two_rounds_end_with_a_decision_each(
    rounds_played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    demo, _ = rounds_played
    with demo.installation.sessions() as session:
        played = session.scalars(select(Round).order_by(Round.number)).all()
        assert [(row.state, row.comparison_id is not None) for row in played] == [
            ("finished", True),
            ("finished", True),
        ]
        sets = session.scalars(select(TrainingSet).order_by(TrainingSet.id)).all()
        assert all(frozen.simulated for frozen in sets)


def test_a_round_that_passed_is_signed_by_the_simulated_lead(
    rounds_played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    demo, _ = rounds_played
    with demo.installation.sessions() as session:
        first, *_ = session.scalars(select(Promotion).order_by(Promotion.id))
        assert first.action == "promoted", first.reason
        lead = session.get_one(User, first.decided_by_id)
        assert (lead.name, lead.simulated, lead.password_hash) == ("simulated lead", True, None)


def test_the_second_round_is_made_of_both_reviews(
    rounds_played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    _, outcome = rounds_played
    assert [(arm.model, arm.reviews) for arm in outcome.arms] == [
        ("base", 0),
        ("round1", 8),
        ("round2", 16),
    ]


def test_the_cut_is_one_minus_the_ratio_of_the_shares(
    rounds_played: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    _, outcome = rounds_played
    from_base, from_first = outcome.claims
    assert from_base.value == pytest.approx(0.9, abs=0.1)
    assert from_first.value == pytest.approx(0.5, abs=0.3)
    assert from_base.low <= from_base.value <= from_base.high
    assert from_base.n == from_first.n >= 10


def write(model: str, example: Example) -> str:
    """The base is wrong everywhere, LoRA in one of four, full fine-tuning nowhere."""
    true = str(example.references[0])
    number = int(example.external_id.rpartition("-")[2])
    return true if model == "full" or (model == "lora" and number % 4) else "nothing EUR 1.23"


@pytest.fixture(scope="module")
def weighed(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[StandInDemo, ScenarioOutcome]]:
    settings = settings_in(tmp_path_factory.mktemp("weights"), sqlite_template)
    demo = stand_in_demo(settings, bar=lora_or_full.BAR, write=write)
    yield demo, lora_or_full.play(demo, lora_or_full.LoraOrFullSizes(examples=120, references=30))
    demo.installation.sessions.kw["bind"].dispose()


def test_both_are_trained_on_one_set_and_only_one_is_full(
    weighed: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    demo, _ = weighed
    assert [row.get("weights", "lora") for row in demo.trained] == ["lora", "full"]
    assert "lora" not in demo.trained[1]
    assert demo.trained[0]["epochs"] == demo.trained[1]["epochs"]
    with demo.installation.sessions() as session:
        assert len(set(session.scalars(select(TrainingRun.training_set_id)))) == 1


def test_quality_kept_is_a_share_of_the_gain(weighed: tuple[StandInDemo, ScenarioOutcome]) -> None:
    _, outcome = weighed
    invented = next(claim for claim in outcome.claims if "invented" in claim.text)
    assert invented.value == pytest.approx(0.75, abs=0.2)
    assert invented.low <= invented.value <= invented.high
    assert len(outcome.claims) == len(lora_or_full.METRICS)


def test_of_a_gain_that_was_not_shown_there_is_no_share(
    weighed: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    demo, outcome = weighed
    with demo.installation.sessions() as session:
        score_run = scoring.list_score_runs(session, outcome.run_id)[-1].id
        base, lora, _ = (m.id for m in list_models(session, demo.project_id))
        with pytest.raises(CannotCompute, match="none was shown"):
            claim_kept(session, score_run, "f1@task=intent", [base, lora, base], "c", aim=0.9)


def test_costs_are_read_from_ledger_and_weights(
    weighed: tuple[StandInDemo, ScenarioOutcome],
) -> None:
    _, outcome = weighed
    by_model = {arm.model: arm.facts for arm in outcome.arms}
    assert by_model["base"] == {}
    assert (by_model["lora"]["trained parameters"], by_model["full"]["trained parameters"]) == (
        100,
        1000,
    )
    assert by_model["lora"]["CPU seconds"] == 3.0
    assert "CPU seconds 100%" in outcome.notes[-1]
    assert "trained parameters 10%" in outcome.notes[-1]
