"""The tab "Bench": what each check finds of planted errors, and its false alarms."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.schemas.checks.benches import BenchCheck, BenchFigure, CheckBenchOut, sources_text
from dashboard.components.figures.plots import interval_of, show_intervals
from dashboard.components.frame import Cell, problems_shown, sentences_html, table_html
from dashboard.session import current_client, current_project

COLUMNS = ("kind", "planted in", "recall", "n", "scored worse", "marked at the place")
HISTORY = ("bench", "on", "outputs", "check", "false alarms", "recall of all kinds")
COMMAND = "strop check bench --dataset NAME --metrics invented,overlap"


def show() -> None:
    """Draw the newest bench, and the ones before it."""
    with problems_shown():
        benches = current_client().checks.benches(current_project().id)
        if not benches:
            st.info(f"No check was measured yet: `{COMMAND}`")
            return
        _show_one(benches[0])
        if len(benches) > 1:
            rows = [row for bench in benches for row in history_rows(bench)]
            with st.expander(f"{len(benches)} benches, the newest first"):
                st.html(table_html(HISTORY, rows, title="Benches"))


def _show_one(bench: CheckBenchOut) -> None:
    st.html(sentences_html(sentences(bench)))
    drawn = [point for check in bench.report.checks for point in points(check)]
    title = "share of planted errors found (simulated)"
    show_intervals(drawn, label="kind", value_title=title, domain=(0, 1))
    shares = {f.metric.partition(":")[2]: f for f in bench.report.plantable}
    for check in bench.report.checks:
        st.subheader(check.check)
        st.html(sentences_html([reading(check)]))
        if check.kinds:
            title = f"{check.check}, by kind (simulated)"
            st.html(table_html(COLUMNS, kind_rows(check, shares), title=title))


def sentences(bench: CheckBenchOut) -> list[str]:
    """What was measured on what, and that it is simulated."""
    report = bench.report
    on = f"{bench.dataset}, {' and '.join(bench.splits)}"
    left = "; ".join(f"{count} left out: {why}" for why, count in report.left_out.items())
    found = [
        f"One error of each kind was planted in every one of {report.n} right outputs of {on} that "
        f"has a place for it ({sources_text(bench.sources)}; {report.groups} groups; seed "
        f"{bench.seed}).",
        report.note[0].upper() + report.note[1:] + ".",
    ]
    return [*found, f"{left}."] if left else found


def reading(check: BenchCheck) -> str:
    """How a check is read and how often it is wrong on right outputs."""
    if check.problem:
        return f"Not measured: {check.problem}."
    words = check.reading[0].upper() + check.reading[1:]
    if check.false_alarms is None:
        return f"{words}."
    alarms = check.false_alarms
    return f"{words}. False alarms {figure_text(alarms)} on {alarms.n} outputs as they were."


def figure_text(figure: BenchFigure | None) -> str:
    """`.83 (.76 to .88)`, with what failed; a dash where there is none."""
    if figure is None:
        return "–"
    bounds = ""
    if figure.low is not None and figure.high is not None:
        bounds = f" ({figure.low:.2f} to {figure.high:.2f})"
    failed = f", {figure.failed} not scored" if figure.failed else ""
    return f"{figure.value:.2f}{bounds}{failed}"


def kind_rows(check: BenchCheck, shares: dict[str, BenchFigure]) -> list[list[Cell]]:
    """A row for each kind of planted error."""
    return [
        [
            kind.kind,
            f"{shares[kind.kind].value:.0%}" if kind.kind in shares else "–",
            figure_text(kind.recall),
            kind.recall.n,
            figure_text(kind.worse),
            figure_text(kind.located),
        ]
        for kind in check.kinds
    ]


def history_rows(bench: CheckBenchOut) -> list[list[Cell]]:
    """A row for each check of a bench."""
    return [
        [
            f"{bench.created_at:%Y-%m-%d %H:%M}",
            f"{bench.dataset}, {' and '.join(bench.splits)}",
            bench.report.n,
            check.check,
            figure_text(check.false_alarms),
            check.problem or figure_text(check.recall),
        ]
        for check in bench.report.checks
    ]


def points(check: BenchCheck) -> list[dict[str, Any]]:
    """Recall by kind of one check, for the plot."""
    return [
        {
            "kind": kind.kind,
            "group": check.check,
            **interval_of(kind.recall),
            "text": figure_text(kind.recall),
        }
        for kind in check.kinds
        if kind.recall.low is not None
    ]
