"""The tab "Training data": which groups a set mentions, and whether its answers go with them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.schemas.fairness import Mention, SetMentions, Skew
from dashboard.components.figures.plots import interval_of, show_intervals
from dashboard.components.frame import Cell, FigureText, sentences_html, table_html
from dashboard.session import current_client, current_project
from dashboard.views.fairness.gaps import interval

MENTIONS = ("kind", "group", "rows", "share", "words")
SKEWS = ("kind", "group", "outcome", "odds ratio", "with it", "among the others", "q")
SHOWN_WORDS = 3


def show() -> None:
    """Choose a set and draw its audit."""
    client = current_client()
    sets = {frozen.id: frozen.name for frozen in client.curation.list(current_project().id)}
    if not sets:
        st.info("No training set is frozen yet: `strop set freeze`")
        return
    chosen = st.selectbox("Training set", list(sets)[::-1], format_func=lambda i: sets[i])
    with st.spinner("Counting …"):
        report = client.fairness.mentions(chosen)
    st.html(sentences_html(sentences(report)))
    drawn = [point(one) for one in report.mentions if one.low is not None]
    if drawn:
        title = "share of rows that mention the group"
        show_intervals(drawn, label="mention", value_title=title, domain=(0, 1))
        st.html(table_html(MENTIONS, [mention_row(m) for m in report.mentions], title="Mentions"))
    found = [skew for skew in report.skews if skew.found]
    if found:
        st.html(table_html(SKEWS, [skew_row(skew) for skew in found], title="Skews found"))


def sentences(report: SetMentions) -> list[str]:
    """What was read and what was looked for."""
    found = sum(skew.found for skew in report.skews)
    told = [
        f"{report.n} rows in {report.groups} groups were read; {report.unread} are in a "
        "language without lists.",
        f"{found} of {report.looked_for} skews are found (outcomes: {report.outcomes}); on average "
        f"at most {report.false_share:.0%} of those found are false.",
    ]
    if not report.mentions:
        told.append("No listed name, gendered word, age or place is mentioned.")
    return told


def mention_row(one: Mention) -> list[Cell]:
    """A row of the mentions."""
    words = ", ".join(f"{word} {n}" for word, n in one.words[:SHOWN_WORDS])
    share = FigureText(interval(one.value, one.low, one.high))
    return [one.kind, one.group, f"{one.rows} of {one.n}", share, words]


def skew_row(one: Skew) -> list[Cell]:
    """A row of the skews."""
    return [
        one.kind,
        one.group,
        one.outcome,
        FigureText(interval(one.value, one.low, one.high)),
        f"{one.with_outcome} of {one.n}",
        f"{one.others_with} of {one.n_others}",
        FigureText(f"{one.q:.3f}"),
    ]


def point(one: Mention) -> dict[str, Any]:
    """One share, for the plot."""
    return {
        "mention": one.group,
        "group": one.kind,
        **interval_of(one),
        "text": interval(one.value, one.low, one.high),
    }
