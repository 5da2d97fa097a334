"""Joins experts' labels with the scores of several metrics, one row of features per output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluators.errors import InvalidValues
from evaluators.files.estimation import SCORE, ItemRow, read_item_rows, read_rated_rows
from evaluators.files.mapping import ColumnNames, Notes


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Aligned columns, one entry per labelled output; ids of labels without any score."""

    items: list[str]
    features: list[dict[str, float | None]]
    labels: list[bool]
    groups: list[str | None]
    unused: list[str]


def join_labels(
    labels: str | Path,
    scores: str | Path,
    *,
    criterion: str | None = None,
    names: ColumnNames | None = None,
    notes: Notes | None = None,
) -> LabelledRows:
    """Labels and scores by item; several labels of one item count by majority, ties as bad.

    Args:
        criterion: which criterion of the labels, where the file holds several.

    Raises:
        UnreadableRecord: a file, or a row, cannot be used.
        InvalidValues: a label is neither 0 nor 1, or no labelled item has a score.
    """
    said: dict[str, list[float]] = {}
    groups: dict[str, str | None] = {}
    for row in read_rated_rows(labels, criterion=criterion, names=names, notes=notes):
        if row.value not in (0.0, 1.0):
            raise InvalidValues(
                f"The label of {row.item!r} is {row.value}.", hint="Write 0 or 1, or true or false."
            )
        said.setdefault(row.item, []).append(row.value)
        groups[row.item] = row.group
    features = _features(read_item_rows(scores, SCORE, names=names, notes=notes))
    if names is not None:
        names.check_met()
    kept = [item for item in said if item in features]
    if not kept:
        raise InvalidValues("No labelled item has a score.", hint="Use the same item ids.")
    return LabelledRows(
        items=kept,
        features=[features[item] for item in kept],
        labels=[sum(said[item]) * 2 >= len(said[item]) for item in kept],
        groups=[groups[item] for item in kept],
        unused=[item for item in said if item not in features],
    )


def _features(rows: list[ItemRow]) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for row in rows:
        found.setdefault(row.item, {})[row.metric or "score"] = row.value
    return found
