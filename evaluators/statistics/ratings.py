"""Ratings of items by several people, as a table with gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues

Floats = NDArray[np.float64]


class Scale(StrEnum):
    """What may be done with the values: told apart, ordered, subtracted, divided."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"
    RATIO = "ratio"


@dataclass(frozen=True, slots=True)
class Rating:
    """One person's value for one item; values are all numbers or all texts."""

    item: str
    rater: str
    value: float | str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RatingTable:
    """Codes of shape (items, raters): index into `categories`, -1 where there is no rating."""

    items: tuple[str, ...]
    raters: tuple[str, ...]
    categories: tuple[float | str, ...]
    codes: NDArray[np.int64]

    @property
    def counts(self) -> Floats:
        """How often each category was given to each item, shape (items, categories)."""
        n, q = len(self.items), len(self.categories)
        out = np.zeros((n, q))
        row, column = np.nonzero(self.codes >= 0)
        np.add.at(out, (row, self.codes[row, column]), 1.0)
        return out

    @property
    def numbers(self) -> Floats:
        """The categories as numbers.

        Raises:
            InvalidValues: they are texts.
        """
        if any(isinstance(category, str) for category in self.categories):
            raise InvalidValues(
                "These ratings are texts, which have no order.", hint="Use the nominal scale."
            )
        return np.array(self.categories, dtype=np.float64)


def tabulate(
    ratings: Sequence[Rating], *, categories: Sequence[float | str] | None = None
) -> RatingTable:
    """Ratings as a table, items and raters in order of appearance.

    Args:
        categories: all values that the scale allows, in order; by default those that occur.

    Raises:
        InvalidValues: no rating, a value that is not a finite number or is off the scale, numbers
            mixed with texts, or a person who rated an item twice.
    """
    if not ratings:
        raise InvalidValues("There are no ratings.", hint="Give at least two on one item.")
    _check_values(ratings)
    found = {rating.value for rating in ratings}
    ordered = tuple(categories) if categories is not None else tuple(sorted(found, key=value_order))
    off = sorted(found - set(ordered), key=value_order)
    if off:
        raise InvalidValues(
            f"The rating {off[0]!r} is off the scale {', '.join(map(str, ordered))}.",
            hint="Mend the rating or the scale.",
        )
    items = {name: i for i, name in enumerate(dict.fromkeys(r.item for r in ratings))}
    raters = {name: i for i, name in enumerate(dict.fromkeys(r.rater for r in ratings))}
    index = {category: i for i, category in enumerate(ordered)}
    codes = np.full((len(items), len(raters)), -1, dtype=np.int64)
    for rating in ratings:
        place = items[rating.item], raters[rating.rater]
        if codes[place] >= 0:
            raise InvalidValues(
                f"{rating.rater!r} rated the item {rating.item!r} twice.",
                hint="Keep one, or tell them apart in a column `replicate`.",
            )
        codes[place] = index[rating.value]
    return RatingTable(tuple(items), tuple(raters), ordered, codes)


def value_order(value: float | str) -> tuple[float, str]:
    return (0.0, value) if isinstance(value, str) else (float(value), "")


def _check_values(ratings: Sequence[Rating]) -> None:
    texts = sum(isinstance(rating.value, str) for rating in ratings)
    if texts not in (0, len(ratings)):
        raise InvalidValues("Some ratings are numbers and some are texts.", hint="Use one kind.")
    for rating in ratings:
        if not isinstance(rating.value, str) and not math.isfinite(rating.value):
            raise InvalidValues(
                f"The rating of {rating.item!r} by {rating.rater!r} is {rating.value}.",
                hint="Leave missing ratings out.",
            )


def keep_paired(table: RatingTable) -> NDArray[np.int64]:
    """Rows of the items that have at least two ratings.

    Raises:
        InvalidValues: there is none, with the reason.
    """
    paired = np.flatnonzero((table.codes >= 0).sum(axis=1) >= 2)
    if len(table.raters) < 2:
        raise InvalidValues("There is one rater only.", hint="Agreement needs at least two.")
    if not len(paired):
        raise InvalidValues("No item was rated by two people.", hint="Let items overlap.")
    return paired
