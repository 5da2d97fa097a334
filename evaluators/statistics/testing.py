"""Tests of paired differences, corrections for many tests, and what flipped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues
from evaluators.statistics.bootstrap import Figure, Sums
from evaluators.statistics.intervals import Interval, normal_quantile

Floats = NDArray[np.float64]
_CHUNK_CELLS = 4_000_000


def mcnemar_exact(won: int, lost: int) -> float:
    """Two-sided exact p of paired yes/no outcomes (McNemar 1947; binomial on discordant pairs)."""
    from scipy.stats import binomtest

    if won + lost == 0:
        return 1.0
    return float(binomtest(won, won + lost, 0.5).pvalue)


def swap_test(figure: Figure, old: Sums, new: Sums, *, seed: int, resamples: int) -> float:
    """Two-sided p of no difference by swapping the two sides of whole clusters at random.

    Approximate randomisation (Riezler and Maxwell 2005); one is added to both counts, so that the
    p is never 0. For means this is the sign-flip permutation test.

    Args:
        old, new: sums of shape (clusters, k) on the same clusters.
    """
    rng = np.random.default_rng([seed, 1])
    change = new - old
    before, after = np.asarray(old.sum(axis=0)), np.asarray(new.sum(axis=0))
    observed = abs(float(figure(after)) - float(figure(before)))
    step, extreme = max(1, _CHUNK_CELLS // max(old.shape)), 0
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        moved = rng.integers(0, 2, size=(size, old.shape[0])).astype(np.float64) @ change
        apart = np.abs(figure(after - moved) - figure(before + moved))
        extreme += int(np.count_nonzero(apart >= observed * (1 - 1e-9)))
    return (extreme + 1) / (resamples + 1)


def agree_on_zero(
    value: float, interval: Interval, p: float, *, level: float
) -> tuple[Interval, float]:
    """Interval and p of one difference, which say the same of 0; the note says what was changed.

    They are made in two ways, each with its own strength. Where one of them leaves 0 out and the
    other does not, the more cautious stands, and the other is worked out from it: p from the
    interval (Altman and Bland 2011, BMJ 343:d2304), or the bound from p (test-based limits:
    Miettinen 1976, Am. J. Epidemiol. 103:226), at most as far from 0 as the other bound.
    """
    low, high = interval.low, interval.high
    if low is None or high is None or (low <= 0 <= high) == (p >= 1 - level):
        return interval, p
    z = normal_quantile(level)
    if low <= 0 <= high:
        half = value - low if value > 0 else high - value
        implied = 2 * NormalDist().cdf(-z * abs(value) / half) if value else 1.0
        note = f"p is that of the interval, which holds 0; the test alone has p = {p:.3f}"
        return _noted(interval, note), max(implied, 1 - level)
    tested = NormalDist().inv_cdf(1 - p / 2)
    beyond = abs(value) * (z / tested - 1) if tested > 0 else math.inf
    note = "the interval was widened by the test, which does not leave 0 out"
    if low > 0:
        return _noted(replace(interval, low=-min(beyond, high)), note), p
    return _noted(replace(interval, high=min(beyond, -low)), note), p


def _noted(interval: Interval, note: str) -> Interval:
    return replace(interval, note="; ".join(filter(None, (interval.note, note))))


def _check_p_values(p_values: Sequence[float]) -> Floats:
    p = np.asarray(p_values, dtype=np.float64)
    if p.size and not bool(((p >= 0) & (p <= 1)).all()):
        raise InvalidValues("p-values lie between 0 and 1.")
    return p


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for the chance of any false alarm among them (Holm 1979)."""
    p = _check_p_values(p_values)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(x) for x in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for the share of false alarms (Benjamini and Hochberg 1995)."""
    p = _check_p_values(p_values)
    order = np.argsort(p, kind="stable")[::-1]
    steps = np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(x) for x in adjusted]


@dataclass(frozen=True, slots=True)
class Flips:
    """Yes/no outcomes before and after: counts of samples."""

    fixed: int
    broken: int
    both_right: int
    both_wrong: int

    @property
    def n(self) -> int:
        """All pairs."""
        return self.fixed + self.broken + self.both_right + self.both_wrong


def count_flips(before: Sequence[Any], after: Sequence[Any]) -> Flips:
    """What a change mended and what it broke.

    Raises:
        InvalidValues: the lengths differ, or a value is neither 0 nor 1.
    """
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if old.shape != new.shape:
        raise InvalidValues(f"{len(old)} outcomes before and {len(new)} after are no pairs.")
    if not np.isin([*old, *new], [0.0, 1.0]).all():
        raise InvalidValues("Flips are counted on outcomes 0 and 1.")
    fixed, broken = int(((old == 0) & (new == 1)).sum()), int(((old == 1) & (new == 0)).sum())
    both = int(((old == 1) & (new == 1)).sum())
    return Flips(fixed, broken, both, len(old) - fixed - broken - both)
