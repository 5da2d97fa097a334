"""Risk and triage on simulated labels: calibrated, saved as JSON, and refusing where it should."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from evaluators.aggregate import aggregate
from evaluators.checks.grounding.relative import AnswerKey, relative_rows
from evaluators.checks.risk.kinds import MODELS, predict_model
from evaluators.checks.risk.report import (
    auroc,
    balanced_accuracy,
    calibration_error,
    naive_risks,
    reliability_curve,
    risk_figures,
)
from evaluators.checks.risk.risk import (
    RiskFrame,
    RiskModel,
    _curve,
    _Labelled,
    find_drift,
    fit_risk,
    log_odds,
    risk_of,
)
from evaluators.checks.risk.scores import DRIFTED, risk_metric, score_risk
from evaluators.checks.risk.triage import triage
from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.statistics.intervals import wilson
from evaluators.types import Score, Span
from tests.benchmarks.risk_coverage import Domain, alarms, study_calibration

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
    assert risk_of(again, rows[:50]) == pytest.approx(risk_of(model, rows[:50]))
    with pytest.raises(InvalidValues, match="no risk model of version 2"):
        RiskModel.from_dict({"version": 2})
    with pytest.raises(InvalidValues, match="of version 1, which kept no groups"):
        RiskModel.from_dict({**model.as_dict(), "version": 1})


def test_too_few_labels_say_how_many_more() -> None:
    rows, _ = simulated(40)
    with pytest.raises(UndefinedFigure, match="20 more labels in all, 13 more hallucinations"):
        fit_risk(rows, [True] * 2 + [False] * 38, [None] * 40)


def test_drift_refuses() -> None:
    rows, bad = simulated(400)
    model = fit_risk(rows, bad, [None] * 400).model
    fresh, _ = simulated(300, seed=5)
    assert find_drift(model, fresh) == []
    moved: Rows = [{**row, "noise": (row["noise"] or 0) + 0.5} for row in fresh]
    assert any("noise has shifted" in reason for reason in find_drift(model, moved))
    lost: Rows = [{"noise": row["noise"]} for row in fresh]
    assert any("grounding is missing in 100%" in reason for reason in find_drift(model, lost))


def test_trees_walk_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    bad = x[:, 0] * x[:, 1] + 0.3 * rng.normal(size=200) > 0
    theirs = GradientBoostingClassifier(
        n_estimators=40, max_depth=2, learning_rate=0.1, min_samples_leaf=8, random_state=0
    ).fit(x, bad)
    ours = predict_model("trees", MODELS["trees"](x, bad, None), x)
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
    ("n", "words"), [(20, "at least 45 labels without an error"), (100, "none: the 100 labels")]
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


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 1e308, -1e200])
def test_a_feature_whose_square_is_infinite_is_refused(value: float) -> None:
    rows, bad = simulated(100)
    with pytest.raises(InvalidValues, match=r"'noise' is .*, which is beyond 1e\+100"):
        fit_risk([*rows[1:], {"noise": value}], bad, [None] * 100)


def test_too_few_groups_say_how_many_more() -> None:
    rows, bad = simulated(200)
    with pytest.raises(UndefinedFigure, match="labels of 7 more groups"):
        fit_risk(rows, bad, [str(i % 3) for i in range(200)])


def test_one_output_without_a_feature_is_no_drift() -> None:
    rows, bad = simulated(400)
    kept: Rows = [row if i % 2 else {**row, "grounding": None} for i, row in enumerate(rows)]
    model = fit_risk(kept, bad, [None] * 400).model
    assert find_drift(model, [{"noise": 0.5, "grounding": None}]) == []
    assert find_drift(model, [{"noise": 0.5, "grounding": None}] * 30) != []


def test_a_threshold_at_the_rate_finds_rare_evils() -> None:
    risk = np.array([0.2] * 10 + [0.05] * 90)
    bad = np.array([True] * 8 + [False] * 92)
    assert balanced_accuracy(risk, bad, np.ones(100)) == pytest.approx((1 + 90 / 92) / 2)


def test_the_naive_baselines_have_all_figures() -> None:
    rows, bad = simulated(300)
    overlap = [row["grounding"] for row in rows]
    naive = naive_risks(bad, [None] * 300, overlap)
    named = {
        (name, f.metric): f
        for name, said in naive.items()
        for f in risk_figures(name, said, bad, [None] * 300, resamples=50)
    }
    assert named["majority", "auroc"].value == 0.5
    assert named["majority", "balanced_accuracy"].value == 0.5
    assert named["majority", "calibration_error"].value < 0.1
    assert named["source_rouge", "auroc"].low > 0.6
    assert named["source_rouge", "brier"].value < named["majority", "brier"].value
    assert set(naive_risks(bad, [None] * 300, [None] * 300)) == {"majority"}


def test_reliability_of_grouped_outputs_is_less_certain() -> None:
    risk, bad = np.linspace(0, 1, 400), [i // 20 % 2 == 0 for i in range(400)]
    alone = reliability_curve(risk, bad)
    grouped = reliability_curve(risk, bad, [str(i // 20) for i in range(400)])
    assert all(b.high - b.low > a.high - a.low for a, b in zip(alone, grouped, strict=True))


def test_triage_draws_one_output_of_each_group() -> None:
    risk, bad = [0.1] * 400, [False] * 400
    alone = triage(risk, bad, [None] * 400, epsilon=0.05)
    grouped = triage(risk, bad, [str(i % 20) for i in range(400)], epsilon=0.05)
    assert (alone.n, alone.share) == (400, 1.0)
    assert (grouped.n, grouped.labels, grouped.threshold) == (20, 400, None)
    assert "the 400 labels in 20 groups, of which one output each counts" in grouped.note
    assert "at least 45 groups without an error" in grouped.note
    assert "one-per-group" in grouped.signature
    with pytest.raises(InvalidValues, match="400 risks for 1 groups"):
        triage(risk, bad, [None])


def checked(row: dict[str, float | None]) -> dict[str, Score]:
    span = Span(3, 7, "'39 EUR' is not in the source", "money")
    return {
        name: Score(None, not_applicable=True, explanation="-")
        if value is None
        else Score(value, spans=(span,) if name == "grounding" and value < 0.5 else ())
        for name, value in row.items()
    }


def test_a_risk_is_a_score_with_reason_and_spans() -> None:
    rows, bad = simulated(400)
    silent: dict[str, float | None] = {"grounding": None, "noise": None}
    model = fit_risk(
        [row if i % 9 else silent for i, row in enumerate(rows)], bad, [None] * 400
    ).model
    low, nothing = score_risk(model, [checked({"grounding": 0.05, "noise": 0.5}), checked(silent)])
    assert low.value == pytest.approx(risk_of(model, [{"grounding": 0.05, "noise": 0.5}])[0])
    assert (low.explanation or "").startswith("raised by grounding is 0.05 (usually 0.")
    [high] = score_risk(model, [checked({"grounding": 1.0, "noise": None})])
    assert high.explanation == "no check by itself raises it"  # said of a risk of any height
    assert [span.kind for span in low.spans] == ["money"]
    assert nothing.not_applicable
    assert score_risk(model, []) == []


def test_a_risk_of_drifted_outputs_is_an_error() -> None:
    rows, bad = simulated(400)
    model = fit_risk(rows, bad, [None] * 400).model
    moved = [checked({**row, "noise": (row["noise"] or 0) + 0.5}) for row in rows]
    assert {(s.error or "").split(":")[0] for s in score_risk(model, moved)} == {DRIFTED}
    ranked = score_risk(model, moved, despite_drift=True)
    assert all(s.value is not None and DRIFTED in (s.explanation or "") for s in ranked)
    with pytest.raises(UndefinedFigure, match="tell no rate"):  # nor has their mean an interval
        aggregate(risk_metric("risk", model), ranked, [None] * len(ranked))
    same = score_risk(model, [checked(row) for row in rows], despite_drift=True)
    assert not any(DRIFTED in (s.explanation or "") for s in same)
    assert aggregate(risk_metric("risk", model), same, [None] * len(same)).n == len(same)


def test_risks_despite_a_drift_that_no_check_speaks_of_stay_not_applicable() -> None:
    rows, bad = simulated(400)
    silent: dict[str, float | None] = {"grounding": None, "noise": None}
    model = fit_risk(rows, bad, [None] * 400).model
    moved = [checked({**row, "noise": (row["noise"] or 0) + 0.5}) for row in rows]
    *ranked, nothing = score_risk(model, [*moved, checked(silent)], despite_drift=True)
    assert nothing.not_applicable
    assert DRIFTED in (ranked[0].explanation or "")


def test_equal_risks_share_a_bin() -> None:
    risk = np.array([0.3] * 60 + [0.8] * 40)
    bad = [i % 2 == 0 for i in range(60)] + [True] * 40
    assert [(b.rate, b.n) for b in reliability_curve(risk, bad)] == [(0.5, 60), (1.0, 40)]
    weights = np.ones(100)
    assert calibration_error(risk, np.array(bad), weights) == pytest.approx(0.6 * 0.2 + 0.4 * 0.2)


@pytest.mark.parametrize(
    "domain",
    [
        Domain(17, 17, 27, 0.6),
        pytest.param(Domain(40, 10, 10, 0.3), marks=pytest.mark.deep),
        Domain(60, 40, 1, 0.0),
    ],
    ids=lambda domain: domain.name,
)
def test_halves_of_one_clustered_domain_are_not_refused(domain: Domain) -> None:
    found = alarms(domain, 150)
    assert found["refused"] <= 0.04  # .01 stated, give or take three standard errors
    if domain.size > 1:
        assert found["refused by rows"] > 0.1


@pytest.mark.parametrize(
    "domain",
    [Domain(17, 17, 27, 0.3, shift=1.5), Domain(100, 60, 3, 0.3, shift=1.0)],
    ids=lambda domain: domain.name,
)
def test_shifted_outputs_are_refused(domain: Domain) -> None:
    assert alarms(domain, 40)["refused"] > 0.9


def test_a_handful_of_groups_cannot_be_told_from_chance() -> None:
    rows, bad = simulated(400)
    model = fit_risk(rows, bad, [str(i // 20) for i in range(400)]).model
    moved: Rows = [{**row, "noise": (row["noise"] or 0) + 0.5} for row in rows[:40]]
    assert find_drift(model, moved, ["a"] * 20 + ["b"] * 20) == []
    assert find_drift(model, moved) != []


def test_a_risk_keeps_the_order_of_the_scores() -> None:
    rows, bad = simulated(300)
    model = fit_risk(rows, bad, [None] * 300).model
    many = [{"grounding": g / 500, "noise": 0.5} for g in range(500)]
    risk, scores = risk_of(model, many), log_odds(model, many)
    order = np.argsort(scores, kind="stable")
    rises = np.diff(scores[order]) > 1e-9
    assert (np.diff(risk[order])[rises] > 0).all()
    assert len(np.unique(risk)) == len(np.unique(scores))


def labelled(bad: np.ndarray) -> _Labelled:
    n = len(bad)
    return _Labelled(np.zeros((n, 1)), bad, np.ones(n), np.zeros(n, dtype=np.int64))


def test_scores_against_the_labels_still_rise() -> None:
    scores = np.linspace(-2, 2, 80)
    curve = _curve(scores, labelled(scores < 0))
    assert (np.diff(curve(scores)) > 0).all()
    assert curve(scores).mean() == pytest.approx(0.5, abs=0.01)
    flat = _curve(np.full(80, 3.0), labelled(np.arange(80) < 20))
    assert flat(np.full(80, 3.0)) == pytest.approx(0.25)


def test_calibration_does_not_lose_what_ranks(public_data: Path) -> None:
    found = study_calibration(public_data, draws=1)
    for row in found.values():
        assert row["auroc now"] > row["auroc isotonic"]
        assert row["brier now"] < row["brier isotonic"] + 0.005
    assert found["all"]["auroc now"] == pytest.approx(found["all"]["auroc of raw scores"], abs=0.01)


def test_a_constant_predictor_has_no_interval() -> None:
    _, bad = simulated(200)
    figures = {f.metric: f for f in risk_figures("p", [0.5] * 200, bad, [None] * 200, resamples=50)}
    assert (figures["auroc"].value, figures["auroc"].low, figures["auroc"].high) == (
        0.5,
        None,
        None,
    )


@pytest.mark.parametrize("groups", [[None] * 80, [str(i // 4) for i in range(80)]])
@pytest.mark.parametrize("off", [0.0, 1e-5, 0.2])
def test_predictions_that_are_all_right_may_still_err(off: float, groups: list[str | None]) -> None:
    bad = [i % 2 == 0 for i in range(80)]
    risk = [1 - off * (i % 3) if b else off * (i % 3) for i, b in enumerate(bad)]
    figures = {f.metric: f for f in risk_figures("p", risk, bad, groups, resamples=50)}
    independent = len(set(groups)) if groups[0] is not None else 80
    unseen = wilson(0, independent)[1]
    for name in ("brier", "calibration_error"):
        figure = figures[name]
        assert figure.high == pytest.approx((1 - unseen) * figure.value + unseen, rel=1e-6)
        assert figure.low is not None
        assert figure.low <= figure.value + 1e-12
        assert "no prediction is wrong" in figure.note
    assert figures["auroc"].low is None
    assert "nothing is known of its spread" in figures["auroc"].note


def test_one_wrong_prediction_is_in_the_resamples() -> None:
    bad = [i % 2 == 0 for i in range(80)]
    risk = [float(b) for b in bad]
    risk[0] = 0.4
    figures = {f.metric: f for f in risk_figures("p", risk, bad, [None] * 80, resamples=200)}
    assert figures["brier"].note == ""


def test_logistic_is_the_default_and_the_better_kind_is_for_the_asking() -> None:
    rows, bad = simulated(100)
    assert fit_risk(rows, bad, [None] * 100).model.kind == "logistic"
    both = fit_risk(rows, bad, [None] * 100, kinds=("trees", "logistic"))
    assert set(both.brier_by_kind) == {"trees", "logistic"}
    for kinds in (("forest",), ()):
        with pytest.raises(InvalidValues, match="no risk of kind"):
            fit_risk(rows, bad, [None] * 100, kinds=kinds)


def test_an_output_of_weight_two_is_as_one_that_is_there_twice() -> None:
    rows, bad = simulated(200)
    groups = [str(i) for i in range(200)]
    twice = [i for i in range(200) if i % 3 == 0]
    weights = [2.0 if i % 3 == 0 else 1.0 for i in range(200)]
    weighted = fit_risk(rows, bad, groups, weights=weights).model
    copied = fit_risk(
        [*rows, *(rows[i] for i in twice)],
        [*bad, *(bad[i] for i in twice)],
        [*groups, *(groups[i] for i in twice)],
    ).model
    assert weighted.means == pytest.approx(copied.means)
    assert weighted.spreads == pytest.approx(copied.spreads)
    seen = risk_of(weighted, rows), risk_of(copied, rows)
    assert seen[0] == pytest.approx(seen[1], abs=0.02)  # the penalty weighs the sum, not the mean
    assert abs(seen[0] - risk_of(fit_risk(rows, bad, groups).model, rows)).max() > 0.02


@pytest.mark.parametrize("weights", [[1.0] * 199, [0.0] + [1.0] * 199, [float("nan")] * 200])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    rows, bad = simulated(200)
    with pytest.raises(InvalidValues, match="weights for 200 outputs"):
        fit_risk(rows, bad, [None] * 200, weights=weights)


def test_drift_is_held_against_what_labelled_outputs_were_drawn_from() -> None:
    everything, _ = simulated(3000, seed=3)
    rows, bad = simulated(3000)
    worst = sorted(range(3000), key=lambda i: rows[i]["grounding"] or 0.0)[:600]
    groups = [None] * 600
    chosen = [rows[i] for i in worst], [bad[i] for i in worst]
    apart = fit_risk(*chosen, groups).model
    assert any("grounding" in said for said in find_drift(apart, everything))
    framed = fit_risk(*chosen, groups, frame=RiskFrame(rows, [None] * 3000)).model
    assert find_drift(framed, everything) == []
    assert len(framed.values) == 2000  # a saved model stays small


def test_a_risk_from_answers_beside_others_speaks_of_them() -> None:
    rows, bad, answers = beside_others(400)
    made = relative_rows(rows, answers)
    model = fit_risk(made, bad, [one.source for one in answers]).model
    assert "level~others" in model.features
    scores = [{"level": Score(row["level"])} for row in rows]
    found = score_risk(model, scores, [one.source for one in answers], answers)
    assert [s.value for s in found] == pytest.approx(list(risk_of(model, made)))
    worst = max(found, key=lambda s: s.value or 0.0)
    assert "against the mean of the other answers" in (worst.explanation or "")
    assert {s.error is None for s in score_risk(model, scores)} == {False}  # nothing to compare


def beside_others(n: int) -> tuple[Rows, list[bool], list[AnswerKey]]:
    """Simulated: the level of a source hides what is wrong with one of its five answers."""
    rng = np.random.default_rng(4)
    rows: Rows = []
    bad = [bool(b) for b in rng.random(n) < 0.5]
    answers = [AnswerKey(str(i // 5)) for i in range(n)]
    level = rng.normal(0, 5, n // 5 + 1)
    for i, wrong in enumerate(bad):
        rows.append({"level": float(level[i // 5] + wrong + rng.normal(0, 0.5))})
    return rows, bad, answers


def test_relative_features_find_what_the_source_hides() -> None:
    rows, bad, answers = beside_others(400)
    groups = [one.source for one in answers]
    plain = fit_risk(rows, bad, groups).held_out
    beside = fit_risk(relative_rows(rows, answers), bad, groups).held_out
    ones = np.ones(400)
    assert auroc(plain, np.array(bad), ones) < 0.65
    assert auroc(beside, np.array(bad), ones) > 0.8
