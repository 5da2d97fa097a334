"""Joins a file of ratings with a file of scores, item by item, for prediction-powered estimates.

    ratings  {"item", "value", "rater"?, "probability"?, "group"?}   several per item are averaged
    scores   {"item" or "id", "value", "metric"?, "probability"?, "group"?}   one each by metric

`probability` is the item's known chance of being rated, in either file; `group` likewise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluators.errors import InvalidValues
from evaluators.human_files import read_fields
from evaluators.predictions import Fields

UNNAMED = "score"


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One row of either file; the value is None where a score could not be computed."""

    item: str
    value: float | None
    metric: str | None
    probability: float | None
    group: str | None


@dataclass(frozen=True, slots=True)
class JoinedItems:
    """Aligned columns, one entry per scored item, and the ids that could not be used.

    Scores are by metric; None where an item has one by other metrics alone.
    """

    items: tuple[str, ...]
    ratings: tuple[float | None, ...]
    scores: Mapping[str, tuple[float | None, ...]]
    probabilities: tuple[float, ...] | None
    groups: tuple[str | None, ...]
    unscored: tuple[str, ...]


def read_item_rows(path: str | Path) -> list[ItemRow]:
    """The rows of a file of labels or scores."""
    return read_fields(path, [], _row)


def _row(fields: Fields) -> ItemRow:
    key = "item" if "item" in fields.record.values else "id"
    return ItemRow(
        fields.need_label(key),
        fields.number("value"),
        fields.label("metric"),
        fields.number("probability"),
        fields.label("group"),
    )


def join_files(
    ratings: str | Path, scores: str | Path, *, metric: str | None = None
) -> JoinedItems:
    """Ratings and scores by item.

    Args:
        metric: the only metric of the scores to take, where the file holds several.

    Raises:
        UnreadableRecord: a file, or a row, cannot be used.
        InvalidValues: two scores of one metric for one item, no item in common, or a chance of
            being rated given for some items only.
    """
    rated = [row for row in read_fields(ratings, ["item", "value"], _row) if row.value is not None]
    by_metric = _scores_by_metric(read_fields(scores, [], _row), metric)
    kept = {item: row for of_metric in by_metric.values() for item, row in of_metric.items()}
    values: dict[str, list[float]] = {}
    for row in rated:
        values.setdefault(row.item, []).append(row.value or 0.0)
    if not values.keys() & kept.keys():
        raise InvalidValues("No rated item has a score.", hint="Use the same item ids.")
    extra = {row.item: row for row in rated}
    return JoinedItems(
        items=tuple(kept),
        ratings=tuple(_mean(values.get(item)) for item in kept),
        scores={name: tuple(_value(rows.get(i)) for i in kept) for name, rows in by_metric.items()},
        probabilities=_probabilities(kept, extra),
        groups=tuple(
            row.group or (extra[item].group if item in extra else None)
            for item, row in kept.items()
        ),
        unscored=tuple(sorted(values.keys() - kept.keys())),
    )


def read_item_means(path: str | Path) -> list[float]:
    """The mean rating of each item of a file, in order of appearance."""
    values: dict[str, list[float]] = {}
    for row in read_fields(path, ["value"], _row):
        if row.value is not None:
            values.setdefault(row.item, []).append(row.value)
    return [sum(group) / len(group) for group in values.values()]


def _value(row: ItemRow | None) -> float | None:
    return None if row is None else row.value


def _mean(values: list[float] | None) -> float | None:
    return None if values is None else sum(values) / len(values)


def _scores_by_metric(rows: Sequence[ItemRow], metric: str | None) -> dict[str, dict[str, ItemRow]]:
    """Rows that have a value, by metric and item."""
    metrics = sorted({row.metric for row in rows if row.metric})
    if metric is not None and metric not in metrics:
        known = ", ".join(metrics) or "none named"
        raise InvalidValues(f"The scores hold no metric {metric!r}.", hint=f"They hold: {known}.")
    found: dict[str, dict[str, ItemRow]] = {}
    for row in rows:
        if (metric is not None and row.metric != metric) or row.value is None:
            continue
        of_metric = found.setdefault(row.metric or UNNAMED, {})
        if row.item in of_metric:
            named = f" by {row.metric}" if row.metric else ""
            raise InvalidValues(f"The item {row.item!r} has two scores{named}.", hint="Keep one.")
        of_metric[row.item] = row
    return found


def _probabilities(kept: dict[str, ItemRow], rated: dict[str, ItemRow]) -> tuple[float, ...] | None:
    found = []
    for item, row in kept.items():
        given = row.probability
        if given is None and item in rated:
            given = rated[item].probability
        found.append(given)
    known = [p is not None for item, p in zip(kept, found, strict=True) if item in rated]
    if not any(known):
        return None
    if not all(known):
        raise InvalidValues(
            f"{known.count(False)} rated items lack a probability.", hint="Give it for all or none."
        )
    return tuple(1.0 if p is None else p for p in found)
