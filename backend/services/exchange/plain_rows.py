"""Training rows from a plain file, without a database.

The shapes are those of `backend.services.datasets.importing.shapes`, told apart row by row.
`output` is what a model wrote and `correction` what an expert made of it: the correction is the
answer to learn, and the output it replaced is the rejected one. A row that cannot give what the
format needs (no rejected answer, no label, an empty correction) is left out and counted, with the
reason.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backend.errors import InvalidInput
from backend.services.curation.formats import BY_LOSS, METHOD_ROWS, NO_ANSWER, SFT, TrainingRow
from backend.services.datasets.importing.origins import provenance_in
from backend.services.datasets.importing.shapes import CannotCarry, RowValues, parse_row, renamed
from evaluators.files.fields import bind_columns
from evaluators.files.mapping import ColumnNames, Notes, RowShape, name_unused
from evaluators.files.readers import read_table

ROW = RowShape(
    (
        *("input", "context", "instruction", "system", "history", "prompt", "messages"),
        *("conversations", "output", "correction", "completion", "chosen", "rejected", "label"),
        *("tools", "weight", "order", "provenance"),
    )
)
_FROM_PLAIN = {rows.kind: rows.from_plain for rows in METHOD_ROWS.values() if rows.from_plain}


@dataclass(slots=True)
class LeftOut:
    """How many rows were left out, by reason; filled while rows are read."""

    reasons: Counter[str] = field(default_factory=Counter)


def read_plain_rows(
    path: str | Path,
    kind: str,
    left_out: LeftOut,
    *,
    names: ColumnNames | None = None,
    notes: Notes | None = None,
) -> Iterator[TrainingRow]:
    """The rows of a file that can serve as training rows of a kind; any file that Strop reads.

    Raises:
        InvalidInput: a row has none of the shapes; names file and row.
        UnreadableRecord: the file cannot be read.
    """
    table, told = read_table(path), notes or Notes()
    rows = bind_columns(table, ROW, names=names or ColumnNames(), notes=told, name_rest=False)
    used: set[str] = set()
    from_plain = _FROM_PLAIN[kind]
    for row in rows:
        values = RowValues(renamed(row.record.values, row.columns), spelled=table.spelled)
        try:
            found = from_plain(parse_row(values))
        except CannotCarry as error:
            found = error.message
        except InvalidInput as error:
            where = f"{table.name}: row {row.record.row}: {error.message}"
            raise InvalidInput(where, hint=error.hint) from error
        if not isinstance(found, str):
            found = _with_marks(found, values)
        used |= {row.columns.get(key, key) for key in values.used}
        for extra in sorted(values.unused):
            told.add(f"{table.name}: not used: {extra}.")
        if isinstance(found, str):
            left_out.reasons[found] += 1
        else:
            yield found
    guessed = ("output",) if NO_ANSWER in left_out.reasons else ()
    name_unused(table, used, replace(ROW, guessed=guessed), told)


def _with_marks(row: TrainingRow, values: RowValues) -> TrainingRow:
    """The row with its weight, its place in a curriculum and where it comes from, if it tells."""
    marks: dict[str, Any] = {
        key: found
        for key, is_mark in (_MARKS.items() if row.kind == SFT else ())
        if is_mark(found := values.values.get(key))
    }
    if (told := provenance_in(values.values.get("provenance"))) is not None:
        marks["provenance"] = told
    values.used.update(marks)
    return replace(row, **marks)


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_place(value: object) -> bool:
    return value == BY_LOSS or (isinstance(value, int) and not isinstance(value, bool))


_MARKS: dict[str, Callable[[object], bool]] = {"weight": _is_weight, "order": _is_place}
