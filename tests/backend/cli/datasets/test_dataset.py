"""`strop dataset import`: what is refused gets one line, exit code 1, and stores nothing."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from itertools import islice
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
ASK, YES = '{"role": "user", "content": "x"}', '{"role": "assistant", "content": "y"}'


def _turns(*turns: str, **more: object) -> bytes:
    """A row whose turns are good, and one whose turns are these."""
    rows = [f'{{"messages": [{ASK}, {YES}]}}', f'{{"messages": [{", ".join(turns)}]}}']
    if more:
        rows[1] = f"{rows[1][:-1]}, {json.dumps(more)[1:]}"
    return "\n".join(rows).encode()


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
        ("bare.json", _turns(ASK), "row 2: no reference"),
        ("open.json", _turns(YES), "row 2: messages hold no question of the user"),
        (
            "role.json",
            _turns(ASK, YES.replace("assistant", "bot")),
            "row 2: messages has a turn of",
        ),
        ("mute.json", _turns(ASK, YES.replace("y", ""), ASK, YES), "whose turn 2 is empty"),
        ("call.json", _turns(ASK, YES, tools=[{"name": "f"}]), "row 2: a row with tools"),
        ("other.json", _turns(ASK, YES, reference="z"), "Leave out the column reference"),
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


@pytest.mark.parametrize("rows", [150, pytest.param(None, marks=pytest.mark.deep)])
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
    tmp_path: Path,
    folder: str,
    files: dict[str, str],
    options: list[str],
    expected: dict[str, int],
    rows: int | None,
) -> None:
    """The first rows of each file; in the deep suite the files as they were published."""
    paths = []
    for split, name in files.items():
        published = public_data / folder / name
        paths.append(f"{split}={published if rows is None else tmp_path / name}")
        if rows is not None:
            with published.open(newline="", encoding="utf-8") as whole:
                first = list(islice(csv.reader(whole), rows + 1))
            with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(first)
    assert _run("import", *paths, "--name", "d", *options) == 0
    with connect(home)() as session:
        version = get_dataset_version(session, get_project(session).id, "d")
        counts = {s: n for s, (n, _) in split_counts(session, version.id).items()}
    dropped = len(version.split_recipe.get("dropped_as_leaks", []))
    wanted = {split: n if rows is None else min(n, rows) for split, n in expected.items()}
    assert counts | {"train": counts["train"] + dropped} == wanted


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


USER = {"role": "user", "content": "I lost my card."}
WHICH = {"role": "assistant", "content": "Debit or credit?"}
DEBIT = {"role": "user", "content": "Debit."}
BLOCKED = {"role": "assistant", "content": "Your card is blocked.\n" + "Call us. " * 50}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}


def _chats(folder: Path, *rows: object) -> str:
    file = folder / "chats.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(file)


def _talk(number: int, **more: object) -> dict[str, object]:
    turns = [USER, WHICH, {"role": "user", "content": f"Card {number * 7919}"}, BLOCKED]
    return {"messages": turns, "source": "crm", **more}


@pytest.mark.parametrize("command", [["import", "--preview"], ["check"]])
def test_a_preview_shows_columns_rows_and_sizes_and_stores_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "none"))
    file = _chats(tmp_path, *(_talk(n) for n in range(40)))
    assert _run(*command, file) == 0
    shown = capsys.readouterr().out
    lines = [line.strip() for line in shown.splitlines()]
    assert lines[0] == f"{file}: OpenAI chat, 40 rows."
    assert lines[4:6] == ["messages   messages and reference", "source     not used"]
    heads = [line for line in lines if line.startswith("row-")]
    assert heads[:1] == ["row-1 (train)"]
    assert len(heads) == 3
    assert "user:      I lost my card." in lines[lines.index("row-1 (train)") + 1]
    assert "assistant: Debit or credit?" in lines
    assert "reference: Your card is blocked." in lines
    assert sum(line.endswith("... (472 characters)") for line in lines) == 3
    assert "Every row becomes an example." in lines
    assert "40 examples, 40 different prompts, 0 groups." in lines
    assert any(line.startswith("train ") and "test " in line for line in lines)
    assert lines[-1] == "Nothing was stored."
    assert not (tmp_path / "none").exists()


def test_a_preview_tells_every_row_that_an_import_would_be_refused_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called = {"messages": [USER, CALL]}
    half = {"messages": [USER, WHICH, DEBIT]}
    file = _chats(tmp_path, called, _talk(1), half, *[called] * 6)
    assert _run("import", file, "--preview", "--json") == 1
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["examples"] == 1
    found = [(one["rows"], one["first"]) for one in told["refused"]]
    assert found == [(7, [1, 4, 5, 6, 7]), (1, [3])]
    assert "calls of tools" in told["refused"][0]["reason"]
    assert told["refused"][1]["reason"] == "no reference"
    assert told["rows"][0]["messages"][2] == {"role": "user", "content": "Card 7919"}
    assert told["files"][0]["columns"] == {"messages": "messages and reference", "source": None}
    [line] = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert f"{file}: row 1: a row with calls of tools" in line
    assert _run("import", file, "--preview") == 1
    shown = capsys.readouterr().out
    assert f"refused: 7 rows of {file} (1, 4, 5, 6, 7, ...): a row with calls of tools" in shown
    assert f"refused: 1 row of {file} (3): no reference." in shown


def test_refused_rows_are_left_out_when_asked_and_counted(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called, half = {"messages": [USER, CALL]}, {"messages": [USER, WHICH, DEBIT]}
    file = _chats(tmp_path, called, *(_talk(n) for n in range(5)), half)
    assert _run("import", file, "--name", "chats") == 1
    assert "To leave out what is refused (2 rows): --drop-refused." in capsys.readouterr().err
    assert _run("import", file, "--preview", "--drop-refused") == 0
    assert f"left out: 1 row of {file} (1): a row with calls" in capsys.readouterr().out
    assert _run("import", file, "--name", "chats", "--drop-refused") == 0
    assert "2 rows left out: they are no examples" in capsys.readouterr().out
    with connect(home)() as session:
        version = get_dataset_version(session, get_project(session).id, "chats")
        assert version.split_recipe["dropped_as_refused"] == 2
        assert len(list_examples(session, version.id)) == 5
    nothing = _chats(tmp_path, called)
    assert _run("import", nothing, "--name", "none", "--drop-refused") == 1
    said = capsys.readouterr().err
    assert "row 1: a row with calls of tools" in said
    assert "--drop-refused" not in said


def test_a_preview_lists_what_leaks_and_what_is_left_out(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = {"messages": [USER, WHICH]}
    rows = [{**same, "id": "a", "split": "train"}, {**same, "id": "b", "split": "Dev"}]
    file = _chats(tmp_path, *rows, {"messages": [DEBIT, WHICH], "id": "c", "split": "train"})
    assert _run("import", file, "--preview") == 2
    assert "training prompts repeat a held-out one" in capsys.readouterr().err
    assert _run("import", file, "--preview", "--drop-leaks") == 0
    shown = capsys.readouterr().out
    assert "left out: 1 row (a): a held-out prompt is repeated." in shown
    assert "train 1, validation 1, test 0." in shown
    with connect(home)() as session:
        assert session.scalar(select(func.count()).select_from(Dataset)) == 0


def test_conversations_are_stored_and_kept_by_a_new_split(home: Settings, tmp_path: Path) -> None:
    file = _chats(tmp_path, *(_talk(n, context="Rules.") for n in range(12)))
    assert _run("import", file, "--name", "chats") == 0
    assert _run("split", "chats", "--shares", "50/0/50", "--seed", "3") == 0
    with connect(home)() as session:
        project = get_project(session)
        first, second = (
            list_examples(session, get_dataset_version(session, project.id, "chats", n).id)
            for n in (1, 2)
        )
    assert [e.messages for e in first] == [e.messages for e in second]
    assert [e.split for e in first] != [e.split for e in second]
    expected = [USER, WHICH, {"role": "user", "content": "Card 7919"}]
    assert (second[1].messages, second[1].context) == (expected, "Rules.")
    assert second[1].input.endswith("User: Card 7919")


def _saved(folder: Path, **splits: int) -> Path:
    import datasets

    rows = {
        split: [{"input": f"{split} {n}", "reference": "y"} for n in range(size)]
        for split, size in splits.items()
    }
    found = {split: datasets.Dataset.from_list(some) for split, some in rows.items()}
    datasets.DatasetDict(found).save_to_disk(str(folder / "saved"))
    return folder / "saved"


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"train": 3, "valid": 1, "test": 2}, {"train": 3, "validation": 1, "test": 2}),
        ({"train": 5, "dev": 2}, {"train": 5, "validation": 2}),
        ({"train": 40}, {"train": 32, "validation": 4, "test": 4}),
    ],
)
def test_a_saved_dataset_comes_in_by_its_splits(
    home: Settings, tmp_path: Path, splits: dict[str, int], expected: dict[str, int]
) -> None:
    assert _run("import", str(_saved(tmp_path, **splits))) == 0
    with connect(home)() as session:
        version = get_dataset_version(session, get_project(session).id, "saved")
        assert {s: n for s, (n, _) in split_counts(session, version.id).items()} == expected
        ids = [e.external_id for e in list_examples(session, version.id)]
    assert len(set(ids)) == sum(splits.values())


def test_splits_of_other_names_are_refused_by_name(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _saved(tmp_path, train_sft=3, test_sft=2)
    assert _run("import", str(folder)) == 1
    said = capsys.readouterr().err
    assert "splits of other names: train_sft, test_sft." in said
    assert f"train={folder}/train_sft" in said
    assert _run("import", f"train={folder}") == 1
    assert "no one is train" in capsys.readouterr().err
    named = [f"train={folder}/train_sft", f"test={folder}/test_sft"]
    assert _run("import", *named) == 0
