"""`strop costs`: tables with n, reasons for what is unknown, JSON, an empty project."""

from __future__ import annotations

import json

import pytest

from backend.cli import main
from backend.db import connect
from backend.settings import Settings
from backend.tables.projects import Project
from tests.fixtures_yields import add_round, build_turn


@pytest.fixture(autouse=True)
def _installation(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_costs_are_shown_with_n_and_reasons(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_PRICE_PER_HOUR", "2.5")
    with connect(settings).begin() as session:
        add_round(build_turn(session))
    assert strop("costs") == 0
    out = capsys.readouterr().out
    assert "17.00 minutes (n=17)" in out
    assert "run 1: No job of a worker did it." in out
    assert "training 1: It has no result, no job is on it." in out
    assert "costs 2.5 from now on" in out
    assert strop("costs", "--json", "--limit", "1") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["runs"][0]["generating"]["value"] is None
    assert told["prices"]["training_hour"] == 2.5


def test_an_empty_project_says_so(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with connect(settings).begin() as session:
        session.add(Project(name="p", base_model="tiny"))
    assert strop("costs") == 0
    assert "Nothing was run" in capsys.readouterr().out
