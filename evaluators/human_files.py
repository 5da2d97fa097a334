"""Reads files of what people said: ratings, votes, and scores beside them.

ratings  {"item", "rater", "criterion"?, "value" or "label", "replicate"?, "seconds"?, "group"?}
votes    {"item", "rater", "model_a", "model_b", "winner": "a" | "b" | "tie" | "both_bad"}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from evaluators.predictions import Fields, file_name
from evaluators.readers import read_records
from evaluators.statistics.ratings import Rating
from evaluators.statistics.votes import Vote, Winner

T = TypeVar("T")


def read_fields(path: str | Path, required: list[str], parse: Callable[[Fields], T]) -> list[T]:
    """Each row of a file, parsed.

    Raises:
        UnreadableRecord: the file, or a row, cannot be used.
    """
    records = read_records(path, required=required)
    return [parse(Fields(file_name(path), record)) for record in records]


@dataclass(frozen=True, slots=True)
class CriterionRating:
    """A rating under a criterion; the replicate tells repeated ratings of one person apart."""

    criterion: str | None
    replicate: str | None
    rating: Rating

    @property
    def told_apart(self) -> Rating:
        """The rating, its rater named with the replicate."""
        if self.replicate is None:
            return self.rating
        return replace(self.rating, rater=f"{self.rating.rater} #{self.replicate}")


def read_ratings(path: str | Path) -> list[CriterionRating]:
    """Ratings of a file; values that are all numbers are numbers, else all are texts."""
    rows = read_fields(path, ["item", "rater"], _rating)
    by_criterion: dict[str | None, bool] = {}
    for row in rows:
        numeric = _as_number(row.rating.value) is not None
        by_criterion[row.criterion] = by_criterion.get(row.criterion, True) and numeric
    return [_typed(row, numeric=by_criterion[row.criterion]) for row in rows]


def _rating(fields: Fields) -> CriterionRating:
    values = fields.record.values
    key = "value" if "value" in values else "label"
    if key not in values:
        have = ", ".join(values) or "nothing"
        raise fields.refuse(f"no value and no label; it has {have}", hint="Name the column so.")
    value = values[key]
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, float | int):
        value = fields.number(key)
    if value is None or value == "" or not isinstance(value, str | float | int):
        raise fields.refuse(f"{key!r} is {value!r}, no rating", hint="Leave the row out.")
    rating = Rating(
        fields.need_label("item"),
        fields.need_label("rater"),
        value,
        fields.number("seconds"),
        fields.label("group"),
    )
    return CriterionRating(fields.label("criterion"), fields.label("replicate"), rating)


def _as_number(value: float | str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _typed(row: CriterionRating, *, numeric: bool) -> CriterionRating:
    said = row.rating.value
    value: float | str = float(said) if numeric else _plain(said)
    return replace(row, rating=replace(row.rating, value=value))


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def read_votes(path: str | Path) -> list[Vote]:
    """Votes of a file; one person may vote several times on the same item and models."""
    return read_fields(path, ["item", "rater", "model_a", "model_b", "winner"], _vote)


def _vote(fields: Fields) -> Vote:
    said = fields.need_label("winner")
    try:
        winner = Winner(said)
    except ValueError:
        known = ", ".join(Winner)
        raise fields.refuse(f"the winner is {said!r}", hint=f"Write one of: {known}.") from None
    first, second = fields.need_label("model_a"), fields.need_label("model_b")
    if first == second:
        raise fields.refuse(f"{first!r} stands against itself", hint="Name two models.")
    return Vote(
        item=fields.need_label("item"),
        rater=fields.need_label("rater"),
        model_a=first,
        model_b=second,
        winner=winner,
        length_a=fields.number("length_a"),
        length_b=fields.number("length_b"),
    )
