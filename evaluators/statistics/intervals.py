"""Confidence intervals for rates, means and their paired differences, clustered where need be.

Which method serves which figure was chosen by simulation (tests/benchmarks/evaluators_coverage.py):
rates by Wilson's score interval, with an effective sample size where samples come in clusters;
means by the studentised bootstrap, which holds its level on skewed scores where the percentile
bootstrap and Student's t do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues
from evaluators.statistics.bootstrap import studentised_interval
from evaluators.statistics.clusters import ratio_variance
from evaluators.statistics.draws import VERSION as DRAWS

FEW_CLUSTERS = 20
FEW_EVENTS = 8  # with fewer than 50 samples no method for rates keeps the level near 0 and 1
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds, how they were made, and whether they may miss their level.

    Both bounds are None where nothing is known of the spread; the note says why.
    """

    low: float | None
    high: float | None
    method: str
    rough: bool = False
    note: str = ""

    @property
    def recipe(self) -> str:
        """The part of a signature that names the method, and what its draws were made by."""
        drawn = self.method.startswith("bootstrap")
        return f"ci:{self.method}|draws:{DRAWS}" if drawn else f"ci:{self.method}"


def normal_quantile(level: float) -> float:
    """Two-sided standard normal quantile: 1.96 for level .95."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def student_quantile(level: float, freedom: float) -> float:
    """Two-sided quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2))


def wilson(
    successes: float, n: float, *, level: float = 0.95, quantile: float | None = None
) -> tuple[float, float]:
    """Score interval of a rate (Wilson 1927, JASA 22:209).

    Args:
        successes: number of successes; fractional when n is an effective sample size.
        n: number of trials.
        quantile: taken in place of the normal one, for few clusters.

    Raises:
        InvalidValues: n is not positive, or successes outside 0 to n.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise InvalidValues(f"{successes} successes of {n} trials is no rate.")
    z = normal_quantile(level) if quantile is None else quantile
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low = max(0.0, centre - half) if successes > 0 else 0.0  # exact, whatever the rounding
    high = min(1.0, centre + half) if successes < n else 1.0
    return low, high


def rate_interval(sums: Floats, *, level: float = 0.95) -> Interval:
    """Wilson interval of a rate from clusters.

    The sample size is divided by the design effect, the quantile is Student's (Korn and Graubard
    1998, Survey Methodology 24:193, with Wilson's in place of the exact interval).

    Args:
        sums: shape (clusters, 2): successes and trials of each cluster.
    """
    successes, n = float(sums[:, 0].sum()), float(sums[:, 1].sum())
    clusters, rate = len(sums), successes / n
    rare = clusters < 50 and min(successes, n - successes) < FEW_EVENTS
    note = "few events: the level is met only roughly" if rare else ""
    if clusters == n:
        low, high = wilson(successes, n, level=level)
        return Interval(low, high, "wilson", clusters < FEW_CLUSTERS or rare, note)
    if clusters == 1:
        return Interval(0.0, 1.0, "range", True, ONE_CLUSTER)
    variance = ratio_variance(sums)
    size = float(clusters)
    if 0 < rate < 1 and variance > 0:
        size = min(n, rate * (1 - rate) / variance)
    quantile = student_quantile(level, clusters - 1)
    low, high = wilson(rate * size, size, level=level, quantile=quantile)
    return Interval(low, high, "wilson-clustered", clusters < FEW_CLUSTERS or rare, note)


_NOTHING_KNOWN = ": nothing is known of their spread"
ALL_ALIKE = f"all values are alike{_NOTHING_KNOWN}"
ONE_CLUSTER = "one group only: no interval can be estimated, the whole range is given"


def mean_interval(
    sums: Floats, *, scale: float | None, seed: int, resamples: int, level: float = 0.95
) -> Interval:
    """Studentised bootstrap interval of a mean from clusters.

    Args:
        sums: shape (clusters, 2): total of the values and count of each cluster.
        scale: the values lie between 0 and scale; None where they have no bound.

    Raises:
        InvalidValues: a single cluster of values without a bound has no interval.
    """
    clusters, mean = len(sums), float(sums[:, 0].sum() / sums[:, 1].sum())
    bounded = scale is not None and 0 <= mean <= scale
    if clusters == 1 and bounded:
        return Interval(0.0, scale or 0.0, "range", True, ONE_CLUSTER)
    if clusters == 1:
        raise InvalidValues("One group only: no interval can be estimated.", hint="Score more.")
    if is_rounding(ratio_variance(sums), mean):
        return constant_interval(mean, clusters, scale, level)
    low, high = studentised_interval(sums, seed=seed, resamples=resamples, level=level)
    if scale is not None and bounded:
        low, high = max(0.0, low), min(scale, high)
    return Interval(low, high, "bootstrap-t", clusters < FEW_CLUSTERS)


def is_rounding(variance: float, mean: float) -> bool:
    """Whether the variance of a mean is so small that its values differ by rounding alone."""
    return variance <= 1e-24 * max(1.0, mean * mean)


def constant_interval(
    mean: float,
    clusters: int,
    scale: float | None,
    level: float,
    *,
    alike: str = "all values are alike",
) -> Interval:
    """Nothing varies: a bounded mean varies no more than a rate, of others nothing is known.

    Args:
        alike: what does not vary, as the note says it.
    """
    # A mean at the end of its scale may lie beyond it by the last bit.
    if scale is None or not -1e-9 <= mean / scale <= 1 + 1e-9:
        return Interval(None, None, "none", True, f"{alike}{_NOTHING_KNOWN}")
    share = min(max(mean / scale, 0.0), 1.0)
    low, high = wilson(share * clusters, clusters, level=level)
    return Interval(low * scale, high * scale, "wilson-bound", True, alike)


def constant_change_interval(
    change: float, clusters: int, scale: float | None, level: float
) -> Interval:
    """All differences alike: others, of any size the scale allows, are as rare as Wilson has it.

    Args:
        scale: the two values lie between 0 and scale; None where they have no bound.
    """
    if scale is None:
        return Interval(None, None, "none", True, ALL_ALIKE)
    _, other = wilson(0, clusters, level=level)
    low, high = ((1 - other) * change + other * end for end in (-scale, scale))
    return Interval(low, high, "wilson-bound", True, "all differences are alike")


def paired_rate_interval(sums: Floats, *, level: float = 0.95) -> Interval:
    """Difference of two rates on the same samples, half a pair added to each cell.

    Agresti and Min 2005 (Stat. Med. 24:729); with clusters the number of pairs is divided by the
    design effect and the quantile is Student's.

    Args:
        sums: shape (clusters, 3): pairs won, pairs lost and all pairs of each cluster.
    """
    won, lost, n = (float(x) for x in sums.sum(axis=0))
    clusters = len(sums)
    if clusters == 1 and n > 1:
        return Interval(-1.0, 1.0, "range", True, ONE_CLUSTER)
    size, quantile = n, normal_quantile(level)
    if clusters < n:
        plain = (won + lost - (won - lost) ** 2 / n) / n**2
        actual = ratio_variance(np.column_stack([sums[:, 0] - sums[:, 1], sums[:, 2]]))
        size = min(n, n * plain / actual) if actual > 0 and plain > 0 else float(clusters)
        quantile = student_quantile(level, clusters - 1)
    b, c, total = won * size / n + 0.5, lost * size / n + 0.5, size + 2
    centre = (b - c) / total
    half = quantile * math.sqrt((b + c) - (b - c) ** 2 / total) / total
    rough = clusters < FEW_CLUSTERS or (clusters < 50 and won + lost < FEW_EVENTS)
    method = "agresti-min" if clusters == n else "agresti-min-clustered"
    return Interval(max(-1.0, centre - half), min(1.0, centre + half), method, rough)
