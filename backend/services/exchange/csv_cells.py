"""CSV that a spreadsheet may open: no cell of ours is ever taken for a formula.

A text that begins with = + - @, their full-width forms, a tab or a line end is written with one
apostrophe before it, which spreadsheets take for "this is text"; so is a text that begins with an
apostrophe, so that `plain_cell` gives every text back as it was. Numbers are written as numbers.
Lines end as RFC 4180 has it, so that a lone carriage return in a text is quoted too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from evaluators.files.fields import FORMULA_SIGNS

GUARD = "'"


def safe_cell(value: object) -> str:
    """A value as the text of a cell: None is empty, true and false are words."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case _:
            text = str(value)
            return GUARD + text if text.startswith(FORMULA_SIGNS) else text


def plain_cell(cell: str) -> str:
    """The text that a cell of `safe_cell` stands for."""
    return cell[1:] if cell.startswith(GUARD) else cell


def csv_line(values: Iterable[object]) -> str:
    """One record, with its line end."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\r\n").writerow([safe_cell(value) for value in values])
    return stream.getvalue()
