"""`strop review open --skip-below` and `strop review skipped`, as a person types them."""

from __future__ import annotations

import json

import pytest

from backend.cli import main
from backend.db import connect
from backend.services import review
from backend.settings import Settings
from tests.fixtures_triage import Risky, answer_all, build_risky


@pytest.fixture
def risky(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Risky:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        return build_risky(session)


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def open_routed(risky: Risky, *options: str) -> int:
    named = ["--run", str(risky.new_run.id), "--queue", "q", "--models", "base"]
    risk = ["--skip-below", ".1,.1", "--wrong-when", "faithful=no", "--risk-metric", "grounding"]
    rubric = ["--rubric", "telecom_desk"]
    return strop("review", "open", *named, *risk, *rubric, *options)


def test_a_queue_says_what_skips_and_why(risky: Risky, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_routed(risky, "--audit", ".4") == 0
    said = capsys.readouterr().out
    assert "of 60 skip review by grounding from" in said
    assert "Of 60 labels" in said
    assert f"run {risky.desk.run.id} (60)" in said
    assert "new outputs are like those that were labelled" in said
    assert strop("review", "status", "q") == 0
    assert "skipped by risk" in capsys.readouterr().out


def test_a_dry_run_opens_nothing(risky: Risky, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_routed(risky, "--dry-run", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["id"] is None
    assert shown["design"]["routing"]["n_skipped"] > 20
    assert strop("review", "skipped", "q") == 1


def test_an_audit_that_can_say_nothing_is_told(
    risky: Risky, capsys: pytest.CaptureFixture[str]
) -> None:
    assert open_routed(risky, "--audit", ".01") == 0
    assert "could not refute the guarantee whatever it found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--skip-below", "0,.1"], "0 is no epsilon"),
        (["--skip-below", ".1,1"], "1 is no delta"),
        (["--skip-below", "nan,.1"], "nan is no epsilon"),
        (["--skip-below", ".1"], "no two shares"),
        (["--audit", "0"], "audit"),
        (["--wrong-when", "faithful"], "says of no answer"),
        (["--wrong-when", "nonesuch=no"], "nonesuch"),
        (["--risk-metric", "nonesuch"], "not scored by"),
        (["--skip-below", ".01,.01"], "Nothing may skip review"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    risky: Risky, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert open_routed(risky, *options) == 1
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_pair_is_not_routed(risky: Risky, capsys: pytest.CaptureFixture[str]) -> None:
    named = ["--run", str(risky.new_run.id), "--queue", "q", "--pair", "base,v1"]
    assert strop("review", "open", *named, "--skip-below", ".1,.1") == 1
    assert "single outputs" in capsys.readouterr().err


def test_the_audit_is_watched_and_what_skipped_is_put_up(
    settings: Settings, risky: Risky, capsys: pytest.CaptureFixture[str]
) -> None:
    assert open_routed(risky, "--audit", ".4") == 0
    capsys.readouterr()
    assert strop("review", "skipped", "q") == 0
    assert "is reviewed yet" in capsys.readouterr().out
    with connect(settings).begin() as session:
        queue = review.find_queue(session, risky.desk.project.id, "q")
        answer_all(session, queue, risky.desk.experts[0], dict.fromkeys(risky.wrong, True))
    assert strop("review", "skipped", "q") == 2
    said = capsys.readouterr().out
    assert "The guarantee is withdrawn" in " ".join(said.split())
    assert "--put-up" in said
    assert strop("review", "skipped", "q", "--put-up", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["state"] == "returned"
    assert shown["path"][-1]["low"] > shown["epsilon"]
    assert strop("review", "skipped", "q", "--put-up") == 1
    assert "already" in capsys.readouterr().err
