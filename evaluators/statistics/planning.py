"""How many ratings it takes: simulated from what is known so far, with its own uncertainty.

What is known is a handful of values. Their mean and spread are drawn from the posterior (Jeffreys'
for a rate; Rubin's Bayesian bootstrap 1981 otherwise), and for each draw ratings are simulated and
the question asked: narrow enough, or decided? The answer is the least n at which the share of yes
(the assurance; O'Hagan, Stevens and Campbell 2005) reaches the wish, with the range of n that the
draws taken singly would need.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.statistics.intervals import normal_quantile, student_quantile

Floats = NDArray[np.float64]
DRAWS = 2000
LARGEST = 100_000


@dataclass(frozen=True, slots=True)
class RatingPlan:
    """Ratings needed in all.

    Attributes:
        n: least number that reaches the assurance; None where even `largest` does not.
        low, high: where n lies at the wished level given how little is known; high None is open.
        assurance: share of simulations that reached the goal at n (or at the largest n).
        known: values that the plan rests on.
    """

    goal: str
    n: int | None
    low: int
    high: int | None
    assurance: float
    known: int
    draws: int
    note: str
    signature: str


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Posterior draws of mean and standard deviation, and whether the values are yes or no."""

    means: Floats
    spreads: Floats
    binary: bool
    known: int


def learn(
    values: Sequence[float], *, seed: int, draws: int = DRAWS, can_be_rate: bool = True
) -> Knowledge:
    """Posterior draws from the values seen so far.

    Args:
        can_be_rate: values that are all 0 or 1 are yes or no, and not numbers of a wider scale.

    Raises:
        UndefinedFigure: fewer than three values, or numbers that are all alike.
        InvalidValues: a value is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 3:
        raise UndefinedFigure(f"Too few values to plan from, {len(x)}.", hint="Rate three.")
    if not np.isfinite(x).all():
        raise InvalidValues("A value is not a finite number.")
    rng = np.random.default_rng(seed)
    if can_be_rate and np.isin(x, [0.0, 1.0]).all():
        p = rng.beta(x.sum() + 0.5, len(x) - x.sum() + 0.5, draws)
        return Knowledge(p, np.sqrt(p * (1 - p)), True, len(x))
    if np.ptp(x) <= 1e-12 * max(1.0, float(np.abs(x).max())):
        raise UndefinedFigure(
            f"{len(x)} equal ratings of {x[0]:g} show no spread: nothing can be planned from them.",
            hint="Rate more, until some differ.",
        )
    weights = rng.dirichlet(np.ones(len(x)), draws)
    means = weights @ x
    spreads = np.sqrt(np.maximum(weights @ x**2 - means**2, 0) * len(x) / (len(x) - 1))
    return Knowledge(means, spreads, False, len(x))


def plan_width(
    values: Sequence[float],
    *,
    width: float,
    assurance: float = 0.8,
    level: float = 0.95,
    seed: int = 0,
    largest: int = LARGEST,
) -> RatingPlan:
    """Ratings for an interval no wider than `width`.

    Raises:
        UndefinedFigure, InvalidValues: as `learn`; a width that is not positive.
    """
    if width <= 0:
        raise InvalidValues("The width must be above 0.")

    def reached(knowledge: Knowledge, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        low, high = _simulated_interval(knowledge, n, level, rng)
        return high - low <= width

    goal = f"interval no wider than {width:g}"
    return _search(goal, learn(values, seed=seed), reached, assurance, level, seed, largest)


def plan_verdict(
    values: Sequence[float],
    *,
    threshold: float,
    assurance: float = 0.8,
    level: float = 0.95,
    seed: int = 0,
    largest: int = LARGEST,
) -> RatingPlan:
    """Ratings until the interval lies wholly above or wholly below a threshold.

    For a manifest line on a difference the values are paired differences and the threshold is the
    margin. The values seen so far count among the ratings.

    Raises:
        UndefinedFigure, InvalidValues: as `learn`.
    """

    def reached(knowledge: Knowledge, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        low, high = _simulated_interval(knowledge, n, level, rng)
        return (low > threshold) | (high < threshold)

    goal = f"verdict against {threshold:g}"
    knowledge = learn(values, seed=seed, can_be_rate=0 <= threshold <= 1)
    return _search(goal, knowledge, reached, assurance, level, seed, largest)


def _simulated_interval(
    knowledge: Knowledge, n: int, level: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """One simulated interval per draw: Wilson's for a rate, Student's for a mean."""
    if knowledge.binary:
        z = normal_quantile(level)
        rate = rng.binomial(n, knowledge.means) / n
        centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
        return centre - half, centre + half
    mean = rng.normal(knowledge.means, knowledge.spreads / math.sqrt(n))
    spread = knowledge.spreads * np.sqrt(rng.chisquare(n - 1, len(mean)) / (n - 1))
    half = student_quantile(level, n - 1) * spread / math.sqrt(n)
    return mean - half, mean + half


Reached = Callable[[Knowledge, int, np.random.Generator], NDArray[np.bool_]]


def _search(
    goal: str,
    knowledge: Knowledge,
    reached: Reached,
    assurance: float,
    level: float,
    seed: int,
    largest: int,
) -> RatingPlan:
    """Assurance on a rising grid of n; the answer by the grid, the range by single draws."""
    grid = _grid(max(3, knowledge.known), largest)
    rng = np.random.default_rng([seed, 1])
    hits = np.array([reached(knowledge, int(n), rng) for n in grid])
    shares = np.maximum.accumulate(hits.mean(axis=1))
    enough = np.flatnonzero(shares >= assurance)
    n = int(grid[enough[0]]) if len(enough) else None
    needed = _first_lasting(hits, grid)
    low, high = np.quantile(needed, [(1 - level) / 2, (1 + level) / 2], method="higher")
    return RatingPlan(
        goal=goal,
        n=n,
        low=int(min(low, largest)),
        high=None if high > largest else int(high),
        assurance=float(shares[enough[0]] if len(enough) else shares[-1]),
        known=knowledge.known,
        draws=len(knowledge.means),
        note=_note(n, knowledge, shares, assurance, largest),
        signature=f"plan|strop:1|assurance:{assurance}|level:{level}|draws:{len(knowledge.means)}"
        f"|seed:{seed}",
    )


def _grid(smallest: int, largest: int) -> NDArray[np.int64]:
    """Candidate n, each about 5% above the one before."""
    steps = max(2, math.ceil(math.log(max(largest / smallest, 1.1)) / math.log(1.05)))
    return np.unique(np.geomspace(smallest, max(largest, smallest + 1), steps).astype(np.int64))


def _first_lasting(hits: NDArray[np.bool_], grid: NDArray[np.int64]) -> Floats:
    """For each draw the least n from which on the goal stays reached; infinite if never."""
    lasting = np.logical_and.accumulate(hits[::-1], axis=0)[::-1]
    needed: Floats = np.where(lasting.any(axis=0), grid[lasting.argmax(axis=0)], np.inf)
    return needed


def _note(
    n: int | None, knowledge: Knowledge, shares: Floats, assurance: float, largest: int
) -> str:
    if n is None:
        return f"{largest} ratings reach it in {shares[-1]:.0%} of simulations, not {assurance:.0%}"
    more = max(0, n - knowledge.known)
    return f"{more} more than the {knowledge.known} known; simulated"
