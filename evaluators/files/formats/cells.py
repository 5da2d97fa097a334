"""Rows of cells: what separates those of CSV, and how wide they may be under their header."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from evaluators.errors import UnreadableRecord
from evaluators.files.formats.opening import over_long
from evaluators.files.formats.workbooks import Cells

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def stated_delimiter(begin: str) -> str | None:
    """What a first line `sep=;` states, which spreadsheets write and read."""
    line = begin.split("\n", 1)[0].strip('"\r')
    return line[4:] or None if line.lower().startswith("sep=") and len(line) == 5 else None


def fitting_delimiter(begin: str, usual: str) -> str:
    """The delimiter under which most rows are as wide as the header, and the header is widest."""
    best, found = (0.0, 1), usual
    for delimiter in dict.fromkeys([usual, *DELIMITERS]):
        try:
            rows = [row for row in csv.reader(begin.splitlines(True), delimiter=delimiter) if row]
        except csv.Error:
            continue
        # The last row may have been cut where the sample ends.
        width, rest = len(rows[0]) if rows else 0, rows[1:-1] or rows[1:]
        alike = sum(len(row) == width for row in rest) / len(rest) if rest else 1.0
        if width > 1 and (alike, width) > best:
            best, found = (alike, width), delimiter
    return found


def csv_rows(lines: Iterable[str], delimiter: str, name: str, limit: int) -> Iterator[Cells]:
    """The rows of CSV, numbered by record from 1.

    Raises:
        UnreadableRecord: quotes that do not fit, or an over-long cell; names the line.
    """
    csv.field_size_limit(limit)
    rows = csv.reader(lines, strict=True, delimiter=delimiter)
    try:
        yield from enumerate(rows, start=1)
    except csv.Error as error:
        if "field larger" in str(error):
            raise over_long(name, rows.line_num, limit) from None
        raise UnreadableRecord(
            f"{name}: line {rows.line_num}: not CSV ({error}).",
            hint="Close the quotes; double a quote inside a cell.",
        ) from None


def fitted(cells: list[Any], needed: int, width: int, number: int, name: str) -> list[Any]:
    """As many cells as the header has; blank ones may be too many, or lack where it is blank."""
    if len(cells) < needed:
        raise UnreadableRecord(
            f"{name}: row {number}: {len(cells)} cells under {needed} columns.",
            hint="Add the cells that lack (empty ones too); is a line break in a cell not quoted?",
        )
    if not is_blank(cells[width:]):
        raise UnreadableRecord(
            f"{name}: row {number}: {len(cells)} cells under {width} columns.",
            hint="Quote cells that hold separators or line breaks.",
        )
    return [*cells[:width], *[None] * (width - len(cells))]


def is_blank(cells: Sequence[Any]) -> bool:
    """Whether no cell holds a text or a value."""
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)
