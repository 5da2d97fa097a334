"""Ratings of items by several people, as a table with gaps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
class ItemRating:
    """One person's value for one item; values are all numbers or all texts.

    `group` is that of the item: items of one group are not independent.
    """

    item: str
    rater: str
    value: float | str
    seconds: float | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class RatingTable:
    """Codes of shape (items, raters): index into `categories`, -1 where there is no rating.

    Attributes:
        groups: of each item; None for an item of its own.
        ordered: the categories are in the order of the scale.
    """

    items: tuple[str, ...]
    raters: tuple[str, ...]
    categories: tuple[float | str, ...]
    codes: NDArray[np.int64]
    groups: tuple[str | None, ...]
    ordered: bool

    @property
    def counts(self) -> Floats:
        """How often each category was given to each item, shape (items, categories)."""
        n, q = len(self.items), len(self.categories)
        out = np.zeros((n, q))
        row, column = np.nonzero(self.codes >= 0)
        np.add.at(out, (row, self.codes[row, column]), 1.0)
        return out

    @property
    def are_texts(self) -> bool:
        """Whether the categories are words."""
        return any(isinstance(category, str) for category in self.categories)

    @property
    def numbers(self) -> Floats:
        """The categories as numbers.

        Raises:
            InvalidValues: they are texts.
        """
        self.check_order()
        if self.are_texts:
            raise InvalidValues(
                "These ratings are texts, which have an order but no distances.",
                hint="Use the ordinal scale.",
            )
        return np.array(self.categories, dtype=np.float64)

    def check_order(self) -> None:
        """The categories have an order.

        Raises:
            InvalidValues: they are texts that were not given in order.
        """
        if not self.ordered:
            odd = next((c for c in self.categories if not _is_number(c)), "")
            raise InvalidValues(
                f"These ratings are texts, which have no order ({odd!r} is no number).",
                hint="Give all values in their order, or use the nominal scale.",
            )

    def of_items(self, kept: NDArray[np.int64]) -> RatingTable:
        """The rows of some items."""
        return replace(
            self,
            items=tuple(self.items[i] for i in kept),
            groups=tuple(self.groups[i] for i in kept),
            codes=self.codes[kept],
        )


def tabulate(
    ratings: Sequence[ItemRating], *, categories: Sequence[float | str] | None = None
) -> RatingTable:
    """Ratings as a table, items and raters in order of appearance.

    Args:
        categories: all values that the scale allows, in order; by default those that occur.

    Raises:
        InvalidValues: no rating, a value that is not a finite number or is off the scale, numbers
            mixed with texts, a person who rated an item twice, or an item of two groups.
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
    in_order = categories is not None or not any(isinstance(value, str) for value in found)
    return RatingTable(
        tuple(items), tuple(raters), ordered, codes, _groups(ratings, items), in_order
    )


def _groups(ratings: Sequence[ItemRating], items: Mapping[str, int]) -> tuple[str | None, ...]:
    found: list[str | None] = [None] * len(items)
    for rating in ratings:
        place = items[rating.item]
        if None not in (found[place], rating.group) and found[place] != rating.group:
            raise InvalidValues(
                f"The item {rating.item!r} is in the groups {found[place]!r} and {rating.group!r}.",
                hint="Give it one.",
            )
        found[place] = found[place] if rating.group is None else rating.group
    return tuple(found)


def value_order(value: float | str) -> tuple[float, str]:
    return (0.0, value) if isinstance(value, str) else (float(value), "")


def _check_values(ratings: Sequence[ItemRating]) -> None:
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


def _is_number(category: float | str) -> bool:
    try:
        return bool(np.isfinite(float(category)))
    except ValueError:
        return False
