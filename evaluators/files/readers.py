"""The one reader of every input file: JSON lines, a JSON array, CSV, .xlsx and .parquet as rows.

What a file is follows from its first bytes, and for texts from the ending of its name in any case
(`.csv` and `.tsv`, `.jsonl` and `.json`), also before `.gz`; a text of another name, or standard
input, is JSON when it begins with `{` or `[`, else CSV. Cells of CSV are separated by commas,
semicolons, tabs or bars, whichever fits. A bad file gets one line that names file, row and remedy,
never half a result; a guess is noted in the table. What a row means is not known here: see
`evaluators.files.fields`.

Rows of a spreadsheet (.xlsx) and of a Parquet file, as their libraries read them.

Values come as JSON has them: dates and times as ISO 8601 texts, decimals as numbers. What a file
would unpack to is bounded before it is read.
"""

from __future__ import annotations

import csv
import datetime
import json
import math
import re
import warnings
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from evaluators.errors import UnreadableRecord
from evaluators.files.opening import file_name, open_bytes, open_text, unpacked_bytes

_BATCH = 200
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, ElementTree.ParseError, EOFError, OSError),
    *(KeyError, ValueError, TypeError, IndexError, AttributeError, NotImplementedError),
)

Cells = tuple[int, list[Any]]


def read_workbook(stream: IO[bytes], name: str) -> tuple[Iterator[Cells], list[str]]:
    """Numbered rows of the first sheet, all equally long, and what is to be said of them.

    Raises:
        UnreadableRecord: no workbook, or one that unpacks to too much.
    """
    import openpyxl

    _check_archive(stream, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of validations and styles, which are not read
            values = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            sheet = values.worksheets[0]
            sheet.reset_dimensions()
            rows = [(i, [_plain(cell) for cell in row]) for i, row in _numbered(sheet)]
            said = []
            if _has_formulas(stream):
                said += _without_value(openpyxl.load_workbook(stream, read_only=True), rows)
    except _BROKEN as error:
        reason = str(error) or type(error).__name__
        raise UnreadableRecord(
            f"{name}: not a whole .xlsx file ({reason}).", hint="Save it again, or as CSV."
        ) from None
    if len(values.sheetnames) > 1:
        said.append(f"the first of {len(values.sheetnames)} sheets is read, {sheet.title!r}.")
    width = max((len(cells) for _, cells in rows), default=0)
    return (
        ((i, cells + [None] * (width - len(cells))) for i, cells in rows),
        [f"{name}: {sentence}" for sentence in said],
    )


def _numbered(sheet: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if any(cell is not None for cell in row):
            yield number, row


def _check_archive(stream: IO[bytes], name: str) -> None:
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
    except _BROKEN as error:
        raise UnreadableRecord(f"{name}: not a whole .xlsx file ({error}).") from None
    allowed = unpacked_bytes(sum(entry.compress_size for entry in entries))
    if sum(entry.file_size for entry in entries) > allowed:
        raise UnreadableRecord(f"{name}: it unpacks to more than {allowed:,} bytes.")
    if not any(entry.filename == "xl/workbook.xml" for entry in entries):
        raise UnreadableRecord(
            f"{name}: a zip archive, and no .xlsx file.", hint="Unpack it and name the file in it."
        )
    stream.seek(0)


def _has_formulas(stream: IO[bytes]) -> bool:
    stream.seek(0)
    with zipfile.ZipFile(stream) as archive:
        sheets = [entry for entry in archive.namelist() if entry.startswith("xl/worksheets/")]
        return any(b"<f" in archive.read(entry) for entry in sheets)


def _without_value(workbook: Any, rows: list[Cells]) -> list[str]:
    """Cells that hold a formula which no spreadsheet has computed yet count as empty."""
    known = dict(rows)
    sheet = workbook.worksheets[0]
    sheet.reset_dimensions()
    lacking = 0
    for number, row in enumerate(sheet.iter_rows(), start=1):
        cells = known.get(number, [])
        for place, cell in enumerate(row):
            if cell.data_type == "f" and (place >= len(cells) or cells[place] is None):
                lacking += 1
    if not lacking:
        return []
    return [
        f"formulas without a stored value count as empty ({lacking} of them): "
        "open and save it in a spreadsheet."
    ]


def read_parquet(stream: IO[bytes], name: str) -> Iterator[dict[str, Any]]:
    """The rows in order.

    Raises:
        UnreadableRecord: no Parquet file, a value of bytes, or more than fits the bound.
    """
    import pyarrow.parquet as parquet

    total, allowed = 0, unpacked_bytes(stream.seek(0, 2))
    try:
        file = parquet.ParquetFile(stream)
        names = file.schema_arrow.names
        if len(set(names)) != len(names):
            raise UnreadableRecord(f"{name}: a column twice.", hint="Make the names unique.")
        for batch in file.iter_batches(batch_size=_BATCH):
            total += batch.nbytes
            if total > allowed:
                raise UnreadableRecord(f"{name}: it unpacks to more than {allowed:,} bytes.")
            for row in batch.to_pylist():
                yield {key: _plain(value) for key, value in row.items()}
    except UnreadableRecord:
        raise
    except (OSError, ValueError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise UnreadableRecord(
            f"{name}: not a whole .parquet file ({reason}).", hint="Write it again."
        ) from None


def _plain(value: Any) -> Any:
    """The value as JSON has it, nested ones too."""
    match value:
        case datetime.datetime() if value.time() == datetime.time() and value.tzinfo is None:
            return value.date().isoformat()
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime.timedelta():
            return str(value)
        case bytes():
            raise ValueError("a value of bytes, which is no text")
        case dict():
            return {str(key): _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case _:
            return value


MAX_ROW_BYTES = 8_000_000
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SAMPLE = 1 << 16
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab", ".xlsx", ".parquet", ".gz")
_JSON_ENDINGS = frozenset({".jsonl", ".ndjson", ".json"})
_CSV_ENDINGS = frozenset({".csv", ".tsv", ".tab"})
_REFUSED = (
    (b"\xd0\xcf\x11\xe0", "an old or a protected Excel file", "Save it as .xlsx or CSV."),
    (b"ARROW1", "an Arrow file", "Save it as .parquet."),
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
    """All rows of a file.

    Args:
        source: path, or `-` for standard input.
        max_row_bytes: longest row accepted, in bytes.

    Raises:
        UnreadableRecord: empty, no rows of a kind above, half a row, or an over-long one.
    """
    name = file_name(source)
    with open_bytes(source) as stream:
        head = stream.read(16)
        if not head:
            raise UnreadableRecord(f"{name}: the file is empty.", hint="Give it at least one row.")
        table = _read_content(stream, head, name, _ending(source), max_row_bytes)
    if not table.records:
        raise UnreadableRecord(
            f"{name}: there is no record in it.", hint="Give it at least one row."
        )
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
    if head.startswith(b"PAR1"):
        rows = [Record(i, row) for i, row in enumerate(read_parquet(stream, name), start=1)]
        return Table(name, _sized(rows, name, limit), _all_columns(rows))
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
