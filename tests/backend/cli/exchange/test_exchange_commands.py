"""`strop export --queue`, `strop review import`, `strop webhook`, and tables of hostile text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.cli import main
from backend.cli.terminal.printing import print_table, shown_text
from backend.db import connect
from backend.settings import Settings
from tests.fixtures_exchange import Reviewed, reviewed_queue


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture
def found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Reviewed:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    return reviewed_queue(connect(settings), n_items=4)


@pytest.mark.parametrize(
    ("name", "ending"), [("ratings", "csv"), ("ratings", "jsonl"), ("label-studio", "json")]
)
def test_that_a_cut_file_is_taken_up(
    found: Reviewed, name: str, ending: str, tmp_path: Path
) -> None:
    out = tmp_path / f"q.{ending}"
    assert strop("export", name, "--queue", "q", "--out", str(out)) == 0
    whole = out.read_bytes()
    for size in (len(whole) - 3, len(whole) // 2, 5, 0):
        out.write_bytes(whole[:size])
        assert strop("export", name, "--queue", "q", "--out", str(out), "--resume") == 0
        assert out.read_bytes() == whole
    part = out.with_name(f"{out.name}.part")  # what a broken export leaves
    out.rename(part)
    part.write_bytes(whole[: len(whole) // 2])
    assert strop("export", name, "--queue", "q", "--out", str(out), "--resume") == 0
    assert out.read_bytes() == whole
    assert not part.exists()


def test_that_a_foreign_file_stays_as_it_was(
    found: Reviewed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.jsonl"
    out.write_text("my notes\n")
    assert strop("export", "ratings", "--queue", "q", "--out", str(out), "--resume") == 1
    assert "not an export" in capsys.readouterr().err
    assert out.read_text() == "my notes\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "rating", "--queue", "q"], "Known, nearest first: ratings"),
        (["export", "votes", "--queue", "q"], "Only a queue of pairs has votes."),
        (["export", "ratings", "--queue", "p"], "There is no review queue 'p'."),
        (["export", "ratings", "--queue", "q", "--set", "s"], "Rows come from one place."),
        (["export", "ratings", "--queue", "q", "--offsets", "bytes"], "code_points"),
        (["export", "label-studio", "--queue", "q", "--person", "x"], "PSEUDONYM=ADDRESS"),
    ],
)
def test_that_a_refusal_is_one_line(
    found: Reviewed,
    tmp_path: Path,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out.jsonl"
    assert strop(*arguments, "--out", str(out)) == 1
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize("name", ["label-studio-config", "argilla-settings"])
def test_that_another_tools_settings_are_written(
    found: Reviewed, name: str, tmp_path: Path
) -> None:
    out = tmp_path / "settings"
    assert strop("export", name, "--queue", "q", "--out", str(out)) == 0
    assert "quality" in out.read_text("utf-8")


def test_that_answers_come_back_and_refusals_are_told(
    found: Reviewed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tasks.json"
    strop("export", "label-studio", "--queue", "q", "--out", str(out))
    tasks = json.loads(out.read_text("utf-8"))
    tasks[0]["annotations"][0].update(unique_id="u1", completed_by=3)
    del tasks[0]["annotations"][1], tasks[1:]
    out.write_text(json.dumps([*tasks, {}]), "utf-8")
    capsys.readouterr()
    person = f"3={found.desk.experts[2].name}"
    took = ["review", "import", "q", str(out), "--from", "label-studio", "--person", person]
    assert strop(*took, "--json") == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["taken"], told["repeated"]) == (1, 0)
    assert told["refused"] == [
        {"row": 2, "id": "", "reason": "it is no task of Label Studio: there is no data"}
    ]
    assert strop(*took) == 2
    assert "0 answers taken, 1 were there already, 1 not taken" in capsys.readouterr().out


def test_that_webhooks_are_kept_by_command(
    found: Reviewed, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "http://127.0.0.1:9/hook"
    assert strop("webhook", "add", url, "--events", "queue.finished", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert strop("webhook", "test", str(made["id"])) == 2  # inward, and not allowed
    assert "private address" in capsys.readouterr().out
    assert strop("webhook", "deliveries", str(made["id"]), "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["event"], row["state"], row["attempts"]) == ("webhook.test", "pending", 1)
    assert strop("webhook", "retry", str(row["id"])) == 1
    assert strop("webhook", "remove", str(made["id"])) == 0
    capsys.readouterr()
    assert strop("webhook", "list", "--json") == 0
    told = capsys.readouterr().out
    assert json.loads(told)[0]["state"] == "removed"
    assert made["secret"] not in told


HOSTILE = "a\x1b[31mred\x1b]0;t\x07\x9b2J\r\u202egnp\u2066 é😀שלום\tb\nc"


def test_that_a_terminal_is_given_nothing_to_obey(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"name": HOSTILE, "\x1bx": 1}], columns=["name"], title="T")
    told = capsys.readouterr().out
    assert not set(told) & set("\x1b\x07\x9b\r\u202e\u2066")
    assert "é😀שלום" in told
    assert shown_text("plain\n\ttext") == "plain\n\ttext"


def test_that_an_error_is_given_nothing_to_obey(
    found: Reviewed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("review", "import", "q", "no\x1b[31m.json", "--from", "argilla") == 1
    assert "\x1b" not in capsys.readouterr().err


def test_that_a_new_export_takes_nothing_from_a_broken_one(found: Reviewed, tmp_path: Path) -> None:
    out = tmp_path / "q.jsonl"
    out.with_name("q.jsonl.part").write_text("left by a broken export\n")
    assert strop("export", "ratings", "--queue", "q", "--out", str(out)) == 0
    assert "broken" not in out.read_text("utf-8")
