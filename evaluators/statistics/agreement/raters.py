"""The raters themselves: who agrees with whom, and whose ratings deserve a second look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np

from evaluators.errors import EvaluatorError
from evaluators.results import RaterPair
from evaluators.statistics.agreement.coefficients import KappaWeights, agreement
from evaluators.statistics.agreement.ratings import ItemRating, RatingTable, Scale
from evaluators.statistics.bootstrap import Drawing
from evaluators.types import Figure

FEW_ITEMS = 10
FAST = 1 / 3


def pairwise_table(
    table: RatingTable,
    *,
    scale: Scale = Scale.NOMINAL,
    weights: KappaWeights | None = None,
    drawing: Drawing | None = None,
) -> list[RaterPair]:
    """Cohen's kappa of every pair of raters on the items that both rated, with its interval."""
    kappa = partial(agreement, "cohen_kappa", scale=scale, weights=weights, drawing=drawing)
    return [_pair_row(table, a, b, kappa) for a, b in combinations(range(len(table.raters)), 2)]


def _pair_row(
    table: RatingTable, a: int, b: int, kappa_of: Callable[[RatingTable], Figure]
) -> RaterPair:
    names = table.raters[a], table.raters[b]
    both = np.flatnonzero((table.codes[:, a] >= 0) & (table.codes[:, b] >= 0))
    if not len(both):
        return RaterPair(*names, 0, None, None, None, None, "no item in common")
    shared = table.of_items(both)
    pair = replace(shared, raters=names, codes=shared.codes[:, [a, b]])
    percent = float((pair.codes[:, 0] == pair.codes[:, 1]).mean())
    try:
        kappa = kappa_of(pair)
    except EvaluatorError as error:
        return RaterPair(*names, len(both), percent, None, None, None, error.message)
    bounds = kappa.value, kappa.low, kappa.high
    return RaterPair(*names, len(both), percent, *bounds, kappa.note, kappa.signature)


@dataclass(frozen=True, slots=True)
class RaterRow:
    """One rater: ratings given, agreement with the others, time, and what is odd about them."""

    rater: str
    n: int
    compared: int
    agrees: float | None
    median_seconds: float | None
    warnings: tuple[str, ...]


def rater_table(table: RatingTable, ratings: Sequence[ItemRating] = ()) -> list[RaterRow]:
    """Every rater: `agrees` is the share of the other ratings of the same items that are equal.

    Args:
        ratings: for the seconds that each took.
    """
    times = _median_seconds(ratings)
    usual = float(np.median(list(times.values()))) if times else None
    twins = _identical(table)
    return [_rater_row(table, r, times, usual, twins) for r in range(len(table.raters))]


def _rater_row(
    table: RatingTable,
    r: int,
    times: Mapping[str, float],
    usual: float | None,
    twins: Mapping[int, list[str]],
) -> RaterRow:
    name, codes = table.raters[r], table.codes[:, r]
    mine = codes >= 0
    others = np.delete(table.codes, r, axis=1)[mine]
    present = others >= 0
    compared = int(present.sum())
    equal = int(((others == codes[mine][:, None]) & present).sum())
    warnings = [f"identical to {twin}" for twin in twins.get(r, [])]
    if mine.sum() >= FEW_ITEMS and len(set(codes[mine])) == 1 and len(table.categories) > 1:
        warnings.append("gave one value only")
    if usual is not None and name in times and times[name] < FAST * usual:
        warnings.append(f"median {times[name]:.0f} s, others {usual:.0f} s")
    return RaterRow(
        rater=name,
        n=int(mine.sum()),
        compared=compared,
        agrees=equal / compared if compared else None,
        median_seconds=times.get(name),
        warnings=tuple(warnings),
    )


def _median_seconds(ratings: Sequence[ItemRating]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for rating in ratings:
        if rating.seconds is not None:
            found.setdefault(rating.rater, []).append(rating.seconds)
    return {rater: float(np.median(times)) for rater, times in found.items()}


def _identical(table: RatingTable) -> dict[int, list[str]]:
    """Raters who agree on every one of many items that not everybody rates alike."""
    found: dict[int, list[str]] = {}
    for a, b in combinations(range(len(table.raters)), 2):
        one, two = table.codes[:, a], table.codes[:, b]
        both = (one >= 0) & (two >= 0)
        varied = len(set(one[both])) > 1
        if both.sum() >= FEW_ITEMS and varied and bool((one[both] == two[both]).all()):
            found.setdefault(a, []).append(table.raters[b])
            found.setdefault(b, []).append(table.raters[a])
    return found
