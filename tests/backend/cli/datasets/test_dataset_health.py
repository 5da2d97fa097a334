"""`strop dataset health`: of files and of datasets; exit codes, JSON, the queue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from backend.cli import main
from backend.db import connect
from backend.services.accounts.users import create_user
from backend.services.datasets.versions import import_dataset
from backend.services.projects import create_project
from backend.settings import Settings
from backend.tables.accounts import Membership, Role
from backend.tables.projects import Project
from tests.fixtures_health import text_rows

FAST = ("--only", "residue,empty,duplicates")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    said = [
        {"id": r.external_id, "input": r.input, "context": r.context, "reference": r.references[0]}
        for r in text_rows(30)
    ]
    path.write_text("\n".join(map(json.dumps, said)), encoding="utf-8")
    return path


@pytest.fixture
def residue(rows: Path) -> Path:
    path = rows.with_name("residue.jsonl")
    path.write_text(rows.read_text("utf-8").replace("The ", "Dear {{name}}, the "), "utf-8")
    return path


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        project = create_project(session, "desk", base_model="tiny")
        faulty = [
            type(r)(r.external_id, r.input, r.context, (f"[/INST] {r.references[0]}",), r.group,
                    r.slices, r.split)
            for r in text_rows(30)
        ]  # fmt: skip
        import_dataset(session, project.id, "calls", faulty, source_name="made here")
        user = create_user(session, "eva", Role.EXPERT, password=None)
        session.add(Membership(project_id=project.id, user_id=user.id))
    return settings


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["dataset", "health", *arguments])
    return int(ended.value.code or 0)


def test_a_sound_file_ends_with_0_and_a_severe_finding_with_2(
    rows: Path, residue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(str(rows), *FAST) == 0
    assert _run(str(residue), *FAST) == 2
    told = capsys.readouterr().out
    assert "a placeholder in double braces" in told
    assert "Dear {{name}}" in told
    assert _run(str(residue), *FAST, "--fail-on", "never") == 0
    capsys.readouterr()


def test_json_holds_every_row_and_the_recipe(
    residue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(str(residue), *FAST, "--json", "--seed", "5") == 2
    told = json.loads(capsys.readouterr().out)
    assert told["worst"] == "severe"
    assert told["recipe"]["seed"] == 5
    assert [one["kind"] for one in told["kinds"]] == ["duplicates", "residue", "empty"]
    found = next(one for one in told["kinds"] if one["kind"] == "residue")
    assert (found["flagged"], len(found["rows"])) == (30, 60)  # context and reference of each
    assert set(found["share"]) == {"value", "low", "high"}


def test_flagged_rows_go_to_a_file_and_none_is_overwritten(
    residue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.jsonl"
    assert _run(str(residue), *FAST, "--out", str(out)) == 2
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert {line["kind"] for line in lines} == {"residue"}
    assert lines[0]["end"] > lines[0]["start"]
    assert _run(str(residue), *FAST, "--out", str(out)) == 1
    assert "--force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "residues"], "residue"),
        (["--fail-on", "grave"], "severe"),
        (["--bar", "nowhere.yaml"], "cannot be read"),
        (["--review", "q"], "import"),
        (["--task", "numbers"], "classes or texts"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    rows: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(str(rows), *arguments) == 1
    assert said in capsys.readouterr().err


def test_sizes_are_held_against_a_bar_of_a_file(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bar = tmp_path / "bar.yaml"
    bar.write_text("name: b\nlines:\n  - {metric: exact_match, threshold: 0.99}\n", "utf-8")
    asked = [f"train={rows}", f"test={rows}", "--only", "small_slices", "--bar", str(bar)]
    assert _run(*asked) == 2
    assert "even if every row" in capsys.readouterr().out


def test_a_dataset_is_kept_and_sent_to_experts(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("calls", "--only", "residue", "--json") == 2
    told = json.loads(capsys.readouterr().out)
    assert told["report"] == 1
    assert told["confirmed"] == {}
    assert "problem" in told["forecast"]
    assert _run("calls", "--only", "residue", "--review", "look", "--items", "4") == 2
    shown = capsys.readouterr().out
    assert "Opened the queue look with 4 items." in shown
    assert _run("nowhere") == 1
    assert _run("calls", "--only", "residue", "--review", "look") == 1


def test_the_one_dataset_need_not_be_named_and_one_of_two_has_to_be(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(*FAST, "--fail-on", "never") == 0
    assert "Kept as health report 1." in capsys.readouterr().out
    assert _run("--bar", "bar.yaml") == 1
    assert "No file is named" in capsys.readouterr().err
    with connect(home).begin() as session:
        project_id = session.scalars(select(Project.id)).one()
        import_dataset(session, project_id, "mails", text_rows(3), source_name="made here")
    assert _run(*FAST) == 1
    assert "Name one: calls, mails." in capsys.readouterr().err


def test_a_file_with_half_an_emoji_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "half.jsonl"
    path.write_text('{"id": "a", "input": "x \\ud800", "reference": "y"}\n', "utf-8")
    assert _run(str(path)) in (0, 1, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_rows_that_are_no_examples_are_numbered_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, good = tmp_path / "rows.jsonl", '{"id": "a", "input": "x", "reference": "y"}\n'
    bad = '{"id": "b", "input": "a \\u0000 b", "reference": "y"}\n'
    path.write_text(good + bad, "utf-8")
    assert _run(str(path), "--only", "empty", "--json") == 0
    [refused] = json.loads(capsys.readouterr().out)["refused"]
    assert (refused["rows"], refused["first"]) == (1, [2])
    assert "NUL" in refused["why"]
    path.write_text(bad, "utf-8")
    assert _run(str(path)) == 1
    assert "None of 1 rows can be read; row 1: " in capsys.readouterr().err
