"""Turns, ratios, and the table that all benchmarks end with; nothing here is timed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks._quick import QUICK
from tests.benchmarks._ratios import Ratio, Turns, as_line, keep, skip, take_turns
from tests.benchmarks.review_load import ratios_of


def test_sides_take_turns_in_an_order_that_turns() -> None:
    ran: list[str] = []
    clock = itertools.count()
    sides = {name: lambda name=name: ran.append(name) for name in ("ours", "theirs")}
    turns = take_turns(sides, times=3, clock=lambda: float(next(clock)))
    assert ran == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert turns.seconds == {"ours": [1.0] * 3, "theirs": [1.0] * 3}


def test_a_ratio_is_of_one_turn_and_the_median_is_over_turns() -> None:
    turns = Turns({"ours": [1.0, 2.0, 4.0], "theirs": [4.0, 4.0, 4.0]}, (1.0, 2.0))
    ratio = turns.ratio("x", "ours", "theirs", at_least=2)
    assert ratio.turns == [4.0, 2.0, 1.0]
    assert ratio.sides == {"ours, s": 2.0, "theirs, s": 4.0}
    assert (ratio.median, ratio.reached) == (2.0, True)
    assert as_line(ratio.as_row()) == (
        "x: 2 times [1, 4], goal at least 2 (met), n=3, load 1.0 to 2.0"
    )
    assert turns.rate("y", "ours", 8).turns == [8.0, 4.0, 2.0]


@pytest.mark.parametrize(
    ("least", "most", "reached"),
    [(None, None, None), (3, None, True), (3.1, None, False), (None, 3, True), (None, 2.9, False)],
)
def test_a_goal_is_a_floor_or_a_ceiling(
    least: float | None, most: float | None, reached: bool | None
) -> None:
    assert Ratio("x", [1, 3, 9], least, most).reached is reached


def test_the_table_holds_what_was_measured_skipped_and_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(module: list[str], said: Path) -> int:
        name = module[0].rpartition(".")[2]
        if name == "parity":
            return 1
        out = Path(module[module.index("--out") + 1])
        if name == "desk_page":
            skip(out, "next item", "no Chromium")
        else:
            keep(out, [Ratio("a|b", [2.0, 3.0, 4.0], 2.5, load=(0.5, 1.5))])
        return 0

    monkeypatch.setattr(bench, "run_aloud", run)
    names = ["comparison_views", "desk_page", "parity"]
    rows = [row for name in names for row in bench.run_benchmark(name, tmp_path)]
    bench.write_table(rows, tmp_path)
    table = capsys.readouterr().out
    figures = "| at least 2.5 (met) | 3 times | 2 to 4 | 3 | 0.5 to 1.5 |"
    assert f"| comparison_views | a/b {figures}" in table
    assert "| desk_page | next item |  | skipped: no Chromium |" in table
    assert "| parity |  |  | failed: exit code 1, see its output |" in table
    found = json.loads((tmp_path / "ratios.json").read_text())
    assert [row.get("turns") for row in found["ratios"]] == [[2.0, 3.0, 4.0], None, None]
    assert found["cores"]


def test_a_benchmark_without_its_data_is_skipped_with_the_reason(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    out = tmp_path / "x.json"
    module = ["tests.benchmarks.evaluators_speed", "--data", str(nowhere), "--out", str(out)]
    assert bench.run_aloud(module, tmp_path / "x.txt") == 0
    [row] = json.loads(out.with_suffix(".ratios.json").read_text())
    assert str(nowhere) in row["skipped"]
    assert str(nowhere) in (tmp_path / "x.txt").read_text()


def test_every_benchmark_has_a_quick_size_that_it_takes() -> None:
    folder = Path(bench.__file__).parent
    names = {file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")}
    assert set(QUICK) == {n for n in names if not n.startswith(bench.PART_OF_EVALUATORS)}
    for name, options in QUICK.items():
        source = (folder / f"{name}.py").read_text(encoding="utf-8")
        asked = [one for one in (options or "").split() if one.startswith("--")]
        assert [one for one in asked if f'"{one}"' not in source] == [], name
    assert bench.run_benchmark("real_model", folder, quick=True)[0]["skipped"] == "no quick size"


@pytest.mark.deep
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", [name for name, options in QUICK.items() if options is not None])
def test_every_benchmark_runs_to_its_end_in_its_quick_size(name: str, tmp_path: Path) -> None:
    rows = bench.run_benchmark(name, tmp_path, quick=True)
    assert (tmp_path / f"{name}.txt").stat().st_size > 0
    assert [row for row in rows if "failed" in row] == []


@pytest.mark.deep
@pytest.mark.postgres
def test_growth_is_measured_on_postgresql_too(tmp_path: Path) -> None:
    module = [
        "tests.benchmarks.growth",
        "--out",
        str(tmp_path / "x.json"),
        *str(QUICK["growth"]).split(),
    ]
    assert bench.run_aloud([*module, "--database", "postgresql"], tmp_path / "x.txt") == 0
    assert "on postgresql" in (tmp_path / "x.txt").read_text()


def test_the_options_of_a_quick_size_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(bench, "run_aloud", lambda module, said: ran.append(list(module)) or 0)
    for quick in (True, False):
        assert bench.run_benchmark("audit_cost", tmp_path, quick=quick) == []
    given = ["tests.benchmarks.audit_cost", "--out", str(tmp_path / "audit_cost.json")]
    assert ran == [[*given, *str(QUICK["audit_cost"]).split()], given]


def test_a_desk_under_load_is_held_against_its_goals() -> None:
    paced = {"lost": 0, "doubled": 1, "wanted_per_second": 50.0, "review": {"p95_ms": 80.0}}
    found = {
        "raw": {"ratios": [2.0, 2.5, 3.5]},
        "cost": {"1,000": {"claim_to_least": 1.0}, "9,000": {"claim_to_least": 1.2}},
        "one_process": paced,
    }
    flat_out = {"api_ms_of_processor_per_review": 5.0, "reviews_per_second": 100.0}
    busier = {"busiest_to_even": 1.8, "reviews_per_second": 150.0}
    found["saturated"] = [
        {"processes": 1, **flat_out},
        {"processes": 2, **flat_out, **busier},
    ]
    load = {"load_average_before": [1.0], "load_average_after": [2.0]}
    rows = [one.as_row() for one in ratios_of({"sqlite": found, **load})]
    assert [(row["median"], row["reached"]) for row in rows] == [
        (2.5, True),
        (1.2, None),
        (1, False),
        (1.8, None),
        (1.0, None),
        (1.5, None),
        (80.0, None),
    ]
