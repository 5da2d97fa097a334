"""Training rows from a plain file, without a database.

The shapes are those of `backend.services.datasets.shapes`, told apart row by row. `output` is what
a model wrote and `correction` what an expert made of it: the correction is the answer to learn, and
the output it replaced is the rejected one. A row that cannot give what the format needs (no
rejected answer, no label, an empty correction) is left out and counted, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from backend.errors import InvalidInput
from backend.services.curation.formats import METHOD_ROWS, NO_ANSWER, TrainingRow
from backend.services.datasets.shapes import CannotCarry, RowValues, parse_row
from evaluators.files.fields import bind_columns
from evaluators.files.mapping import ColumnNames, Notes, Shape, name_unused
from evaluators.files.readers import read_table

ROW = Shape(
    (
        *("input", "context", "instruction", "system", "history", "prompt", "messages"),
        *("conversations", "output", "correction", "completion", "chosen", "rejected", "label"),
        "tools",
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
        values = RowValues(_renamed(row.record.values, row.columns), spelled=table.spelled)
        try:
            found = from_plain(parse_row(values))
        except CannotCarry as error:
            found = error.message
        except InvalidInput as error:
            where = f"{table.name}: row {row.record.row}: {error.message}"
            raise InvalidInput(where, hint=error.hint) from error
        used |= {row.columns.get(key, key) for key in values.used}
        for extra in sorted(values.unused):
            told.add(f"{table.name}: not used: {extra}.")
        if isinstance(found, str):
            left_out.reasons[found] += 1
        else:
            yield found
    guessed = ("output",) if NO_ANSWER in left_out.reasons else ()
    name_unused(table, used, replace(ROW, guessed=guessed), told)


def _renamed(values: Mapping[str, object], columns: Mapping[str, str]) -> Mapping[str, object]:
    """The values under the names of fields; a column that serves a field is nothing else."""
    if not columns:
        return values
    taken = set(columns.values())
    rest = {key: value for key, value in values.items() if key not in taken}
    found = {name: values[column] for name, column in columns.items() if column in values}
    return {**rest, **found}
