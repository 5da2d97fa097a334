"""The tab "Bench": what it says of a bench, and of none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backend.schemas.checks.benches import BenchReportOut, CheckBenchOut
from dashboard.views.checks import bench as tab
from evaluators.checks.planting.bench import build_bench, run_bench
from evaluators.registry import resolve_metrics
from evaluators.types import Sample
from tests.dashboard.fake_client import engineers_project
from tests.dashboard.test_pages import open_page, shown


@pytest.fixture(scope="module")
def made() -> CheckBenchOut:
    samples = [
        Sample(f"s{i}", text, context=f"Agent: {text}", group=f"g{i}")
        for i in range(16)
        for text in [f"He paid {i + 20} EUR on Friday, and the price was higher."]
    ]
    report = run_bench(build_bench(samples), resolve_metrics(["invented", "citations"]))
    return CheckBenchOut(
        id=1,
        dataset="calls@1",
        splits=["train", "validation"],
        checks=["invented", "citations"],
        sources={"references": 12, "corrections": 4, "approved": 0, "simulated": 3},
        seed=0,
        digest="0" * 64,
        report=BenchReportOut.model_validate(report.as_dict()),
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


def test_the_page_shows_figures_with_their_n_and_says_simulated(made: CheckBenchOut) -> None:
    app = open_page("checks", {**engineers_project(), "check_benches": [made, made]})
    assert not app.exception
    page = shown(app)
    assert "simulated" in page
    assert "12 references, 4 corrections; 3 of them by a simulated reviewer" in page
    assert "1.00 (" in page
    assert "False alarms 0.00 (0.00 to" in page
    assert "on 16 outputs as they were" in page
    assert "no list of citable sources" in page  # citations could not be measured
    assert "2 benches" in str([e.label for e in app.expander])


def test_the_page_without_a_bench_says_how_to_make_one() -> None:
    app = open_page("checks", {**engineers_project(), "check_benches": []})
    assert "strop check bench" in app.info[0].value


def test_rows_are_one_a_kind_and_points_have_both_bounds(made: CheckBenchOut) -> None:
    check = made.report.checks[0]
    shares = {f.metric.partition(":")[2]: f for f in made.report.plantable}
    rows = tab.kind_rows(check, shares)
    assert [row[0] for row in rows] == [kind.kind for kind in check.kinds]
    assert {row[1] for row in rows if row[0] == "number"} == {"100%"}
    assert all(point["low"] <= point["value"] <= point["high"] for point in tab.points(check))
    assert tab.figure_text(None) == "–"
