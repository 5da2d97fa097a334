"""The one reader of every source of rows: JSON lines, a JSON array, CSV, .xlsx, .parquet, .arrow,
and folders of the last two (`evaluators.files.folders`).

What a file is follows from its first bytes, and for texts from the ending of its name in any case
(`.csv` and `.tsv`, `.jsonl` and `.json`), also before `.gz`; a text of another name, or standard
input, is JSON when it begins with `{` or `[`, else CSV. Cells of CSV are separated by commas,
semicolons, tabs or bars, whichever fits. A bad file gets one line that names file, row and remedy,
never half a result; a guess is noted in the table. What a row means is not known here: see
`evaluators.files.fields`.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from evaluators.errors import UnreadableRecord
from evaluators.files.columnar import (
    ARROW_FILE,
    ARROW_STREAM,
    PARQUET,
    Rows,
    read_arrow,
    read_parquet,
)
from evaluators.files.folders import FolderPart, only_part
from evaluators.files.opening import file_name, open_bytes, open_text
from evaluators.files.workbooks import read_workbook

MAX_ROW_BYTES = 8_000_000
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SAMPLE = 1 << 16
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
ENDINGS = (
    ".jsonl",
    ".ndjson",
    ".json",
    ".csv",
    ".tsv",
    ".tab",
    ".xlsx",
    ".parquet",
    ".arrow",
    ".gz",
)
_JSON_ENDINGS = frozenset({".jsonl", ".ndjson", ".json"})
_CSV_ENDINGS = frozenset({".csv", ".tsv", ".tab"})
_REFUSED = (
    (b"\xd0\xcf\x11\xe0", "an old or a protected Excel file", "Save it as .xlsx or CSV."),
    (b"SQLite format 3", "a database", "Write its rows to JSON lines."),
    (b"BZh", "packed by bzip2", "Unpack it; only .gz is unpacked here."),
    (b"\xfd7zXZ", "packed by xz", "Unpack it; only .gz is unpacked here."),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", "Unpack it; only .gz is unpacked here."),
    (b"%PDF", "a PDF", "Give a file of rows."),
)


@dataclass(frozen=True, slots=True)
class Record:
    """One row. `row` counts JSON lines by line, CSV by record and sheets by row, from 1."""

    row: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file.

    Attributes:
        name: the file as messages name it.
        columns: all names that occur, in order of appearance.
        notes: what was guessed, a sentence each.
        spelled: cells are texts, so that lists, objects and missing values are spelled out.
        decimal_comma: cells are not separated by commas, so that 3,5 may be a number.
    """

    name: str
    records: Sequence[Record]
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    spelled: bool = False
    decimal_comma: bool = False

    @classmethod
    def of_rows(cls, name: str, rows: Iterable[Mapping[str, Any]]) -> Table:
        """Rows that are there already, such as those of a request."""
        records = [Record(number, row) for number, row in enumerate(rows, start=1)]
        return cls(name, records, _all_columns(records))


def read_table(source: str | Path, *, max_row_bytes: int = MAX_ROW_BYTES) -> Table:
    """All rows of a file or of a folder of one part.

    Args:
        source: path, or `-` for standard input.
        max_row_bytes: longest row accepted, in bytes.

    Raises:
        UnreadableRecord: empty, no rows of a kind above, half a row, or an over-long one; a folder
            of several splits.
    """
    return read_part(only_part(source), max_row_bytes=max_row_bytes)


class LineRecords(Sequence[Record]):
    """The rows of a file of JSON lines, read anew whenever they are asked for, and never kept."""

    def __init__(self, source: str, limit: int) -> None:
        self._source, self._limit = source, limit
        self._name = file_name(source)
        self._count = 0
        self.columns = _all_columns(self._counted())

    def _counted(self) -> Iterator[Record]:
        for record in self:
            self._count += 1
            yield record

    def __iter__(self) -> Iterator[Record]:
        with (
            open_bytes(self._source) as stream,
            open_text(stream, self._name, []) as text,
        ):
            yield from _read_lines(text, self._name, self._limit)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return list(self)[place]
        return next(islice(self, place % len(self), None))


def read_table_lazily(source: str | Path, *, max_row_bytes: int = MAX_ROW_BYTES) -> Table:
    """As `read_table`; the rows of JSON lines are not held in memory, but read at each use.

    What cannot be read twice, or is of another kind, is read as a whole.
    """
    source = str(source)
    if source == "-" or _ending(source) not in (".jsonl", ".ndjson") or not Path(source).is_file():
        return read_table(source, max_row_bytes=max_row_bytes)
    said: list[str] = []
    with open_bytes(source) as stream, open_text(stream, file_name(source), said) as text:
        lines = text.read(_SAMPLE).lstrip().startswith("{")
    if not lines:
        return read_table(source, max_row_bytes=max_row_bytes)
    records = LineRecords(source, max_row_bytes)
    return Table(file_name(source), records, records.columns, tuple(said))


def read_part(part: FolderPart, *, max_row_bytes: int = MAX_ROW_BYTES) -> Table:
    """All rows of a part of a source, as `read_table`."""
    table = (
        _read_shards(part, max_row_bytes) if part.files else _read_file(part.name, max_row_bytes)
    )
    if not table.records:
        raise UnreadableRecord(
            f"{table.name}: there is no record in it.", hint="Give it at least one row."
        )
    return table


def _read_file(source: str, limit: int) -> Table:
    name = file_name(source)
    with open_bytes(source) as stream:
        head = stream.read(16)
        if not head:
            raise UnreadableRecord(f"{name}: the file is empty.", hint="Give it at least one row.")
        return _read_content(stream, head, name, _ending(source), limit)


def _read_shards(part: FolderPart, limit: int) -> Table:
    """The rows of all files, numbered through."""
    rows: list[Mapping[str, Any]] = []
    for file in part.files:
        with open_bytes(file) as stream:
            head = stream.read(16)
            read = _columnar(head)
            if read is None:
                raise UnreadableRecord(
                    f"{file}: neither a .parquet nor an .arrow file.", hint="Write it again."
                )
            rows += read(stream, str(file))
    return _of_rows(part.name, rows, limit)


def _columnar(head: bytes) -> Callable[[IO[bytes], str], Rows] | None:
    """What reads the rows of a file that begins so; None: it has no columns."""
    if head.startswith(PARQUET):
        return read_parquet
    return read_arrow if head.startswith((ARROW_FILE, ARROW_STREAM)) else None


def _of_rows(name: str, rows: Iterable[Mapping[str, Any]], limit: int) -> Table:
    table = Table.of_rows(name, rows)
    _sized(table.records, name, limit)
    return table


def _ending(source: str | Path) -> str:
    return Path(str(source).lower().removesuffix(".gz")).suffix


def _read_content(stream: IO[bytes], head: bytes, name: str, ending: str, limit: int) -> Table:
    for mark, what, remedy in _REFUSED:
        if head.startswith(mark):
            raise UnreadableRecord(f"{name}: this is {what}.", hint=remedy)
    stream.seek(0)
    if head.startswith(b"PK\x03\x04"):
        return _of_cells(name, *read_workbook(stream, name), limit=limit)
    if read := _columnar(head):
        return _of_rows(name, read(stream, name), limit)
    said: list[str] = []
    with open_text(stream, name, said) as text:
        return _read_text(text, name, ending, limit, said)


def _read_text(text: IO[str], name: str, ending: str, limit: int, said: list[str]) -> Table:
    begin = text.read(_SAMPLE)
    text.seek(0)
    begin, first = begin.lstrip(), begin.lstrip()[:1]
    named_csv = ending in _CSV_ENDINGS and not begin.startswith(('{"', "[{"))
    if named_csv or (ending not in _JSON_ENDINGS and first not in ("{", "[")):
        return _read_csv(text, begin, name, ending, limit, said)
    read = _read_array if first == "[" else _read_lines
    records = list(read(text, name, limit))
    return Table(name, records, _all_columns(records), tuple(said))


def _all_columns(records: Iterable[Record]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for record in records:
        if not found.keys() >= record.values.keys():
            found.update(dict.fromkeys(record.values))
    return tuple(found)


def _over_long(name: str, row: int, limit: int) -> UnreadableRecord:
    return UnreadableRecord(
        f"{name}: row {row}: longer than {limit:,} bytes.",
        hint="Shorten the row, or raise the limit (STROP_MAX_ROW_BYTES).",
    )


def _numbered_lines(text: IO[str], name: str, limit: int) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1."""
    number = 0
    while line := text.readline(limit + 2):
        number += 1
        if len(line) > limit // 4 and len(line.encode()) > limit + 1:
            raise _over_long(name, number, limit)
        yield number, line


# JSON


def _read_lines(text: IO[str], name: str, limit: int) -> Iterator[Record]:
    for number, line in _numbered_lines(text, name, limit):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UnreadableRecord(
                f"{name}: row {number}: not a whole JSON object ({error}).",
                hint="Each line is one object, or the file one array; is it cut short?",
            ) from None
        yield _json_record(values, number, name, halves=bool(_SURROGATE.search(line)))


def _read_array(text: IO[str], name: str, limit: int) -> Iterator[Record]:
    content = text.read()
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecord(
            f"{name}: not a whole JSON array ({error}).",
            hint="Is a comma too many, or the file cut short?",
        ) from None
    halves = bool(_SURROGATE.search(content))
    records = [_json_record(row, i, name, halves=halves) for i, row in enumerate(rows, start=1)]
    yield from _sized(records, name, limit)


def _json_record(values: Any, number: int, name: str, *, halves: bool) -> Record:
    if not isinstance(values, dict):
        raise UnreadableRecord(
            f"{name}: row {number}: {_KINDS.get(type(values), 'a value')}, not an object.",
            hint='Each row is one object, {"id": ...}.',
        )
    if halves and (key := _half_character(values)) is not None:
        raise UnreadableRecord(
            f"{name}: row {number}: {key!r} holds half a character (a lone surrogate).",
            hint="Mend the text; U+FFFD stands for what is lost.",
        )
    return Record(number, values)


_KINDS = {
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _half_character(values: Mapping[str, Any]) -> str | None:
    """The key under which an escape stands for half a character, if any."""
    for key, value in values.items():
        try:
            json.dumps([key, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return key.encode("utf-8", "replace").decode()
    return None


def _sized(records: Sequence[Record], name: str, limit: int) -> Sequence[Record]:
    for record in records:
        texts = [value for value in record.values.values() if isinstance(value, str)]
        if sum(map(len, texts)) > limit // 4 and sum(len(text.encode()) for text in texts) > limit:
            raise _over_long(name, record.row, limit)
    return records


# CSV and cells of sheets


def _read_csv(
    text: IO[str], begin: str, name: str, ending: str, limit: int, said: list[str]
) -> Table:
    lines = _numbered_lines(text, name, limit)
    delimiter = _stated_delimiter(begin)
    if delimiter is not None:
        next(lines)
    else:
        delimiter = _fitting_delimiter(begin, "\t" if ending in (".tsv", ".tab") else ",")
    if delimiter != ",":
        said.append(f"{name}: cells are separated by {DELIMITERS.get(delimiter, delimiter)}.")
    rows = _csv_rows((line for _, line in lines), delimiter, name, limit)
    table = _of_cells(name, rows, said, limit=limit)
    comma = delimiter != ","
    return Table(name, table.records, table.columns, table.notes, spelled=True, decimal_comma=comma)


def _stated_delimiter(begin: str) -> str | None:
    """What a first line `sep=;` states, which spreadsheets write and read."""
    line = begin.split("\n", 1)[0].strip('"\r')
    return line[4:] or None if line.lower().startswith("sep=") and len(line) == 5 else None


def _fitting_delimiter(begin: str, usual: str) -> str:
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


def _csv_rows(
    lines: Iterable[str], delimiter: str, name: str, limit: int
) -> Iterator[tuple[int, list[Any]]]:
    csv.field_size_limit(limit)
    rows = csv.reader(lines, strict=True, delimiter=delimiter)
    try:
        yield from enumerate(rows, start=1)
    except csv.Error as error:
        if "field larger" in str(error):
            raise _over_long(name, rows.line_num, limit) from None
        raise UnreadableRecord(
            f"{name}: line {rows.line_num}: not CSV ({error}).",
            hint="Close the quotes; double a quote inside a cell.",
        ) from None


def _of_cells(
    name: str, rows: Iterator[tuple[int, list[Any]]], said: list[str], *, limit: int
) -> Table:
    """Cells under a header as records; empty rows are none, nor are columns without any text."""
    number, header = next(((n, cells) for n, cells in rows if not _is_blank(cells)), (1, []))
    names = ["" if cell is None else str(cell).strip() for cell in header]
    named = [name for name in names if name]
    if twice := [name for name in dict.fromkeys(named) if named.count(name) > 1]:
        raise UnreadableRecord(
            f"{name}: row {number}: a column twice, {twice[0]!r}.",
            hint="Make the header's names unique.",
        )
    needed = max((place for place, name in enumerate(names, start=1) if name), default=0)
    lines = [
        (number, _fitted(cells, needed, len(names), number, name))
        for number, cells in rows
        if not _is_blank(cells)
    ]
    kept = [
        (place, column or f"column {place + 1}")
        for place, column in enumerate(names)
        if column or not _is_blank([cells[place] for _, cells in lines])
    ]
    records = [
        Record(number, {column: cells[place] for place, column in kept}) for number, cells in lines
    ]
    columns = tuple(column for _, column in kept)
    return Table(name, _sized(records, name, limit), columns, tuple(said), spelled=True)


def _fitted(cells: list[Any], needed: int, width: int, number: int, name: str) -> list[Any]:
    """As many cells as the header has; blank ones may be too many, or lack where it is blank."""
    if len(cells) < needed:
        raise UnreadableRecord(
            f"{name}: row {number}: {len(cells)} cells under {needed} columns.",
            hint="Add the cells that lack (empty ones too); is a line break in a cell not quoted?",
        )
    if not _is_blank(cells[width:]):
        raise UnreadableRecord(
            f"{name}: row {number}: {len(cells)} cells under {width} columns.",
            hint="Quote cells that hold separators or line breaks.",
        )
    return [*cells[:width], *[None] * (width - len(cells))]


def _is_blank(cells: Sequence[Any]) -> bool:
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def is_missing(value: Any) -> bool:
    """Absent in any file: null, not a number, or a text of nothing but white space."""
    match value:
        case None:
            return True
        case float():
            return math.isnan(value)
        case str():
            return not value or value.isspace()
        case _:
            return False
