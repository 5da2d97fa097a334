"""The replays of what skips review and of reviews in the order of a risk, small; all simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.benchmarks.active_errors import Task, table
from tests.benchmarks.triage_replay import Study, World, made_up, run_study, with_errors, with_risk


def test_the_promise_is_kept_and_a_doubled_rate_is_seen() -> None:
    world = made_up(20_000, rate=0.1, seed=1)
    found = run_study(Study(world, 300, 400, 0.05, 0.1), 60)
    assert found["violated"]["low"] <= 0.1
    assert found["certified"]["value"] > 0.6
    assert found["share skipped"]["mean"] > 0.4
    assert found["alarm at the very bound"]["low"] <= 0.1
    assert found["alarm of a doubled rate"]["value"] == 1.0
    assert found["looks until a doubled rate is seen, quartiles"][1] < 150


def test_groups_keep_the_promise_too() -> None:
    """Ten outputs a group that are wrong together: the rate is that of a new group."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(2000), 10)
    wrong = (rng.random(2000) < 0.06)[group]
    risk = rng.random(len(group))
    found = run_study(Study(World(risk, wrong, group), 120, 50, 0.05, 0.1), 60)
    assert found["violated"]["low"] <= 0.1


def test_a_risk_that_tells_nothing_lets_nothing_skip() -> None:
    rng = np.random.default_rng(0)
    wrong = rng.random(5000) < 0.4
    world = with_risk(wrong, np.arange(5000), auroc=0.5, seed=0)
    found = run_study(Study(world, 300, 300, 0.05, 0.1), 20)
    assert found["share skipped"]["mean"] < 0.02


@pytest.mark.parametrize("wanted", [0, 3, 10])
def test_labels_are_changed_to_a_number(wanted: int) -> None:
    wrong = np.arange(10) < 5
    assert with_errors(wrong, wanted, np.random.default_rng(0)).sum() == wanted


def test_a_risk_that_knows_finds_more_than_chance() -> None:
    rng = np.random.default_rng(0)
    wrong = rng.random(300) < 0.2
    task = Task(wrong, np.arange(300), {})
    sharp = table(task, wrong + 0.1 * rng.random(300), repeats=50, shown=(20, 50))
    blunt = table(task, np.zeros(300), repeats=50, shown=(20, 50))
    assert sharp[0]["by risk"][0] == pytest.approx(20, abs=1)
    assert sharp[1]["difference"][1] > 20
    assert blunt[1]["difference"][1] < 0 < blunt[1]["difference"][2]
    assert not math.isnan(blunt[0]["at random"][0])
