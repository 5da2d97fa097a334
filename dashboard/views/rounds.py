"""Rounds: what each turn of the loop waits for, what it came to, and what it cost experts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from backend.schemas.rounds import RoundOut
from dashboard.components.figures.figures import interval_text, line_name, scale_words
from dashboard.components.figures.plots import show_intervals
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    facts_html,
    heading,
    moment,
    problems_shown,
    table_html,
    verdict_tag,
)
from dashboard.session import current_client, current_project
from dashboard.views.yields import show_yields

TIMELINE = (
    "round",
    "verdict",
    "adapter",
    "rows",
    "invented facts",
    "expert minutes",
    "training",
    "began",
    "ended",
)
STATES = {"finished": "pass", "failed": "fail", "paused": "inconclusive", "cancelled": "fail"}


def show() -> None:
    """Draw the page."""
    heading("Rounds", "One turn of the loop after the other: what it waits for and what it brought")
    rounds = current_client().rounds.list(current_project().id)
    if not rounds:
        st.info("No round has been started yet: `strop round start PLAN`")
        return
    _show_now(rounds[0])
    _show_timeline(rounds)
    show_yields(rounds)
    for row in rounds:
        with st.expander(f"Round {row.number}: what happened", expanded=False):
            rows: list[list[Cell]] = [[moment(e.at), e.phase, e.text] for e in row.events]
            st.html(table_html(["when", "phase", "what"], rows))


def _show_now(row: RoundOut) -> None:
    st.subheader(f"Round {row.number}")
    ended = row.finished_at is not None
    facts: dict[str, Cell] = {
        "state": Tag(row.state, STATES.get(row.state, "")),
        "since": moment(row.since),
        **({} if ended else {"waits for": row.waits_for, "next": row.next}),
        "adapter": row.adapter,
    }
    if row.error:
        facts["error"] = row.error
    phases = current_client().projects.kinds().round_phases
    st.html(phases_html(phases, row.phase, ended=ended) + facts_html(facts))
    _show_actions(row)


def phases_html(phases: Sequence[str], phase: str, *, ended: bool) -> str:
    """The phases of a round in order: those that are done, the one it is in, those to come."""
    now = phases.index(phase) + (ended and phase == phases[-1])
    marks = ["done" if n < now else "now" if n == now else "later" for n in range(len(phases))]
    here = {"now": ' aria-current="step"'}
    steps = "".join(
        f'<li class="{mark}"{here.get(mark, "")}>{name}</li>'
        for name, mark in zip(phases, marks, strict=True)
    )
    return f'<ol class="strop-phases" aria-label="Phases of the round">{steps}</ol>'


def _show_actions(row: RoundOut) -> None:
    client = current_client()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if row.state == "active":
            _button("Pause", lambda: client.rounds.pause(row.id))
        if row.state in ("paused", "failed"):
            _button("Take up again", lambda: client.rounds.resume(row.id))
        if row.phase == "sign" and row.state == "active":
            _button("Sign the promotion", lambda: client.rounds.sign(row.id), first=True)
            with st.popover("Hold …"):
                kept = st.text_input("Why is it not promoted?", key=f"hold-{row.id}")
                _button(
                    "Sign that it is held",
                    lambda: client.rounds.sign(row.id, hold=kept.strip()),
                    disabled=not kept.strip(),
                )
        if row.state not in ("finished", "cancelled"):
            with st.popover("Cancel …"):
                reason = st.text_input("Why? It stays in the record.", key=f"why-{row.id}")
                _button(
                    "Cancel the round",
                    lambda: client.rounds.cancel(row.id, reason.strip()),
                    disabled=not reason.strip(),
                )


def _button(
    label: str, act: Callable[[], object], *, first: bool = False, disabled: bool = False
) -> None:
    if st.button(label, type="primary" if first else "secondary", disabled=disabled):
        with problems_shown():
            act()
            st.rerun()


def _show_timeline(rounds: Sequence[RoundOut]) -> None:
    st.subheader("What they brought")
    st.html(table_html(TIMELINE, [timeline_row(row) for row in rounds]))
    scales = dict.fromkeys(line.get("scale") for row in rounds for line in row.figures.lines)
    for scale in scales:
        points = [p for row in reversed(rounds) for p in timeline_points(row, scale=scale)]
        title = f"lines of the bar; \u0394: candidate minus baseline ({scale_words(scale)})"
        show_intervals(points, label="line", value_title=title, mark_at=0)
    rates = [point for row in reversed(rounds) for point in hallucination_points(row)]
    title = "share of outputs with an invented fact"
    show_intervals(rates, label="of", value_title=title, domain=(0, 1))


def timeline_row(row: RoundOut) -> list[Cell]:
    """A round in the table; what is not known yet says so."""
    figures = row.figures
    return [
        Tag(f"{row.number} simulated", "simulated") if figures.simulated else row.number,
        verdict_tag(figures.verdict) if figures.verdict else Tag(row.state, ""),
        row.adapter,
        figures.rows,
        hallucination_cell(figures.hallucination) if figures.verdict else None,
        None if figures.expert_minutes is None else FigureText(f"{figures.expert_minutes:g}"),
        training_cell(figures.training),
        moment(row.started_at),
        None if row.finished_at is None else moment(row.finished_at),
    ]


def training_cell(ledger: Mapping[str, Any]) -> Cell:
    """Seconds of training, and their cost where a price was stated."""
    if not ledger:
        return None
    priced = "" if ledger["cost"] is None else f", cost {ledger['cost']:.3g}"
    return FigureText(f"{ledger['seconds']:.0f} s{priced}")


def hallucination_cell(rates: Sequence[dict[str, Any]]) -> Cell:
    """The candidate's share of outputs with an invented fact; the first slice that has one."""
    mine = [rate for rate in rates if rate["of"] == "candidate"]
    if not mine:
        return "not scored"
    rate = next((one for one in mine if "error" not in one), None)
    if rate is None:
        return str(mine[0]["error"])
    told = interval_text(rate["value"], rate["low"], rate["high"], scale=1.0)
    return FigureText(f"{told}, n {rate['n']}")


def hallucination_points(row: RoundOut) -> list[dict[str, Any]]:
    """Candidate and model to beat, each slice that has a figure."""
    return [
        {
            "of": f"{rate['of']}, {rate['title']}",
            "group": f"round {row.number}",
            **{name: rate[name] for name in ("value", "low", "high", "n")},
        }
        for rate in row.figures.hallucination
        if rate.get("low") is not None
    ]


def timeline_points(row: RoundOut, *, scale: float | None) -> list[dict[str, Any]]:
    """Each line of the bar on this scale that has a figure, with its interval and n."""
    return [
        {
            "line": _name(line),
            "group": f"round {row.number}",
            "text": line["reason"],
            **{name: line["evidence"][name] for name in ("value", "low", "high", "n")},
        }
        for line in row.figures.lines
        if line.get("evidence") is not None and line.get("scale") == scale
    ]


def _name(line: Mapping[str, Any]) -> str:
    name = line_name(line["metric"], line["slice"])
    name = f"← {name}" if line.get("better") == "lower" else f"{name} →"
    return name if line["margin"] is None else f"\u0394 {name}"
