"""Who is paused and why, with the button that ends it; and the form that pauses somebody."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.review.queues import ReviewQueueShown
from backend.schemas.review.reports import ReviewerQualityShown
from dashboard.components.frame import escape, problems_shown, show_done
from dashboard.session import current_client


def show_paused(queue: ReviewQueueShown, people: Sequence[ReviewerQualityShown]) -> None:
    """A box for each paused person: the reason, and the way back to work."""
    show_done("pauses")
    for one in people:
        if one.paused:
            _show_one(queue, one)


def _show_one(queue: ReviewQueueShown, one: ReviewerQualityShown) -> None:
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
                current_client().lift_pause(queue.id, one.pseudonym)
                show_done("pauses", f"{one.pseudonym} may work on.")
                st.rerun()


def offer_pause(queue: ReviewQueueShown, people: Sequence[ReviewerQualityShown]) -> None:
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
                current_client().pause_reviewer(queue.id, who, why.strip())
                show_done("pauses", f"{who} is paused.")
                st.rerun()
