"""The one reader of every source of rows: JSON lines, a JSON array, CSV, .xlsx, .parquet, .arrow,
and folders of the last two (`evaluators.files.formats.folders`).

What a file is follows from its first bytes, and for texts from the ending of its name in any case
(`.csv` and `.tsv`, `.jsonl` and `.json`), also before `.gz`; a text of another name, or standard
input, is JSON when it begins with `{` or `[`, else CSV. Cells of CSV are separated by commas,
semicolons, tabs or bars, whichever fits. A bad file gets one line that names file, row and remedy,
never half a result; a guess is noted in the table. What a row means is not known here: see
`evaluators.files.fields`.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

from evaluators.errors import UnreadableRecord
from evaluators.files.formats.arrays import each_element
from evaluators.files.formats.cells import (
    DELIMITERS,
    csv_rows,
    fitted,
    fitting_delimiter,
    is_blank,
    stated_delimiter,
)
from evaluators.files.formats.columnar import (
    ARROW_FILE,
    ARROW_STREAM,
    PARQUET,
    Rows,
    read_arrow,
    read_parquet,
)
from evaluators.files.formats.folders import FolderPart, only_part
from evaluators.files.formats.opening import STDIN, file_name, open_bytes, open_text, over_long
from evaluators.files.formats.workbooks import Cells, read_workbook

MAX_ROW_BYTES = 8_000_000
_SAMPLE = 1 << 16
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
ENDINGS = (
    ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab", ".xlsx", ".parquet", ".arrow", ".gz",
)  # fmt: skip
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
class FileTable:
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
    def of_rows(cls, name: str, rows: Iterable[Mapping[str, Any]]) -> FileTable:
        """Rows that are there already, such as those of a request."""
        records = [Record(number, row) for number, row in enumerate(rows, start=1)]
        return cls(name, records, _surveyed(records, frozenset())[1])


def read_table(source: str | Path, *, max_row_bytes: int = MAX_ROW_BYTES) -> FileTable:
    """All rows of a file or of a folder of one part.

    Args:
        source: path, or `-` for standard input.
        max_row_bytes: longest row accepted, in bytes.

    Raises:
        UnreadableRecord: empty, no rows of a kind above, half a row, or an over-long one; a folder
            of several splits. Of several faults the first in the file is named.
    """
    return read_part(only_part(source), max_row_bytes=max_row_bytes)


def read_table_lazily(source: str | Path, *, max_row_bytes: int = MAX_ROW_BYTES) -> FileTable:
    """As `read_table`; the rows are not held in memory, but read at each use.

    They are read once to begin with, so that what `read_table` refuses is refused here. Only a
    workbook and standard input are held, unpacked.
    """
    return read_part(only_part(source), max_row_bytes=max_row_bytes, lazily=True)


def read_part(
    part: FolderPart, *, max_row_bytes: int = MAX_ROW_BYTES, lazily: bool = False
) -> FileTable:
    """All rows of a part of a source, as `read_table` or `read_table_lazily`."""
    source = _shards(part, max_row_bytes) if part.files else _file(part.name, max_row_bytes)
    held = None if lazily else list(source.each())
    each = source.each if held is None else held.__iter__
    count, columns, blank = _surveyed(each(), source.optional)
    if not count:
        raise UnreadableRecord(
            f"{source.name}: there is no record in it.", hint="Give it at least one row."
        )
    if blank:
        each = partial(_without, each, blank)
    if held is None:
        records: Sequence[Record] = FileRecords(source.name, each, count)
    else:
        records = list(each()) if blank else held
    return FileTable(
        source.name, records, columns, tuple(source.notes), source.spelled, source.decimal_comma
    )


class FileRecords(Sequence[Record]):
    """The rows of a file, read anew whenever they are asked for, and never kept.

    Raises:
        UnreadableRecord: when read, the file has more or fewer rows than when they were counted.
    """

    def __init__(self, name: str, each: Callable[[], Iterator[Record]], count: int) -> None:
        self._name, self._each, self._count = name, each, count

    def __iter__(self) -> Iterator[Record]:
        read = 0
        try:
            for record in self._each():
                read += 1
                yield record
        except UnicodeDecodeError:
            read = -1  # its encoding was found in all of it
        if read != self._count:
            raise UnreadableRecord(
                f"{self._name}: the file was changed while it was read.", hint="Read it again."
            )

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return list(self)[place]
        return next(islice(self, range(len(self))[place], None))


Opener = Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True, slots=True)
class _KnownFile:
    """A file whose kind is known.

    Attributes:
        each: reads the rows from the first on, as often as it is called.
        optional: columns without a name, which count only where a text stands in one of them.
    """

    name: str
    each: Callable[[], Iterator[Record]]
    notes: Sequence[str] = ()
    spelled: bool = False
    decimal_comma: bool = False
    optional: frozenset[str] = frozenset()


def _surveyed(
    records: Iterable[Record], optional: frozenset[str]
) -> tuple[int, tuple[str, ...], set[str]]:
    """How many records there are, their columns in order of appearance, and which of `optional` are
    blank, and are no columns."""
    count, found, blank = 0, dict[str, None](), set(optional)
    for record in records:
        count += 1
        if not found.keys() >= record.values.keys():
            found.update(dict.fromkeys(record.values))
        if blank:
            blank -= {column for column in blank if not is_blank([record.values[column]])}
    return count, tuple(column for column in found if column not in blank), blank


def _without(each: Callable[[], Iterable[Record]], columns: Collection[str]) -> Iterator[Record]:
    """The records without some columns."""
    for record in each():
        values = {key: value for key, value in record.values.items() if key not in columns}
        yield Record(record.row, values)


def _opener(source: str) -> Opener:
    """Opens a source as often as one wishes; of standard input the content is kept."""
    if source != STDIN:
        return partial(open_bytes, source)
    with open_bytes(source) as stream:
        content = stream.read()
    return lambda: nullcontext(io.BytesIO(content))


def _file(source: str, limit: int) -> _KnownFile:
    name, opened = file_name(source), _opener(source)
    with opened() as stream:
        head = stream.read(16)
        if not head:
            raise UnreadableRecord(f"{name}: the file is empty.", hint="Give it at least one row.")
        for mark, what, remedy in _REFUSED:
            if head.startswith(mark):
                raise UnreadableRecord(f"{name}: this is {what}.", hint=remedy)
        stream.seek(0)
        if head.startswith(b"PK\x03\x04"):
            rows, said = read_workbook(stream, name)
            return _of_cells(name, list(rows).__iter__, said, limit=limit)
        if read := _columnar(head):
            return _KnownFile(name, partial(_numbered, [(opened, name, read)], name, limit))
        said = []
        with open_text(stream, name, said) as text:
            encoding, begin = text.encoding, text.read(_SAMPLE)
    return _text(_ReopenedText(name, opened, encoding, limit), begin, _ending(source), said)


def _shards(part: FolderPart, limit: int) -> _KnownFile:
    """The rows of all files, numbered through."""
    files = []
    for file in part.files:
        with open_bytes(file) as stream:
            if (read := _columnar(stream.read(16))) is None:
                raise UnreadableRecord(
                    f"{file}: neither a .parquet nor an .arrow file.", hint="Write it again."
                )
        files.append((_opener(str(file)), str(file), read))
    return _KnownFile(part.name, partial(_numbered, files, part.name, limit))


def _columnar(head: bytes) -> Callable[[IO[bytes], str], Rows] | None:
    """What reads the rows of a file that begins so; None: it has no columns."""
    if head.startswith(PARQUET):
        return read_parquet
    return read_arrow if head.startswith((ARROW_FILE, ARROW_STREAM)) else None


def _numbered(
    files: Sequence[tuple[Opener, str, Callable[[IO[bytes], str], Rows]]], name: str, limit: int
) -> Iterator[Record]:
    """The rows of files that have columns, as records numbered from 1."""
    count = itertools.count(1)
    for opened, file, read in files:
        with opened() as stream:
            for row in read(stream, file):
                yield _sized(Record(next(count), row), name, limit)


def _ending(source: str | Path) -> str:
    return Path(str(source).lower().removesuffix(".gz")).suffix


@dataclass(frozen=True, slots=True)
class _ReopenedText:
    """A text that can be opened as often as one wishes; its encoding was found once."""

    name: str
    opened: Opener
    encoding: str
    limit: int

    def each(self, read: Callable[[IO[str], str, int], Iterator[Record]]) -> Iterator[Record]:
        """The records that `read` finds in it, from the first on."""
        with self.lines() as text:
            yield from read(text, self.name, self.limit)

    @contextmanager
    def lines(self) -> Iterator[IO[str]]:
        """The text from its begin; every line end is `\\n`."""
        with self.opened() as stream:
            text = io.TextIOWrapper(stream, encoding=self.encoding)
            try:
                yield text
            finally:
                text.detach()


def _text(text: _ReopenedText, begin: str, ending: str, said: list[str]) -> _KnownFile:
    begin, first = begin.lstrip(), begin.lstrip()[:1]
    named_csv = ending in _CSV_ENDINGS and not begin.startswith(('{"', "[{"))
    if named_csv or (ending not in _JSON_ENDINGS and first not in ("{", "[")):
        return _read_csv(text, begin, ending, said)
    read = _read_array if first == "[" else _read_lines
    return _KnownFile(text.name, partial(text.each, read), said)


def _numbered_lines(text: IO[str], name: str, limit: int) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1."""
    number = 0
    while line := text.readline(limit + 2):
        number += 1
        if len(line) > limit // 4 and len(line.encode()) > limit + 1:
            raise over_long(name, number, limit)
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
    elements = enumerate(each_element(text), start=1)
    while True:
        try:
            number, (row, written) = next(elements)
        except StopIteration:
            return
        except (ValueError, RecursionError) as error:
            raise UnreadableRecord(
                f"{name}: not a whole JSON array ({error}).",
                hint="Is a comma too many, or the file cut short?",
            ) from None
        halves = bool(_SURROGATE.search(written))
        yield _sized(_json_record(row, number, name, halves=halves), name, limit)


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


def _sized(record: Record, name: str, limit: int) -> Record:
    """The record, unless its texts are longer than the limit together."""
    texts = [value for value in record.values.values() if isinstance(value, str)]
    if sum(map(len, texts)) > limit // 4 and sum(len(text.encode()) for text in texts) > limit:
        raise over_long(name, record.row, limit)
    return record


# CSV and cells of sheets


def _read_csv(text: _ReopenedText, begin: str, ending: str, said: list[str]) -> _KnownFile:
    stated = stated_delimiter(begin)
    delimiter = stated or fitting_delimiter(begin, "\t" if ending in (".tsv", ".tab") else ",")
    if delimiter != ",":
        said.append(f"{text.name}: cells are separated by {DELIMITERS.get(delimiter, delimiter)}.")

    def rows() -> Iterator[Cells]:
        with text.lines() as opened:
            lines = (line for _, line in _numbered_lines(opened, text.name, text.limit))
            yield from csv_rows(
                islice(lines, stated is not None, None), delimiter, text.name, text.limit
            )

    return _of_cells(text.name, rows, said, limit=text.limit, comma=delimiter != ",")


def _of_cells(
    name: str,
    rows: Callable[[], Iterator[Cells]],
    said: Sequence[str],
    *,
    limit: int,
    comma: bool = False,
) -> _KnownFile:
    """Cells under a header as records; empty rows are none."""
    number, header = next(((n, cells) for n, cells in rows() if not is_blank(cells)), (1, []))
    names = ["" if cell is None else str(cell).strip() for cell in header]
    named = [name for name in names if name]
    if twice := [name for name in dict.fromkeys(named) if named.count(name) > 1]:
        raise UnreadableRecord(
            f"{name}: row {number}: a column twice, {twice[0]!r}.",
            hint="Make the header's names unique.",
        )
    needed = max((place for place, name in enumerate(names, start=1) if name), default=0)
    columns = [column or _free_name(place, named) for place, column in enumerate(names, start=1)]

    def each() -> Iterator[Record]:
        for row, cells in rows():
            if row > number and not is_blank(cells):
                cells = fitted(cells, needed, len(names), row, name)
                yield _sized(Record(row, dict(zip(columns, cells, strict=True))), name, limit)

    optional = frozenset(column for column, name in zip(columns, names, strict=True) if not name)
    return _KnownFile(name, each, said, spelled=True, decimal_comma=comma, optional=optional)


def _free_name(place: int, named: Collection[str]) -> str:
    """What a column without a name is called; no other column of the header is."""
    name = f"column {place}"
    while name in named:
        name += " without a name"
    return name


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
