"""`strop rubric` and `strop review gold|pause|resume|adjudications|marks`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.db import connect
from backend.rubrics import dump_rubric, find_rubric
from backend.services.review.quality.gold_contests import contest
from backend.settings import Settings
from backend.tables.review import GoldResult
from tests.fixtures_quality import answer_next, open_with
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk


@pytest.fixture
def desk(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    monkeypatch.chdir(tmp_path)
    with connect(settings).begin() as session:
        return build_desk(session, splits={"train": 6})


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert strop(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def gold_file(tmp_path: Path, desk: Desk, n: int = 4) -> str:
    rows = [
        {
            "example": f"train-{k}",
            "model": desk.models[1].label,
            "answer": {"ratings": {"faithful": "no"}},
            "explanation": "The price is invented.",
        }
        for k in range(n)
    ]
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def test_from_a_file_of_known_answers_to_a_withdrawal(
    settings: Settings, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions = connect(settings)
    with sessions.begin() as session:
        queue = open_with(session, desk, gold_onboarding=4)
    assert strop("review", "gold", "add", "q", gold_file(tmp_path, desk)) == 0
    assert "4 known answers added" in capsys.readouterr().out
    with sessions.begin() as session:
        for _ in range(4):
            answer_next(session, queue, desk.experts[0], GOOD)
        result = session.query(GoldResult).order_by(GoldResult.id).first()
        assert result
        contest(session, result.id, desk.experts[0].id, reason="No.", now=NOW)
        result_id = str(result.id)
    person = desk.experts[0].pseudonym
    [status] = printed(capsys, "review", "status", "q")
    row = next(one for one in status["reviewers"] if one["reviewer"] == person)
    assert row["known answers met"].startswith("0 of 4 [0.00, ")
    assert "short break" in row["paused"]
    [waiting] = printed(capsys, "review", "gold", "contests", "q")
    assert (waiting["reviewer"], waiting["reason"]) == (person, "No.")
    resolve = ("review", "gold", "resolve", result_id, "withdrawn")
    assert strop(*resolve) == 1
    capsys.readouterr()
    assert strop(*resolve, "--reason", "It was wrong.") == 0
    assert person in capsys.readouterr().out
    listed = printed(capsys, "review", "gold", "list", "q")
    assert [one["withdrawn"] for one in listed].count("It was wrong.") == 1


def test_a_wrong_file_adds_nothing(
    settings: Settings, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(settings).begin() as session:
        open_with(session, desk)
    path = Path(gold_file(tmp_path, desk))
    path.write_text(path.read_text("utf-8").replace("train-3", "nowhere"), "utf-8")
    assert strop("review", "gold", "add", "q", str(path)) == 1
    assert "Known answer 4" in capsys.readouterr().err
    assert printed(capsys, "review", "gold", "list", "q") == []


def test_a_queue_whose_rules_hand_out_none_says_so(
    settings: Settings, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(settings).begin() as session:
        open_with(session, desk)
    assert strop("review", "gold", "add", "q", gold_file(tmp_path, desk, 1)) == 0
    assert "gold_onboarding" in capsys.readouterr().out


def test_pause_and_resume(
    settings: Settings, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(settings).begin() as session:
        open_with(session, desk)
    person = desk.experts[1].pseudonym
    assert strop("review", "pause", "q", person, "--reason", "Holiday.") == 0
    [status] = printed(capsys, "review", "status", "q")
    assert [one["paused"] for one in status["reviewers"]].count("Holiday.") == 1
    assert strop("review", "resume", "q", person) == 0
    assert strop("review", "resume", "q", person) == 1


def test_disagreements_are_listed_and_become_known_answers(
    settings: Settings, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(settings).begin() as session:
        queue = open_with(
            session, desk, n_items=1, overlap=2, overlap_share=1.0, adjudicate_above=0.5
        )
        for user, ratings in zip(desk.experts, (GOOD, BAD), strict=False):
            answer_next(session, queue, user, ratings)
    [found] = printed(capsys, "review", "adjudications", "q")
    assert (found["disagreement"] > 0.5, found["decided by"]) == (True, None)
    assert "faithful: no / yes" in found["differ"]
    [status] = printed(capsys, "review", "status", "q")
    assert status["adjudications"] == {"opened": 1, "decided": 0, "held": 0}
    assert printed(capsys, "review", "gold", "adjudicated", "q")["ids"] == []


def test_marks_need_a_rubric_that_weighs_them(
    settings: Settings, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(settings).begin() as session:
        open_with(session, desk)
    assert strop("review", "marks", "q") == 1
    assert "severities" in capsys.readouterr().err


def test_rubrics_without_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """List, show, check and export need no database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "none"))
    assert {row["where"] for row in printed(capsys, "rubric", "list")} == {"library"}
    assert strop("rubric", "show", "translation") == 0
    assert "mistranslation" in capsys.readouterr().out
    assert strop("rubric", "export", "translation") == 0
    assert strop("rubric", "export", "translation") == 1
    assert printed(capsys, "rubric", "check", "translation.yaml")["ok"] is True
    Path("translation.yaml").write_text("name: x\nguidelines: g\ncolour: red\n", "utf-8")
    assert strop("rubric", "check", "translation.yaml") == 1
    assert "colour" in capsys.readouterr().err


def test_an_edited_rubric_is_a_new_version(
    settings: Settings, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(settings).begin() as session:
        desk.open(session)
    edited = find_rubric("telecom_desk").model_copy(update={"guidelines": "Read twice."})
    (tmp_path / "edited.yaml").write_text(dump_rubric(edited), "utf-8")
    assert strop("rubric", "add", "edited.yaml") == 0
    out = capsys.readouterr().out
    assert "telecom_desk is version 2 now. It changes its guidelines." in out
    assert "q stays on version 1, with 6 reviews to come." in out
    assert strop("rubric", "show", "telecom_desk") == 0
    assert "Read twice." in capsys.readouterr().out
    assert strop("rubric", "show", "telecom_desk", "--version", "1") == 0
    assert "Read twice." not in capsys.readouterr().out
    rows = printed(capsys, "rubric", "list")
    assert ("telecom_desk", 2) in {(row["rubric"], row["version"]) for row in rows}
