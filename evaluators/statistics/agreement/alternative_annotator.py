"""May a judge stand in for one more annotator? The alternative annotator test.

Calderon, Reichart and Dror 2025, "The Alternative Annotator Test for LLM-as-a-Judge",
arXiv:2501.10970. Each annotator j is left out in turn, and on the items that j rated both j and
the judge are held against the annotators who remain: by the share of equal labels, or by the
negative root mean square error of numbers. On an item the judge's advantage is 1 where it is at
least as close to them as j, and j's where j is at least as close as the judge; rho is the mean of
either over the items of j. With epsilon the price of an annotator's time,

    H0: rho(j) - rho(judge) >= epsilon

is tested by a one-sided paired t-test, and over annotators the false discovery rate is held by the
step-up procedure of Benjamini and Yekutieli (2001, Ann. Statist. 29:1165), valid however the tests
depend on each other. The winning rate omega is the share of annotators whose H0 is rejected; the
judge may stand in where omega is at least a half.

Three things are stricter than the paper. Items of one cluster (one source) count once, by their
mean. An item on which the judge gave no usable answer is one on which it is farther off than
anybody. And the test alone would let a coin pass wherever people hardly agree themselves, since
nobody is much better than a coin there, or where one label is so common that always saying it is
as good as reading: so the judge's ratings, shuffled over the items, must be beaten, too. That is
a permutation test (Fisher 1935), exact at any number of items: a judge that does not look at its
items passes with a chance of .75% at most, however people rate. Clusters are shuffled as wholes,
each among those of as many items, since a judge that says one thing of a whole cluster would else
seem to agree more often than by chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues
from evaluators.statistics.clusters import number_clusters

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Ratings = Mapping[str, float | str]  # of one item: annotator -> rating

LEAST_ANNOTATORS = 3
LEAST_ITEMS = 30
LEAST_RATE = 0.5
FALSE_DISCOVERIES = 0.05
CONTROL_LEVEL = 0.0075  # under the 1% that is promised, so that simulations show it
SHUFFLES = 1999
ROUNDING = 1e-12


class Annotators(StrEnum):
    """Who rates, which says what one of them costs; `EPSILON` as the paper advises."""

    EXPERTS = "experts"
    SKILLED = "skilled"
    CROWD = "crowd"


EPSILON: Mapping[Annotators, float] = {
    Annotators.EXPERTS: 0.2,
    Annotators.SKILLED: 0.15,
    Annotators.CROWD: 0.1,
}


class Alignment(StrEnum):
    """How close a rating is to those of others: equal labels, or the error of numbers."""

    ACCURACY = "accuracy"
    RMSE = "rmse"


@dataclass(frozen=True, slots=True)
class Item:
    """What people and the judge said of one output.

    Attributes:
        ratings: by annotator.
        judge: None where the judge gave no usable answer.
        group: items of one group are one cluster.
    """

    ratings: Ratings
    judge: float | str | None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class AnnotatorRow:
    """One annotator left out.

    Attributes:
        judge_advantage, own_advantage: the two rho.
        n: independent items.
        p: of the t-test; `rejected` after the correction over all annotators.
    """

    annotator: str
    judge_advantage: float
    own_advantage: float
    n: int
    p: float
    rejected: bool


@dataclass(frozen=True, slots=True)
class AlternativeAnnotator:
    """What the test says.

    Attributes:
        licensed: omega reaches a half and the shuffled ratings are beaten.
        reason: in one sentence.
        missing: items that three people still have to rate, where that is why.
        winning_rate: omega; None where the test could not be made, as are the figures after it.
        advantage: mean of the judge's rho over annotators.
        agreement: mean alignment of the judge with people, 0 to 1; by accuracy the share of equal
            labels; for numbers 1 less the mean distance over the width of `span`.
        control_p: of the permutation test.
        unusable: items on which the judge gave no answer.
    """

    licensed: bool
    reason: str
    epsilon: float
    n_items: int
    rows: tuple[AnnotatorRow, ...] = ()
    missing: int = 0
    winning_rate: float | None = None
    advantage: float | None = None
    agreement: float | None = None
    control_p: float | None = None
    unusable: int = 0
    signature: str = ""


def alternative_annotator_test(
    items: Sequence[Item], *, alignment: Alignment, epsilon: float, span: float = 1.0, seed: int = 0
) -> AlternativeAnnotator:
    """Test a judge against the people who rated the same items.

    Items with fewer than three annotators are left aside, and annotators with fewer than thirty
    independent items among the rest are no ones to be replaced, though they are ones to be held
    against.

    Args:
        span: largest less smallest rating, for numbers.

    Raises:
        InvalidValues: epsilon outside 0 to 1, a span that is not positive, or a rating that is not
            finite.
    """
    _check(items, epsilon, span)
    shared = [item for item in items if len(item.ratings) >= LEAST_ANNOTATORS]
    counts = _clusters_by_annotator(shared)
    able = sorted(name for name, n in counts.items() if n >= LEAST_ITEMS)
    unusable = sum(item.judge is None for item in shared)
    if len(able) < LEAST_ANNOTATORS:
        missing = _missing(counts)
        return AlternativeAnnotator(
            False,
            f"too few overlapping reviews: {missing} more independent items rated by "
            f"{LEAST_ANNOTATORS} people",
            epsilon,
            len(shared),
            missing=missing,
            unusable=unusable,
        )
    rows = _rows(shared, able, alignment, epsilon)
    omega = sum(row.rejected for row in rows) / len(rows)
    control_p, agreement = _control(shared, alignment, span, seed)
    licensed = omega >= LEAST_RATE and control_p <= CONTROL_LEVEL
    return AlternativeAnnotator(
        licensed,
        _reason(omega, control_p, can_be_shuffled=_can_be_shuffled(shared)),
        epsilon,
        len(shared),
        tuple(rows),
        winning_rate=omega,
        advantage=float(np.mean([row.judge_advantage for row in rows])),
        agreement=agreement,
        control_p=control_p,
        unusable=unusable,
        signature=f"alternative_annotator|strop:2|alignment:{alignment}|epsilon:{epsilon:g}"
        f"|test:t-by-cluster|fdr:by-{FALSE_DISCOVERIES:g}|control:shuffles-{SHUFFLES}-by-cluster"
        f"-{CONTROL_LEVEL:g}|seed:{seed}",
    )


def _check(items: Sequence[Item], epsilon: float, span: float) -> None:
    if not 0 <= epsilon <= 1:
        raise InvalidValues(f"Epsilon is {epsilon}; it lies between 0 and 1.")
    if not span > 0:
        raise InvalidValues(f"The span of the ratings is {span}; it is above 0.")
    given = [value for item in items for value in (*item.ratings.values(), item.judge)]
    if any(isinstance(value, float) and not math.isfinite(value) for value in given):
        raise InvalidValues("A rating is not a finite number.")


def _clusters_by_annotator(items: Sequence[Item]) -> dict[str, int]:
    """How many independent items each annotator rated."""
    members = number_clusters([item.group for item in items])
    seen: dict[str, set[int]] = {}
    for item, cluster in zip(items, members, strict=True):
        for name in item.ratings:
            seen.setdefault(name, set()).add(int(cluster))
    return {name: len(clusters) for name, clusters in seen.items()}


def _missing(counts: Mapping[str, int]) -> int:
    """Items that the three who rated most still lack."""
    most = sorted(counts.values(), reverse=True)[:LEAST_ANNOTATORS]
    return LEAST_ITEMS - (most[-1] if len(most) == LEAST_ANNOTATORS else 0)


def _can_be_shuffled(items: Sequence[Item]) -> bool:
    """Whether clusters can change places in so many ways that the control can be passed at all."""
    of_one_size = np.bincount(np.bincount(number_clusters([item.group for item in items])))
    return sum(math.lgamma(n + 1) for n in of_one_size.tolist()) >= -math.log(CONTROL_LEVEL)


def _reason(omega: float, control_p: float, *, can_be_shuffled: bool) -> str:
    won = f"at least as close to the others as {omega:.0%} of the people, by epsilon"
    if omega < LEAST_RATE:
        return f"{won}; {LEAST_RATE:.0%} are needed"
    if not can_be_shuffled:
        return f"{won}, but its ratings cannot be shuffled: too few groups have as many items"
    if control_p > CONTROL_LEVEL:
        return f"{won}, but no closer to them than its own ratings shuffled over the items"
    return won


def _rows(
    items: Sequence[Item], able: Sequence[str], alignment: Alignment, epsilon: float
) -> list[AnnotatorRow]:
    found = []
    for name in able:
        mine = [item for item in items if name in item.ratings]
        judge, own = _advantages(mine, name, alignment)
        apart = _cluster_means(own - judge, number_clusters([item.group for item in mine]))
        found.append((name, float(judge.mean()), float(own.mean()), apart))
    p_values = [_t_test(apart, epsilon) for *_, apart in found]
    rejected = benjamini_yekutieli(p_values, level=FALSE_DISCOVERIES)
    return [
        AnnotatorRow(name, judge, own, len(apart), p, won)
        for (name, judge, own, apart), p, won in zip(found, p_values, rejected, strict=True)
    ]


def _advantages(items: Sequence[Item], name: str, alignment: Alignment) -> tuple[Floats, Floats]:
    """For each item whether the judge, and whether the annotator, is at least as close."""
    judge, own = np.empty(len(items)), np.empty(len(items))
    for i, item in enumerate(items):
        others = [rating for other, rating in item.ratings.items() if other != name]
        theirs = _closeness(item.ratings[name], others, alignment)
        of_judge = _closeness(item.judge, others, alignment)
        judge[i], own[i] = of_judge >= theirs - ROUNDING, theirs >= of_judge - ROUNDING
    return judge, own


def _closeness(
    rating: float | str | None, others: Sequence[float | str], alignment: Alignment
) -> float:
    if rating is None:
        return -math.inf
    if alignment is Alignment.ACCURACY:
        return sum(rating == other for other in others) / len(others)
    return -math.sqrt(sum((float(rating) - float(o)) ** 2 for o in others) / len(others))


def _cluster_means(values: Floats, clusters: Ints) -> Floats:
    n = np.bincount(clusters)
    means: Floats = np.bincount(clusters, values) / n
    return means


def _t_test(apart: Floats, epsilon: float) -> float:
    """p of the mean of `apart` being epsilon or more."""
    from scipy.stats import t

    n, mean, spread = len(apart), float(apart.mean()), float(apart.std(ddof=1))
    if spread < ROUNDING:  # all alike: as good as sure, in either way
        return 0.0 if mean < epsilon else 1.0
    return float(t.cdf((mean - epsilon) / (spread / math.sqrt(n)), n - 1))


def benjamini_yekutieli(p_values: Sequence[float], *, level: float) -> list[bool]:
    """Which hypotheses are rejected at this rate of false discoveries, under any dependence."""
    m = len(p_values)
    harmonic = sum(1 / i for i in range(1, m + 1))
    order = sorted(range(m), key=lambda i: p_values[i])
    below = [k for k, i in enumerate(order, 1) if p_values[i] <= k * level / (m * harmonic)]
    won = set(order[: max(below, default=0)])
    return [i in won for i in range(m)]


def _control(
    items: Sequence[Item], alignment: Alignment, span: float, seed: int
) -> tuple[float, float]:
    """p of the judge being no closer to people than its ratings shuffled, and its closeness."""
    said: list[float | str | None] = sorted({item.judge for item in items}, key=str)
    column = {answer: k for k, answer in enumerate(said)}
    table = np.array([[_mean_alignment(item, a, alignment, span) for a in said] for item in items])
    codes = np.array([column[item.judge] for item in items])
    clusters = number_clusters([item.group for item in items])
    rows = np.arange(len(items))
    observed = float(table[rows, codes].mean())
    rng = np.random.default_rng(seed)
    reached, step = 0, max(1, 2_000_000 // len(items))
    for start in range(0, SHUFFLES, step):
        shuffled = codes[_shuffle(clusters, min(step, SHUFFLES - start), rng)]
        reached += int((table[rows, shuffled].mean(axis=1) >= observed - ROUNDING).sum())
    return (1 + reached) / (1 + SHUFFLES), observed


def _shuffle(clusters: Ints, times: int, rng: np.random.Generator) -> Ints:
    """For each place the item that is put there, shape (times, items).

    A cluster is put in the place of another of as many items, with its items in their order.
    """
    orders = np.tile(np.arange(len(clusters)), (times, 1))
    sizes, by_cluster = np.bincount(clusters), np.argsort(clusters, kind="stable")
    firsts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes):
        places = by_cluster[firsts[sizes == size][:, None] + np.arange(size)]
        drawn = rng.permuted(np.tile(np.arange(len(places)), (times, 1)), axis=1)
        orders[:, places.ravel()] = places[drawn].reshape(times, -1)
    return orders


def _mean_alignment(
    item: Item, answer: float | str | None, alignment: Alignment, span: float
) -> float:
    """Mean over the people of how far the answer agrees with theirs, 0 to 1."""
    people = list(item.ratings.values())
    if answer is None:
        return 0.0
    if alignment is Alignment.ACCURACY:
        return sum(answer == other for other in people) / len(people)
    apart = [abs(float(answer) - float(other)) / span for other in people]
    return 1 - sum(apart) / len(apart)
