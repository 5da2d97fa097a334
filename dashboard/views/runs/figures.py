"""Runs: the figures of each model with their intervals, paired differences, and every output."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.models import PreflightOut
from backend.schemas.runs import DifferenceOut, FigureOut, GenerationRunOut, ScoreRunDetail
from dashboard.components.address import choose
from dashboard.components.cancelling import show_cancel
from dashboard.components.figures.figures import (
    ARROWS,
    difference_points,
    difference_rows,
    figure_points,
    figure_rows,
    scale_words,
    scales_in,
)
from dashboard.components.figures.plots import show_intervals
from dashboard.components.frame import Cell, Tag, facts_html, heading, moment, table_html
from dashboard.components.preflights import COLUMNS, check_rows, newest_of_each, preflight_tag
from dashboard.session import current_client, current_project
from dashboard.views.runs.outputs import show_outputs_of

FIGURE_COLUMNS = ["metric", "slice", "model", "value [95% interval]", "n", "failed", ""]
IMPORT = "import"
"""The engine of a run whose texts were brought from elsewhere."""
DIFFERENCE_COLUMNS = [
    "metric", "slice", "baseline", "candidate", "difference [95% interval]", "p",
    "better / same / worse", "n",
]  # fmt: skip


def show() -> None:
    """Draw the page."""
    heading("Runs", "What each model wrote, and how it scored")
    runs = current_client().runs.list(current_project().id).items
    if not runs:
        st.info("No run yet: `strop run --dataset D --split test --models base,v1`")
        return
    by_id = {run.id: run for run in held_out_first(runs)}
    run = by_id[choose("run", "Run", {i: run_title(run) for i, run in by_id.items()})]
    _show_facts(run)
    figures, outputs = st.tabs(["Figures", "Outputs"], on_change="rerun", key=f"run-tabs-{run.id}")
    if figures.open:
        with figures:
            _show_scores(run)
    if outputs.open:
        with outputs:
            show_outputs_of(run)


def held_out_first(runs: Sequence[GenerationRunOut]) -> list[GenerationRunOut]:
    """Runs on test examples before those on others, the newest first within each."""
    order = {"test": 0, "validation": 1}
    return sorted(runs, key=lambda run: (order.get(run.split, 2), -run.id))


HELD_OUT = {
    "test": Tag("held out", "pass"),
    "validation": Tag("not held out: models are chosen on validation examples", "inconclusive"),
    "train": Tag("not held out: training data", "inconclusive"),
}


def run_title(run: GenerationRunOut) -> str:
    """A run in a list."""
    models = ", ".join(model.label for model in run.models)
    return f"Run {run.id}: {models} on {run.dataset} v{run.dataset_version}, {run.split}"


def _show_facts(run: GenerationRunOut) -> None:
    progress, job, preflight = run.progress, run.job, run.preflight
    state = job.state if job else "imported" if run.engine == IMPORT else "not queued"
    parameters = ", ".join(f"{key} {value}" for key, value in run.params.items())
    facts: dict[str, Cell] = {
        "examples": HELD_OUT[run.split],
        "state": f"{state}, {progress.done} of {progress.total} written, {progress.failed} failed",
        "engine": f"{run.engine}, {parameters}",
        "started": moment(run.created_at),
    }
    if preflight is not None or run.engine != IMPORT:
        facts["preflight"] = "not made yet" if preflight is None else preflight_tag(preflight)
    if run.provenance:
        facts["not proved"] = " ".join(run.provenance)
    if job is not None and job.error:
        facts["reason"] = job.error
    st.html(facts_html(facts))
    client = current_client()
    show_cancel(job, f"run {run.id}", lambda reason: client.jobs.cancel_run(run.id, reason))
    for one in newest_of_each(run.preflights):
        _show_preflight(run, one)


def _show_preflight(run: GenerationRunOut, preflight: PreflightOut) -> None:
    names = {model.id: model.label for model in run.models}
    models = ", ".join(names.get(i, f"model {i}") for i in preflight.model_ids)
    title = f"Preflight of {models}: {preflight_tag(preflight).text}"
    with st.expander(title, expanded=not preflight.passed):
        at = moment(preflight.created_at)
        st.caption(f"Before the run, on the engine {preflight.engine}, {at}.")
        st.html(table_html(COLUMNS, check_rows(preflight.checks), title=title))


def _show_scores(run: GenerationRunOut) -> None:
    if not run.score_run_ids:
        st.info("Not scored yet: `strop run --resume` with `--metrics`, or score it by the API.")
        return
    detail = current_client().runs.report(_choose_score_run(run.score_run_ids))
    if detail.job_state == "cancelled":
        st.info(detail.reason)
    if not detail.figures:
        st.info(f"The scoring is {detail.job_state or 'not queued'}; figures come when it is done.")
        return
    _plot_by_scale(detail.figures)
    st.html(table_html(FIGURE_COLUMNS, figure_rows(detail.figures)))
    with st.expander("How each figure was computed"):
        signatures = {f.metric: f.signature for f in detail.figures if f.signature}
        st.html(table_html(["metric", "signature"], [[k, v] for k, v in signatures.items()]))
    if len(run.models) > 1:
        _show_differences(run, detail)


def _choose_score_run(ids: Sequence[int]) -> int:
    newest_first = sorted(ids, reverse=True)
    if len(newest_first) == 1:
        return newest_first[0]
    chosen: int = st.selectbox("Score run", newest_first, format_func=lambda i: f"score run {i}")
    return chosen


def _plot_by_scale(figures: Sequence[FigureOut]) -> None:
    for scale in scales_in(figures):
        points = figure_points([f for f in figures if f.scale == scale])
        show_intervals(points, label="line", value_title=f"value ({scale_words(scale)})")
    st.caption(ARROWS)


def _show_differences(run: GenerationRunOut, detail: ScoreRunDetail) -> None:
    st.subheader("Paired differences")
    st.caption(
        "Candidate minus baseline on the same examples. Past the dashed line is a difference. "
        + ARROWS
    )
    labels = {model.id: model.label for model in run.models}
    ids = list(labels)
    with st.container(horizontal=True):
        baseline = st.selectbox("Baseline", ids, format_func=labels.__getitem__)
        others = [i for i in ids if i != baseline]
        candidate = st.selectbox("Candidate", others, format_func=labels.__getitem__)
    found = current_client().runs.differences(detail.id, baseline=baseline, candidate=candidate)
    plot_differences(found)
    st.html(table_html(DIFFERENCE_COLUMNS, difference_rows(found)))


def plot_differences(found: Sequence[DifferenceOut]) -> None:
    """The intervals of differences, a plot for each scale."""
    for scale in scales_in(found):
        points = difference_points([d for d in found if d.scale == scale])
        title = f"difference ({scale_words(scale)})"
        show_intervals(points, label="line", value_title=title, mark_at=0)
