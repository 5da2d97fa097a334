"""Looking as often as one likes: confidence sequences and e-values for bounded means.

Betting on each possible mean (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random
variables by betting", JRSS-B 86:1): the capital of a gambler who bets against a mean m is a
nonnegative martingale if m is right, so by Ville's inequality it ever reaches 1/alpha with
probability alpha at most. The bets are the predictable plug-in of that paper, half of the money
on each side. The interval holds at all times at once, however one decides when to stop.

Values lie in 0 to 1 (a win is 1, a tie 1/2); their mean given the past must not change, so several
votes on one item are averaged first (`average_by_item`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues

Floats = NDArray[np.float64]
GRID = 1000
TRUNCATION = 0.5


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


def e_values(values: Sequence[float], *, null: float = 0.5, alpha: float = 0.05) -> Floats:
    """Evidence against the mean `null` after each value; 20 or more refutes it at alpha .05.

    1 / (the largest so far) is a p-value that is valid at any time.
    """
    return np.exp(log_capital(_check(values), null, alpha=alpha))


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """Bounds after each value, each array of shape (n,); they hold at all times together."""

    low: Floats
    high: Floats
    mean: Floats
    alpha: float

    @property
    def signature(self) -> str:
        """The recipe."""
        return f"confidence_sequence|strop:1|method:betting-hedged|alpha:{self.alpha}|grid:{GRID}"


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
    low[held] = grid[reached.argmax(axis=0)[held]] - 1 / GRID
    high[held] = grid[len(grid) - 1 - reached[::-1].argmax(axis=0)[held]] + 1 / GRID
    mean = np.cumsum(x) / np.arange(1, len(x) + 1)
    low[~held] = high[~held] = mean[~held]
    return ConfidenceSequence(np.maximum.accumulate(low), np.minimum.accumulate(high), mean, alpha)


def difference_sequence(differences: Sequence[float], *, alpha: float = 0.05) -> ConfidenceSequence:
    """The same for paired differences between -1 and 1."""
    d = np.asarray(differences, dtype=np.float64)
    found = confidence_sequence(list((d + 1) / 2), alpha=alpha)
    return ConfidenceSequence(2 * found.low - 1, 2 * found.high - 1, 2 * found.mean - 1, alpha)


def average_by_item(values: Sequence[float], items: Sequence[str]) -> list[float]:
    """One value per item, the mean of its values, in the order in which items first appear."""
    found: dict[str, list[float]] = {}
    for value, item in zip(values, items, strict=True):
        found.setdefault(item, []).append(value)
    return [sum(group) / len(group) for group in found.values()]


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
