"""Prediction-powered means and plans: width, coverage, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.statistics.intervals import ALL_ALIKE
from evaluators.statistics.planning import plan_verdict, plan_width
from evaluators.statistics.prediction_powered import Estimate, estimate_mean
from tests.benchmarks.estimate_coverage import Design, coverage, naive


def simulated_estimate(
    seed: int, rho: float, *, unequal: bool, total: int = 1000, share: float = 0.2
) -> Estimate:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1, total)
    truth = rho * scores + math.sqrt(1 - rho**2) * rng.normal(0, 1, total)
    chances = rng.uniform(0.5, 1.5, total) * share if unequal else np.full(total, share)
    rated = rng.random(total) < chances
    ratings = [float(y) if r else None for y, r in zip(truth, rated, strict=True)]
    return estimate_mean(ratings, list(scores), probabilities=list(chances))


@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize("rho", [0.3, 0.9])
def test_width_and_coverage(rho: float, unequal: bool) -> None:
    found = [simulated_estimate(seed, rho, unequal=unequal) for seed in range(120)]
    ratio = sum(e.high - e.low for e in found) / sum(e.plain_high - e.plain_low for e in found)
    theory = math.sqrt(1 - rho**2 * (1 - 0.2))  # N is finite: a fifth of the items is rated
    assert ratio == pytest.approx(theory, rel=0.05)
    assert sum(e.low <= 0 <= e.high for e in found) >= 106  # 114 expected


def test_unequal_chances_are_corrected() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(5000)
    chances = 0.02 + 0.2 * truth  # the good ones are rated far more often
    rated = rng.random(5000) < chances
    ratings = [float(y) if r else None for y, r in zip(truth, rated, strict=True)]
    noise = list(rng.random(5000))
    weighted = estimate_mean(ratings, noise, probabilities=list(chances))
    blind = estimate_mean(ratings, noise)
    assert weighted.low < truth.mean() < weighted.high
    assert blind.low > truth.mean()


def test_useless_scores_fall_back_to_the_ratings() -> None:
    ratings = [float(i % 3) if i < 60 else None for i in range(500)]
    found = estimate_mean(ratings, [1.0] * 500)
    assert (found.method, found.coefficient, found.correlation) == ("plain", 0.0, None)
    assert (found.low, found.high) == (found.plain_low, found.plain_high)


def test_clusters_widen() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat(rng.random(60), 10)
    ratings = [float(y) for y in truth[:300]] + [None] * 300
    groups = [str(i // 10) for i in range(600)]
    alone = estimate_mean(ratings, list(rng.random(600)))
    grouped = estimate_mean(ratings, list(rng.random(600)), groups=groups)
    assert grouped.clusters == 60
    assert grouped.high - grouped.low > 2.5 * (alone.high - alone.low)


def test_rates_stay_between_0_and_1() -> None:
    ratings: list[float | None] = [0.0] * 39 + [1.0] + [None] * 100
    found = estimate_mean(ratings, [0.1] * 140)
    assert 0 < found.low < 0.025 < found.high < 0.2


@pytest.mark.parametrize(
    ("ratings", "scores", "chances", "words"),
    [
        ([1.0, None], [1.0], None, "2 ratings for 1 scores"),
        ([1.0] * 3, [1.0, float("nan"), 1.0], None, "not a finite number"),
        ([1.0] * 3, [1.0] * 3, [0.0, 1.0, 1.0], "above 0 and at most 1"),
        ([], [], None, "no items"),
    ],
)
def test_refused(
    ratings: list[float | None], scores: list[float], chances: list[float] | None, words: str
) -> None:
    with pytest.raises(InvalidValues, match=words):
        estimate_mean(ratings, scores, probabilities=chances)


def test_two_ratings_are_too_few() -> None:
    with pytest.raises(
        UndefinedFigure, match="Too few independent items are rated for an interval, 2"
    ):
        estimate_mean([1.0, 0.0, None], [1.0, 2.0, 3.0])


def test_plan_for_a_width_agrees_with_the_formula() -> None:
    plan = plan_width([1.0, 0.0] * 500, width=0.1)
    exact = 4 * 1.96**2 * 0.25 / 0.1**2
    assert plan.n is not None
    assert exact * 0.97 <= plan.n <= max(1000, exact * 1.1)


def test_plan_for_a_verdict_knows_how_little_it_knows() -> None:
    few = plan_verdict([1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0], threshold=0.5)
    many = plan_verdict(([1.0, 1.0, 0.0, 1.0] * 40), threshold=0.5)
    assert few.high is None or few.high > 1000
    assert many.n is not None
    assert many.n <= 200
    assert "simulated" in many.note


def test_plan_from_too_little() -> None:
    with pytest.raises(UndefinedFigure, match="Too few values to plan from, 2"):
        plan_width([1.0, 0.0], width=0.1)


@pytest.mark.parametrize(
    ("values", "threshold", "words"),
    [
        ([3.0] * 5, 2.9, "5 equal ratings of 3 show no spread"),
        ([1.0] * 5, 2.9, "5 equal ratings of 1 show no spread"),  # stars, not a rate
        ([0.1 + 0.2, 0.3, 0.3], 0.5, "3 equal ratings of 0.3"),  # equal but for the last bit
    ],
)
def test_equal_ratings_plan_nothing(values: list[float], threshold: float, words: str) -> None:
    with pytest.raises(UndefinedFigure, match=words):
        plan_verdict(values, threshold=threshold)


def test_a_perfect_rate_can_be_planned_from() -> None:
    assert plan_verdict([1.0] * 5, threshold=0.9).high != 5


SMALL = 300  # repeats; .95 give or take three standard errors is .915 to .98


@pytest.mark.parametrize(
    "design",
    [
        Design(12, 500, 20, 0.0, is_rate=False, grouped=False),
        pytest.param(Design(12, 500, 6, 0.7, is_rate=False, grouped=True), marks=pytest.mark.deep),
        pytest.param(Design(30, 500, 20, 0.0, is_rate=True, grouped=False), marks=pytest.mark.deep),
        Design(30, 500, 20, 0.7, is_rate=True, grouped=True),
    ],
    ids=lambda design: design.name,
)
def test_an_estimate_covers_though_its_metric_was_chosen(design: Design) -> None:
    assert 0.915 <= coverage(design, SMALL)["coverage"] <= 0.985


def test_a_metric_chosen_on_the_ratings_it_corrects_does_not_cover() -> None:
    design = Design(12, 500, 20, 0.0, is_rate=False, grouped=False)
    assert coverage(design, SMALL, how=naive)["coverage"] < 0.85


def test_the_metric_that_tells_is_found_among_many() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(3, 1, 600)
    scores = {f"noise {k}": list(rng.normal(size=600)) for k in range(19)}
    scores["overlap"] = list(-truth + rng.normal(0, 0.5, 600))
    ratings = [float(y) if i < 40 else None for i, y in enumerate(truth)]
    found = estimate_mean(ratings, scores)
    assert (found.metric, found.method) == ("overlap", "ppi++")
    assert found.coefficient < 0
    assert (found.correlation or 0) > 0.7
    assert found.low is not None
    assert found.high is not None
    assert found.plain_high is not None
    assert found.plain_low is not None
    assert found.high - found.low < 0.7 * (found.plain_high - found.plain_low)
    assert found.note.endswith("overlap 40 of 40 times")
    alone = estimate_mean(ratings, scores["overlap"])
    assert found.value == pytest.approx(alone.value)


def test_metrics_with_gaps() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(3, 1, 200)
    ratings = [float(y) if i < 40 else None for i, y in enumerate(truth)]
    few: list[float | None] = [None if i % 20 == 0 else float(y) for i, y in enumerate(truth)]
    many: list[float | None] = [None if i % 5 == 0 else float(y) for i, y in enumerate(truth)]
    assert estimate_mean(ratings, {"few": few, "many": many}).metric == "few"
    assert estimate_mean(ratings, {"many": many}).metric is None


@pytest.mark.parametrize("groups", [None, [str(i // 4) for i in range(100)]])
@pytest.mark.parametrize("value", [5.0, -2.5, 0.1])
def test_ratings_all_alike_have_no_interval(value: float, groups: list[str] | None) -> None:
    ratings = [value if i < 20 else None for i in range(100)]
    scores = list(np.random.default_rng(0).random(100))
    found = estimate_mean(ratings, scores, groups=groups)
    assert found.value == pytest.approx(value)
    assert [found.low, found.high, found.plain_low, found.plain_high] == [None] * 4
    assert (found.method, found.note) == ("plain", ALL_ALIKE)


def test_a_perfect_rate_is_not_certain() -> None:
    found = estimate_mean([1.0] * 20 + [None] * 80, [0.5] * 100)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(20 / (20 + 1.959964**2), abs=1e-6)
    assert found.note == "all ratings are 1: read as yes or no"


def uneven_estimate(kind: str, seed: int) -> tuple[Estimate, float]:
    """Stars whose mean is 3: of items with unequal chances, or of a few large groups among small.

    The truth is the mean of the population.
    """
    rng = np.random.default_rng(seed)
    sizes = np.where(rng.random(200) < 0.1, 30, 2) if kind == "groups" else np.ones(600, int)
    members = np.repeat(np.arange(len(sizes)), sizes)
    latent = rng.normal(size=len(members)) + (rng.normal(size=len(sizes))[members])
    truth = np.digitize(latent, (-1.5, -0.5, 0.5, 1.5)) + 1.0
    score = latent + rng.normal(size=len(members))
    if kind == "groups":
        rated = np.isin(members, rng.choice(200, 20, replace=False))
        groups = [str(m) for m in members]
        ratings = [float(y) if r else None for y, r in zip(truth, rated, strict=True)]
        return estimate_mean(ratings, list(score), groups=groups, rate=False), 3.0
    weights = np.where(rng.random(600) < 0.25, 4.0, 1.0)
    chances = 8 * weights / weights.sum()
    rated = rng.random(600) < chances
    rated[:3] = True
    ratings = [float(y) if r else None for y, r in zip(truth, rated, strict=True)]
    return estimate_mean(ratings, list(score), probabilities=list(chances), rate=False), 3.0


@pytest.mark.parametrize("kind", ["groups", "chances"])
def test_unequal_weights_cover(kind: str) -> None:
    found = [uneven_estimate(kind, seed) for seed in range(400)]
    held = sum(e.low <= truth <= e.high for e, truth in found) / 400
    plain = sum(e.plain_low <= truth <= e.plain_high for e, truth in found) / 400
    assert min(held, plain) > 0.925


@pytest.mark.parametrize(
    ("sizes", "freedom"),
    [([1] * 12, 11.0), ([3] * 8, 7.0), ([30, 2, 2, 2, 2], 1.0173324), ([9, 1, 1], 1.0169)],
)
def test_degrees_of_freedom(sizes: list[int], freedom: float) -> None:
    groups = [str(g) for g, size in enumerate(sizes) for _ in range(size)]
    ratings = [float(i % 5) for i in range(len(groups))]
    found = estimate_mean(ratings, {}, groups=groups)
    w = np.array(sizes) / sum(sizes)
    residuals = np.eye(len(w)) - np.outer(np.ones(len(w)), w)
    form = residuals.T @ np.diag(w**2 / (1 - 2 * w + w @ w)) @ residuals
    assert found.freedom == pytest.approx(np.trace(form) ** 2 / np.trace(form @ form))
    assert found.freedom == pytest.approx(freedom, rel=1e-3)
    assert found.rough
    assert "ci:cr2-satterthwaite" in found.signature
