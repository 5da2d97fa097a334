"""The head of the desk: progress, the saved mark, the guidelines, and one's last answer."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import streamlit as st

from backend.errors import StropError
from backend.rubrics import Rubric
from backend.schemas.review import OwnReview, ReviewQueueForMe
from dashboard.components.frame import Cell, Tag, browser_zone, escape, facts_html, show_problem
from dashboard.components.item import answer_lines, progress_html
from dashboard.components.marked_text import text_html, unwrapped
from dashboard.desk_state import Desk
from dashboard.session import current_client


def show_head(
    desk: Desk, queue: ReviewQueueForMe, rubric: Rubric
) -> st.delta_generator.DeltaGenerator:
    """Progress and the saved mark; guidelines and the last answer one key away."""
    left, right = st.columns([3, 2], vertical_alignment="center")
    left.html(progress_html(queue.name, desk.progress or queue.progress))
    with right.container(
        horizontal=True, horizontal_alignment="right", vertical_alignment="center"
    ):
        mark: st.delta_generator.DeltaGenerator = st.empty()
        st.button(
            "Guidelines",
            shortcut="G",
            key="desk-guidelines",
            type="tertiary",
            on_click=toggle,
            args=(guidelines_key(desk),),
        )
        st.button(
            "My last answer",
            shortcut="U",
            key="desk-last",
            type="tertiary",
            on_click=toggle,
            args=(_last_key(desk),),
        )
    if st.session_state.setdefault(guidelines_key(desk), _is_new_here(desk)):
        with st.container(border=True):
            st.html(
                "<p class='strop-label'>Guidelines</p>"
                + text_html(unwrapped(rubric.guidelines), kind="guide")
            )
    if st.session_state.get(_last_key(desk)):
        with st.container(border=True):
            _show_last_answer(desk)
    return mark


def _is_new_here(desk: Desk) -> bool:
    return desk.progress is not None and desk.progress.mine == 0


def guidelines_key(desk: Desk) -> str:
    """Where the tab remembers whether the guidelines are open."""
    return f"desk-guidelines-open-{desk.queue_id}"


def _last_key(desk: Desk) -> str:
    return f"desk-last-open-{desk.queue_id}"


def toggle(key: str) -> None:
    """Open what is closed and close what is open."""
    st.session_state[key] = not st.session_state.get(key)


def _show_last_answer(desk: Desk) -> None:
    try:
        found = current_client().my_reviews(desk.queue_id, limit=1)
    except StropError as error:
        show_problem(error)
        return
    st.html("<p class='strop-label'>My last answer (as it was sent)</p>")
    if not found:
        st.text("You have not finished an item in this queue yet.")
        return
    last = found[0]
    st.html(facts_html(review_facts(last)))


def review_facts(review: OwnReview) -> dict[str, Cell]:
    """A finished review as names and values."""
    facts: dict[str, Cell] = {"sent": f"{review.submitted_at.astimezone(browser_zone()):%H:%M:%S}"}
    if review.skip_reason:
        facts["skipped"] = review.skip_reason
    if review.item.output is not None:
        facts["output"] = review.item.output.text
    if review.simulated:
        facts["by"] = Tag("simulated", "simulated")
    return {**facts, **answer_lines(review.answer)}


def saved_html(desk: Desk, *, zone: ZoneInfo) -> str:
    """The saved mark: when the draft was saved, or why it could not be."""
    if desk.save_problem is not None:
        return f"<p class='strop-saved bad' role='alert'>Not saved. {escape(desk.save_problem)}</p>"
    if desk.saved_at is not None:
        at = desk.saved_at.astimezone(zone)
        return f"<p class='strop-saved' role='status'>Saved {at:%H:%M:%S}</p>"
    word = "Draft restored" if desk.saved is not None else ""
    if desk.saved is None and desk.sent_at is not None:
        word = f"Sent {desk.sent_at.astimezone(zone):%H:%M:%S}"
    return f"<p class='strop-saved' role='status'>{word}&nbsp;</p>"
