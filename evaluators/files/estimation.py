"""Joins a file of ratings with a file of scores, item by item, for prediction-powered estimates.

    ratings  {"item", "value", "rater"?, "probability"?, "group"?}   several per item are averaged,
             each rater counting once
    scores   {"item" or "id", "value", "metric"?, "probability"?, "group"?}   one each by metric

`probability` is the item's known chance of being rated, in either file; `group` and `model` (what
wrote the item) likewise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluators.errors import InvalidValues
from evaluators.files.fields import Fields, read_rows
from evaluators.files.mapping import ColumnNames, Notes, RowShape, count_rows

ITEM = RowShape(
    (
        "item",
        "id",
        "value",
        "metric",
        "probability",
        "group",
        "model",
        "source",
        "document",
        "output",
    ),
    required=(("item", "id"), "value"),
)
SCORE = RowShape((*ITEM.known, "error", "not_applicable"), required=(("item", "id"),))
RATING = RowShape((*ITEM.known, "rater", "criterion"), required=ITEM.required)
PLANNED = RowShape(RATING.known, required=("value",))

UNNAMED = "score"


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One row of either file; the value is None where a score could not be computed.

    Attributes:
        source, document: what the item answers, in whatever words; equal ones are one source.
        output: the item's text, or what stands for it.
    """

    item: str
    value: float | None
    metric: str | None
    probability: float | None
    group: str | None
    criterion: str | None = None
    rater: str | None = None
    source: str | None = None
    document: str | None = None
    output: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class JoinedItems:
    """Aligned columns, one entry per scored item, and the ids that could not be used.

    Scores are by metric; None where an item has one by other metrics alone. `without_score` counts
    the items of the scores' file that have a value by none.
    """

    items: tuple[str, ...]
    ratings: tuple[float | None, ...]
    scores: Mapping[str, tuple[float | None, ...]]
    probabilities: tuple[float, ...] | None
    groups: tuple[str | None, ...]
    models: tuple[str | None, ...]
    unscored: tuple[str, ...]
    without_score: int


def read_item_rows(
    path: str | Path,
    shape: RowShape,
    *,
    names: ColumnNames | None = None,
    notes: Notes | None = None,
) -> list[ItemRow]:
    """The rows of a file of labels, ratings or scores; true counts as 1.

    Raises:
        UnreadableRecord: the file, or a row, cannot be used.
    """
    return [_row(fields) for fields in read_rows(path, shape, names=names, notes=notes)]


def _row(fields: Fields) -> ItemRow:
    keys = [key for key in ("item", "id") if fields.has(key)]
    return ItemRow(
        fields.need_name(keys[0]) if keys else str(fields.record.row),
        fields.number("value", truth=True),
        fields.name("metric"),
        fields.number("probability"),
        fields.code("group"),
        fields.name("criterion"),
        fields.code("rater"),
        fields.code("source"),
        fields.code("document"),
        fields.code("output"),
        fields.name("model"),
    )


def read_rated_rows(
    path: str | Path,
    *,
    criterion: str | None,
    names: ColumnNames | None = None,
    notes: Notes | None = None,
    shape: RowShape = RATING,
) -> list[ItemRow]:
    """Rows with a rating, of one criterion; the others are left out and counted.

    Raises:
        UnreadableRecord: the file, or a row, cannot be used.
        InvalidValues: no such criterion, or several and none is named; no rating.
    """
    rows = read_item_rows(path, shape, names=names, notes=notes)
    criteria = list(dict.fromkeys(row.criterion for row in rows if row.criterion is not None))
    if criterion is not None and criterion not in criteria:
        known = ", ".join(criteria) or "none named"
        raise InvalidValues(f"There is no criterion {criterion!r}.", hint=f"There are: {known}.")
    if criterion is None and len(criteria) > 1:
        raise InvalidValues(
            f"The ratings are of {len(criteria)} criteria.",
            hint=f"Name one with --criterion: {', '.join(criteria)}.",
        )
    chosen = [row for row in rows if criterion in (None, row.criterion)]
    rated = [row for row in chosen if row.value is not None]
    if not rated:
        raise InvalidValues("There is no rating in the file.", hint="Give it values.")
    if notes is not None and len(rated) < len(chosen):
        notes.add(f"left out, {count_rows(len(chosen) - len(rated))} without a rating.")
    return rated


def join_files(
    ratings: str | Path,
    scores: str | Path,
    *,
    metric: str | None = None,
    criterion: str | None = None,
    names: ColumnNames | None = None,
    notes: Notes | None = None,
) -> JoinedItems:
    """Ratings and scores by item.

    Args:
        metric: the only metric of the scores to take, where the file holds several.
        criterion: which criterion of the ratings, where the file holds several.

    Raises:
        UnreadableRecord: a file, or a row, cannot be used.
        InvalidValues: two scores of one metric for one item, several criteria, no item in common,
            or a chance of being rated given for some items only.
    """
    rated = read_rated_rows(ratings, criterion=criterion, names=names, notes=notes)
    scored = read_item_rows(scores, SCORE, names=names, notes=notes)
    if names is not None:
        names.check_met()
    by_metric = _scores_by_metric(scored, metric)
    kept = {item: row for of_metric in by_metric.values() for item, row in of_metric.items()}
    values = _means_of_items(rated, notes)
    if not values.keys() & kept.keys():
        raise InvalidValues("No rated item has a score.", hint="Use the same item ids.")
    extra = {row.item: row for row in rated}
    return JoinedItems(
        items=tuple(kept),
        ratings=tuple(values.get(item) for item in kept),
        scores={
            name: tuple(rows[i].value if i in rows else None for i in kept)
            for name, rows in by_metric.items()
        },
        probabilities=_probabilities(kept, extra),
        groups=tuple(
            row.group or (extra[item].group if item in extra else None)
            for item, row in kept.items()
        ),
        models=tuple(
            row.model or (extra[item].model if item in extra else None)
            for item, row in kept.items()
        ),
        unscored=tuple(sorted(values.keys() - kept.keys())),
        without_score=len({row.item for row in scored} - kept.keys()),
    )


def read_item_means(
    path: str | Path,
    *,
    criterion: str | None = None,
    names: ColumnNames | None = None,
    notes: Notes | None = None,
) -> list[float]:
    """The mean rating of each item of a file, in order of appearance; an item a row without one."""
    rated = read_rated_rows(path, criterion=criterion, names=names, notes=notes, shape=PLANNED)
    return list(_means_of_items(rated, notes).values())


def _means_of_items(rated: Sequence[ItemRow], notes: Notes | None) -> dict[str, float]:
    """The mean of each item over its raters; of what a rater said twice, the mean counts once."""
    said: dict[str, dict[object, list[float]]] = {}
    for number, row in enumerate(rated):
        of_item = said.setdefault(row.item, {})
        rater = number if row.rater is None else row.rater  # unnamed: every row is another
        of_item.setdefault(rater, []).append(row.value or 0.0)
    again = len(rated) - sum(len(of_item) for of_item in said.values())
    if notes is not None and again:
        notes.add(f"{count_rows(again)} where a rater had rated the item before: they count once.")
    return {item: _mean([_mean(v) for v in raters.values()]) for item, raters in said.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


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
