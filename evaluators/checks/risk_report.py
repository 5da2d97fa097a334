"""How good a risk is: AUROC, balanced accuracy, Brier and calibration error, against baselines.

Intervals are bootstrap percentiles over groups. ECE is the mean gap between risk and rate over ten
bins of equal size (Naeini et al. 2015). The baselines are always saying the majority, and
the overlap with the source (1 - ROUGE-L precision) as a risk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.statistics.bootstrap import draw_weights
from evaluators.statistics.clusters import number_clusters
from evaluators.statistics.intervals import wilson

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
BINS = 10


@dataclass(frozen=True, slots=True)
class RiskFigure:
    """One figure of one predictor, n outputs."""

    predictor: str
    metric: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Outputs of similar risk: mean risk, rate of hallucinations with its Wilson interval."""

    risk: float
    rate: float
    low: float
    high: float
    n: int


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


def balanced_accuracy(risk: Floats, bad: Bools, weights: Floats) -> float:
    """Mean of the rates found among bad and among good outputs at a risk of one half."""
    said, ill, good = risk >= 0.5, weights * bad, weights * ~bad
    if not ill.sum() or not good.sum():
        return float("nan")
    return float(((ill * said).sum() / ill.sum() + (good * ~said).sum() / good.sum()) / 2)


def brier(risk: Floats, bad: Bools, weights: Floats) -> float:
    """Mean squared error of the probabilities."""
    return float((weights * (risk - bad) ** 2).sum() / weights.sum())


def calibration_error(risk: Floats, bad: Bools, weights: Floats) -> float:
    """Expected calibration error over ten bins of equal size."""
    order = np.argsort(risk, kind="stable")
    parts = np.array_split(order, BINS)
    gaps = [abs(float((weights[p] * (risk[p] - bad[p])).sum())) for p in parts if len(p)]
    return sum(gaps) / float(weights.sum())


METRICS: dict[str, Callable[[Floats, Bools, Floats], float]] = {
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
) -> list[RiskFigure]:
    """The figures of one predictor with intervals over groups."""
    scores, bad = np.asarray(risk, dtype=np.float64), np.asarray(labels, dtype=bool)
    members = number_clusters(groups)
    clusters = int(members.max()) + 1
    drawn: dict[str, list[float]] = {name: [] for name in metrics}
    for weights in draw_weights(clusters, seed=seed, resamples=resamples):
        for row in weights:
            for name in metrics:
                drawn[name].append(METRICS[name](scores, bad, row[members]))
    return [
        _figure(
            predictor,
            name,
            METRICS[name](scores, bad, np.ones(len(bad))),
            drawn[name],
            level,
            len(bad),
        )
        for name in metrics
    ]


def _figure(
    predictor: str, name: str, value: float, drawn: Sequence[float], level: float, n: int
) -> RiskFigure:
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return RiskFigure(predictor, name, value, float(low), float(high), n)


def reliability_curve(risk: Floats, labels: Sequence[bool]) -> list[ReliabilityBin]:
    """Ten bins of equal size by risk."""
    bad = np.asarray(labels, dtype=bool)
    bins = []
    for part in np.array_split(np.argsort(risk, kind="stable"), BINS):
        if len(part):
            hits = int(bad[part].sum())
            low, high = wilson(hits, len(part))
            mean = float(np.mean(risk[part]))
            bins.append(ReliabilityBin(mean, hits / len(part), low, high, len(part)))
    return bins
