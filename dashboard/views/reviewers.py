"""Reviewers: known answers, agreement and speed with intervals, what sways answers, pauses."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.review_reports import EffectShown, Measured, ReviewerQualityShown
from dashboard.components.frame import Cell, Tag, heading, sentences_html, table_html
from dashboard.components.measured import interval_points, measured_cell
from dashboard.components.plots import intervals_plot
from dashboard.session import current_client
from dashboard.views.gold import show_known_answers
from dashboard.views.pauses import offer_pause, show_paused
from dashboard.views.queue_choice import chosen_queue

COLUMNS = [
    "reviewer", "reviews", "skipped", "minutes a review", "agrees with others",
    "known answers met", "state",
]  # fmt: skip
EFFECT_COLUMNS = ["what", "measured on", "figure [95% interval]", "p", "in words"]
EFFECT_WORDS = {
    "side": "side",
    "length": "length",
    "order": "order",
    "fatigue": "fatigue",
}


def show() -> None:
    """Draw the page."""
    heading("Reviewers", "Who works how, by pseudonym; and what sways answers that ought not to")
    queue = chosen_queue()
    if queue is None:
        return
    people = current_client().queue_reviewers(queue.id)
    show_paused(queue, people)
    _show_people(people)
    offer_pause(queue, people)
    show_known_answers(queue)
    _show_effects(current_client().queue_effects(queue.id))


def _show_people(people: Sequence[ReviewerQualityShown]) -> None:
    if not people:
        st.info("Nobody may review this queue. Name reviewers on the page “Open a queue”.")
        return
    st.subheader("Quality and speed")
    gold = interval_points((one.pseudonym, one.gold) for one in people)
    agree = interval_points((one.pseudonym, one.agreement) for one in people)
    speed = interval_points((one.pseudonym, one.minutes) for one in people)
    left, right = st.columns(2, gap="large")
    with left:
        if gold:
            _plot(gold, "known answers met", domain=(0.0, 1.0))
        if agree:
            _plot(agree, "share equal to others", domain=(0.0, 1.0))
    with right:
        if speed:
            _plot(speed, "active minutes a review")
    st.html(table_html(COLUMNS, [quality_row(one) for one in people], title="Reviewers"))
    st.caption(
        "Known answers and agreement answer different questions: a person may agree with "
        "everybody and be wrong. Bars span the 95% interval; few reviews make long bars."
    )
    _show_warnings(people)


def _plot(
    points: list[dict[str, object]], title: str, *, domain: tuple[float, float] | None = None
) -> None:
    spec = intervals_plot(points, label="line", value_title=title, domain=domain)
    st.vega_lite_chart(spec, width="stretch")


def quality_row(one: ReviewerQualityShown) -> list[Cell]:
    """One reviewer: counts, then three measured numbers or the reasons why there are none."""
    state: Cell = ""
    if one.paused:
        state = Tag("paused", "inconclusive")
    elif one.simulated:
        state = Tag("simulated", "simulated")
    measured = (one.minutes, one.agreement, one.gold)
    return [
        one.pseudonym,
        one.submitted,
        one.skipped,
        *(measured_cell(number) for number in measured),
        state,
    ]


def _show_warnings(people: Sequence[ReviewerQualityShown]) -> None:
    lines = [f"{one.pseudonym}: {line}" for one in people for line in one.warnings]
    if lines:
        st.subheader("Worth a conversation")
        st.html(sentences_html(lines))
        st.caption("Patterns, not verdicts: ask before you set anything aside.")


def _show_effects(effects: Sequence[EffectShown]) -> None:
    st.subheader("What ought not to matter")
    if not effects:
        st.info("Nothing can be tested yet: effects need reviews, and those of side need pairs.")
        return
    for unit in dict.fromkeys(one.figure.unit for one in effects):
        points = interval_points(
            (f"{EFFECT_WORDS[one.name]}: {one.subject}", one.figure)
            for one in effects
            if one.figure.unit == unit
        )
        if points:
            none = no_effect_at([one.figure for one in effects if one.figure.unit == unit])
            spec = intervals_plot(points, label="line", value_title=unit or "effect", mark_at=none)
            st.vega_lite_chart(spec, width="stretch")
    st.html(table_html(EFFECT_COLUMNS, [effect_row(one) for one in effects], title="Effects"))


def no_effect_at(figures: Sequence[Measured]) -> float:
    """Where no effect lies: a half for shares, 0 for differences and slopes."""
    return 0.5 if all(one.unit == "share" for one in figures) else 0.0


def effect_row(one: EffectShown) -> list[Cell]:
    """One test: what, on what, the number, its p, and the sentence."""
    p = None if one.p is None else ("< 0.001" if one.p < 0.001 else f"{one.p:.3f}")
    return [EFFECT_WORDS[one.name], one.subject, measured_cell(one.figure), p, one.sentence]
