"""Looking as often as one likes: confidence sequences for bounded means, and for clustered votes.

Betting on each possible mean (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random
variables by betting", JRSS-B 86:1): the capital of a gambler who bets against a mean m is a
nonnegative martingale if m is right, so by Ville's inequality (1939) it ever reaches 1/alpha with
probability alpha at most. The bets are the predictable plug-in of that paper, half of the money
on each side. The interval holds at all times at once, however one decides when to stop.

Values lie in 0 to 1 (a win is 1, a tie 1/2). `confidence_sequence` takes values whose mean given
the past does not change; votes of one cluster are not such values, and `clustered_sequence` says
how they enter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues

Floats = NDArray[np.float64]
GRID = 1000
STEP = (1 - 1e-6) / GRID  # bounds lie inside the refuted points of the grid, not on them
TRUNCATION = 0.5
BATCH_GROWTH = 5


def _check(values: Sequence[float] | Floats) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if not bool(((x >= 0) & (x <= 1)).all()):
        raise InvalidValues("Sequential values lie between 0 and 1.", hint="Map a - b to 0..1.")
    return x


def plug_in_bets(values: Sequence[float] | Floats, *, alpha: float) -> Floats:
    """Size of each bet, from the values before it (eq. 26 of the paper); shape as the values.

    Args:
        values: shape (..., n); the last axis is time.
    """
    x = np.asarray(values, dtype=np.float64)
    t = np.arange(1, x.shape[-1] + 1)
    means = (0.5 + np.cumsum(x, axis=-1)) / (t + 1)
    spread = (0.25 + np.cumsum((x - means) ** 2, axis=-1)) / (t + 1)
    before = np.concatenate([np.full((*x.shape[:-1], 1), 0.25), spread[..., :-1]], axis=-1)
    bets: Floats = np.sqrt(2 * math.log(2 / alpha) / (before * t * np.log1p(t)))
    return bets


def log_capital(values: Sequence[float] | Floats, mean: float | Floats, *, alpha: float) -> Floats:
    """Log of the larger half of the capital against `mean` after each value.

    Args:
        values: shape (..., n).
        mean: a number, or an array that broadcasts against values[..., None, :] on the last but
            one axis: shape (k, 1) gives (..., k, n).
    """
    x, m = np.asarray(values, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    bets = plug_in_bets(x, alpha=alpha)
    if m.ndim:
        x, bets = x[..., None, :], bets[..., None, :]
    with np.errstate(divide="ignore"):
        up = np.minimum(bets, TRUNCATION / m)
        down = np.minimum(bets, TRUNCATION / (1 - m))
    rises = np.cumsum(np.log1p(up * (x - m)), axis=-1)
    falls = np.cumsum(np.log1p(-down * (x - m)), axis=-1)
    capital: Floats = np.maximum(rises, falls) + math.log(0.5)
    return capital


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """Bounds after each value, each array of shape (n,); they hold at all times together."""

    low: Floats
    high: Floats
    mean: Floats
    alpha: float
    enters: str = "each value"

    @property
    def signature(self) -> str:
        """The recipe."""
        return (
            f"confidence_sequence|strop:2|method:betting-hedged|enters:{self.enters}"
            f"|alpha:{self.alpha}|grid:{GRID}"
        )


def confidence_sequence(values: Sequence[float], *, alpha: float = 0.05) -> ConfidenceSequence:
    """Anytime-valid bounds of a mean between 0 and 1 after each value.

    Raises:
        InvalidValues: no values, or one outside 0 to 1.
    """
    x = _check(values)
    if len(x) == 0:
        raise InvalidValues("A confidence sequence needs at least one value.")
    grid = np.linspace(0, 1, GRID + 1)[1:-1]
    low, high = np.zeros(len(x)), np.ones(len(x))
    step = max(1, 4_000_000 // len(x))
    reached = np.concatenate(
        [
            np.maximum.accumulate(log_capital(x, grid[i : i + step, None], alpha=alpha), axis=-1)
            < math.log(1 / alpha)
            for i in range(0, len(grid), step)
        ]
    )
    held = reached.any(axis=0)
    first = reached.argmax(axis=0)[held]
    last = len(grid) - 1 - reached[::-1].argmax(axis=0)[held]
    low[held] = np.where(first == 0, 0.0, grid[first] - STEP)
    high[held] = np.where(last == len(grid) - 1, 1.0, grid[last] + STEP)
    mean = np.cumsum(x) / np.arange(1, len(x) + 1)
    low, high = np.maximum.accumulate(low), np.minimum.accumulate(high)
    low[~held], high[~held] = low[held][-1], high[held][-1]  # once all is refuted, for good
    return ConfidenceSequence(low, high, mean, alpha)


def clustered_sequence(
    values: Sequence[float | None],
    clusters: Sequence[str],
    *,
    planned: Mapping[str, int] | None = None,
    alpha: float = 0.05,
) -> ConfidenceSequence:
    """Anytime-valid bounds of the mean over clusters, after each vote.

    Votes of one cluster may depend on each other in any way, so that a vote on a cluster that is
    known says an unknown part of what the votes before it said, and no bet on it is fair. A cluster
    therefore enters whole and is not touched again: with its first vote as soon as that is there,
    and, where more are planned, with the mean of a batch (`batch_sizes`) when the last vote of the
    batch is there. Each batch size is a betting process of its own, they share alpha, and the
    bounds are what all of them leave (a union bound: the processes know different pasts, so their
    capital may not be added up). Where most clusters have one planned vote there is one, at alpha.

    The null is that the clusters come independently out of a population over which the rate, the
    mean over clusters of a vote's expectation, is m. In the past of a process are the values that
    entered it, and no other votes; given these, the next value has mean m as long as which cluster
    comes next does not hang on what was voted, as in a queue in random order. More than the planned
    votes of a cluster, asked for because of what was said before, enter nowhere.

    Args:
        values: each vote in the order in which it was cast; None judges nothing, and counts only
            as one of the planned votes that is there.
        planned: votes that the design asks for in each cluster; None or one where it says nothing.

    Returns:
        Arrays of the length of `values`. `mean` is over clusters, of the means of all their votes
        so far; NaN as long as nobody has judged. Bounds only tighten; where the votes contradict
        every constant rate, they stay as they were before. So what lies outside stays outside.

    Raises:
        InvalidValues: no values, or one outside 0 to 1.
    """
    _check([value for value in values if value is not None])
    if len(values) == 0:
        raise InvalidValues("A confidence sequence needs at least one value.")
    plan = planned or {}
    sizes = batch_sizes(plan)
    low, high = np.zeros(len(values)), np.ones(len(values))
    for size in sizes:
        entered = list(_batches(values, clusters, plan, size))
        bounds = _bounds_over_time(entered, len(values), alpha / len(sizes))
        low, high = np.maximum(low, bounds[0]), np.minimum(high, bounds[1])
    low, high = _without_contradiction(low, high)
    way = "batches of " + ",".join(str(size) for size in sizes)
    return ConfidenceSequence(low, high, _mean_of_clusters(values, clusters), alpha, way)


def batch_sizes(planned: Mapping[str, int] | None) -> list[int]:
    """Votes with which a cluster enters: 1, 5, 25, ... up to half of the median plan, and that.

    Of the median, so that a second look at a few clusters costs the others nothing of alpha.
    """
    plans = sorted((planned or {}).values())
    most = plans[len(plans) // 2] if plans else 1
    sizes = [1]
    while sizes[-1] * BATCH_GROWTH <= most / 2:
        sizes.append(sizes[-1] * BATCH_GROWTH)
    return sizes if most <= 1 else [*sizes, most]


Entry = tuple[int, float]  # index of the vote with which a value enters, and the value


def _batches(
    values: Sequence[float | None], clusters: Sequence[str], planned: Mapping[str, int], size: int
) -> Iterator[Entry]:
    """Each cluster once, when `size` votes of it (or all planned ones, if fewer) are there."""
    came: dict[str, list[float | None]] = {}
    entered: set[str] = set()
    for i, (value, cluster) in enumerate(zip(values, clusters, strict=True)):
        there = came.setdefault(cluster, [])
        there.append(value)
        judged = [one for one in there if one is not None]
        enough = len(there) >= min(size, planned.get(cluster, 1))
        if enough and judged and cluster not in entered:
            entered.add(cluster)
            yield i, sum(judged) / len(judged)


def _bounds_over_time(entered: Sequence[Entry], n: int, alpha: float) -> tuple[Floats, Floats]:
    """Bounds after each of n votes: those of the values that have entered by then."""
    low, high = np.zeros(n), np.ones(n)
    if entered:
        found = confidence_sequence([value for _, value in entered], alpha=alpha)
        number = np.searchsorted([i for i, _ in entered], np.arange(n), side="right")
        low = np.concatenate([[0.0], found.low])[number]
        high = np.concatenate([[1.0], found.high])[number]
    return low, high


def _mean_of_clusters(values: Sequence[float | None], clusters: Sequence[str]) -> Floats:
    sums: dict[str, tuple[float, int]] = {}
    total, means = 0.0, np.full(len(values), np.nan)
    for i, (value, cluster) in enumerate(zip(values, clusters, strict=True)):
        if value is not None:
            points, n = sums.get(cluster, (0.0, 0))
            sums[cluster] = points + value, n + 1
            total += (points + value) / (n + 1) - (points / n if n else 0.0)
        if sums:
            means[i] = total / len(sums)
    return means


def _without_contradiction(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Bounds that cross stay as they were before they did."""
    crossed = np.flatnonzero(low > high)
    if len(crossed):
        before = max(int(crossed[0]) - 1, 0)
        low, high = low.copy(), high.copy()
        low[before:], high[before:] = low[before], high[before]
    return low, high


class Decision(StrEnum):
    """What may be said now."""

    ABOVE = "above"
    BELOW = "below"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Stopping:
    """The first time at which the sequence cleared the threshold, or the state at the end."""

    decision: Decision
    n: int
    low: float
    high: float


def decide(sequence: ConfidenceSequence, *, threshold: float) -> Stopping:
    """Stop as soon as the whole interval lies on one side of the threshold.

    For a margin over a coin flip the threshold is 1/2 + margin; for a difference it is the margin.
    The chance of ever deciding for the wrong side is alpha at most.
    """
    clear = (sequence.low > threshold) | (sequence.high < threshold)
    at = int(clear.argmax()) if clear.any() else len(clear) - 1
    low, high = float(sequence.low[at]), float(sequence.high[at])
    if not clear.any():
        return Stopping(Decision.CONTINUE, at + 1, low, high)
    side = Decision.ABOVE if low > threshold else Decision.BELOW
    return Stopping(side, at + 1, low, high)
