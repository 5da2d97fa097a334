"""Verdicts: each comparison line by line against the bar, and the log of promotions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.schemas.verdicts import ComparisonDetail, ComparisonOut
from dashboard.components.address import choose
from dashboard.components.figures.figures import p_text
from dashboard.components.frame import (
    Cell,
    FigureText,
    facts_html,
    heading,
    moment,
    simulated_tag,
    table_html,
    verdict_tag,
)
from dashboard.session import current_client, current_project
from dashboard.views.verdicts.comparisons import show_bar_change, show_detail
from dashboard.views.verdicts.decisions import show_decisions, show_signing
from dashboard.views.verdicts.dossier import show_dossier

LINE_COLUMNS = [
    "verdict",
    "line of the bar",
    "evidence [interval]",
    "p, Holm",
    "failed or undecided",
]
NO_PREFLIGHT = {"verdict": "INCONCLUSIVE", "reason": "judged before preflights were kept"}


def show() -> None:
    """Draw the page."""
    heading("Verdicts", "Every candidate against the bar that was set before it was trained")
    client, project = current_client(), current_project()
    found = sorted(client.verdicts.list(project.id), key=lambda c: -c.id)
    log = client.verdicts.promotions(project.id)
    if found:
        detail = client.verdicts.get(_choose(found).id)
        _show_comparison(detail)
        show_signing(detail, log)
        show_detail(detail)
        show_dossier(detail)
    else:
        st.info("No candidate has been judged yet: `strop gate CANDIDATE`")
    show_decisions(log)


def _choose(found: Sequence[ComparisonOut]) -> ComparisonOut:
    by_id = {comparison.id: comparison for comparison in found}

    def title(i: int) -> str:
        one = by_id[i]
        judged = f"{one.verdict}, {moment(one.created_at)}"  # the number: titles must differ
        judged += ", simulated votes" if one.n_simulated else ""
        return f"Comparison {one.id}: {one.candidate} against {one.baseline}, {judged}"

    chosen = choose("comparison", "Comparison", {i: title(i) for i in by_id})
    return by_id[chosen]


def _show_comparison(one: ComparisonDetail) -> None:
    facts: dict[str, Cell] = {
        "verdict": verdict_tag(one.verdict),
        **({"to know first": tag} if (tag := simulated_tag(one.n_simulated)) else {}),
        "candidate": one.candidate,
        "baseline": one.baseline,
        "rests on": f"score run {one.score_run_id}, bar {one.manifest_id}"
        + (f", votes of queue {one.review_queue_id}" if one.review_queue_id else ""),
        "judged": moment(one.created_at),
    }
    st.html(facts_html(facts))
    show_bar_change(one.bar)
    rows = [preflight_row(one), *(line_row(line) for line in one.lines)]
    st.html(table_html(LINE_COLUMNS, rows))
    st.caption(
        "Each line is judged by its own interval, since all of them must pass. Holm's p is of no "
        "difference at all, adjusted over the lines, so it may be large beside an interval that "
        "leaves 0 out."
    )


def preflight_row(one: ComparisonOut) -> list[Cell]:
    """Whether what was served is what was meant; it counts like a line."""
    standing = one.preflight or NO_PREFLIGHT
    return [verdict_tag(standing["verdict"]), "preflight passed", standing["reason"], None, None]


def line_row(line: Mapping[str, Any]) -> list[Cell]:
    """One line of the bar: its verdict, what it asks, and the figure with its interval and n."""
    evidence = line.get("evidence") or {}
    p, simulated = evidence.get("p_holm"), evidence.get("n_simulated")
    return [
        verdict_tag(line["verdict"]),
        line["title"],
        line["reason"] + (f"; {simulated} of its votes are simulated" if simulated else ""),
        None if p is None else FigureText(p_text(p)),
        evidence.get("failed"),
    ]
