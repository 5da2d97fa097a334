"""`strop yield`: tables that say what each number is of, JSON, reasons in place of numbers."""

from __future__ import annotations

import json

import pytest

from backend.cli import main
from backend.db import connect
from backend.settings import Settings
from tests.fixtures_yields import add_round, build_turn


@pytest.fixture(autouse=True)
def _installation(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def lay_down(settings: Settings, *, replayed: bool = True) -> None:
    """Taught corrections are fixed, those held back are not."""
    with connect(settings).begin() as session:
        turn = build_turn(session)
        add_round(turn)
        held = turn.held_back()
        if replayed:
            turn.replay(lambda e: "nonsense" if e.external_id in held else turn.right(e))


@pytest.mark.parametrize("what", [[], ["1"], ["v9"]])
def test_a_yield_is_shown_with_what_each_number_is_of(
    settings: Settings, what: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lay_down(settings)
    assert strop("yield", *what, "--examples", "1") == 0
    out = capsys.readouterr().out
    assert "Yield of s on base:v9@1 (round 1)" in out
    assert "equal against the expert's text (frozen with the set)" in out
    assert "corrections, trained on" in out
    assert "100.0%" in out
    assert "By error type" in out
    assert "corrections fixed, n=" in out
    assert "Bottleneck: more ratings" in out
    assert "Signature: equal|strop:1|" in out
    assert "newly broken: train-" in out or "still wrong: train-" in out


def test_another_rule_is_marked_as_such(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_down(settings)
    assert strop("yield", "v9", "--rule", "token_f1>=0.9") == 0
    assert "(NOT the rule frozen with the set)" in capsys.readouterr().out


def test_json_holds_every_figure_with_n_and_interval(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_down(settings)
    assert strop("yield", "--json", "--examples", "2") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["trained"]["value"] == 1.0
    assert told["trained"]["low"] < 1.0
    assert told["trained"]["n"] > 0
    assert told["broken_elsewhere"]["error"] == "no run on held-out examples shows both models"
    assert len(told["examples"]) == 2
    assert told["round"] == 1


def test_the_curve_lists_the_rounds(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    lay_down(settings)
    assert strop("yield", "--curve") == 0
    out = capsys.readouterr().out
    assert "base:v9@1" in out
    assert "Newest: more ratings." in out


def test_what_was_never_replayed_says_how_to_replay_it(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_down(settings, replayed=False)
    assert strop("yield", "v9") == 1
    assert "never replayed on base:v9@1. Replay them: strop yield" in capsys.readouterr().err
