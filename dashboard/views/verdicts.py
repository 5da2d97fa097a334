"""Verdicts: each comparison line by line against the bar, and the log of promotions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.schemas.comparison import ComparisonShown
from backend.schemas.promotion import PromotionShown
from dashboard.components.frame import (
    Cell,
    Tag,
    facts_html,
    heading,
    moment,
    table_html,
    verdict_tag,
)
from dashboard.session import current_client, current_project

ACTION_TAGS = {"promoted": "pass", "held": "inconclusive", "rolled_back": "fail"}


def show() -> None:
    """Draw the page."""
    heading("Verdicts", "Every candidate against the bar that was set before it was trained")
    client, project = current_client(), current_project()
    found = sorted(client.list_comparisons(project.id), key=lambda c: -c.id)
    if found:
        _show_comparison(_choose(found))
    else:
        st.info("No candidate has been judged yet: `strop gate CANDIDATE`")
    _show_promotions(client.list_promotions(project.id))


def _choose(found: Sequence[ComparisonShown]) -> ComparisonShown:
    by_id = {comparison.id: comparison for comparison in found}

    def title(i: int) -> str:
        one = by_id[i]
        return f"{one.candidate} against {one.baseline}: {one.verdict}, {moment(one.created_at)}"

    chosen = st.selectbox(
        "Comparison", list(by_id), format_func=title, label_visibility="collapsed"
    )
    return by_id[chosen]


def _show_comparison(one: ComparisonShown) -> None:
    facts: dict[str, Cell] = {
        "verdict": verdict_tag(one.verdict),
        "candidate": one.candidate,
        "baseline": one.baseline,
        "rests on": f"score run {one.score_run_id}, bar {one.manifest_id}"
        + (f", votes of queue {one.review_queue_id}" if one.review_queue_id else ""),
        "judged": moment(one.created_at),
    }
    st.html(facts_html(facts))
    header = ["verdict", "line of the bar", "evidence [interval]", "failed or undecided"]
    st.html(table_html(header, [line_row(line) for line in one.lines]))


def line_row(line: Mapping[str, Any]) -> list[Cell]:
    """One line of the bar: its verdict, what it asks, and the figure with its interval and n."""
    evidence = line.get("evidence") or {}
    failed = evidence.get("failed")
    return [verdict_tag(line["verdict"]), line["title"], line["reason"], failed]


def _show_promotions(log: Sequence[PromotionShown]) -> None:
    st.subheader("Decisions")
    if not log:
        st.info("Nothing has been promoted or held yet: `strop promote CANDIDATE`")
        return
    rows: list[list[Cell]] = [
        [
            moment(entry.created_at),
            Tag(entry.action.replace("_", " "), ACTION_TAGS.get(entry.action, "")),
            entry.model,
            entry.alias,
            Tag("simulated", "simulated") if entry.simulated else entry.decided_by,
            entry.reason,
        ]
        for entry in sorted(log, key=lambda entry: -entry.id)
    ]
    st.html(table_html(["when", "what", "model", "alias", "by", "why"], rows))
