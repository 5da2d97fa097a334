"""`strop demo --scenario`: the list, wrong names, and rounds that a scenario waits for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.cli import main
from backend.cli.demo.scenarios import SCENARIOS, find_scenario
from backend.cli.demo.scenarios.steps import play_round
from backend.db import utc_now
from backend.errors import JobFailed
from backend.services import rounds
from backend.services.projects import parse_manifest
from backend.settings import Settings
from backend.tables.rounds import Round
from tests.fixtures_scenarios import StandInDemo, stand_in_demo

BAR = "name: b\nlines:\n  - {metric: invented, direction: lower, margin: 0.1}\n"
PLAN = {
    "adapter": "r1",
    "recipe": {"queues": ["nowhere"]},
    "dataset": "calls",
    "metrics": ["invented"],
}


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_the_list_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert strop("demo", "--scenario", "list", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["scenario"] for row in rows] == list(SCENARIOS)
    assert set(SCENARIOS) == {"invented-facts", "labels", "failures", "lora-or-full"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scenario", "label"], "labels"),
        (["--json"], "Only a scenario prints JSON"),
        (["--scenario", "labels", "--engine", "gguf"], "local"),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_is_made(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("demo", *options, "--home", str(tmp_path / "home")) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_sets_a_bar_before_it_plays(name: str) -> None:
    scenario = find_scenario(name)
    assert parse_manifest(scenario.bar).lines
    assert callable(scenario.play)


@pytest.fixture
def demo(settings: Settings) -> StandInDemo:
    return stand_in_demo(settings, bar=BAR, write=lambda name, example: "")


def test_a_round_that_fails_ends_the_scenario_with_its_reason(demo: StandInDemo) -> None:
    with demo.installation.sessions.begin() as session:
        plan = rounds.parse_plan(json.dumps({**PLAN, "engine": "fake", "sign": False}))
        now = utc_now()  # laid down as it was before plans were checked at the start
        row = Round(project_id=demo.project_id, number=1, plan=plan.model_dump(mode="json"))
        row.started_at = row.since = now
        session.add(row)
    settings = demo.installation.settings
    rounds.advance_rounds(demo.installation.sessions, settings, now=utc_now())
    with pytest.raises(JobFailed, match=r"Round 1 is failed: .*nowhere"):
        play_round(demo, 1, PLAN)
