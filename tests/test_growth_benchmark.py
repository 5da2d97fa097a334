"""The arithmetic of the benchmark of growth, and its plot; nothing here is timed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.growth import apart, cost_of, goals_of, line_of, outputs_of, with_ratios


def made(stage: str, n: int, cpu: float, **facts: Any) -> dict[str, Any]:
    return {
        "stage": stage,
        "n": n,
        "cpu_s": cpu,
        "wall_s": cpu,
        "peak_mb": 100.0 + n / 1000,
        "bytes_per_output": 10.0,
        **facts,
    }


FOUND = [
    made("import", 10_000, 2.0),
    made("import", 1_000, 0.1),
    made("poll", 1_000, 9.0, ms_a_poll=2.0),
    made("poll", 10_000, 9.0, ms_a_poll=2.2),
]


def test_a_ratio_is_to_the_smallest_size_by_output_or_by_poll() -> None:
    ratios = {(one["stage"], one["n"]): one["ratio"] for one in with_ratios(FOUND)}
    assert ratios == {
        ("import", 1_000): 1.0,
        ("import", 10_000): pytest.approx(2.0),
        ("poll", 1_000): 1.0,
        ("poll", 10_000): pytest.approx(1.1),
    }
    assert cost_of(FOUND[0]) == pytest.approx(200.0)
    assert line_of(with_ratios(FOUND)[0]).endswith("200.0 us/output  x2.00        10 bytes/output")
    assert "us/poll" in line_of(FOUND[2])


def test_the_largest_size_is_held_against_the_goals() -> None:
    goals = goals_of(with_ratios(FOUND), "sqlite", (1.0, 2.0))
    assert [(one.at_most, one.reached) for one in goals] == [
        (1.3, False),
        (1.3, True),
        (2_048, True),
    ]
    [alone] = goals_of(with_ratios(FOUND[1:2]), "sqlite", (1.0, 2.0))
    assert alone.unit == "MB"


def test_outputs_are_the_same_at_every_size() -> None:
    first = list(outputs_of(3))
    assert first == list(outputs_of(3))
    assert [row["model"] for row in first] == ["old", "new"]
    assert first[0]["prediction"] != first[1]["prediction"]


def test_a_stage_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    import os

    assert apart(lambda: {"pid": os.getpid()})["pid"] != os.getpid()
    with pytest.raises(SystemExit, match="a stage failed"):
        apart(lambda: {"n": 1 / 0})


def test_the_plot_has_a_line_for_each_stage(tmp_path: Path) -> None:
    from tests.benchmarks._growth_plot import draw_growth

    file = tmp_path / "growth.svg"
    draw_growth(with_ratios(FOUND), file, title="<Cost>")
    said = file.read_text()
    assert said.count("<polyline") == 2 + 1 + 2
    assert "&lt;Cost&gt;" in said
    assert "import 2.00" in said
