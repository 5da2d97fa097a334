"""The tab "Gaps between groups": a figure by the groups of a key, with all gaps at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.schemas.fairness import Gap, Parity, ParityReportOut
from backend.schemas.runs import GenerationRunOut
from dashboard.components.figures.plots import interval_of, show_intervals
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    sentences_html,
    table_html,
    tagged_html,
)
from dashboard.session import current_client, current_project

COLUMNS = ("group", "against", "gap", "outputs", "what the interval allows to say")
TAGS = {"apart": "fail", "beyond the margin": "fail", "within the margin": "pass"}
SCORES, RATINGS = "scores of a run", "ratings by people"
NO_GROUPS = (
    "No slice of this run has two groups and more to compare. A dataset says its groups by "
    'example: `{"slices": {"site": "north"}}`'
)
COMMAND = "strop fairness RUN --by KEY"


def show() -> None:
    """Choose what of which run, and draw it by group."""
    runs = current_client().runs.list(current_project().id).items
    scored = {run.id: run for run in runs if run.score_run_ids and not is_pairs(run)}
    if not scored:
        st.info(f"No run is scored yet. Once one is: `{COMMAND}`, or here.")
        return
    left, right = st.columns([1, 1], gap="large")
    with left:
        chosen = st.selectbox("Run", list(scored), format_func=lambda i: run_title(scored[i]))
        whose = st.radio("Figures", [SCORES, RATINGS], horizontal=True)
    keys = [one.key for one in current_client().fairness.slice_keys(chosen)]
    with right:
        if not keys:
            st.info(NO_GROUPS)
            return
        by = st.multiselect("Groups by", keys, default=keys[:1])
        margin = st.number_input(
            "Smallest gap that matters (0: every gap)", 0.0, value=0.0, step=0.01
        )
    if not by:
        return
    allowed = margin or None
    reports = (
        _scores(scored[chosen], by, allowed) if whose == SCORES else _ratings(chosen, by, allowed)
    )
    ends = value_ends(reports)
    for report in reports:
        _show_report(report, ends)


def is_pairs(run: GenerationRunOut) -> bool:
    """Whether a run is over counterfactual pairs, by the name that they are given."""
    return run.dataset.endswith("-counterfactual")


def run_title(run: GenerationRunOut) -> str:
    """A run in a list."""
    return f"run {run.id}: {run.dataset}@{run.dataset_version}, {run.split}"


def _scores(run: GenerationRunOut, by: list[str], margin: float | None) -> list[ParityReportOut]:
    client, newest = current_client(), max(run.score_run_ids)
    known = list(dict.fromkeys(f.metric for f in client.runs.report(newest).figures))
    metrics = st.multiselect("Metrics and checks", known, default=known[:1])
    together = st.checkbox("One level for all metrics at once", value=len(metrics) > 1)
    rates = st.checkbox("Also rates of labels (demographic parity, equal opportunity, odds)")
    labels = st.text_input("Labels that matter to a person", placeholder="approve") if rates else ""
    if not metrics:
        return []
    with st.spinner("Drawing resamples …"):
        return client.fairness.parity(
            newest,
            by=",".join(by),
            metrics=",".join(metrics),
            margin=margin,
            across_metrics=together,
            rates=rates,
            labels=labels or None,
        )


def _ratings(run_id: int, by: list[str], margin: float | None) -> list[ParityReportOut]:
    client = current_client()
    queues = client.queues.list(current_project().id)
    mine = {q.id: q.name for q in queues if q.generation_run_id == run_id and q.kind == "single"}
    if not mine:
        st.info("No queue of single outputs is open on this run.")
        return []
    chosen = st.selectbox("Queue", list(mine), format_func=lambda i: mine[i])
    return client.fairness.queue_parity(chosen, by=",".join(by), margin=margin)


def value_ends(reports: Sequence[ParityReportOut]) -> dict[str, tuple[float, float]]:
    """Both ends of the axis of each metric: the same for all models, so that plots compare."""
    drawn: dict[str, list[float]] = {}
    for one in (parity for report in reports for parity in report.parities):
        for point in points(one):
            drawn.setdefault(one.metric, []).extend((point["low"], point["high"]))
    return {metric: (min(values), max(values)) for metric, values in drawn.items()}


def _show_report(report: ParityReportOut, ends: Mapping[str, tuple[float, float]]) -> None:
    st.subheader(report.model.replace("`", "") or report.of)
    if report.by == "human":
        said = [f"By people, weighted by the design of {report.of}; no judge's rating is in it."]
        if report.n_simulated:
            said.append(f"{report.n_simulated} of the reviewed outputs were rated by a script.")
        st.html(sentences_html(said))
    for one in report.parities:
        st.html(tagged_html(Tag(one.said, TAGS.get(one.said, "inconclusive")), sentence(one)))
        title = f"{one.metric} by {one.key}"
        domain = ends.get(one.metric)
        show_intervals(points(one), label="group_", value_title=title, domain=domain)
        with st.expander(f"Gaps of {title}: {len(one.gaps)}"):
            st.html(table_html(COLUMNS, [gap_row(gap) for gap in one.gaps], title=title))
    if report.odds:
        told = [
            f"Equalised odds of {o.label} by {o.key}: {interval(o.value, o.low, o.high)}, n={o.n}."
            for o in report.odds
        ]
        st.html(sentences_html(told))


def sentence(one: Parity) -> str:
    """The largest gap, and what may be said of it."""
    if one.largest is None or one.between is None:
        return f"{one.metric} by {one.key} cannot be told: {one.note}."
    unnamed = f" {one.unnamed} outputs say no {one.key}." if one.unnamed else ""
    note = f" There is {one.note}." if one.note else ""
    level = f"The interval is of {one.level:.0%}."
    if one.family > 1:
        level = f"The {one.level:.0%} hold for all {one.family} gaps at once."
    value = interval(one.largest, one.low, one.high)
    return (
        f"{one.metric} by {one.key}: the largest gap is {value}, {one.between[0]} over "
        f"{one.between[1]}, n={one.n}: {one.said}. "
        f"{level}{unnamed}{note}"
    )


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """`.12 (.03 to .21)`; what is not known is said."""
    if value is None:
        return "not known"
    ends = ["not known" if end is None else f"{end:.2f}" for end in (low, high)]
    return f"{value:.2f} ({ends[0]} to {ends[1]})"


def gap_row(gap: Gap) -> list[Cell]:
    """A row of the table of gaps."""
    note = f": {gap.note}" if gap.note else ""
    said: Cell = Tag(gap.said, TAGS.get(gap.said, "inconclusive")) if not note else gap.said + note
    sizes = FigureText(f"{gap.n}, {gap.n_other}")
    return [gap.group, gap.other, FigureText(interval(gap.value, gap.low, gap.high)), sizes, said]


def points(one: Parity) -> list[dict[str, Any]]:
    """Figures of the groups, for the plot."""
    return [
        {
            "group_": f"{group.group} (n={group.n})",
            "group": one.metric,
            **interval_of(group),
            "text": interval(group.value, group.low, group.high),
        }
        for group in one.groups
        if group.low is not None
    ]
