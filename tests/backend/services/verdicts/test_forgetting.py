"""A line of the bar on what training made a model forget: judged by the record of its training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import t
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import InvalidInput
from backend.services.metric_specs import MAXIMA
from backend.services.projects import set_manifest
from backend.services.verdicts.comparison import EVIDENCE
from backend.tables.models import ModelVersion
from backend.tables.training import TrainingRun
from tests.fixtures_trial import Trial
from training.results.forgetting import EARLIER, GENERAL_TEXT, describe_forgetting
from training.results.intervals import RowLoss

BAR = """
name: bar
alpha: {alpha}
lines:
  - {{metric: {metric}, direction: lower, threshold: 0.1}}
"""
TOKENS = 10


def record(lost: float, *, rows: int = 40, **reasons: str) -> dict[str, Any]:
    """What a training leaves whose rows lost about so many nats a token."""
    noise = np.random.default_rng(3).normal(scale=0.02, size=rows)
    before = [RowLoss(None, 2.0 * TOKENS, TOKENS) for _ in noise]
    after = [RowLoss(None, (2.0 + lost + n) * TOKENS, TOKENS) for n in noise]
    texts: dict[str, Any] = {GENERAL_TEXT: [], EARLIER: []} | reasons
    losses = ({GENERAL_TEXT: side, EARLIER: side} for side in (before, after))
    return {"forgetting": describe_forgetting(texts, *losses, seed=1)}


@pytest.fixture
def trial(sqlite_sessions: sessionmaker[Session]) -> Trial:
    trial = Trial(sqlite_sessions(), right=0.8, metrics=["exact_match"])
    trial.train(
        set_manifest(trial.session, trial.laid.project, BAR.format(alpha=0.05, metric="f1"))
    )
    return trial


def judged(trial: Trial, result: dict[str, Any], **bar: Any) -> dict[str, Any]:
    run = trial.session.get_one(TrainingRun, trial.v1.training_run_id)
    run.result = result
    comparison = trial.judge(BAR.format(**{"alpha": 0.05, "metric": "forgetting"} | bar))
    (line,) = comparison.lines
    assert comparison.verdict == line["verdict"]
    return dict(line)


@pytest.mark.parametrize(
    ("lost", "verdict"), [(0.0, "PASS"), (-0.5, "PASS"), (0.1, "INCONCLUSIVE"), (0.4, "FAIL")]
)
def test_the_interval_of_the_change_is_held_against_the_maximum(
    trial: Trial, lost: float, verdict: str
) -> None:
    line = judged(trial, record(lost))
    evidence = line["evidence"]
    assert line["verdict"] == verdict
    assert evidence["low"] < evidence["value"] < evidence["high"]
    assert (evidence["n"], evidence["unit"], line["more"]) == (40, "rows", None)
    assert "|since:base|" in evidence["signature"]
    assert ("fixed" in line["reason"]) == (verdict == "INCONCLUSIVE")


def test_the_interval_is_at_the_level_of_the_manifest(trial: Trial) -> None:
    one, other = (judged(trial, record(0.0), alpha=a)["evidence"] for a in (0.05, 0.01))
    wider = (other["high"] - other["low"]) / (one["high"] - one["low"])
    assert wider == pytest.approx(t.ppf(0.995, 39) / t.ppf(0.975, 39))


def test_the_rows_of_earlier_trainings_are_a_line_of_their_own(trial: Trial) -> None:
    line = judged(trial, record(0.4, general="none"), metric="forgetting_earlier")
    assert line["verdict"] == "FAIL"
    line = judged(trial, record(0.4, earlier="no validation split"), metric="forgetting_earlier")
    assert "could not measure it: no validation split" in line["reason"]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({}, "did not measure it"),
        ({"forgetting": {}}, "did not measure it"),
        (record(0.0, general="a loss is not finite"), "could not measure it: a loss is not finite"),
        (record(0.0, rows=1), "has no interval: one group only"),
    ],
)
def test_without_a_figure_the_line_is_inconclusive(
    trial: Trial, result: dict[str, Any], said: str
) -> None:
    line = judged(trial, result)
    assert (line["verdict"], line["evidence"]) == ("INCONCLUSIVE", None)
    assert said in line["reason"]


def test_what_files_from_elsewhere_say_of_themselves_is_no_evidence(trial: Trial) -> None:
    trial.v1.training_run_id, trial.v1.training_facts = None, record(-1.0)
    (line,) = trial.judge(BAR.format(alpha=0.05, metric="forgetting")).lines
    assert line["verdict"] == "INCONCLUSIVE"
    assert "base:v1@1 was not trained here" in line["reason"]


def test_a_change_is_since_where_the_training_began(trial: Trial) -> None:
    run = trial.session.get_one(TrainingRun, trial.v1.training_run_id)
    start = trial.stranger()
    run.start_model_id = start.id
    assert f"|since:{start.label}|" in judged(trial, record(0.0))["evidence"]["signature"]
    assert trial.session.get_one(ModelVersion, start.id) is start


@pytest.mark.parametrize(
    "line",
    [
        "{metric: forgetting, threshold: 0.1}",
        "{metric: forgetting, direction: lower, margin: 0.1}",
        "{metric: forgetting_earlier, direction: lower, guardrail: 0.1}",
        "{metric: forgetting, direction: lower, threshold: 0.1, slice: {task: reply}}",
    ],
)
def test_a_line_that_asks_for_anything_but_a_maximum_is_refused(trial: Trial, line: str) -> None:
    with pytest.raises(InvalidInput, match="a maximum in nats"):
        set_manifest(trial.session, trial.laid.project, f"name: bar\nlines:\n  - {line}\n")


def test_every_maximum_of_the_bar_has_its_evidence() -> None:
    assert MAXIMA.keys() == EVIDENCE.keys()
