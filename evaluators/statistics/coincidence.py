"""Krippendorff's alpha from coincidences, for any scale, as a function of sums over items.

Krippendorff 2004, Content Analysis, ch. 11. With c_ik ratings k of item i and n_i ratings in all,
the observed disagreement weighs each pair of ratings of an item by 1/(n_i - 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues
from evaluators.statistics.ratings import RatingTable, Scale

Floats = NDArray[np.float64]
MANY_CATEGORIES = 100


def alpha_rows_and_figure(
    table: RatingTable, scale: Scale
) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Rows of numbers per item, and alpha as a function of their sums.

    Raises:
        InvalidValues: texts on another scale than nominal; an ordinal or ratio scale with too
            many distinct values; a ratio scale with values below 0.
    """
    match scale:
        case Scale.NOMINAL:
            return _nominal_rows(table.counts), _nominal_alpha
        case Scale.INTERVAL:
            return _interval_rows(table.counts, table.numbers), _interval_alpha
        case Scale.ORDINAL | Scale.RATIO:
            return _coincidence_rows(table), _coincidence_alpha(table, scale)
        case _:
            assert_never(scale)


def _alpha(observed: Floats, expected: Floats, n: Floats) -> Floats:
    """1 - observed / expected disagreement, the latter over n (n - 1) pairs of ratings."""
    with np.errstate(invalid="ignore", divide="ignore"):
        alpha: Floats = np.where(expected > 0, 1 - (n - 1) * observed / expected, np.nan)
    return alpha


def _nominal_rows(counts: Floats) -> Floats:
    n = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (n - 1)
    return np.column_stack([n - agreeing, counts])


def _nominal_alpha(sums: Floats) -> Floats:
    counts = sums[..., 1:]
    n = counts.sum(axis=-1)
    return _alpha(sums[..., 0], n**2 - (counts**2).sum(axis=-1), n)


def _interval_rows(counts: Floats, numbers: Floats) -> Floats:
    n, total, squares = counts.sum(axis=1), counts @ numbers, counts @ numbers**2
    within = 2 * (n * squares - total**2) / (n - 1)
    return np.column_stack([within, n, total, squares])


def _interval_alpha(sums: Floats) -> Floats:
    within, n, total, squares = np.moveaxis(sums, -1, 0)
    spread = 2 * (n * squares - total**2)
    return _alpha(within, np.where(spread > 1e-9 * (1 + n * squares), spread, 0.0), n)


def _coincidence_rows(table: RatingTable) -> Floats:
    q = len(table.categories)
    if q > MANY_CATEGORIES:
        raise InvalidValues(
            f"{q} distinct values are too many for this scale.", hint="Use the interval scale."
        )
    counts = table.counts
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(q)
    rows: Floats = (pairs / (counts.sum(axis=1) - 1)[:, None, None]).reshape(len(counts), q * q)
    return rows


def _coincidence_alpha(table: RatingTable, scale: Scale) -> Callable[[Floats], Floats]:
    q = len(table.categories)
    table.check_order()
    ratio = _ratio_apart(table.numbers) if scale is Scale.RATIO else None

    def figure(sums: Floats) -> Floats:
        pairs = sums.reshape(*sums.shape[:-1], q, q)
        counts = pairs.sum(axis=-1)
        apart = _ordinal_apart(counts) if ratio is None else ratio
        observed = (pairs * apart).sum(axis=(-1, -2))
        expected = (counts[..., :, None] * counts[..., None, :] * apart).sum(axis=(-1, -2))
        return _alpha(observed, expected, counts.sum(axis=-1))

    return figure


def _ordinal_apart(counts: Floats) -> Floats:
    """Squared number of ratings between two ranks, half of each end counted."""
    middle = np.cumsum(counts, axis=-1) - counts / 2
    apart: Floats = (middle[..., :, None] - middle[..., None, :]) ** 2
    return apart


def _ratio_apart(numbers: Floats) -> Floats:
    if numbers.min() < 0:
        raise InvalidValues("A ratio scale has no values below 0.", hint="Use the interval scale.")
    together = numbers[:, None] + numbers[None, :]
    apart: Floats = (
        (numbers[:, None] - numbers[None, :]) / np.where(together > 0, together, 1)
    ) ** 2
    return apart
