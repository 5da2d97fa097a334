"""`strop dataset import`: what is refused gets one line, exit code 1, and stores nothing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from backend.cli import main
from backend.db import connect
from backend.services.datasets.versions import get_dataset_version, list_examples, split_counts
from backend.services.projects import create_project, get_project
from backend.settings import Settings
from backend.tables.datasets import Dataset, Example

GOOD = '{"id": "a", "input": "x", "reference": "y"}\n'


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    monkeypatch.setenv("STROP_MAX_ROW_BYTES", "100000")
    with connect(settings).begin() as session:
        create_project(session, "desk", base_model="tiny")
    return settings


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["dataset", *arguments])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jsonl", b"", "the file is empty"),
        ("blank.jsonl", b"\n \n", "no record"),
        ("cut.jsonl", GOOD.encode() + '{"id": "é"}'.encode() + b"\xc3", "row 2: not UTF-8"),
        ("half.jsonl", GOOD.encode() + b'{"id": "b", "inp', "row 2: not a whole JSON object"),
        ("list.jsonl", b"[1]\n", "row 1: a number, not an object"),
        ("columns.csv", b"text,label\nhello,1\n", "row 2: neither input nor context"),
        ("short.csv", b"id,input,reference\na,b\n", "row 2: 2 cells under 3 columns"),
        ("twice.csv", b"id,id,input\na,b,c\n", "row 1: a column twice"),
        ("quote.csv", b'id,input,reference\na,"b,c\n', "not CSV"),
        ("twin.jsonl", GOOD.encode() * 2, "example 2 has the id 'a' of example 1"),
        ("bare.jsonl", b'{"id": "a", "input": "x"}\n', "row 1: no reference"),
        ("nul.jsonl", b'{"id": "a", "input": "x\\u0000", "reference": "y"}\n', "NUL"),
        ("surrogate.jsonl", b'{"id": "a", "input": "\\ud800", "reference": "y"}', "surrogate"),
        (
            "object.jsonl",
            b'{"id": "a", "input": {"a": 1}, "reference": "y"}',
            "'input' is not text",
        ),
        ("long.jsonl", b'{"id": "a", "input": "' + b"x" * 100_000, "longer than 100,000 bytes"),
        ("long.csv", b"id,input,reference\na," + b"x" * 100_001, "longer than 100,000 bytes"),
        ("cut.jsonl.gz", gzip.compress(GOOD.encode(), mtime=0)[:-9], "not a whole gzip file"),
        ("plain.jsonl.gz", GOOD.encode(), "not a whole gzip file"),
    ],
)
def test_bad_file_gets_one_line_and_stores_nothing(
    home: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes,
    message: str,
) -> None:
    (tmp_path / name).write_bytes(content)
    assert _run("import", str(tmp_path / name)) == 1
    said = capsys.readouterr().err
    assert message in said
    assert name in said
    [line] = [line for line in said.splitlines() if not line.startswith("note: ")]
    assert line.startswith("error: ")
    with connect(home)() as session:
        assert session.scalar(select(func.count()).select_from(Example)) == 0
        assert session.scalar(select(func.count()).select_from(Dataset)) == 0


def _with_bom(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.encode()


def _mixed_ends(text: str) -> bytes:
    lines = text.encode().split(b"\n")
    return b"".join(
        line + end for line, end in zip(lines, [b"\r\n", b"\n", b"\r", b"\n"], strict=False)
    )


@pytest.mark.parametrize("encode", [str.encode, _with_bom, _mixed_ends])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.jsonl", "\n".join(GOOD.strip().replace('"a"', f'"{i}"') for i in "abc") + "\n"),
        ("d.csv", "id,input,reference\na,x,y\nb,x,y\nc,x,y\n"),
    ],
)
def test_byte_order_mark_and_mixed_line_ends_are_read(
    home: Settings, tmp_path: Path, name: str, text: str, encode: Callable[[str], bytes]
) -> None:
    (tmp_path / name).write_bytes(encode(text))
    assert _run("import", str(tmp_path / name)) == 0
    with connect(home)() as session:
        version = get_dataset_version(session, get_project(session).id, "d")
        ids = [e.external_id for e in list_examples(session, version.id)]
    assert ids == ["a", "b", "c"]


def test_csv_cells_keep_their_line_breaks_and_empty_rows_are_no_records(
    home: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "d.csv"
    file.write_bytes(b'id,input,reference\r\na,"x\r\n\r\nz",y\r\n\r\n,,\r\nb,w,y\r\n')
    assert _run("import", str(file)) == 0
    with connect(home)() as session:
        version = get_dataset_version(session, get_project(session).id, "d")
        inputs = [e.input for e in list_examples(session, version.id)]
    assert inputs == ["x\n\nz", "w"]


@pytest.mark.parametrize(
    ("folder", "files", "options", "expected"),
    [
        (
            "banking77",
            {"train": "train.csv", "test": "test.csv"},
            ["--map", "input=text", "--map", "reference=category", "--drop-leaks"],
            {"train": 10_003, "test": 3_080},
        ),
        (
            "mts_dialog",
            {"train": "train.csv", "validation": "validation.csv", "test": "test.csv"},
            [
                *("--map", "context=dialogue", "--map", "reference=section_text"),
                *("--map", "group=section_header", "--slice", "section_header"),
                *("--instruction", "Write this section of the note.", "--drop-leaks"),
            ],
            {"train": 1_201, "validation": 100, "test": 200},
        ),
    ],
)
def test_public_data_comes_in(
    home: Settings,
    public_data: Path,
    folder: str,
    files: dict[str, str],
    options: list[str],
    expected: dict[str, int],
) -> None:
    paths = [f"{split}={public_data / folder / name}" for split, name in files.items()]
    assert _run("import", *paths, "--name", "d", *options) == 0
    with connect(home)() as session:
        version = get_dataset_version(session, get_project(session).id, "d")
        counts = {s: n for s, (n, _) in split_counts(session, version.id).items()}
    dropped = len(version.split_recipe.get("dropped_as_leaks", []))
    assert counts | {"train": counts["train"] + dropped} == expected


def write_many(folder: Path, n: int, **fields: str) -> str:
    """A file of `n` examples, two to a group."""
    rows = [
        {"id": str(i), "input": f"ticket {i * 7919}", "reference": "y", "group": f"g{i // 2}"}
        for i in range(n)
    ]
    file = folder / "many.jsonl"
    file.write_text("\n".join(json.dumps(row | fields) for row in rows), encoding="utf-8")
    return str(file)


def test_shares_are_told_before_the_split_is_frozen_and_kept_by_it(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_many(tmp_path, 200)
    told = "train 120, validation 20, test 60."
    shown = "With 60 test examples a rate has an interval of about ±0.12; ±0.17 if each of the 30"
    assert _run("check", file, "--shares", "60/10/30") == 0
    before = capsys.readouterr().out
    assert told in before
    assert shown in before
    with connect(home)() as session:
        assert session.scalar(select(func.count()).select_from(Dataset)) == 0
    assert _run("import", file, "--shares", "60/10/30") == 0
    after = capsys.readouterr().out
    assert told in after
    assert shown in after
    assert _run("split", "many", "--shares", "50/0/50", "--seed", "3") == 0
    assert "train 100, validation 0, test 100." in capsys.readouterr().out


@pytest.mark.parametrize("command", ["import", "check"])
def test_shares_of_rows_that_name_their_split_are_refused(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    file = write_many(tmp_path, 4, split="test")
    assert _run(command, file, "--shares", "60/10/30") == 1
    assert "name their split themselves" in capsys.readouterr().err
    assert _run(command, write_many(tmp_path, 4), "--shares", "60/30") == 1
    assert "are not three shares" in capsys.readouterr().err
