"""Reading rows from JSON lines and CSV, strictly: a bad file gets one line, never half a result.

A file may be plain or gzipped (`.gz`), or standard input (`-`). A byte-order mark and mixed line
ends are read; an empty row is not a record. Every refusal names the file, the row and the remedy.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from evaluators.errors import UnreadableRecord

MAX_ROW_BYTES = 8_000_000
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Record:
    """One row. `row` counts records of JSON lines by line and of CSV by record, from 1."""

    row: int
    values: Mapping[str, Any]


def read_records(
    source: str | Path, *, required: Iterable[str] = (), max_row_bytes: int = MAX_ROW_BYTES
) -> list[Record]:
    """All rows of a file.

    Args:
        source: path, or `-` for standard input; JSON lines unless the name says `.csv`. What comes
            from standard input is JSON lines when it begins with `{`, else CSV.
        required: columns that every row must have (JSON lines) or the header must name (CSV).
        max_row_bytes: longest line accepted, in bytes; a CSV record likewise.

    Raises:
        UnreadableRecord: empty, not UTF-8, half a JSON line, wrong columns, or an over-long row.
    """
    name = "standard input" if str(source) == STDIN else str(source)
    with _open_bytes(source, name) as stream:
        lines = _decoded_lines(stream, name, max_row_bytes)
        first = next(lines, None)
        if first is None:
            raise UnreadableRecord(f"{name}: the file is empty.", hint="Give it at least one row.")
        reader = _read_csv if _is_csv(source, first) else _read_jsonl
        records = list(reader(_chain(first, lines), name, tuple(required), max_row_bytes))
    if not records:
        raise UnreadableRecord(
            f"{name}: there is no record in it.", hint="Give it at least one row."
        )
    return records


def _open_bytes(source: str | Path, name: str) -> IO[bytes]:
    if str(source) == STDIN:
        return io.BytesIO(sys.stdin.buffer.read())
    path = Path(source)
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
    except FileNotFoundError:
        raise UnreadableRecord(f"{name}: there is no such file.", hint="Check the path.") from None
    except IsADirectoryError:
        raise UnreadableRecord(f"{name}: this is a folder.", hint="Name a file.") from None


def _decoded_lines(stream: IO[bytes], name: str, limit: int) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends; `\\n`, `\\r\\n` and a lone `\\r` all end a line."""
    number = 0
    while raw := _next_line(stream, name, number + 1, limit):
        if number == 0:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableRecord(
                f"{name}: row {number + 1}: not UTF-8 (byte {error.start + 1} of the row).",
                hint="Save the file as UTF-8.",
            ) from None
        for part in _split_ends(text):
            number += 1
            yield number, part


def _next_line(stream: IO[bytes], name: str, number: int, limit: int) -> bytes:
    try:
        raw = stream.readline(limit + 1)
    except (gzip.BadGzipFile, EOFError) as error:
        raise UnreadableRecord(
            f"{name}: not a whole gzip file: {error}.", hint="Pack it again."
        ) from None
    if len(raw) > limit:
        raise _over_long(name, number, limit)
    return raw


def _over_long(name: str, number: int, limit: int) -> UnreadableRecord:
    return UnreadableRecord(
        f"{name}: row {number}: longer than {limit:,} bytes.",
        hint="Shorten the row, or raise the limit (STROP_MAX_ROW_BYTES).",
    )


def _split_ends(text: str) -> list[str]:
    """A line read up to `\\n`, cut at lone carriage returns too; ends are kept for CSV cells."""
    body = text[:-1] if text.endswith("\n") else text
    return [part + "\n" for part in body.removesuffix("\r").split("\r")]


def _chain(first: tuple[int, str], rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from rest


def _is_csv(source: str | Path, first: tuple[int, str]) -> bool:
    if str(source) == STDIN:
        return not first[1].lstrip().startswith("{")
    return ".csv" in Path(source).suffixes


def _read_jsonl(
    lines: Iterable[tuple[int, str]], name: str, required: tuple[str, ...], _: int
) -> Iterator[Record]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise UnreadableRecord(
                f"{name}: row {number}: not a whole JSON object ({error}).",
                hint="Each line is one object; is the file cut short?",
            ) from None
        if not isinstance(values, dict):
            raise UnreadableRecord(
                f"{name}: row {number}: a {type(values).__name__}, not an object.",
                hint='Each line is one object, {"id": ...}.',
            )
        if lacking := [column for column in required if column not in values]:
            raise _lacks_columns(name, number, lacking, values)
        yield Record(number, values)


def _lacks_columns(
    name: str, number: int, lacking: list[str], found: Iterable[str | None]
) -> UnreadableRecord:
    have = ", ".join(str(column) for column in found) or "nothing"
    return UnreadableRecord(
        f"{name}: row {number}: no {' and no '.join(lacking)}; it has {have}.",
        hint="Name the columns so, or map them.",
    )


def _read_csv(
    lines: Iterable[tuple[int, str]], name: str, required: tuple[str, ...], limit: int
) -> Iterator[Record]:
    csv.field_size_limit(limit)
    rows = csv.reader((line for _, line in lines), strict=True)
    try:
        header = next(rows)
        if lacking := [column for column in required if column not in header]:
            raise _lacks_columns(name, 1, lacking, header)
        if len(set(header)) != len(header):
            raise UnreadableRecord(
                f"{name}: row 1: a column twice.", hint="Make the header's names unique."
            )
        for number, cells in enumerate(rows, start=2):
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise UnreadableRecord(
                    f"{name}: row {number}: {len(cells)} cells under {len(header)} columns.",
                    hint="Quote cells that hold commas or line breaks.",
                )
            yield Record(number, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        if "field larger" in str(error):
            raise _over_long(name, rows.line_num, limit) from None
        raise UnreadableRecord(
            f"{name}: line {rows.line_num}: not CSV ({error}).",
            hint="Close the quotes; double a quote inside a cell.",
        ) from None
