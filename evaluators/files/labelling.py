"""Joins experts' labels with the scores of several metrics: one row of features per output.

    labels   {"item" or "id", "value": 0 or 1, "group"?, "source" or "document"?}
    scores   as `strop score --out` wrote them, with the `source` and the `output` of each

With it come the relative features (`evaluators.checks.grounding.relative`): what an output has over
the other answers to its source. All outputs of the file of scores count as answers, labelled or
not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from evaluators.checks.grounding.relative import AnswerKey, others_of, relative_rows
from evaluators.errors import InvalidValues
from evaluators.files.estimation import SCORE, ItemRow, read_item_rows, read_rated_rows
from evaluators.files.mapping import ColumnNames, Notes

SAY_SOURCE = ("source", "document", "group")
"""Columns that may say which outputs answer one source, the surest first; `group` is taken only
where there is no other, for what belongs together need not answer the same."""
LEAST_SHARE = 0.5
"""Of the labelled outputs that have another answer beside them: below, no relative features."""
Features = dict[str, dict[str, float | None]]


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Aligned columns, one entry per labelled output; ids of labels without any score.

    Attributes:
        answers: what each output answers, by the column `source_by`; "" where none says it.
        others: share of the outputs that have another answer to their source.
        relative: whether the features have those relative to the other answers among them.
    """

    items: list[str]
    features: list[dict[str, float | None]]
    labels: list[bool]
    groups: list[str | None]
    answers: list[AnswerKey]
    unused: list[str]
    source_by: str
    others: float
    relative: bool


class _Sources(NamedTuple):
    """Which source each item answers, and the column that says so."""

    by: str
    of: Mapping[str, str]


def join_labels(
    labels: str | Path,
    scores: str | Path,
    *,
    criterion: str | None = None,
    names: ColumnNames | None = None,
    notes: Notes | None = None,
    relative: bool = True,
) -> LabelledRows:
    """Labels and scores by item; several labels of one item count by majority, ties as bad.

    Groups are those of the labels, else of the scores, else the sources where several outputs
    answer one.

    Args:
        criterion: which criterion of the labels, where the file holds several.
        relative: add relative features where enough outputs have other answers beside them.

    Raises:
        UnreadableRecord: a file, or a row, cannot be used.
        InvalidValues: a label is neither 0 nor 1, no labelled item has a score, or an output has
            two scores by one metric.
    """
    labelled = read_rated_rows(labels, criterion=criterion, names=names, notes=notes)
    said = _labels(labelled)
    scored = read_item_rows(scores, SCORE, names=names, notes=notes)
    if names is not None:
        names.check_met()
    features = _features(scored)
    kept = [item for item in said if item in features]
    if not kept:
        raise InvalidValues("No labelled item has a score.", hint="Use the same item ids.")
    rows = [*scored, *labelled]
    sources = _sources(rows, kept)
    answers = _answers(features, sources.of, rows)
    others = _share(kept, answers)
    is_relative = relative and others >= LEAST_SHARE
    if is_relative:
        made = relative_rows(list(features.values()), [answers[item] for item in features])
        features = dict(zip(features, made, strict=True))
    return LabelledRows(
        items=kept,
        features=[features[item] for item in kept],
        labels=[sum(said[item]) * 2 >= len(said[item]) for item in kept],
        groups=_groups(kept, rows, sources, others),
        answers=[answers[item] for item in kept],
        unused=[item for item in said if item not in features],
        source_by=sources.by,
        others=others,
        relative=is_relative,
    )


def _labels(rows: Iterable[ItemRow]) -> dict[str, list[float]]:
    said: dict[str, list[float]] = {}
    for row in rows:
        if row.value not in (0.0, 1.0):
            raise InvalidValues(
                f"The label of {row.item!r} is {row.value}.", hint="Write 0 or 1, or true or false."
            )
        said.setdefault(row.item, []).append(row.value)
    return said


def _features(rows: Iterable[ItemRow]) -> Features:
    found: Features = {}
    for row in rows:
        of_item, name = found.setdefault(row.item, {}), row.metric or "score"
        if row.value is not None and of_item.get(name) is not None:
            raise InvalidValues(
                f"The item {row.item!r} has two scores by {name}.", hint="Keep one."
            )
        of_item[name] = of_item.get(name) if row.value is None else row.value
    return found


def _sources(rows: Sequence[ItemRow], kept: Sequence[str]) -> _Sources:
    """By the first column by which enough outputs have others beside them, or the first at all."""
    given = [_Sources(name, _first(rows, name)) for name in SAY_SOURCE]
    found = [sources for sources in given if sources.of]
    if not found:
        return _Sources("", {})
    told = [sources for sources in found if sources.by != "group"] or found
    items = list(dict.fromkeys(row.item for row in rows))
    shares = [_share(kept, _answers(items, sources.of, rows)) for sources in told]
    enough = [s for s, share in zip(told, shares, strict=True) if share >= LEAST_SHARE]
    return (enough or told)[0]


def _share(kept: Sequence[str], answers: Mapping[str, AnswerKey]) -> float:
    """Share of these outputs that have another answer beside them, labelled or not."""
    items = list(answers)
    others = dict(zip(items, others_of([answers[item] for item in items]), strict=True))
    return sum(bool(others[item]) for item in kept) / len(kept)


def _first(rows: Iterable[ItemRow], name: str) -> dict[str, str]:
    """What the first row of each item says in a column; the scores come before the labels."""
    found: dict[str, str] = {}
    for row in rows:
        value = getattr(row, name)
        if value is not None:
            found.setdefault(row.item, value)
    return found


def _answers(
    items: Iterable[str], sources: Mapping[str, str], rows: Sequence[ItemRow]
) -> dict[str, AnswerKey]:
    texts = _first(rows, "output")
    return {item: AnswerKey(sources.get(item), texts.get(item)) for item in items}


def _groups(
    kept: Sequence[str], rows: Sequence[ItemRow], sources: _Sources, others: float
) -> list[str | None]:
    """Of the labels, else of the scores; where neither has any, answers to one source are one."""
    named = _first(reversed(rows), "group")  # the labels come first, and of them the last
    if not named and others:
        return [sources.of.get(item) for item in kept]
    return [named.get(item) for item in kept]
