"""What comes in: files and folders with their splits, and a preview of an import that stores none.

train.jsonl                 rows that the platform splits, or whose `split` column says it
train=a.csv test=b.csv      the split of each file
notes/                      a folder (`evaluators.files.formats.folders`), whose splits may be named
                            train, validation (also valid, val, dev) and test
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backend.errors import InvalidInput, StropError, raised_as
from backend.services.datasets.importing.rows import (
    ColumnMap,
    RefusedRow,
    TableReading,
    read_examples,
    refusal,
)
from backend.services.datasets.leaks import refusal as leak_refusal
from backend.services.datasets.splits import Shares, what_a_test_shows
from backend.services.datasets.versions import (
    REMEDY,
    ExampleRow,
    PreparedImport,
    prepare_import,
    warn_of_groups,
)
from backend.tables.datasets import Split
from evaluators.errors import EvaluatorError
from evaluators.files.formats.folders import SPLITS, FolderPart, parts_of
from evaluators.files.mapping import Notes, count_rows
from evaluators.files.readers import read_part

SHOWN_ROWS = 3
SHOWN_NUMBERS = 5


def split_and_path(text: str) -> tuple[str | None, str]:
    """`test=b.csv` as its split and its path; a path alone names no split."""
    head, sep, tail = text.partition("=")
    return (head, tail) if sep and head in set(Split) else (None, text)


def sources_of(text: str, notes: Notes) -> list[tuple[str | None, FolderPart]]:
    """The parts of FILE, FOLDER or SPLIT=either, each with its split; None: it names none.

    Raises:
        InvalidInput: splits of other names, or several where one is named.
        UnreadableRecord: a folder without rows.
    """
    split, path = split_and_path(text)
    parts = parts_of(path)
    names = [part.split for part in parts if part.split is not None]
    if split is not None and len(parts) > 1:
        raise InvalidInput(
            f"{path}: this folder has several splits, {', '.join(names)}, and no one is {split}.",
            hint=f"Name one of them ({split}={path}/{names[0]}), or the folder alone.",
        )
    if split is not None:
        return [(split, parts[0])]
    if strange := [name for name in names if name.lower() not in SPLITS]:
        raise InvalidInput(
            f"{path}: this folder has splits of other names: {', '.join(strange)}.",
            hint=f"Say which is what, as train={path}/{strange[0]} test={path}/...",
        )
    if names == ["train"]:
        notes.add(f"{path}: its one split is train, so that its rows are shared out.")
        return [(None, parts[0])]
    return [(SPLITS[part.split.lower()] if part.split else None, part) for part in parts]


def read_sources(
    texts: Sequence[str],
    column_map: ColumnMap,
    *,
    notes: Notes,
    need_reference: bool,
    max_row_bytes: int,
) -> list[TableReading]:
    """What each part of each source says, rows that are no examples included.

    Raises:
        InvalidInput: a source that cannot be read, or a column that is not there.
    """
    with raised_as(InvalidInput, EvaluatorError):
        parts = [source for text in texts for source in sources_of(text, notes)]
        return [
            read_examples(
                read_part(part, max_row_bytes=max_row_bytes, lazily=True),
                replace(column_map, id_prefix=part.split or split or "row"),
                notes=notes,
                split=split,
                need_reference=need_reference,
            )
            for split, part in parts
        ]


def rows_of(readings: Sequence[TableReading], *, drop_refused: bool = False) -> list[ExampleRow]:
    """The examples of all, or the error of the first row that is none.

    Args:
        drop_refused: leave out rows that are no examples, unless none is one.
    """
    rows = [row for reading in readings for row in reading.rows]
    error = refusal_of(readings)
    if error is not None and not (drop_refused and rows):
        raise error
    return rows


def count_refused(readings: Sequence[TableReading]) -> int:
    """How many rows are no examples."""
    return sum(len(reading.refused) for reading in readings)


def refusal_of(readings: Sequence[TableReading]) -> InvalidInput | None:
    """The error of the first table with rows that are no examples; None: there is no such row."""
    bad = next((reading for reading in readings if reading.refused), None)
    if bad is None:
        return None
    error = refusal(bad)
    if any(reading.rows for reading in readings):
        every = count_rows(count_refused(readings))
        error.hint = (
            f"{error.hint or 'Mend it.'} To leave out what is refused ({every}): --drop-refused."
        )
    return error


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import would store.

    Attributes:
        prepared: what would be stored of the rows that are examples; None where they cannot be.
        problem: why the import would be refused; None: it would not.
    """

    readings: Sequence[TableReading]
    prepared: PreparedImport | None
    problem: StropError | None
    notes: Sequence[str]

    @property
    def rows(self) -> Sequence[ExampleRow]:
        """The examples, with their split where they could be split."""
        if self.prepared is not None:
            return self.prepared.rows
        return [row for reading in self.readings for row in reading.rows]

    @property
    def splits(self) -> dict[str, int]:
        """How many examples each split would have."""
        names = [row.split for row in self.rows]
        return {str(split): names.count(split) for split in Split}

    @property
    def test_shows(self) -> str:
        """What a test of this size can show."""
        tested = [row for row in self.rows if row.split == Split.TEST]
        groups = {row.group for row in tested if row.group is not None}
        return what_a_test_shows(len(tested), len(groups) + sum(r.group is None for r in tested))

    @property
    def dropped(self) -> Sequence[str]:
        """The ids of training rows that are left out, as they repeat a held-out prompt."""
        recipe = {} if self.prepared is None else self.prepared.recipe
        return list(recipe.get("dropped_as_leaks", []))

    def as_dict(self) -> dict[str, Any]:
        """Plain values: whole texts, three rows."""
        return {
            "files": [
                {
                    "file": one.name,
                    "layout": one.layout,
                    "rows": len(one.rows) + len(one.refused),
                    "columns": dict(one.columns),
                }
                for one in self.readings
            ],
            "examples": len(self.rows),
            "prompts": len({row.content_digest for row in self.rows}),
            "groups": len({row.group for row in self.rows if row.group is not None}),
            "rows": [row_as_dict(row) for row in self.rows[:SHOWN_ROWS]],
            "refused": [
                {"file": reading.name, "reason": why, "rows": len(found), "first": first_of(found)}
                for reading in self.readings
                for why, found in by_reason(reading.refused).items()
            ],
            "dropped": list(self.dropped),
            "leaks": 0 if self.prepared is None else len(self.prepared.leaks),
            "splits": self.splits if self.prepared is not None else None,
            "test_shows": self.test_shows if self.prepared is not None else None,
            "problem": None if self.problem is None else self.problem.message,
            "notes": list(self.notes),
        }


def preview_import(
    readings: Sequence[TableReading],
    *,
    source_name: str,
    notes: Notes,
    seed: int = 7,
    fractions: Shares | None = None,
    drop_leaks: bool = False,
    drop_refused: bool = False,
) -> Preview:
    """What an import of these would store; see `prepare_import` and `rows_of` for the arguments."""
    rows = [row for reading in readings for row in reading.rows]
    problem: StropError | None = None if drop_refused and rows else refusal_of(readings)
    prepared = None
    try:
        prepared = prepare_import(
            rows, source_name=source_name, seed=seed, fractions=fractions, drop_leaks=drop_leaks
        )
    except InvalidInput as error:
        problem = problem or error
    else:
        shared = prepared.recipe.get("groups_on_both_sides", 0)
        if told := warn_of_groups(shared):
            notes.add(told)
        if prepared.leaks:
            problem = problem or leak_refusal(prepared.leaks, source_name, REMEDY)
    return Preview(readings, prepared, problem, notes.sentences())


def row_as_dict(row: ExampleRow) -> dict[str, Any]:
    """An example as it would be stored: its input, or its messages."""
    asked = {"input": row.input} if row.messages is None else {"messages": list(row.messages)}
    return {
        "id": row.external_id,
        **asked,
        "context": row.context,
        "references": list(row.references),
        "group": row.group,
        "slices": dict(row.slices),
        "split": row.split,
    }


def by_reason(refused: Sequence[RefusedRow]) -> Mapping[str, list[int]]:
    """The numbers of the rows that are no examples, by the reason."""
    found: dict[str, list[int]] = {}
    for one in refused:
        found.setdefault(one.reason, []).append(one.row)
    return found


def first_of(numbers: Sequence[int]) -> list[int]:
    """The first numbers of a list, as many as are shown."""
    return list(numbers[:SHOWN_NUMBERS])
