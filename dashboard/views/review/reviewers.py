"""Reviewers: known answers, agreement and speed with intervals, what sways answers, pauses.

Who is paused and why, with the button that ends it; and the form that pauses somebody.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.review.queues import ReviewQueueOut
from backend.schemas.review.reports import ReviewerQualityOut
from dashboard.components.figures.effects import (
    EFFECT_COLUMNS,
    effect_plots,
    effect_row,
    pace_plot,
    pace_points,
)
from dashboard.components.figures.measured import interval_points, measured_cell
from dashboard.components.figures.plots import show_intervals
from dashboard.components.frame import (
    Cell,
    Tag,
    escape,
    heading,
    problems_shown,
    sentences_html,
    show_done,
    table_html,
)
from dashboard.session import current_client
from dashboard.views.review.gold import show_known_answers
from dashboard.views.review.queue_choice import chosen_queue


def show_paused(queue: ReviewQueueOut, people: Sequence[ReviewerQualityOut]) -> None:
    """A box for each paused person: the reason, and the way back to work."""
    show_done("pauses")
    for one in people:
        if one.paused:
            _show_one(queue, one)


def _show_one(queue: ReviewQueueOut, one: ReviewerQualityOut) -> None:
    with st.container(border=True):
        st.html(
            f"<p><span class='strop-tag inconclusive'>paused</span> "
            f"<strong>{escape(one.pseudonym)}</strong> is given nothing until you lift the pause. "
            f"{escape(one.pause_reason or '')}</p>"
        )
        st.caption(
            "Lifting it lets them work on; the count of known answers, and those at the start, "
            "begin anew. Talk to them first: the known answer may be the one that is wrong."
        )
        if st.button("Lift the pause", key=f"lift-{queue.id}-{one.pseudonym}"):
            with problems_shown():
                current_client().quality.lift_pause(queue.id, one.pseudonym)
                show_done("pauses", f"{one.pseudonym} may work on.")
                st.rerun()


def offer_pause(queue: ReviewQueueOut, people: Sequence[ReviewerQualityOut]) -> None:
    """A small form: who is to be given nothing for now, and what they are told."""
    at_work = [one.pseudonym for one in people if not one.paused]
    if not at_work or queue.closed:
        return
    with st.popover("Pause somebody"):
        st.write("They keep what they hold and see a kind message; nothing that they did is lost.")
        who = st.selectbox("Reviewer", at_work, key=f"pause-who-{queue.id}")
        why = st.text_input("Why", max_chars=2_000, key=f"pause-why-{queue.id}")
        ready = bool(why.strip())
        if st.button("Pause", key=f"pause-{queue.id}", disabled=not ready) and who:
            with problems_shown():
                current_client().quality.pause_reviewer(queue.id, who, why.strip())
                show_done("pauses", f"{who} is paused.")
                st.rerun()


COLUMNS = [
    "reviewer", "reviews", "skipped", "minutes a review", "agrees with others",
    "known answers met", "state",
]  # fmt: skip
NEWEST = 200
LEAST_FOR_PACE = 10  # fewer points look like a pattern when there is none


def show() -> None:
    """Draw the page."""
    heading("Reviewers", "Who works how, by pseudonym; and what sways answers that ought not to")
    queue = chosen_queue()
    if queue is None:
        return
    people = current_client().queues.reviewers(queue.id)
    show_paused(queue, people)
    _show_people(people)
    offer_pause(queue, people)
    show_known_answers(queue)
    _show_effects(queue)


def _show_people(people: Sequence[ReviewerQualityOut]) -> None:
    if not people:
        st.info("Nobody may review this queue. Name reviewers on the page “Open a queue”.")
        return
    say_who_stands_out(people)
    st.subheader("Quality and speed")
    gold = interval_points((one.pseudonym, one.gold) for one in people)
    agree = interval_points((one.pseudonym, one.agreement) for one in people)
    speed = interval_points((one.pseudonym, one.minutes) for one in people)
    left, right = st.columns(2, gap="large")
    with left:
        show_intervals(gold, label="line", value_title="known answers met", domain=(0, 1))
        show_intervals(agree, label="line", value_title="share equal to others", domain=(0, 1))
    with right:
        show_intervals(speed, label="line", value_title="active minutes a review")
    st.html(table_html(COLUMNS, [quality_row(one) for one in people], title="Reviewers"))
    st.caption(
        "Known answers and agreement answer different questions: a person may agree with "
        "everybody and be wrong. Bars span the 95% interval; few reviews make long bars, and "
        "“rough” says that they are too few for the interval to be exact."
    )


def quality_row(one: ReviewerQualityOut) -> list[Cell]:
    """One reviewer: counts, then three measured numbers or the reasons why there are none."""
    state: Cell = ""
    if one.paused:
        state = Tag("paused", "inconclusive")
    elif one.warnings:
        state = Tag("stands out", "inconclusive")
    elif one.simulated:
        state = Tag("simulated", "simulated")
    measured = (one.minutes, one.agreement, one.gold)
    return [
        one.pseudonym,
        one.submitted,
        one.skipped,
        *(measured_cell(number, with_unit=False) for number in measured),
        state,
    ]


def say_who_stands_out(people: Sequence[ReviewerQualityOut]) -> None:
    """A warning where answers come very fast, are always alike, or always on one side."""
    lines = [f"{one.pseudonym}: {line}" for one in people for line in one.warnings]
    if lines:
        with st.container(key="reviewers-stand-out"):
            st.warning("Some reviewers answer in a way that is worth a conversation.")
            st.html(sentences_html(lines))
            st.caption("Patterns, not verdicts: ask before you set anything aside.")


def _show_effects(queue: ReviewQueueOut) -> None:
    st.subheader("What ought not to matter")
    effects = current_client().queues.effects(queue.id)
    if not effects:
        st.info("Nothing can be tested yet: effects need reviews, and those of side need pairs.")
        return
    st.html(table_html(EFFECT_COLUMNS, [effect_row(one) for one in effects], title="Effects"))
    for plot in effect_plots(effects):
        st.altair_chart(plot, width="stretch")
    st.caption("An interval that crosses the dashed line has shown no effect.")
    _show_pace(queue)


def _show_pace(queue: ReviewQueueOut) -> None:
    reviews = current_client().queues.reviews(queue.id, limit=NEWEST).items
    points = pace_points(reviews)
    if len(points) < LEAST_FOR_PACE:
        return
    st.subheader("Pace over a sitting")
    st.altair_chart(pace_plot(points), width="stretch")
    st.caption(
        f"Each point is a review, n = {len(points)}, the newest {NEWEST} at most. Points that fall "
        "to the right are answered faster and faster: look whether known answers are still met."
    )
