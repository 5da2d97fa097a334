"""A mean from few ratings and scores on all items: prediction-powered inference.

PPI++ (Angelopoulos, Duchi and Zrnic 2023, arXiv:2311.01453) with known, unequal chances of being
rated (Zrnic and Candes 2024, "Active statistical inference", arXiv:2403.03208) and clusters. With
scores f on all N items, ratings y on some, chance p_i of being rated and weights 1/p_i scaled to
sum to one (Hajek), the estimate is

    mean(y) + c (mean over all of f - mean over rated of f),

the means over rated items being weighted. c is tuned to the least variance by linearisation:
c = 1 is plain PPI, c = 0 the plain weighted mean, which is used where it is narrower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import CannotCompute, InvalidValues
from evaluators.statistics.clusters import number_clusters
from evaluators.statistics.intervals import student_quantile, wilson

Floats = NDArray[np.float64]
FEW_RATED = 30


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        plain_low, plain_high: the interval of the ratings alone.
        coefficient: c, 0 where the scores did not help.
        correlation: of rating and score on the rated items; None where one does not vary.
        n, total: items rated, all items.
        method: "ppi++" or "plain".
    """

    value: float
    low: float
    high: float
    plain_value: float
    plain_low: float
    plain_high: float
    coefficient: float
    correlation: float | None
    n: int
    total: int
    clusters: int
    method: str
    rough: bool
    level: float
    signature: str


@dataclass(frozen=True, slots=True)
class _Items:
    scores: Floats
    ratings: Floats  # 0 where not rated
    weights: Floats  # 0 where not rated, else proportional to 1/p, summing to 1
    members: NDArray[np.int64]


def estimate_mean(
    ratings: Sequence[float | None],
    scores: Sequence[float],
    *,
    probabilities: Sequence[float] | None = None,
    groups: Sequence[str | None] | None = None,
    rate: bool | None = None,
    level: float = 0.95,
) -> Estimate:
    """Mean rating of all items.

    Args:
        ratings: one per item, None where it was not rated. For a difference of two models give
            the differences of ratings and of scores.
        scores: one per item, of any unit; they need not be calibrated.
        probabilities: each item's chance of being rated; equal if not given.
        groups: items of one group are not independent.
        rate: the ratings are yes or no, so that the interval is Wilson's; by default seen from
            the ratings.

    Raises:
        CannotCompute: fewer than three items, or clusters, are rated.
        InvalidValues: lengths differ, a number is not finite, or a chance is not in (0, 1].
    """
    items = _check(ratings, scores, probabilities, groups)
    rated = items.weights > 0
    freedom = len(np.unique(items.members[rated])) - 1
    if freedom < 2:
        raise CannotCompute(
            f"{freedom + 1} independent items are rated; no interval can be estimated.",
            hint="Rate at least three, from different groups.",
        )
    binary = rate if rate is not None else bool(np.isin(items.ratings[rated], [0.0, 1.0]).all())
    plain = _at(items, 0.0)
    coefficient = _tuned(items)
    powered = _at(items, coefficient)
    powered = (powered[0], powered[1] * math.sqrt(freedom / (freedom - 1)))
    use = coefficient != 0 and powered[1] < plain[1]
    chosen = powered if use else plain
    bounds = [_bounds(*pair, binary, freedom, level) for pair in (chosen, plain)]
    method = "ppi++" if use else "plain"
    chances = "equal" if probabilities is None else "given"
    clusters = int(items.members.max()) + 1
    return Estimate(
        value=chosen[0],
        low=bounds[0][0],
        high=bounds[0][1],
        plain_value=plain[0],
        plain_low=bounds[1][0],
        plain_high=bounds[1][1],
        coefficient=coefficient if use else 0.0,
        correlation=_correlation(items.ratings[rated], items.scores[rated]),
        n=int(rated.sum()),
        total=len(items.scores),
        clusters=clusters,
        method=method,
        rough=freedom + 1 < FEW_RATED,
        level=level,
        signature=f"prediction_powered|strop:1|method:{method}|chances:{chances}|level:{level}",
    )


def _check(
    ratings: Sequence[float | None],
    scores: Sequence[float],
    probabilities: Sequence[float] | None,
    groups: Sequence[str | None] | None,
) -> _Items:
    n = len(scores)
    for name, values in (("ratings", ratings), ("chances", probabilities), ("groups", groups)):
        if values is not None and len(values) != n:
            raise InvalidValues(f"{len(values)} {name} for {n} scores.", hint="One per item.")
    f = np.asarray(scores, dtype=np.float64)
    y = np.array([0.0 if r is None else r for r in ratings], dtype=np.float64)
    if not (np.isfinite(f).all() and np.isfinite(y).all()):
        raise InvalidValues("A rating or a score is not a finite number.")
    p = np.ones(n) if probabilities is None else np.asarray(probabilities, dtype=np.float64)
    if not bool(((p > 0) & (p <= 1)).all()):
        raise InvalidValues("A chance of being rated is above 0 and at most 1.")
    w = np.where([r is None for r in ratings], 0.0, 1 / p)
    members = np.arange(n) if groups is None else number_clusters(groups)
    return _Items(f, y, w / w.sum() if w.any() else w, members)


def _influences(items: _Items) -> tuple[Floats, Floats]:
    """Influence of each cluster on the mean of ratings, and on the correction by scores."""
    w, n = items.weights, len(items.scores)
    ratings = w * (items.ratings - w @ items.ratings)
    scores = (items.scores - items.scores.mean()) / n - w * (items.scores - w @ items.scores)
    clusters = int(items.members.max()) + 1
    return (
        np.bincount(items.members, ratings, clusters).astype(np.float64),
        np.bincount(items.members, scores, clusters).astype(np.float64),
    )


def _tuned(items: _Items) -> float:
    ratings, scores = _influences(items)
    spread = float(scores @ scores)
    return -float(ratings @ scores) / spread if spread > 1e-24 else 0.0


def _at(items: _Items, coefficient: float) -> tuple[float, float]:
    """Estimate and standard error for a coefficient."""
    w = items.weights
    value = w @ items.ratings + coefficient * (items.scores.mean() - w @ items.scores)
    ratings, scores = _influences(items)
    influence = ratings + coefficient * scores
    active = len(np.unique(items.members[w > 0]))
    variance = float(influence @ influence) * active / (active - 1)
    return float(value), math.sqrt(variance)


def _bounds(
    value: float, error: float, binary: bool, freedom: int, level: float
) -> tuple[float, float]:
    quantile = student_quantile(level, freedom)
    if not binary:
        return value - quantile * error, value + quantile * error
    rate = min(max(value, 0.0), 1.0)
    size = rate * (1 - rate) / error**2 if error > 0 and 0 < rate < 1 else float(freedom + 1)
    return wilson(rate * size, size, level=level, quantile=quantile)


def _correlation(ratings: Floats, scores: Floats) -> float | None:
    if ratings.std() == 0 or scores.std() == 0:
        return None
    return float(np.corrcoef(ratings, scores)[0, 1])
