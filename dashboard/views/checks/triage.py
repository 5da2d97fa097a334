"""Triage: what of each queue skipped review, by which certificate, and how its audit stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import streamlit as st

from backend.schemas.checks.triage import RoutingOut, State
from dashboard.components.address import choose
from dashboard.components.figures.plots import LINE_COLOUR, chart_of
from dashboard.components.frame import (
    Cell,
    Tag,
    facts_html,
    moment,
    problems_shown,
    show_done,
    simulated_tag,
    table_html,
    tiles_html,
)
from dashboard.components.marked_text import plain
from dashboard.session import current_client, current_project

NONE = (
    "Nothing skips review in this project. Once some outputs are reviewed, a queue may be opened "
    "in which those of low risk do: `strop review open --skip-below .05,.1`, or the switch on the "
    "page “Open a queue”."
)
STATE_TAGS: dict[State, Tag] = {
    "watched": Tag("watched", "pass"),
    "withdrawn": Tag("withdrawn", "fail"),
    "returned": Tag("put up for review", "inconclusive"),
}
COLUMNS = [
    "queue",
    "skipped",
    "audited",
    "looked at",
    "wrong",
    "wrong, at least",
    "allowed",
    "state",
]


def show() -> None:
    """Draw the tab."""
    show_done("triage")
    found = current_client().checks.routings(current_project().id)
    if not found:
        st.info(NONE)
        return
    st.html(table_html(COLUMNS, [_row(one) for one in found], title="Queues"))
    by_id = {one.queue_id: one for one in found}
    fallen = next((one.queue_id for one in found if one.state == "withdrawn"), None)
    titles = {i: one.queue for i, one in by_id.items()}
    _show_one(by_id[choose("routed", "Queue", titles, first=fallen)])


def _row(one: RoutingOut) -> list[Cell]:
    return [
        one.queue,
        one.n_skipped,
        one.n_audited,
        one.n_looked,
        one.errors,
        low_text(one),
        f"{one.epsilon:.1%}",
        STATE_TAGS[one.state],
    ]


def low_text(one: RoutingOut) -> str:
    """The lower bound of the share of wrong ones; said so before the first look."""
    return "not known yet" if one.low is None else f"{one.low:.1%}"


def _show_one(one: RoutingOut) -> None:
    (st.error if one.state == "withdrawn" else st.info)(plain(one.sentence))
    if one.state == "withdrawn":
        _offer_return(one)
    st.html(
        tiles_html(
            [
                ("Skipped", one.n_skipped, f"by {one.metric}"),
                ("Audited", one.n_audited, f"{one.n_looked} of them looked at"),
                ("Wrong", one.errors, f"of {one.n_looked} looked at"),
                (
                    "Wrong, at least",
                    low_text(one),
                    f"{one.epsilon:.1%} are allowed, confidence {1 - one.delta:.0%}",
                ),
            ]
        )
    )
    if tag := simulated_tag(one.n_simulated):
        st.html(facts_html({"reviews of the audit": tag}))
    if len(one.path) > 1:
        st.altair_chart(bound_plot(path_points(one), one.epsilon))
    st.html(facts_html(certificate_facts(one)))
    st.caption(plain(str(one.evidence["assumes"])))
    if one.state != "withdrawn":
        _offer_return(one)


def path_points(one: RoutingOut) -> list[dict[str, Any]]:
    """The bound and the share that was found, after each look at which the bound may have moved."""
    return [
        row
        for point in one.path
        for row in (
            {"n": point.n, "share": point.low, "line": "wrong, at least"},
            {"n": point.n, "share": point.errors / point.n, "line": "found wrong"},
        )
    ]


def bound_plot(points: Sequence[dict[str, Any]], epsilon: float) -> alt.LayerChart:
    """Both shares over the audit, and what is allowed."""
    share = alt.Y("share:Q", title="share of wrong ones", axis=alt.Axis(format="%"))
    lines = (
        chart_of(points)
        .mark_line(interpolate="step-after", point=True)
        .encode(
            x=alt.X("n:Q", title="audited outputs looked at", axis=alt.Axis(tickMinStep=1)),
            y=share,
            color=alt.Color("line:N", title=None, legend=alt.Legend(orient="top")),
        )
    )
    dashed = chart_of([{"share": epsilon}]).mark_rule(strokeDash=[5, 4], color=LINE_COLOUR, size=2)
    return alt.layer(lines, dashed.encode(y=share)).properties(
        height=320, title=f"Dashed: what is allowed, {epsilon:.1%}"
    )


def certificate_facts(one: RoutingOut) -> dict[str, Cell]:
    """On what the certificate rests, for a list of facts."""
    seen = one.evidence
    side = "up to" if one.lower_is_better else "from"
    simulated = f", {seen['n_simulated']} of them simulated" if seen["n_simulated"] else ""
    runs = ", ".join(f"run {run_id} ({n})" for run_id, n in seen["runs"])
    return {
        "skips": f"{one.metric} {side} {one.threshold:.4g}",
        "counts as wrong": one.wrong_when,
        "certified on": f"{seen['labels']} labels{simulated}, {seen['n']} independent: {runs}",
        "reviewed": f"{str(seen['first'])[:10]} to {str(seen['last'])[:10]}",
        "found there": f"{seen['errors_below']} wrong of {seen['n_below']}, at most "
        f"{seen['upper']:.1%} (confidence {1 - one.delta:.0%})",
        "without a score": f"{one.n_without}, all reviewed",
        "opened": moment(one.opened_at),
        "recipe": f"{seen['signature']} {one.signature}",
    }


def _offer_return(one: RoutingOut) -> None:
    left = one.n_skipped - one.n_audited
    if one.state == "returned" or not left:
        return
    with st.popover("Put what skipped up for review"):
        st.markdown(
            f"{left} outputs come onto the desks of this queue's reviewers, after what is there. "
            "This cannot be undone."
        )
        if st.button("Put them up now", key=f"return-{one.queue_id}"):
            with problems_shown():
                done = current_client().checks.return_skipped(one.queue_id)
                show_done("triage", done.sentence)
                st.rerun()
