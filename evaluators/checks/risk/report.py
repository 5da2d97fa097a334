"""How good a risk is: AUROC, balanced accuracy, Brier and calibration error, against baselines.

Intervals are bootstrap percentiles over groups (Davison and Hinkley 1997, ch. 3.8). Where every
output is on the right side of one half, resamples hold no error, though the next output may be one:
errors are then as rare as Wilson's bound for none in so many groups has it, and cost up to 1. AUROC
is the Mann-Whitney statistic (Hanley and McNeil 1982); the Brier score is that of Brier 1950; the
calibration error is the mean gap between risk and rate over ten bins of equal size (Naeini et al.
2015), which is above zero even for a perfect risk where bins are small. The naive baselines are the
rate of the labels said of every output, which is to say always the majority, and ROUGE-L precision
against the source, fitted out of fold as the risk itself is, so that all figures are comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from evaluators.checks.risk.risk import fit_risk
from evaluators.results import ReliabilityBin, RiskFigure
from evaluators.statistics.bootstrap import draw_weights
from evaluators.statistics.clusters import number_clusters, ratio_variance, sum_clusters
from evaluators.statistics.intervals import wilson

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
BINS = 10


def auroc(risk: Floats, bad: Bools, weights: Floats) -> float:
    """Chance that a bad output has the higher risk; a tie counts half. NaN without both classes."""
    order = np.argsort(risk, kind="stable")
    r, w, b = risk[order], weights[order], bad[order]
    good, ill = w * ~b, w * b
    before = np.cumsum(good) - good
    _, start, size = np.unique(r, return_index=True, return_counts=True)
    block = np.repeat(np.add.reduceat(good, start), size)
    first = np.repeat(before[start], size)
    total = good.sum() * ill.sum()
    return float((ill * (first + block / 2)).sum() / total) if total > 0 else float("nan")


def balanced_accuracy(
    risk: Floats, bad: Bools, weights: Floats, *, threshold: float | None = None
) -> float:
    """Mean of the rates found among bad and among good outputs.

    An output is called bad where its risk is at least the rate of bad ones: for probabilities that
    are calibrated this threshold is the best one (Menon et al. 2013), at one half a rare evil would
    never be called.
    """
    rate = float((weights * bad).sum() / weights.sum()) if threshold is None else threshold
    said, ill, good = risk >= rate - 1e-12, weights * bad, weights * ~bad
    if not ill.sum() or not good.sum():
        return float("nan")
    return float(((ill * said).sum() / ill.sum() + (good * ~said).sum() / good.sum()) / 2)


def brier(risk: Floats, bad: Bools, weights: Floats) -> float:
    """Mean squared error of the probabilities."""
    return float((weights * (risk - bad) ** 2).sum() / weights.sum())


def _bins(risk: Floats) -> list[NDArray[np.int64]]:
    """Places of ten bins of nearly equal size by risk; equal risks are never parted."""
    _, inverse, counts = np.unique(risk, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2)[inverse] / len(risk)
    number = np.minimum((middle * BINS).astype(np.int64), BINS - 1)
    return [np.flatnonzero(number == b) for b in range(BINS) if (number == b).any()]


def calibration_error(risk: Floats, bad: Bools, weights: Floats) -> float:
    """Expected calibration error over ten bins of nearly equal size."""
    gaps = [abs(float((weights[p] * (risk[p] - bad[p])).sum())) for p in _bins(risk)]
    return sum(gaps) / float(weights.sum())


Measure = Callable[[Floats, Bools, Floats], float]
METRICS: dict[str, Measure] = {
    "auroc": auroc,
    "balanced_accuracy": balanced_accuracy,
    "brier": brier,
    "calibration_error": calibration_error,
}


def risk_figures(
    predictor: str,
    risk: Sequence[float] | Floats,
    labels: Sequence[bool],
    groups: Sequence[str | None],
    *,
    metrics: Sequence[str] = tuple(METRICS),
    seed: int = 0,
    resamples: int = 500,
    level: float = 0.95,
    threshold: float | None = None,
    weights: Sequence[float] | None = None,
) -> list[RiskFigure]:
    """The figures of one predictor with intervals over groups.

    Args:
        weights: how many outputs each stands for, where they were drawn with unequal chances.
        threshold: risk from which an output is called bad, for balanced accuracy, where it was
            fixed beforehand; the rate of bad outputs where it is not given.
    """
    measures: dict[str, Measure] = {
        **METRICS,
        "balanced_accuracy": partial(balanced_accuracy, threshold=threshold),
    }
    scores, bad = np.asarray(risk, dtype=np.float64), np.asarray(labels, dtype=bool)
    members = number_clusters(groups)
    clusters = int(members.max()) + 1
    own = np.ones(len(bad)) if weights is None else np.asarray(weights, dtype=np.float64)
    drawn: dict[str, list[float]] = {name: [] for name in metrics}
    for draws in draw_weights(clusters, seed=seed, resamples=resamples):
        for row in draws:
            for name in metrics:
                drawn[name].append(measures[name](scores, bad, own * row[members]))
    found = [
        _figure(predictor, name, measures[name](scores, bad, own), drawn[name], level, len(bad))
        for name in metrics
    ]
    if bool((np.abs(scores - bad) >= 0.5).any()):
        return found
    return [_allow_errors(figure, clusters, level) for figure in found]


ALIKE = "all resamples are alike: nothing is known of its spread"
NONE_WRONG = "no prediction is wrong: the upper bound is that of errors not seen"
ERRORS = frozenset({"brier", "calibration_error"})  # means of losses between 0 and 1


def _allow_errors(figure: RiskFigure, clusters: int, level: float) -> RiskFigure:
    """The upper bound of a mean loss, were unseen errors as frequent as Wilson allows."""
    if figure.metric not in ERRORS:
        return figure
    _, unseen = wilson(0, clusters, level=level)
    worst = (1 - unseen) * figure.value + unseen
    low = 0.0 if figure.low is None else figure.low
    return replace(figure, low=low, high=max(worst, figure.high or 0.0), note=NONE_WRONG)


def _figure(
    predictor: str, name: str, value: float, drawn: Sequence[float], level: float, n: int
) -> RiskFigure:
    defined = np.array([x for x in drawn if np.isfinite(x)])
    if not len(defined) or np.ptp(defined) < 1e-12:
        return RiskFigure(predictor, name, value, None, None, n, ALIKE)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return RiskFigure(predictor, name, value, float(low), float(high), n)


def naive_risks(
    labels: Sequence[bool],
    groups: Sequence[str | None],
    source_rouge: Sequence[float | None] | None,
    *,
    seed: int = 0,
    weights: Sequence[float] | None = None,
) -> dict[str, Floats]:
    """What the naive baselines say of each output: `majority`, and `source_rouge` where given.

    Args:
        source_rouge: precision of ROUGE-L against the source; left out where it cannot be fitted.

    Raises:
        UndefinedFigure: too few labels, as for the risk itself.
    """
    bad = np.asarray(labels, dtype=bool)
    found = {"majority": np.full(len(bad), float(np.average(bad, weights=weights)))}
    values = set(source_rouge or ()) - {None}
    if source_rouge is not None and len(values) > 1:
        rows = [{"source_rouge": value} for value in source_rouge]
        found["source_rouge"] = fit_risk(rows, labels, groups, seed=seed, weights=weights).held_out
    return found


def reliability_curve(
    risk: Floats,
    labels: Sequence[bool],
    groups: Sequence[str | None] | None = None,
    weights: Sequence[float] | None = None,
) -> list[ReliabilityBin]:
    """Ten bins of nearly equal size by risk; fewer where many risks are equal.

    Args:
        groups: outputs of one group are not independent: the Wilson interval of a bin then rests
            on its effective number of outputs (Korn and Graubard 1998), at most its number.
        weights: how many outputs each stands for.
    """
    bad = np.asarray(labels, dtype=bool)
    own = np.ones(len(bad)) if weights is None else np.asarray(weights, dtype=np.float64)
    members = number_clusters(groups if groups is not None else [None] * len(bad))
    bins = []
    for part in _bins(np.asarray(risk, dtype=np.float64)):
        rate = float(np.average(bad[part], weights=own[part]))
        size = _effective_size(bad[part], members[part], own[part])
        low, high = wilson(rate * size, size)
        mean = float(np.average(risk[part], weights=own[part]))
        bins.append(ReliabilityBin(mean, rate, low, high, len(part)))
    return bins


def _effective_size(bad: Bools, members: NDArray[np.int64], weights: Floats) -> float:
    """Independent outputs that would tell as much about the rate as these grouped ones."""
    n, rate = len(bad), float(np.average(bad, weights=weights))
    _, own = np.unique(members, return_inverse=True)
    alike = bool(np.ptp(weights) < 1e-12)
    if rate in (0.0, 1.0) or own.max() == 0 or (alike and own.max() + 1 == n):
        kish = float(weights.sum() ** 2 / (weights**2).sum())
        return float(own.max() + 1) if own.max() + 1 < n else kish
    rows = np.column_stack([weights * bad, weights])
    variance = ratio_variance(np.asarray(sum_clusters(rows, own)))
    return min(float(n), rate * (1 - rate) / variance) if variance > 0 else float(n)
