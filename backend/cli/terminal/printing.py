"""How results are printed: JSON, tables, and text that moves no cursor."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from evaluators.files.mapping import Notes

FILE_WIDTH = 180
Shown = TypeVar("Shown")
BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def print_notes(notes: Notes) -> None:
    """What reading files took upon itself, on stderr, a line each."""
    for sentence in notes.sentences():
        typer.echo(f"note: {shown_text(sentence)}", err=True)


def print_json(value: object) -> None:
    """One JSON document on stdout; shapes and dataclasses by their fields, what else as text."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value.model_dump() if hasattr(value, "model_dump") else str(value)


def print_result(value: object, *lines: str, json: bool) -> None:
    """What a command came to: as JSON, or in so many lines."""
    print_shown(value, lambda _: typer.echo("\n".join(lines)), json=json)


def print_shown(value: Shown, show: Callable[[Shown], object], *, json: bool) -> None:
    """What a command came to: as JSON, or as `show` prints it."""
    if json:
        print_json(value)
    else:
        show(value)


def print_table(
    rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str], title: str | None = None
) -> None:
    """A readable table of the named columns; cells are shown as text, never as markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    # A pipe or a log file has no width of its own; folding there would only hide figures.
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH).print(table)


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    *,
    columns: Sequence[str] | None = None,
    title: str | None = None,
    json: bool = False,
    whole: object = None,
    empty: str = "",
) -> None:
    """Rows as JSON, or as a table.

    Args:
        columns: of the table; where none are named all of them, and of no rows there is no table.
        whole: what JSON tells in place of the rows.
        empty: a sentence in place of a table without rows.
    """
    if json:
        print_json(rows if whole is None else whole)
    elif empty and not rows:
        typer.echo(empty)
    elif columns is not None or rows:
        print_table(rows, columns=list(rows[0]) if columns is None else columns, title=title)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else shown_text(str(value))


def shown_text(text: str) -> str:
    """A text that a terminal only shows: what moves its cursor, colours it or turns the direction
    of reading is written as U+FFFD. Line ends and tabs stay."""
    return "".join("\ufffd" if _commands(sign) else sign for sign in text)


def _commands(sign: str) -> bool:
    return sign not in "\n\t" and (unicodedata.category(sign) == "Cc" or sign in BIDI_CONTROLS)


def count_of(n: int, one: str, more: str) -> str:
    """`1 person`, `2 people`."""
    return f"{n} {one if n == 1 else more}"
