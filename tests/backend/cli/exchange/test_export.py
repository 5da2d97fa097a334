"""`strop export`: from a plain file without a database, and from a frozen set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.db import connect
from backend.services import review
from backend.services.review import Answer
from backend.settings import Settings
from tests.fixtures_review import Desk, build_desk, review_next


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    rows = [
        {"input": "Ask", "output": "No", "correction": "Ja — ñ"},
        {"input": "Ask again", "output": "Yes"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_that_a_plain_file_needs_no_database(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_DATABASE_URL", "sqlite:////nowhere/strop.db")
    out = tmp_path / "out.jsonl"
    assert strop("export", "openai", "--in", str(plain), "--out", str(out)) == 0
    answers = [line["messages"][-1]["content"] for line in read_lines(out)]
    assert answers == ["Ja — ñ", "Yes"]


def test_that_rows_left_out_are_told(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    assert strop("export", "dpo", "--in", str(plain), "--out", str(out), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "format": "dpo",
        "out": str(out),
        "rows": 1,
        "left_out": {"without a rejected answer": 1},
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "dop", "--in", "ROWS"], "Known, nearest first: dpo"),
        (["export", "kto", "--in", "ROWS"], "No row can be written as kto: 2 without a label."),
        (["export", "sft"], "Give either --in FILE or --set NAME."),
        (["export", "sft", "--in", "ROWS", "--set", "round-1"], "Give either --in FILE"),
        (["export", "sft", "--in", "absent.jsonl"], "absent.jsonl: there is no such file"),
    ],
)
def test_that_a_refusal_is_one_line_and_writes_nothing(
    plain: Path,
    tmp_path: Path,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("what was there before")
    given = [str(plain) if word == "ROWS" else word for word in arguments]
    assert strop(*given, "--out", str(out), "--force") == 1
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
    assert out.read_text() == "what was there before"
    assert sorted(path.name for path in tmp_path.glob("*out*")) == ["out.jsonl"]


def test_that_a_bad_row_in_the_middle_leaves_the_old_file(plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("before")
    with plain.open("a") as stream:
        stream.write('{"question": 1}\n')
    assert strop("export", "sft", "--in", str(plain), "--out", str(out), "--force") == 1
    assert out.read_text() == "before"


@pytest.fixture
def frozen(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A project with a set called round-1: four corrected answers, and their pairs."""
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        desk = build_desk(session, splits={"train": 4, "test": 2}, n_experts=2)
    run = str(desk.run.id)
    opened = ("--models", "base", "--queue", "q", "--rubric", "summary_faithfulness")
    assert strop("review", "open", "--run", run, *opened) == 0
    with connect(settings).begin() as session:
        queue = review.find_queue(session, desk.project.id, "q")
        for n in range(6):
            ratings = {"verdict": "fail", "coverage": 3}
            answer = Answer(ratings, correction=f"corrected {n}")
            review_next(session, queue, desk.experts[0], answer)
    assert strop("set", "freeze", "round-1", "--queue", "q", "--dpo") == 0
    return desk


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("sft", lambda line: line["completion"][0]["content"]),
        ("dpo", lambda line: line["chosen"][0]["content"]),
    ],
)
def test_that_a_frozen_set_is_written_with_its_provenance(
    tmp_path: Path, name: str, answer: Any
) -> None:
    out = tmp_path / "out.jsonl"
    assert strop("export", name, "--set", "round-1", "--out", str(out)) == 0
    lines = read_lines(out)
    assert len(lines) == 4
    assert all(answer(line).startswith("corrected") for line in lines)
    assert all(json.loads(line["provenance"])["example"] for line in lines)


@pytest.mark.parametrize("answer", ["response", "answer", "reply", "target"])
def test_that_an_answer_under_another_word_is_suggested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    path, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    path.write_text(json.dumps({"instruction": "Ask", "context": "Of this", answer: "Yes"}))
    given = ["export", "sft", "--in", str(path), "--out", str(out)]
    assert strop(*given) == 1
    assert f"did you mean output by {answer!r}, --map output={answer}?" in capsys.readouterr().err
    assert strop(*given, "--map", f"output={answer}") == 0
    assert "1 row written" in capsys.readouterr().out
    assert read_lines(out)[0]["completion"][0]["content"] == "Yes"
