"""The one reader: the same rows from every kind of file, and the one line of each bad one."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import os
import stat
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluators.errors import UnreadableRecord
from evaluators.files.formats.folders import parts_of
from evaluators.files.readers import Record, read_part, read_table, read_table_lazily
from tests.depth import examples

ROWS = [{"id": "1", "text": "Größe, 39,90 €"}, {"id": "2", "text": 'said "x"\nand; went'}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
CSV = 'id,text\n1,"Größe, 39,90 €"\n2,"said ""x""\nand; went"\n'
SEMICOLONS = CSV.replace("id,text", "id;text").replace("1,", "1;", 1).replace("\n2,", "\n2;")
TABS = SEMICOLONS.replace("id;", "id\t").replace("1;", "1\t").replace("\n2;", "\n2\t")


def workbook(*rows: list[Any], sheets: int = 1) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for _ in range(sheets - 1):
        book.create_sheet()
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def parquet(rows: Sequence[Mapping[str, Any]], **options: Any) -> bytes:
    import pyarrow
    import pyarrow.parquet

    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), stream, **options)
    return stream.getvalue()


def arrow(rows: Sequence[Mapping[str, Any]], *, stream: bool = True) -> bytes:
    import pyarrow.ipc

    table, sink = pyarrow.Table.from_pylist(rows), io.BytesIO()
    write = pyarrow.ipc.new_stream if stream else pyarrow.ipc.new_file
    with write(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=200)  # as `datasets` writes batches of 1,000
    return sink.getvalue()


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


SHEET = workbook(["id", "text"], *([row["id"], row["text"]] for row in ROWS))
COMMAS, SEMIS, TABBED = "", "separated by semicolons", "separated by tabs"
BARS = "separated by bars"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", LINES, ""),
        ("a.JSONL", LINES, ""),
        ("a.json", LINES, ""),
        ("a.txt", LINES, ""),
        ("a.json", json.dumps(ROWS), ""),
        ("a.jsonl", json.dumps(ROWS, indent=1), ""),
        ("a.jsonl", LINES.encode("utf-8-sig"), ""),
        ("a.jsonl", LINES.encode("utf-16"), ""),
        ("a.jsonl", LINES.encode("utf-32"), ""),
        ("a.jsonl", LINES.encode("utf-16-le"), "read as UTF-16, a guess"),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0), ""),
        ("a.jsonl", gzip.compress(LINES.encode(), mtime=0), ""),
        ("a.csv", CSV, COMMAS),
        ("a.CSV", CSV.encode("utf-8-sig"), COMMAS),
        ("a.csv", CSV.replace("\n", "\r\n"), COMMAS),
        ("a", CSV, COMMAS),
        ("a.csv", CSV.encode("cp1252"), "Windows-1252, a guess"),
        ("a.csv", CSV.encode("utf-16-be"), "read as UTF-16, a guess"),
        ("a.csv.gz", gzip.compress(CSV.encode("cp1252"), mtime=0), "Windows-1252"),
        ("a.CSV.GZ", gzip.compress(SEMICOLONS.encode(), mtime=0), SEMIS),
        ("a.csv", SEMICOLONS, SEMIS),
        ("a.csv", "sep=;\n" + SEMICOLONS, SEMIS),
        ("a.tsv", TABS, TABBED),
        ("a.txt", TABS, TABBED),
        ("a.csv", TABS.replace("\t", "|"), BARS),
        ("a.tsv", CSV, COMMAS),
        (
            "a.csv",
            " id , text ,,\n" + CSV[8:].replace('€"', '€",,').replace('went"', 'went",,'),
            "",
        ),
        ("a.csv", "\n,\n" + CSV + ",\n\n", COMMAS),
        ("a.xlsx", SHEET, ""),
        ("a.XLSX", SHEET, ""),
        ("a.csv", SHEET, ""),
        ("a.parquet", parquet(ROWS), ""),
        ("a.pq", parquet(ROWS), ""),
        ("a.arrow", arrow(ROWS), ""),
        ("a.feather", arrow(ROWS, stream=False), ""),
    ],
)
def test_that_every_kind_of_file_gives_the_same_rows(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    table = read_table(write(tmp_path, name, content))
    assert [dict(record.values) for record in table.records] == ROWS
    assert table.columns == ("id", "text")
    assert said in " ".join(table.notes)
    assert bool(table.notes) == bool(said)
    assert table.decimal_comma == (said in (SEMIS, TABBED, BARS) and bool(said))


def test_that_values_of_sheets_and_of_parquet_are_as_json_has_them(tmp_path: Path) -> None:
    day, time = datetime.datetime(2026, 5, 3), datetime.datetime(2026, 5, 3, 10, 30)
    sheet = workbook(
        [None, None],
        ["n", "on", "at", "ok", "x", None],
        [],
        [3, day, time, True, 1.5],
        [None, None, None, None, "#N/A"],
    )
    expected = {"n": 3, "on": "2026-05-03", "at": "2026-05-03T10:30:00", "ok": True, "x": 1.5}
    table = read_table(write(tmp_path, "a.xlsx", sheet))
    assert dict(table.records[0].values) == expected
    assert [record.row for record in table.records] == [4, 5]
    rows = [{"when": time, "many": ["a", "b"], "x": float("nan"), "in": {"a": [day]}}]
    [record] = read_table(write(tmp_path, "a.parquet", parquet(rows))).records
    assert record.values["when"] == "2026-05-03T10:30:00"
    assert (record.values["many"], record.values["in"]) == (["a", "b"], {"a": ["2026-05-03"]})


def test_that_a_formula_without_a_value_and_a_second_sheet_are_said(tmp_path: Path) -> None:
    path = write(tmp_path, "a.xlsx", workbook(["a", "b"], [1, "=A2+1"], sheets=2))
    table = read_table(path)
    assert table.records == [Record(2, {"a": 1, "b": None})]
    assert "formulas without a stored value count as empty (1 of them)" in table.notes[0]
    assert "the first of 2 sheets" in table.notes[1]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("id;text, raw, as it is;x\n1;a;b\n2;c, d;e\n", ("id", "text, raw, as it is", "x")),
        ("id,text\n1,a;b;c\n2,d;e;f\n", ("id", "text")),
        ("id,text\n1,a\tb\tc\n", ("id", "text")),
        ('"id";"te,xt"\n"1";"a\n;b,c"\n', ("id", "te,xt")),
        ("text\na;b\nc;d\n", ("text",)),
    ],
)
def test_that_the_separator_is_the_one_that_fits_the_rows(
    tmp_path: Path, content: str, columns: tuple[str, ...]
) -> None:
    assert read_table(write(tmp_path, "a.csv", content)).columns == columns


def test_that_a_column_without_a_name_keeps_its_cells(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", ",id\n0,a\n1,b\n"))
    assert table.columns == ("column 1", "id")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "", "empty"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "empty"),
        ("a.csv", "id,text\n", "no record"),
        ("a.csv", "\ufeff", "no record"),
        ("a.json", "[]", "no record"),
        ("a.xlsx", workbook(["id", "text"]), "no record"),
        ("a.parquet", parquet(ROWS[:0]), "no record"),
        ("a.json", '[{"id": 1},]', "not a whole JSON array"),
        ("a.json", '[{"id": 1}', "not a whole JSON array"),
        ("a.json", "[[1]]", "row 1: a list, not an object"),
        ("a.json", "[1, 2]", "row 1: a number, not an object"),
        ("a.json", '[{"a": 1}, null]', "row 2: null, not an object"),
        ("a.json", '{\n"id": 1\n}', "row 1: not a whole JSON object"),
        ("a.jsonl", "[" * 100_000, "not a whole JSON array"),
        ("a.jsonl", '{"a":' * 100_000, "not a whole JSON object"),
        ("a.jsonl", '{"a": ' + "9" * 5000 + "}", "not a whole JSON object"),
        ("a.jsonl", '{"a": "b"}\n{"a": "\\ud83d"}', "row 2: 'a' holds half a character"),
        ("a.json", '[{"a": {"b": ["\\uDE00"]}}]', "row 1: 'a' holds half a character"),
        ("a.csv", "id,text,id\n1,a,2\n", "row 1: a column twice, 'id'"),
        ("a.csv", "id;text\n1;a;b\n", "row 2: 3 cells under 2 columns"),
        ("a.csv", "id,text,x\n1,a\n", "2 cells under 3 columns. Add the cells that lack"),
        ("a.csv", "id\n1,a\n", "2 cells under 1 columns. Quote cells"),
        ("a.csv", "id,text\n1,a\0b\n", "holds NUL bytes"),
        ("a.csv", b"\0\1\2\3\4", "holds NUL bytes"),
        ("a.csv", 'id,text\n1,"a\n', "not CSV"),
        ("a.csv", "é,text\n".encode() + b"1,\xe9\n", "row 2: not UTF-8 (byte 3"),
        ("a.csv", b"id,text\n1,\x81\n", "row 2: not UTF-8"),
        ("a.csv", b"\x00\x01\x00\x00\xff\xfe", "not UTF-8"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "an old or a protected Excel file"),
        ("a.xlsx", b"PK\x03\x04 cut", "not a whole .xlsx file"),
        ("a.parquet", b"PAR1 cut", "not a whole .parquet file"),
        ("a.parquet", parquet([{"a": b"x"}]), "a value of bytes"),
        ("a.arrow", arrow(ROWS)[:-40], "not a whole .arrow file"),
        ("a.arrow", b"ARROW1 cut", "not a whole .arrow file"),
        ("a.arrow", b"\xff" * 16, "not a whole .arrow file"),
        ("a.csv.bz2", b"BZh91AY", "packed by bzip2"),
        ("a.pdf", b"%PDF-1.7", "a PDF"),
        ("a.gz", b"\x1f\x8b\x08", "not a whole gzip file"),
    ],
)
def test_that_a_bad_file_gets_one_line(
    tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(UnreadableRecord) as caught:
        read_table(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_that_what_may_never_end_is_not_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.jsonl"
    os.mkfifo(fifo)
    for path in (fifo, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(UnreadableRecord, match="a pipe or a device"):
            read_table(path)
    with pytest.raises(UnreadableRecord, match="this is a folder"):
        read_table(tmp_path)
    with pytest.raises(UnreadableRecord, match="cannot be opened"):
        read_table("a" * 300)
    with pytest.raises(UnreadableRecord, match="cannot be opened"):
        read_table("a\x00b")
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@pytest.mark.parametrize("row", [b"\n", b"{}\n", b" "])
def test_that_a_gzip_bomb_is_refused_early(tmp_path: Path, row: bytes) -> None:
    path = write(tmp_path, "a.jsonl.gz", gzip.compress(row * (40_000_000 // len(row)), mtime=0))
    with pytest.raises(UnreadableRecord, match=r"unpacks to more than|longer than"):
        read_table(path)


def test_that_packed_tables_are_bounded_too(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 40_000_000)
    alike = parquet([{"id": 1, "text": "x" * 1000}] * 40_000)
    assert len(stream.getvalue()) + len(alike) < 200_000
    for name, content in (("a.xlsx", stream.getvalue()), ("a.parquet", alike)):
        with pytest.raises(UnreadableRecord, match="unpacks to more than 32,000,000 bytes"):
            read_table(write(tmp_path, name, content))


@given(
    st.binary(max_size=200),
    st.sampled_from(
        [
            *(b"", b"PK\x03\x04", b"PAR1", b"\xff\xfe", b"id;a\n", b"[{", b"\x1f\x8b"),
            *(b"ARROW1", b"\xff\xff\xff\xff", b"\xff\xff\xff\xff\x10\x00\x00\x00"),
        ]
    ),
    st.sampled_from(["a.jsonl", "a.csv", "a.xlsx", "a.parquet", "a.tsv", "a", "a.json.gz"]),
)
@settings(
    max_examples=examples(300),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_that_any_bytes_are_read_or_refused(
    tmp_path: Path, content: bytes, begin: bytes, name: str
) -> None:
    with suppress(UnreadableRecord):
        read_table(write(tmp_path, name, begin + content))


def shards(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(parquet([{"id": str(number), "text": name}]))
    return folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["b.parquet", "a.parquet"], {None: ["1", "0"]}),
        (["part-00000-of-00002.parquet", "part-00001-of-00002.parquet"], {None: ["0", "1"]}),
        (
            ["data/test-00000-of-00001.parquet", "data/train-00000-of-00001-9f3c.parquet"],
            {"test": ["0"], "train": ["1"]},
        ),
        (["train/0000.parquet", "train/0001.parquet", "dev/0000.parquet"], {"dev": ["2"]}),
        (["train.parquet", "test_sft.parquet"], {"train": ["0"], "test_sft": ["1"]}),
    ],
)
def test_that_shards_of_parquet_are_tables_one_a_split(
    tmp_path: Path, names: list[str], expected: dict[str | None, list[str]]
) -> None:
    found = {part.split: read_part(part) for part in parts_of(shards(tmp_path, *names))}
    ids = {split: [r.values["id"] for r in table.records] for split, table in found.items()}
    assert expected.items() <= ids.items()
    assert all(
        [record.row for record in table.records] == list(range(1, len(table.records) + 1))
        for table in found.values()
    )


def test_that_a_dataset_saved_to_disk_is_read_with_the_names_of_its_labels(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["card", "loan"])}
    )
    texts, labels = ["a", "b", "c"], [1, 0, -1]
    rows = datasets.Dataset.from_dict({"text": texts, "label": labels}, features=features)
    rows.save_to_disk(str(tmp_path / "one"), num_shards=2)
    datasets.DatasetDict({"train": rows, "dev": rows}).save_to_disk(str(tmp_path / "both"))
    expected = [("a", "loan"), ("b", "card"), ("c", None)]

    def pairs(table: Any) -> list[Any]:
        return [(r.values["text"], r.values["label"]) for r in table.records]

    assert pairs(read_table(tmp_path / "one")) == expected
    assert pairs(read_table(tmp_path / "both" / "train")) == expected
    assert [(part.split, pairs(read_part(part))) for part in parts_of(tmp_path / "both")] == [
        ("train", expected),
        ("dev", expected),
    ]
    with pytest.raises(UnreadableRecord, match="a folder of several splits: train, dev"):
        read_table(tmp_path / "both")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"notes.txt": b"x"}, "a folder in which no rows lie"),
        ({"state.json": b"[]"}, "state.json: it does not list '_data_files'"),
        ({"dataset_dict.json": b'{"splits": "train"}'}, "does not list 'splits'"),
        ({"dataset_dict.json": b'{"splits": ["../x"]}'}, "names a file '../x', which is none of"),
        ({"dataset_dict.json": b'{"splits": [".."]}'}, "names a file '..', which is none of"),
        ({"dataset_dict.json": rb'{"splits": ["a\u0000b"]}'}, "which is none of"),
        ({"dataset_dict.json": b'{"splits": ["train"]}'}, "train/state.json: there is no such"),
        ({"state.json": b'{"_data_files": []}'}, "no record in it"),
        ({"state.json": b'{"_data_files": [{"filename": "/etc/passwd"}]}'}, "none of its own"),
        ({"state.json": b'{"_data_files": [{"filename": "a.arrow"}]}'}, "a.arrow: there is no"),
        (
            {"state.json": b'{"_data_files": [{"filename": "a"}]}', "a": b'{"text": "x"}'},
            "a: neither a .parquet nor an .arrow file",
        ),
        ({"a.parquet": parquet(ROWS), "b.parquet": b"PAR1 cut"}, "b.parquet: not a whole .parq"),
    ],
)
def test_that_a_bad_folder_gets_one_line(
    tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    for name, content in files.items():
        write(tmp_path, name, content)
    with pytest.raises(UnreadableRecord) as caught:
        read_table(tmp_path)
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lines_that_are_read_lazily_say_what_was_guessed_of_them(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes('{"id": "1", "prediction": "Grüße"}\n'.encode("cp1252"))
    lazily, whole = read_table_lazily(file), read_table(file)
    assert lazily.notes == whole.notes
    assert "Windows-1252, a guess" in lazily.notes[0]
    assert [one.values for one in lazily.records] == [one.values for one in whole.records]
