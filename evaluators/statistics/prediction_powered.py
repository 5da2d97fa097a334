"""A mean from few ratings and scores on all items: prediction-powered inference.

PPI++ (Angelopoulos, Duchi and Zrnic 2023, arXiv:2311.01453) with known, unequal chances of being
rated (Zrnic and Candes 2024, "Active statistical inference", arXiv:2403.03208) and clusters. With
scores f on all N items, ratings y on some, chance p_i of being rated and weights 1/p_i scaled to
sum to one (Hajek), the estimate is

    sum of w_i (y_i - c_i (f_i - mean over all of f)).

Which metric f is and its coefficient c are learned from the ratings of all clusters but that of i
(cross-fitting; Zrnic and Candes 2024, "Cross-prediction-powered inference", PNAS 121), so that no
rating decides on its own correction and the interval covers however many metrics there are. c is
tuned to the least variance by linearisation, and is 0 where the metric tells too little: |t| of its
correlation must reach the square root of 2 + 4 log(metrics), twice the bar of the risk inflation
criterion (Foster and George 1994, Ann. Statist. 22:1947). c = 0 throughout is the plain mean.

Unequal weights and uneven clusters tell less than as many equal ones: squared residuals are scaled
to be unbiased (CR2) and Student's quantile has Satterthwaite's degrees of freedom, both for cluster
means of one variance (Bell and McCaffrey 2002, Survey Methodology 28:169). With equal weights these
are the usual factor n / (n - 1) and n - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.statistics.clusters import number_clusters
from evaluators.statistics.intervals import (
    ALL_ALIKE,
    is_rounding,
    normal_quantile,
    student_quantile,
    wilson,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Scores = Sequence[float | None] | Floats
Bounds = tuple[float | None, float | None]
FEW_RATED = 30
FEW_EVENTS = 5  # a rate of fewer hits or misses is estimated from the ratings alone
LEAST_TO_LEARN = 6  # rated clusters from which on a coefficient is learned
LEAST_SCORED = 0.9  # share of the items that a metric must have scored


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        low, high: None where all ratings are alike, so that nothing is known of their spread.
        plain_value, plain_low, plain_high: of the ratings alone.
        coefficient: mean of c over the rated items, 0 where the scores did not help.
        metric: the metric given, or of several the one that was chosen most often; None where
            none of several helped, or none was given.
        correlation: of rating and score on the rated items, for several metrics of rating and what
            the scores chosen without it say of it; None where one does not vary.
        n, total: items rated, all items.
        method: "ppi++" or "plain".
        freedom: Satterthwaite's degrees of freedom, at most the rated clusters less one.
        rough: there are fewer of them than 30 equal clusters have.
    """

    value: float
    low: float | None
    high: float | None
    plain_value: float
    plain_low: float | None
    plain_high: float | None
    coefficient: float
    metric: str | None
    correlation: float | None
    n: int
    total: int
    clusters: int
    method: str
    freedom: float
    rough: bool
    level: float
    signature: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Items:
    ratings: Floats
    scores: Floats  # (metrics, items)
    weights: Floats  # of rated items, summing to 1
    members: Ints
    alike: bool  # every rated item weighs the same and is a cluster of its own


class _Sums(NamedTuple):
    """By cluster: weight, weighted ratings, weighted scores, and scores less their mean over N."""

    weights: Floats
    ratings: Floats
    scores: Floats  # (metrics, clusters)
    others: Floats  # (metrics, clusters)
    means: Floats  # (metrics,): of all items
    rated: Ints  # clusters with a rated item


class _Learned(NamedTuple):
    """For each rated cluster: which metric the ratings of the others chose, and c."""

    metrics: Ints
    coefficients: Floats


class _Spread(NamedTuple):
    value: float
    error: float


class _Scales(NamedTuple):
    """What the weights of the rated clusters alone say of the standard error."""

    factors: Floats  # of each rated cluster's squared residual
    freedom: float
    size: float  # as many equal clusters weigh (Kish 1965)


def estimate_mean(
    ratings: Sequence[float | None],
    scores: Scores | Mapping[str, Scores],
    *,
    probabilities: Sequence[float] | Floats | None = None,
    groups: Sequence[str | None] | None = None,
    rate: bool | None = None,
    level: float = 0.95,
) -> Estimate:
    """Mean rating of all items.

    Args:
        ratings: one per item, None where it was not rated. For a difference of two models give
            the differences of ratings and of scores.
        scores: one per item, of any unit; they need not be calibrated. By name for several
            metrics, of which the best is chosen by cross-fitting. None where an item has no score:
            the mean stands in. Of several, those that lack more than a tenth are not used.
        probabilities: each item's chance of being rated; equal if not given.
        groups: items of one group are not independent.
        rate: the ratings are yes or no, so that the interval is Wilson's; by default seen from
            the ratings.

    Raises:
        UndefinedFigure: fewer than three items, or clusters, are rated.
        InvalidValues: lengths differ, a number is not finite, or a chance is not in (0, 1].
    """
    named = scores if isinstance(scores, Mapping) else {"scores": scores}
    items, names = _check(ratings, named, probabilities, groups)
    rated = items.weights > 0
    sums = _sum(items)
    given = items.ratings[rated]
    binary = rate if rate is not None else bool(np.isin(given, [0.0, 1.0]).all())
    learned = _learn(sums, few=binary and bool(min(given.sum(), (1 - given).sum()) < FEW_EVENTS))
    chosen, plain = _narrower(sums, learned)
    use = chosen is not plain
    scales = _scales(sums)
    low, high = _bounds(chosen, items, binary, scales, level)
    plain_low, plain_high = _bounds(plain, items, binary, scales, level)
    method, chances = "ppi++" if use else "plain", "equal" if probabilities is None else "given"
    return Estimate(
        value=chosen.value,
        low=low,
        high=high,
        plain_value=plain.value,
        plain_low=plain_low,
        plain_high=plain_high,
        coefficient=float(sums.weights[sums.rated] @ learned.coefficients) if use else 0.0,
        metric=_metric(names, learned, use=use),
        correlation=_correlation(items, sums, learned),
        n=int(rated.sum()),
        total=len(items.ratings),
        clusters=len(sums.weights),
        method=method,
        freedom=scales.freedom,
        rough=scales.freedom < FEW_RATED - 1 - 1e-9,
        level=level,
        signature=f"prediction_powered|strop:3|method:{method}|metrics:{len(names)}"
        f"|cross-fitted:leave-one-out|chances:{chances}|ci:cr2-satterthwaite|level:{level}",
        note=_note(given, low, seen=rate is None) or (_choice(names, learned) if use else ""),
    )


def _check(
    ratings: Sequence[float | None],
    scores: Mapping[str, Scores],
    probabilities: Sequence[float] | Floats | None,
    groups: Sequence[str | None] | None,
) -> tuple[_Items, list[str]]:
    """Arrays, and the names of the metrics that are used."""
    n = len(ratings)
    if not n:
        raise InvalidValues("There are no items.", hint="Give the scores of all, and some ratings.")
    given = [*scores.items(), ("chances", probabilities), ("groups", groups)]
    for name, values in given:
        if values is not None and len(values) != n:
            raise InvalidValues(f"{n} ratings for {len(values)} {name}.", hint="One per item.")
    y = np.array([0.0 if r is None else r for r in ratings], dtype=np.float64)
    columns = {name: _stand_in(values) for name, values in scores.items()}
    kept = {name: f for name, f in columns.items() if f is not None}
    f = np.array(list(kept.values()), dtype=np.float64).reshape(len(kept), n)
    if not (np.isfinite(f).all() and np.isfinite(y).all()):
        raise InvalidValues("A rating or a score is not a finite number.")
    p = np.ones(n) if probabilities is None else np.asarray(probabilities, dtype=np.float64)
    if not bool(((p > 0) & (p <= 1)).all()):
        raise InvalidValues("A chance of being rated is above 0 and at most 1.")
    w = np.where([r is None for r in ratings], 0.0, 1 / p)
    members = np.arange(n) if groups is None else number_clusters(groups)
    alike = len(np.unique(w[w > 0])) == 1 and len(np.unique(members)) == n
    return _Items(y, f, w / w.sum() if w.any() else w, members, alike), list(kept)


def _stand_in(scores: Scores) -> Floats | None:
    """Scores with their mean where there is none; None for too few of them."""
    f = np.asarray(scores, dtype=np.float64)  # None becomes NaN
    if bool(np.isfinite(f).all()):
        return f
    gone = np.array([s is None for s in scores], dtype=bool)
    if gone.mean() > 1 - LEAST_SCORED:
        return None
    return np.where(gone, f[~gone].mean(), f)


def _sum(items: _Items) -> _Sums:
    members, w, n = items.members, items.weights, len(items.ratings)
    clusters = int(members.max()) + 1

    def total(values: Floats) -> Floats:
        return np.bincount(members, values, clusters).astype(np.float64)

    means, weights = items.scores.mean(axis=1), total(w)
    rated = np.flatnonzero(weights > 0)
    if len(rated) < 3:
        raise UndefinedFigure(
            f"Too few independent items are rated for an interval, {len(rated)}.",
            hint="Rate at least three, from different groups.",
        )
    empty = np.zeros((0, clusters))
    return _Sums(
        weights,
        total(w * items.ratings),
        np.array([total(w * f) for f in items.scores]) if len(means) else empty,
        np.array([total(f - m) / n for f, m in zip(items.scores, means, strict=True)])
        if len(means)
        else empty,
        means,
        rated,
    )


def _learn(sums: _Sums, *, few: bool) -> _Learned:
    """Metric and c of each rated cluster from all the other clusters.

    Every moment is a quadratic form in four sums of a cluster (weighted ratings, weight, weighted
    scores, scores of all), so that leaving one out is a subtraction.
    """
    rated, count = sums.rated, len(sums.means)
    if few or not count or len(rated) < LEAST_TO_LEARN:
        return _Learned(np.zeros(len(rated), dtype=np.int64), np.zeros(len(rated)))
    squares, products, scores = _moments_without(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        tells = (scores > 0) & (squares > 0)
        explained = np.where(tells, products**2 / (squares * scores), 0.0)
        coefficients = np.where(tells, -products / scores, 0.0)
    best, each = explained.argmax(axis=0), np.arange(len(rated))
    share = np.minimum(explained[best, each], 1 - 1e-12)
    t2 = share / (1 - share) * (len(rated) - 3)
    enough = t2 > 2 + 4 * math.log(count)
    return _Learned(best, np.where(enough, coefficients[best, each], 0.0))


def _moments_without(sums: _Sums) -> tuple[Floats, Floats, Floats]:
    """Without each rated cluster: squares of ratings' influences, products, squares of scores'.

    Shape (metrics, rated clusters) each.
    """
    rated, shape = sums.rated, sums.scores.shape
    columns = [
        np.broadcast_to(sums.ratings, shape),
        np.broadcast_to(sums.weights, shape),
        sums.scores,
        sums.others,
    ]
    rows = np.stack(columns, axis=-1)
    own = rows[:, rated]
    rest = np.einsum("mgi,mgj->mij", rows, rows)[:, None] - own[..., :, None] * own[..., None, :]
    left = 1 - sums.weights[rated]
    ratings, scores = np.zeros(own.shape), np.zeros(own.shape)
    ratings[..., 0], ratings[..., 1] = 1.0, -(sums.ratings.sum() - sums.ratings[rated]) / left
    scores[..., 1] = (sums.scores.sum(axis=1, keepdims=True) - sums.scores[:, rated]) / left
    scores[..., 2], scores[..., 3] = -1.0, 1.0

    def form(a: Floats, b: Floats) -> Floats:
        found: Floats = np.einsum("mgi,mgij,mgj->mg", a, rest, b)
        return found

    return form(ratings, ratings), form(ratings, scores), form(scores, scores)


def _scales(sums: _Sums) -> _Scales:
    """CR2 factors and Satterthwaite's degrees of freedom, for cluster means of one variance.

    The variance is the quadratic form M' D M in the cluster means, where M takes residuals and D
    holds squared weights times factors; its degrees of freedom are tr(M' D M)^2 / tr((M' D M)^2).
    """
    w = sums.weights[sums.rated]
    square = float(w @ w)
    factors = 1 / (1 - 2 * w + square)
    d = w * w * factors
    a, b, c = float(d.sum()), float(d @ w), float(d @ (w * w))
    crossed = square**2 * a * a + 2 * a * c - 4 * square * a * b + 2 * b * b
    own = float((d * d) @ (1 + 2 * (square - 2 * w)))
    return _Scales(factors, min(square**2 / (crossed + own), len(w) - 1.0), 1 / square)


def _narrower(sums: _Sums, learned: _Learned) -> tuple[_Spread, _Spread]:
    """The estimate to go by, and that of the ratings alone; the same where scores do not help."""
    plain = _at(sums, learned._replace(coefficients=np.zeros(len(sums.rated))))
    if not learned.coefficients.any():
        return plain, plain
    freedom = _scales(sums).freedom  # of which the coefficient takes one
    if freedom <= 1:
        return plain, plain
    powered = _at(sums, learned)
    powered = powered._replace(error=powered.error * math.sqrt(freedom / (freedom - 1)))
    return (powered if powered.error < plain.error else plain), plain


def _at(sums: _Sums, learned: _Learned) -> _Spread:
    """Estimate and standard error: each cluster's influence, left-out corrections included."""
    rated, (metrics, c) = sums.rated, learned
    influence = sums.ratings.copy()
    if len(sums.means):
        gaps = sums.weights[rated] * sums.means[metrics] - sums.scores[metrics, rated]
        influence[rated] += c * gaps
    value = float(influence.sum())
    influence -= sums.weights * value
    if len(sums.means):
        shares = np.bincount(metrics, c * sums.weights[rated], len(sums.means))
        influence += shares @ sums.others
    squares = influence**2
    squares[rated] *= _scales(sums).factors
    return _Spread(value, math.sqrt(float(squares.sum())))


def _bounds(found: _Spread, items: _Items, binary: bool, scales: _Scales, level: float) -> Bounds:
    """Student's interval, for a rate Wilson's with the effective number of items."""
    quantile = student_quantile(level, scales.freedom)
    if not binary:
        if is_rounding(found.error**2, found.value):
            return None, None
        return found.value - quantile * found.error, found.value + quantile * found.error
    if items.alike:
        quantile = normal_quantile(level)
    rate = min(max(found.value, 0.0), 1.0)
    size = scales.size
    if found.error > 0 and 0 < rate < 1:
        size = rate * (1 - rate) / found.error**2
    return wilson(rate * size, size, level=level, quantile=quantile)


def _note(ratings: Floats, low: float | None, *, seen: bool) -> str:
    if low is None:
        return ALL_ALIKE
    if seen and np.ptp(ratings) == 0:
        return f"all ratings are {ratings[0]:g}: read as yes or no"
    return ""


def _metric(names: Sequence[str], learned: _Learned, *, use: bool) -> str | None:
    if len(names) == 1:
        return names[0]
    return _ranked(names, learned)[0][0] if use else None


def _ranked(names: Sequence[str], learned: _Learned) -> list[tuple[str, int]]:
    """How many rated clusters each metric was chosen for, most first."""
    used = learned.metrics[learned.coefficients != 0]
    counts = zip(names, np.bincount(used, minlength=len(names)).tolist(), strict=True)
    return sorted(((name, n) for name, n in counts if n), key=lambda pair: -pair[1])


def _choice(names: Sequence[str], learned: _Learned) -> str:
    if len(names) == 1:
        return ""
    told = ", ".join(f"{name} {n}" for name, n in _ranked(names, learned))
    of = len(learned.coefficients)
    return f"metric chosen among {len(names)} on the ratings of the others: {told} of {of} times"


def _correlation(items: _Items, sums: _Sums, learned: _Learned) -> float | None:
    if not len(sums.means):
        return None
    rated = np.flatnonzero(items.weights > 0)
    said = items.scores[0, rated]
    if len(sums.means) > 1:
        place = np.searchsorted(sums.rated, items.members[rated])
        metrics, c = learned.metrics[place], learned.coefficients[place]
        said = c * (items.scores[metrics, rated] - sums.means[metrics])
    ratings = items.ratings[rated]
    if np.ptp(ratings) == 0 or np.ptp(said) == 0:
        return None
    return float(np.corrcoef(ratings, said)[0, 1])
