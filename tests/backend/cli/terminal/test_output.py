"""Files that commands write: whole or not at all, and over nothing by mistake."""

from __future__ import annotations

import csv
import json
import os
import stat
from pathlib import Path

import pytest

from backend.cli import main
from backend.cli.terminal.output import whole_file
from backend.errors import Conflict

PREDICTION = '{"id": "1", "prediction": "a", "reference": "a"}\n'
RATINGS = "item,rater,value\n" + "".join(f"{i},{r},{i % 3}\n" for i in range(6) for r in "ab")
VOTES = "item,rater,model_a,model_b,winner\n1,p,x,y,a\n2,p,x,y,b\n"
ROWS = '{"input": "Ask", "output": "Yes"}\n'
INPUTS = {"p.jsonl": PREDICTION, "r.csv": RATINGS, "v.csv": VOTES, "rows.jsonl": ROWS}
LABELS = "".join(json.dumps({"item": i, "value": i % 3 == 0}) + "\n" for i in range(200))
SCORES = "".join(
    json.dumps({"id": i, "metric": "m", "value": i * 7 % 10}) + "\n" for i in range(200)
)

COMMANDS: dict[str, tuple[str, ...]] = {
    "score --out": ("score", "p.jsonl", "--metrics", "accuracy", "--out", "OUT"),
    "score --html": ("score", "p.jsonl", "--metrics", "accuracy", "--html", "OUT"),
    "compare --html": ("compare", "p.jsonl", "p.jsonl", "--metric", "accuracy", "--html", "OUT"),
    "agreement --html": ("agreement", "r.csv", "--html", "OUT"),
    "preferences --html": ("preferences", "v.csv", "--html", "OUT"),
    "calibrate --out": ("calibrate", "--labels", "l.jsonl", "--scores", "s.jsonl", "--out", "OUT"),
    "export --out": ("export", "sft", "--in", "rows.jsonl", "--out", "OUT"),
    "rubric export --out": ("rubric", "export", "clinical_note", "--out", "OUT"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    for name, text in {**INPUTS, "l.jsonl": LABELS, "s.jsonl": SCORES}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def strop(command: str, out: str, *extra: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([out if word == "OUT" else word for word in (*COMMANDS[command], *extra)])
    return int(ended.value.code or 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_that_every_command_writes_a_file_once_and_again_with_force(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop(command, "out.jsonl") == 0
    written = (folder / "out.jsonl").read_text()
    assert written
    (folder / "out.jsonl").write_text("mine")
    assert strop(command, "out.jsonl") == 1
    assert "is there already. Name another file, or say --force." in capsys.readouterr().err
    assert (folder / "out.jsonl").read_text() == "mine"
    assert strop(command, "out.jsonl", "--force") == 0
    assert (folder / "out.jsonl").read_text() == written
    assert not list(folder.glob(".out*"))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("device", "a pipe or a device"),
        ("fifo", "a pipe or a device"),
        ("link", "a link"),
        ("dangling", "a link"),
        ("folder", "a folder"),
        ("nowhere/out.jsonl", "there is no folder"),
        ("p.jsonl/out", "cannot be written"),
    ],
)
def test_that_what_is_no_regular_file_is_never_written(
    folder: Path, command: str, out: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(folder / "fifo")
    if out == "device":  # one of our own: a broken promise must not cost the machine its devices
        try:
            os.mknod(folder / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("device nodes are made by root alone")
    (folder / "target").write_text("kept")
    (folder / "link").symlink_to(folder / "target")
    (folder / "dangling").symlink_to(folder / "none")
    (folder / "folder").mkdir()
    assert strop(command, out, "--force") == 1
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert (folder / "target").read_text() == "kept"
    assert not (folder / "none").exists()


@pytest.mark.parametrize("command", [name for name in COMMANDS if "rubric" not in name])
def test_that_an_input_is_never_written_over(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [given, *_] = [word for word in COMMANDS[command] if word.endswith((".jsonl", ".csv"))]
    os.link(folder / given, folder / "same.jsonl")
    for name in (given, "same.jsonl"):
        assert strop(command, name, "--force") == 1
    assert "is read by this very command" in capsys.readouterr().err


def _write_half(path: Path) -> None:
    with whole_file(path) as file:
        file.write("whole")
        file.write("half \ud83d")


def _write_late(path: Path) -> None:
    with whole_file(path) as file:
        path.write_text("came to be meanwhile")
        file.write("x")


def test_that_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        _write_half(tmp_path / "out")
    assert not list(tmp_path.iterdir())
    with pytest.raises(Conflict):
        _write_late(tmp_path / "out")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["came to be meanwhile"]


def test_that_scores_are_written_as_their_ending_says(folder: Path) -> None:
    assert strop("score --out", "out.csv") == 0
    [row] = csv.DictReader((folder / "out.csv").read_text().splitlines())
    assert (row["id"], row["metric"], row["value"], row["error"]) == ("1", "accuracy", "1.0", "")
    assert strop("score --out", "out") == 0
    assert json.loads((folder / "out").read_text())["value"] == 1.0


@pytest.mark.parametrize(
    ("command", "out"), [("score --out", "out.xlsx"), ("export --out", "out.csv")]
)
def test_that_another_ending_is_refused(
    folder: Path, command: str, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop(command, out) == 1
    assert f"are not written as {Path(out).suffix}" in capsys.readouterr().err
    assert not (folder / out).exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_that_standard_output_is_no_file(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop(command, "-", "--force") == 1
    assert "a file is written whole or not at all" in capsys.readouterr().err
    assert not (folder / "-").exists()
