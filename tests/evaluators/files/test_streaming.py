"""Files read a piece at a time: the rows and the refusals that reading them whole has."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluators.errors import UnreadableRecord
from evaluators.files import readers
from evaluators.files.formats import arrays, columnar, opening
from evaluators.files.formats.arrays import each_element
from evaluators.files.readers import FileTable, read_table, read_table_lazily
from tests.depth import examples
from tests.evaluators.files.test_readers import arrow, parquet, write

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
SPACES = st.text("\n\t\r ", max_size=4)
ODD = st.sampled_from(
    [
        '"',
        "\\",
        ",",
        "]",
        "[",
        "{",
        "}",
        ":",
        "\\ud83d",
        "\\u12",
        "-",
        "1e",
        "1.",
        "tru",
        "NaN",
        "é",
    ]
)


def said_whole(text: str) -> tuple[str, Any]:
    """What `json.loads` says of a text that should be an array."""
    try:
        return "rows", json.loads(text)
    except (ValueError, RecursionError) as error:
        return "error", str(error)


def said_streamed(text: str) -> tuple[str, Any]:
    try:
        return "rows", [value for value, _ in each_element(io.StringIO(text))]
    except (ValueError, RecursionError) as error:
        return "error", str(error)


@given(st.lists(VALUES, max_size=8), st.data(), st.integers(1, 40))
@settings(max_examples=examples(150), deadline=None)
def test_an_array_in_pieces_is_the_array_and_its_faults_are_those_of_the_whole(
    values: list[Any], data: st.DataObject, piece: int
) -> None:
    parts = [json.dumps(value, ensure_ascii=data.draw(st.booleans())) for value in values]
    text = "".join(f"{data.draw(SPACES)}{part}{data.draw(SPACES)}," for part in parts)
    text = f"{data.draw(SPACES)}[{text[:-1]}]{data.draw(SPACES)}"
    for _ in range(data.draw(st.integers(0, 2))):  # cut, or with something put into it
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(ODD) + text[place + data.draw(st.integers(0, 2)) :]
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text)))]
    if not text.lstrip(" \t\n\r").startswith("["):
        return  # no array: read as something else
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(arrays, "PIECE", piece)
        assert said_streamed(text) == said_whole(text)


def found_in(read: Callable[[Path], FileTable], path: Path) -> Any:
    try:
        table = read(path)
        rows = [(record.row, dict(record.values)) for record in table.records]
        again = [(record.row, dict(record.values)) for record in table.records]
    except UnreadableRecord as error:
        return str(error)
    assert repr(rows) == repr(again)
    assert len(table.records) == len(rows)
    assert table.records[-1].row == rows[-1][0]
    return repr((rows, table.columns, table.notes, table.spelled, table.decimal_comma))


CELLS = st.text(st.sampled_from('ab,;\t|"\n\r é1 '), max_size=6)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252")


@given(
    st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(ENCODINGS),
    st.sampled_from(["", "sep=;\n", 'x,"', '\n"a', ",,,,,9"]),
)
@settings(
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_csv_read_lazily_says_what_it_says_whole(
    tmp_path: Path, rows: list[list[str]], delimiter: str, encoding: str, odd: str
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    content = odd + text.getvalue() if odd.startswith("sep") else text.getvalue() + odd
    path = write(tmp_path, "a.csv", content.encode(encoding))
    whole = found_in(read_table, path)
    assert found_in(read_table_lazily, path) == whole
    if isinstance(whole, str) and whole.startswith(str(path)):
        return
    if (delimiter, odd, encoding) != (",", "", "utf-8") or "separated by" in whole:
        return
    universal = content.replace("\r\n", "\n").replace("\r", "\n")
    read = [
        row for row in csv.reader(io.StringIO(universal, newline="")) if any(map(str.strip, row))
    ]
    assert len(read_table(path).records) == len(read) - 1
    table = read_table_lazily(path)
    named = [name.strip() for name in read[0]]
    for record, cells in zip(table.records, read[1:], strict=True):
        expected = dict(zip(named, cells, strict=False))
        assert all(record.values[name] == expected[name] for name in named if name)


ROWS: list[Mapping[str, Any]] = [{"id": str(i), "text": f"é {i}", "x": i / 2} for i in range(450)]
ARRAY = json.dumps(ROWS, indent=1)
TABLE = "id,text,x,\n" + "".join(f"{row['id']},{row['text']},{row['x']},\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", ARRAY),
        ("a.json", ARRAY[:-4]),
        ("a.json", ARRAY[:-1] + ',"x"]'),
        ("a.json", ARRAY.replace('"449"', '"\\ud83d"')),
        ("a.json", ARRAY.replace('"449"', '"' + "x" * 5000 + '"')),
        ("a.csv", TABLE),
        ("a.csv", TABLE + '1,"2'),
        ("a.csv", TABLE + "1\n"),
        ("a.csv", TABLE + "1,2,3,4,5\n"),
        ("a.csv", TABLE.encode() + b"1,\xff\x81,2\n"),
        ("a.csv", TABLE + "1," + "x" * 5000 + ",2\n"),
        ("a.parquet", parquet(ROWS)),
        ("a.parquet", parquet([*ROWS, {"id": "x" * 5000}])),
        ("a.arrow", arrow(ROWS)),
        ("a.arrow", arrow(ROWS)[:-900]),
    ],
)
def test_a_fault_at_the_end_is_found_before_the_first_row_is_given(
    tmp_path: Path, name: str, content: str | bytes
) -> None:
    path = write(tmp_path, name, content)
    limit = 4000
    whole = found_in(partial(read_table, max_row_bytes=limit), path)
    assert found_in(partial(read_table_lazily, max_row_bytes=limit), path) == whole
    if content not in (ARRAY, TABLE, parquet(ROWS), arrow(ROWS)):
        with pytest.raises(UnreadableRecord):
            read_table_lazily(path, max_row_bytes=limit)


def big(kind: str, n: int) -> bytes:
    rows = [{"id": f"e{i}", "prediction": f"say {i} " * 4, "tokens": i} for i in range(n)]
    if kind == "json":
        return json.dumps(rows).encode()
    if kind == "csv":
        lines = [",".join(map(str, row.values())) for row in rows]
        return "\n".join(["id,prediction,tokens", *lines]).encode()
    if kind == "arrow":
        return arrow(rows)
    return parquet(rows, use_dictionary=False, data_page_size=4096)  # a page is read whole


@pytest.mark.parametrize("kind", ["json", "csv", "parquet", "arrow"])
def test_the_memory_of_reading_does_not_grow_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(opening, "_CHUNK", 4096)  # what a file of any size takes is not measured
    monkeypatch.setattr(readers, "_SAMPLE", 4096)
    monkeypatch.setattr(arrays, "PIECE", 4096)
    monkeypatch.setattr(columnar, "_BUFFER", 4096)

    def peak(read: Callable[[Path], FileTable], n: int) -> int:
        path = write(tmp_path, f"{n}.{kind}", big(kind, n))
        tracemalloc.start()
        try:
            assert sum(1 for _ in read(path).records) == n
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(read_table_lazily, 10)  # what is imported once
    few, many = peak(read_table_lazily, 400), peak(read_table_lazily, 2_000)
    assert many < 1.3 * few
    assert many < peak(read_table, 2_000) / 4


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": 2}\n', b'{"a": 1}\n'),
        ("a.jsonl", b'{"a": 1}\n', b'{"a": 1}\n{"a": 2}\n'),
        ("a.csv", b"a,b\n1,2\n", b"a,b\n1,\xff\n"),
    ],
)
def test_a_file_that_changes_while_it_is_read_is_refused(
    name: str, before: bytes, after: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(before)
    table = read_table_lazily(path)
    path.write_bytes(after)
    with pytest.raises(UnreadableRecord, match="changed while it was read"):
        list(table.records)


@pytest.mark.parametrize("read", [read_table, read_table_lazily])
def test_a_blank_column_without_a_name_takes_no_other_ones(
    read: Callable[[Path], FileTable], tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"column 2,\nx,\n")
    table = read(path)
    assert [dict(record.values) for record in table.records] == [{"column 2": "x"}]
    assert table.columns == ("column 2",)
