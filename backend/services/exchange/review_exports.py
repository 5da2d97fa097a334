"""Exports of a queue: ratings, votes, and the formats of other annotation tools.

Rows come item by item and are never held together. An export can be taken up after any item
(`after`): what follows is, byte for byte, the rest of the whole export, as long as nothing was
answered in between. A new format is one function and one line in `FORMATS`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain
from typing import Any, assert_never

from backend.errors import InvalidInput, UnknownName
from backend.services.exchange import argilla, label_studio
from backend.services.exchange.csv_cells import csv_line
from backend.services.exchange.text_offsets import Offsets
from backend.services.review.reports.contents import (
    OpenSession,
    QueueFacts,
    QueueItem,
    ReviewFilter,
    each_item,
    queue_facts,
)
from backend.tables.review import QueueKind, Review, Winner


class FileKind(StrEnum):
    """How rows become a file: a JSON object a line, one JSON array, or CSV."""

    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"


Row = dict[str, Any]


@dataclass(slots=True)
class ExportAsk:
    """What is wanted of an export.

    Attributes:
        all_purposes: also gold items, verdicts and extra answers, which no figure counts.
        addresses: as `label_studio.task_of` has it.
        left_out: how many answers the format cannot say, by reason; filled while rows are read.
    """

    all_purposes: bool = False
    offsets: Offsets = Offsets.CODE_POINTS
    addresses: Mapping[str, str] | None = None
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class QueueFormat:
    """A way to write a queue.

    Attributes:
        rows: the rows of one item; all of them name the item.
        item_of: the item that a row names.
        files: the kinds of file, the usual one first.
    """

    rows: Callable[[QueueFacts, QueueItem, ExportAsk], Iterable[Row]]
    item_of: Callable[[Row], int]
    wanted: ReviewFilter
    files: tuple[FileKind, ...]
    description: str
    columns: tuple[str, ...] = ()


PROVENANCE = (
    *("review", "example", "group", "split", "sample", "run", "queue"),
    *("rubric", "rubric_version", "rubric_digest"),
    *("dataset", "dataset_version", "dataset_digest"),
    *("inclusion_probability", "stratum", "purpose", "extra", "simulated", "annotator_kind"),
    *("source", "submitted_at", "active_seconds"),
)
RATING_COLUMNS = ("item", "rater", "criterion", "value", "number", "seconds", "model", *PROVENANCE)
VOTE_COLUMNS = (
    *("item", "rater", "model_a", "model_b", "winner", "length_a", "length_b", "left"),
    *PROVENANCE,
)


def export_format(name: str) -> QueueFormat:
    """The format of that name; `UnknownName` lists the nearest."""
    if name not in FORMATS:
        raise UnknownName("export format", name, FORMATS)
    return FORMATS[name]


def file_kind(chosen: QueueFormat, kind: str | None) -> FileKind:
    """The kind of file asked for, or the usual one. Raises UnknownName."""
    if kind is None:
        return chosen.files[0]
    if kind not in chosen.files:
        raise UnknownName("kind of file for this format", kind, [k.value for k in chosen.files])
    return FileKind(kind)


def export_text(
    sessions: OpenSession,
    queue_id: int,
    name: str,
    ask: ExportAsk,
    *,
    kind: FileKind,
    after: int | None = None,
) -> Iterator[str]:
    """The file, in pieces; with `after`, what follows the rows of that item.

    What the format refuses is raised at once, before the first piece.

    Raises:
        UnknownName: there is no such format.
        NotFound: no such queue, or `after` is no item of it.
        InvalidInput: the queue cannot be said in this format.
    """
    chosen = export_format(name)
    with sessions() as session:
        facts = queue_facts(session, queue_id)
    if name == "votes" and facts.kind != QueueKind.PAIR:
        raise InvalidInput("Only a queue of pairs has votes.", hint="Export its ratings.")
    wanted = replace(chosen.wanted, all_purposes=ask.all_purposes)
    items = each_item(sessions, facts, wanted, after=after)
    rows = (row for item in items for row in chosen.rows(facts, item, ask))
    return _written(rows, chosen, kind, begins=after is None)


def _written(
    rows: Iterator[Row], chosen: QueueFormat, kind: FileKind, *, begins: bool
) -> Iterator[str]:
    match kind:
        case FileKind.JSONL:
            return (_json(row) + "\n" for row in rows)
        case FileKind.CSV:
            head = [chosen.columns] if begins else []
            cells = ([row[column] for column in chosen.columns] for row in rows)
            return map(csv_line, chain(head, cells))
        case FileKind.JSON:
            return _json_array(rows, begins=begins)
        case _:
            assert_never(kind)


def _json(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False)


def _json_array(rows: Iterator[Row], *, begins: bool) -> Iterator[str]:
    """One row a line, so that a file that was cut can be taken up line by line."""
    if begins:
        yield "[\n"
    before: str | None = None
    for row in rows:
        if before is not None:
            yield before + ",\n"
        before = _json(row)
    yield "]\n" if before is None else before + "\n]\n"


def _provenance(facts: QueueFacts, item: QueueItem, review: Review) -> Row:
    return {
        "review": review.id,
        "example": item.example,
        "group": item.group,
        "split": item.split,
        "sample": item.sample,
        "run": facts.generation_run_id,
        "queue": facts.name,
        "rubric": facts.rubric.name,
        "rubric_version": facts.rubric_version,
        "rubric_digest": facts.rubric_digest,
        "dataset": facts.dataset,
        "dataset_version": facts.dataset_version,
        "dataset_digest": facts.dataset_digest,
        "inclusion_probability": item.inclusion_probability,
        "stratum": item.stratum,
        "purpose": review.purpose,
        "extra": review.extra,
        "simulated": review.simulated,
        "annotator_kind": review.annotator_kind,
        "source": review.source,
        "submitted_at": review.submitted_at.isoformat() if review.submitted_at else None,
        "active_seconds": review.active_seconds,
    }


def _ratings(facts: QueueFacts, item: QueueItem, ask: ExportAsk) -> Iterator[Row]:
    for review in item.reviews:
        if not review.ratings:
            ask.left_out["reviews without a rating"] += 1
        for rating in sorted(review.ratings, key=lambda rating: rating.id):
            yield {
                "item": str(item.id),
                "rater": review.reviewer.pseudonym,
                "criterion": rating.criterion,
                "value": rating.value,
                "number": rating.number,
                "seconds": review.seconds_by_criterion.get(rating.criterion),
                "model": " against ".join(item.models),
                **_provenance(facts, item, review),
            }


def _votes(facts: QueueFacts, item: QueueItem, ask: ExportAsk) -> Iterator[Row]:
    """`cannot_judge` is no vote in the plain-file format, and is counted as left out."""
    for review in item.reviews:
        for preference in review.preferences:
            if preference.winner == Winner.CANNOT_JUDGE:
                ask.left_out[Winner.CANNOT_JUDGE.value] += 1
                continue
            yield {
                "item": str(item.id),
                "rater": review.reviewer.pseudonym,
                "model_a": item.models[0],
                "model_b": item.models[1],
                "winner": preference.winner,
                "length_a": len(item.outputs[0]),
                "length_b": len(item.outputs[1]),
                "left": "a" if item.a_is_left else "b",
                **_provenance(facts, item, review),
            }


def _tasks(facts: QueueFacts, item: QueueItem, ask: ExportAsk) -> list[Row]:
    return [label_studio.task_of(facts, item, offsets=ask.offsets, addresses=ask.addresses)]


def _records(facts: QueueFacts, item: QueueItem, ask: ExportAsk) -> list[Row]:
    noted = sum(span.note is not None for review in item.reviews for span in review.spans)
    if noted:
        ask.left_out["notes on marks"] += noted
    return [argilla.record_of(facts, item, offsets=ask.offsets)]


TABLE = (FileKind.JSONL, FileKind.CSV)
DOCUMENT = (FileKind.JSON, FileKind.JSONL)
FORMATS: dict[str, QueueFormat] = {
    "ratings": QueueFormat(
        _ratings,
        lambda row: int(row["item"]),
        ReviewFilter(),
        TABLE,
        "one row per response and criterion; `strop agreement` reads it",
        RATING_COLUMNS,
    ),
    "votes": QueueFormat(
        _votes,
        lambda row: int(row["item"]),
        ReviewFilter(),
        TABLE,
        "one row per vote on a blind pair; `strop preferences` reads it",
        VOTE_COLUMNS,
    ),
    "label-studio": QueueFormat(
        _tasks,
        lambda row: int(row["data"]["strop_item"]),
        ReviewFilter(skipped=True, checks=True),
        DOCUMENT,
        "tasks of Label Studio with predictions of the checks and annotations",
    ),
    "argilla": QueueFormat(
        _records,
        lambda row: int(row["metadata"]["item"]),
        ReviewFilter(checks=True),
        DOCUMENT,
        "records of Argilla 2 with suggestions and responses",
    ),
}
