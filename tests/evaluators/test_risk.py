"""Risk and triage on simulated labels: calibrated, saved as JSON, and refusing where it should."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from evaluators.checks.risk import RiskModel, find_drift, fit_risk, predict_risk
from evaluators.checks.risk_models import MODELS, predict_model
from evaluators.checks.risk_report import auroc, reliability_curve, risk_figures
from evaluators.checks.triage import triage
from evaluators.errors import CannotCompute, InvalidValues

Rows = list[dict[str, float | None]]


def simulated(n: int, seed: int = 0) -> tuple[Rows, list[bool]]:
    rng = np.random.default_rng(seed)
    grounding, noise = rng.random(n), rng.random(n)
    chance = 1 / (1 + np.exp(8 * grounding - 4))
    bad = rng.random(n) < chance
    rows: Rows = [
        {"grounding": float(g) if rng.random() < 0.9 else None, "noise": float(x), "flat": 1.0}
        for g, x in zip(grounding, noise, strict=True)
    ]
    return rows, [bool(b) for b in bad]


def test_risk_ranks_and_is_calibrated() -> None:
    rows, bad = simulated(600)
    fitted = fit_risk(rows, bad, [None] * 600)
    figures = {f.metric: f for f in risk_figures("risk", fitted.held_out, bad, [None] * 600)}
    assert figures["auroc"].low > 0.7
    assert figures["calibration_error"].value < 0.08
    assert figures["brier"].n == 600
    assert fitted.model.features == ("grounding", "noise")  # what never varies is left out
    assert sum(b.n for b in reliability_curve(fitted.held_out, bad)) == 600


def test_saved_as_json_it_says_the_same() -> None:
    rows, bad = simulated(300)
    model = fit_risk(rows, bad, [None] * 300).model
    again = RiskModel.from_dict(json.loads(json.dumps(model.as_dict())))
    assert predict_risk(again, rows[:50]) == pytest.approx(predict_risk(model, rows[:50]))
    with pytest.raises(InvalidValues, match="no risk model"):
        RiskModel.from_dict({"version": 2})


def test_too_few_labels_say_how_many_more() -> None:
    rows, _ = simulated(40)
    with pytest.raises(CannotCompute, match="20 more labels in all, 13 more hallucinations"):
        fit_risk(rows, [True] * 2 + [False] * 38, [None] * 40)


def test_drift_refuses() -> None:
    rows, bad = simulated(400)
    model = fit_risk(rows, bad, [None] * 400).model
    fresh, _ = simulated(300, seed=5)
    assert find_drift(model, fresh) == []
    moved: Rows = [{**row, "noise": (row["noise"] or 0) + 0.5} for row in fresh]
    with pytest.raises(CannotCompute, match="noise has shifted"):
        predict_risk(model, moved)
    lost: Rows = [{"noise": row["noise"]} for row in fresh]
    assert any("grounding is missing in 100%" in reason for reason in find_drift(model, lost))


def test_trees_walk_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    bad = x[:, 0] * x[:, 1] + 0.3 * rng.normal(size=200) > 0
    theirs = GradientBoostingClassifier(
        n_estimators=40, max_depth=2, learning_rate=0.1, min_samples_leaf=8, random_state=0
    ).fit(x, bad)
    ours = predict_model("trees", MODELS["trees"](x, bad), x)
    assert ours == pytest.approx(theirs.decision_function(x), abs=1e-9)


def test_auroc_equals_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    risk, bad = rng.integers(0, 5, 80) / 4, rng.random(80) < 0.4
    assert auroc(risk, bad, np.ones(80)) == pytest.approx(roc_auc_score(bad, risk))


def test_triage_keeps_its_promise() -> None:
    broken = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        risk = rng.random(300)
        found = triage(risk, rng.random(300) < 0.4 * risk, epsilon=0.1, delta=0.1)
        if found.threshold is not None:
            broken += 0.2 * found.threshold > 0.1  # mean of .4 r below the threshold
    assert broken <= 24  # 15 allowed on average


def test_triage_finds_a_share() -> None:
    rng = np.random.default_rng(1)
    risk = rng.random(2000)
    found = triage(risk, rng.random(2000) < 0.4 * risk**3, epsilon=0.05, delta=0.1)
    assert found.share > 0.4
    assert found.upper is not None
    assert found.upper <= 0.05


@pytest.mark.parametrize(
    ("n", "words"), [(20, "at least 45 without an error"), (100, "none: the 100 labels")]
)
def test_triage_says_none(n: int, words: str) -> None:
    found = triage([0.5] * n, [i % 2 == 0 for i in range(n)])
    assert found.threshold is None
    assert words in found.note


def test_triage_refuses_nonsense() -> None:
    with pytest.raises(InvalidValues):
        triage([0.5], [True, False])
    with pytest.raises(InvalidValues):
        triage([0.5], [True], epsilon=0)
