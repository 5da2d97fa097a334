"""Training: the loss curve as it comes, what was trained on, and the frozen sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.schemas.curation import TrainingSetOut
from backend.schemas.training import TrainingProgress, TrainingRunOut
from dashboard.components.address import choose
from dashboard.components.cancelling import show_cancel
from dashboard.components.figures.plots import loss_plot
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    facts_html,
    heading,
    moment,
    table_html,
    tiles_html,
)
from dashboard.session import current_client, current_project

LIVE_SECONDS = 2.0
ENDED = frozenset({"done", "failed", "stopped", "cancelled"})
SHOWN_CONFIG = (
    "method",
    "weights",
    "rank",
    "alpha",
    "dropout",
    "packing",
    "learning_rate",
    "epochs",
    "batch_size",
    "seed",
)


def show() -> None:
    """Draw the page."""
    heading("Training", "Adapters trained on frozen sets, under the bar that was set before")
    client, project = current_client(), current_project()
    sets = client.curation.list(project.id)
    runs = sorted(client.training.list(project.id), key=lambda run: -run.id)
    if runs:
        by_id = {run.id: run for run in runs}
        titles = {i: f"Training run {i}: {r.adapter_name}, {_state(r)}" for i, r in by_id.items()}
        chosen = by_id[choose("training", "Training run", titles)]
        _show_run(chosen, {s.id: s for s in sets})
    else:
        st.info("Nothing has been trained yet: `strop train --set T --config C --name v1`")
    _show_sets(sets)


def _state(run: TrainingRunOut) -> str:
    return run.job.state if run.job else "not queued"


def _show_run(run: TrainingRunOut, sets: dict[int, TrainingSetOut]) -> None:
    curve, facts = st.columns([1.7, 1], gap="large")
    with curve:
        live = _state(run) not in ENDED
        st.fragment(_show_curve, run_every=LIVE_SECONDS if live else None)(run.id, was_live=live)
    with facts:
        st.html(facts_html(_facts(run, sets)))
        client, what = current_client(), f"training {run.id}"
        show_cancel(run.job, what, lambda reason: client.jobs.cancel_training(run.id, reason))
    if ledger := run.result.get("ledger"):
        st.html(tiles_html(ledger_tiles(ledger)))
    if search := run.result.get("search"):
        head = ["trial", "validation loss", "rows", "seconds", "behind the kept one", ""]
        st.html(table_html(head, trial_rows(search), title="Trials of the search"))


def _show_curve(run_id: int, *, was_live: bool) -> None:
    progress = current_client().training.progress(run_id)
    points = loss_points(progress)
    if points:
        st.altair_chart(loss_plot(points), width="stretch")
    else:
        st.info("No step has been logged yet.")
    if was_live and progress.state in ENDED:
        st.rerun()


def ledger_tiles(ledger: Mapping[str, Any]) -> list[tuple[str, Cell, str]]:
    """What a training took: tokens, time, memory, money."""
    gpu = ledger["peak_gpu_memory_bytes"]
    processors = f"{ledger['cpu_seconds']:.0f} CPU s, {ledger['gpu_seconds']:.0f} GPU s"
    cost = ledger["cost"]
    return [
        ("tokens", FigureText(f"{ledger['tokens']:,}"), "over all passes"),
        (
            "time",
            FigureText(f"{ledger['seconds']:.0f} s"),
            f"{processors}, {ledger['starts']} start(s)",
        ),
        (
            "peak memory",
            FigureText(f"{ledger['peak_memory_bytes'] / 1e9:.2f} GB"),
            "no GPU" if gpu is None else f"{gpu / 1e9:.2f} GB on the GPU",
        ),
        (
            "cost",
            "not known" if cost is None else FigureText(f"{cost:.3g}"),
            "no price stated" if cost is None else f"at {ledger['price_per_hour']:g} an hour",
        ),
    ]


def trial_rows(search: Mapping[str, Any]) -> list[list[Cell]]:
    """The trials of a search, the lowest validation loss first."""
    return [
        [
            trial["name"],
            FigureText(_with_interval(trial.get("loss") or {"value": trial["validation_loss"]})),
            trial["rows"],
            FigureText(f"{trial['seconds']:.0f}"),
            _behind(trial),
            Tag("kept", "pass") if trial["name"] == search["kept"] else "",
        ]
        for trial in sorted(search["trials"], key=lambda one: float(one["validation_loss"]))
    ]


def _behind(trial: Mapping[str, Any]) -> str:
    """How much more a trial loses than the kept one on the same rows, and whether they tell."""
    if not trial.get("behind"):
        return ""
    apart = "" if trial["told_apart"] else ", not told apart"
    return f"{_with_interval(trial['behind'])}{apart}"


def _with_interval(estimate: Mapping[str, Any]) -> str:
    if estimate.get("low") is None:
        return f"{estimate['value']:.4f}"
    return f"{estimate['value']:.4f} [{estimate['low']:.4f}, {estimate['high']:.4f}]"


def loss_points(progress: TrainingProgress) -> list[dict[str, Any]]:
    """Points of both series; a log line has one of them or both."""
    series = (("training", "loss"), ("validation", "eval_loss"))
    return [
        {"step": point.step, "loss": getattr(point, field), "series": name}
        for point in progress.points
        for name, field in series
        if getattr(point, field) is not None
    ]


def _facts(run: TrainingRunOut, sets: dict[int, TrainingSetOut]) -> dict[str, Cell]:
    chosen = sets.get(run.training_set_id)
    facts: dict[str, Cell] = {
        "adapter": run.adapter_name,
        "state": _state(run),
        "training set": f"{chosen.name}, {chosen.n_rows} rows" if chosen else run.training_set_id,
        "bar": f"manifest {run.manifest_id}",
        "started": moment(run.created_at),
    }
    if run.start_model_id is not None:
        facts["went on from"] = f"model {run.start_model_id}"
    if chosen and chosen.simulated:
        facts["rests on"] = Tag("simulated reviews", "simulated")
    if run.finished_at:
        facts["took"] = (
            f"{(run.finished_at - run.created_at).total_seconds():.0f} s, queue included"
        )
    facts |= {key: str(run.config[key]) for key in SHOWN_CONFIG if key in run.config}
    if run.job and run.job.error:
        facts["reason"] = run.job.error
    return facts


def _show_sets(sets: Sequence[TrainingSetOut]) -> None:
    st.subheader("Training sets")
    if not sets:
        st.info("No set is frozen yet: `strop set freeze NAME --queue Q`")
        return
    rows: list[list[Cell]] = [
        [
            one.name,
            one.n_rows,
            one.digest[:12],
            moment(one.created_at),
            Tag("simulated", "simulated") if one.simulated else "",
        ]
        for one in sets
    ]
    st.html(table_html(["set", "rows", "digest", "frozen", ""], rows))
