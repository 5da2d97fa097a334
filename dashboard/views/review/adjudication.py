"""Adjudication: disagreements that wait for somebody, and verdicts beside what was said before."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.rubrics import value_in_words
from backend.schemas.review.quality import AdjudicationOut, AdjudicationProgressOut, SaidOut
from backend.schemas.review.queues import ReviewQueueOut
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    escape,
    heading,
    moment,
    problems_shown,
    show_done,
    table_html,
    tiles_html,
)
from dashboard.session import current_client
from dashboard.views.review.item_side_by_side import show_item
from dashboard.views.review.queue_choice import chosen_queue

PAGE = 50
WAITING_COLUMNS = ["example", "distance", "what differs", "opened", "state"]
SAID_COLUMNS = ["who", "answers", "correction", "remark", ""]
NONE_YET = (
    "No disagreement is open in this queue. One opens by itself when reviewers of an item differ "
    "by more than the queue's bound; set the bound when you open a queue (`strop review open`)."
)


def show() -> None:
    """Draw the page."""
    heading("Adjudication", "Where reviewers differ: what waits for a verdict, what was decided")
    queue = chosen_queue()
    if queue is None:
        return
    show_done("adjudication")
    client = current_client()
    progress = client.quality.adjudication_progress(queue.id)
    if progress.opened == 0:
        st.info(NONE_YET)
        return
    st.html(tiles_html(progress_tiles(progress)))
    found = client.quality.adjudications(queue.id, limit=PAGE)
    _show_waiting([one for one in found.items if one.state != "decided"])
    _show_decided(queue, [one for one in found.items if one.state == "decided"])
    if found.next is not None:
        st.caption(f"The newest {PAGE} are shown; the others are in the exports.")


def progress_tiles(progress: AdjudicationProgressOut) -> list[tuple[str, Cell, str]]:
    """Opened, waiting, in somebody's hands, decided."""
    waiting = progress.opened - progress.decided - progress.held
    return [
        ("waiting", waiting, "for an adjudicator"),
        ("at work", progress.held, "in somebody's hands now"),
        ("decided", progress.decided, f"of {progress.opened} opened"),
    ]


def _show_waiting(waiting: Sequence[AdjudicationOut]) -> None:
    st.subheader("Waiting")
    if not waiting:
        st.success("Every disagreement is decided.")
        return
    rows = [waiting_row(one) for one in waiting]
    st.html(table_html(WAITING_COLUMNS, rows, title="Disagreements that wait"))
    st.caption(
        "Distance: 0 is the same answer, 1 as far apart as the scales allow. Who may review this "
        "queue and did not review the item finds it on the desk, under “Settle a disagreement”; "
        "the answers are shown there without names."
    )


def waiting_row(one: AdjudicationOut) -> list[Cell]:
    """One disagreement: on what, how far apart, in what, since when."""
    state: Cell = Tag("at work", "inconclusive") if one.state == "held" else ""
    distance = FigureText(f"{one.disagreement:.2f}, n = {len(one.answers)}")
    return [one.example, distance, one.reason, moment(one.opened_at), state]


def _show_decided(queue: ReviewQueueOut, decided: Sequence[AdjudicationOut]) -> None:
    st.subheader("Decided")
    if not decided:
        st.info("No verdict yet.")
        return
    st.caption("A verdict stands beside the original answers; none of them is changed.")
    for one in decided:
        when = f", decided {moment(one.decided_at)}" if one.decided_at else ""
        title = f"{one.example}, distance {one.disagreement:.2f}{when}"
        st.html(f"<p class='strop-label'>{escape(title)}</p>" + verdict_html(one, title))
    _offer_reading(queue, decided)
    _offer_gold(queue, decided)


def verdict_html(one: AdjudicationOut, title: str) -> str:
    """The verdict in the first row, the original answers below it."""
    rows = [said_row(said) for said in one.answers]
    if one.verdict is not None:
        rows.insert(0, said_row(one.verdict, who="verdict"))
    return table_html(SAID_COLUMNS, rows, title=title)


def said_row(said: SaidOut, *, who: str | None = None) -> list[Cell]:
    """What one person said; the verdict is marked as such."""
    words = [f"{name}: {value_in_words(value)}" for name, value in said.ratings.items()]
    if said.winner:
        words.insert(0, f"winner: {said.winner.replace('_', ' ')}")
    name: Cell = Tag(f"{who} by {said.reviewer}", "pass") if who else said.reviewer
    simulated: Cell = Tag("simulated", "simulated") if said.simulated else ""
    return [name, " · ".join(words), said.correction or "", said.comment or "", simulated]


def _offer_reading(queue: ReviewQueueOut, decided: Sequence[AdjudicationOut]) -> None:
    by_id = {one.item_id: one for one in decided}
    chosen = st.selectbox(
        "Read one with its source",
        list(by_id),
        index=None,
        placeholder="Choose an item",
        format_func=lambda i: f"{by_id[i].example}, distance {by_id[i].disagreement:.2f}",
        key=f"decided-{queue.id}",
    )
    if chosen is not None:
        show_item(queue, chosen)


def _offer_gold(queue: ReviewQueueOut, decided: Sequence[AdjudicationOut]) -> None:
    with st.popover("Make known answers of these"):
        st.write(
            "Each verdict becomes an item with a known answer, explained by the adjudicator's "
            "remark. It is given to people who have not seen the item; figures leave it out."
        )
        if st.button("Make them", key=f"gold-of-{queue.id}"):
            with problems_shown():
                added = current_client().quality.add_adjudicated_gold(queue.id)
                show_done("adjudication", f"{len(added.ids)} known answers were added.")
                st.rerun()
