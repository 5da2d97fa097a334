"""The desk without an item on it, calmly: feedback, nothing to do, paused, finished."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from backend.rubrics import Rubric
from backend.schemas.review.desk import GoldFeedback
from dashboard.components.frame import escape, facts_html, show_problem, show_state
from dashboard.components.marked_text import plain
from dashboard.components.review.item import answer_lines
from dashboard.session import QUEUE_KEY, current_client, my_queues, now_and_here
from dashboard.views.review.desk.after import contest, go_on_after_feedback, take_adjudication
from dashboard.views.review.desk.state import DeskState, on_item, take_next


def show_feedback(desk: DeskState, rubric: Rubric) -> None:
    """How the last answer compares with the known one, before the next item."""
    found = desk.feedback
    assert found is not None
    title = "You agree with the known answer" if found.passed else "The known answer is another one"
    show_state(
        "✓" if found.passed else "≠",
        title,
        "Some items have an answer that is known beforehand. They help everybody judge alike.",
    )
    with _middle(), st.container(key="desk-feedback"):
        if found.explanation:
            st.html(f"<p class='strop-lead'>{escape(found.explanation)}</p>")
        st.html(
            "<div class='strop-card'><p class='strop-label'>The known answer</p>"
            + facts_html(answer_lines(found.known, rubric))
            + "</div>"
        )
        _show_contest(desk, found)
        st.button(
            "Next item",
            key="feedback-next",
            type="primary",
            on_click=on_item(desk, now_and_here(go_on_after_feedback)),
        )


def _show_contest(desk: DeskState, found: GoldFeedback) -> None:
    if desk.contested:
        st.html("<p class='strop-help' role='status'>Thank you. A lead looks at it.</p>")
        return
    if not found.may_contest:
        return
    with st.expander("The known answer is wrong"):
        key = f"contest-{found.result_id}"
        st.text_input("What is wrong with it?", key=key)
        st.button(
            "Contest it",
            key=f"contest-now-{found.result_id}",
            on_click=_contest,
            args=(desk, key),
        )
        if desk.note:
            st.html(f"<p class='strop-saved bad' role='alert'>{escape(desk.note)}</p>")


def _contest(desk: DeskState, key: str) -> None:
    contest(desk, current_client(), str(st.session_state.get(key) or ""))


def show_finished(desk: DeskState) -> None:
    """Every required review is there."""
    show_state("✓", "This queue is finished", desk.message or "", thanks(desk))
    offer_next_queue(desk)
    _offer_adjudication(desk)


def show_empty(desk: DeskState) -> None:
    """Nothing just now; others are at work, or what is left is for others."""
    message = desk.message or _who_holds(desk)
    show_state("○", "Nothing for you at this moment", message, thanks(desk))
    offer_next_queue(desk)
    again(desk, "Look again")
    _offer_adjudication(desk)


def show_share(desk: DeskState) -> None:
    """The person has given the most that one person may."""
    message = desk.message or "The rest is for your colleagues, so that no one view decides alone."
    show_state("✓", "Your share is done", message, thanks(desk))
    offer_next_queue(desk)
    again(desk, "Look again")
    _offer_adjudication(desk)


def show_paused(desk: DeskState) -> None:
    """Answers to known items differ too often; a lead has been told."""
    message = desk.message or (
        "Some of your answers differ from those that are known. A lead has been told and will "
        "talk it through with you; what you have answered is kept."
    )
    show_state("❙❙", "Let us pause for a moment", message)
    offer_next_queue(desk)
    again(desk, "Look again")


def show_closed(desk: DeskState) -> None:
    """The queue gives out no more."""
    show_state("○", "This queue is closed", desk.message or "Its lead has closed it.", thanks(desk))
    offer_next_queue(desk)


def show_error(desk: DeskState) -> None:
    """What went wrong, and a way on."""
    show_state("!", "This did not work", "Your saved answers are safe.")
    if desk.problem is not None:
        show_problem(desk.problem)
    again(desk, "Try again")


def _who_holds(desk: DeskState) -> str:
    progress = desk.progress
    if progress is None or not progress.leased:
        return "The items that are left need somebody else: you have seen them or skipped them."
    return f"Colleagues are at work on {progress.leased} of the items left; one may come back."


def thanks(desk: DeskState) -> str:
    """A line about this sitting; empty when nothing was finished in it."""
    if not desk.finished_here:
        return ""
    items = "1 item" if desk.finished_here == 1 else f"{desk.finished_here} items"
    return f"You have finished {items} in this sitting. Thank you."


def offer_next_queue(desk: DeskState) -> None:
    """The queues in which something waits, once there is nothing more in this one."""
    waiting = [one for one in my_queues() if one.id != desk.queue_id and one.left_for_me]
    if not waiting:
        return
    with _middle():
        for one in waiting[:3]:
            st.button(
                f"Go on with {plain(one.name)}",
                key=f"next-queue-{one.id}",
                type="primary",
                on_click=_go_to_queue,
                args=(one.id,),
            )


def _go_to_queue(queue_id: int) -> None:
    st.session_state[QUEUE_KEY] = queue_id
    st.query_params["queue"] = str(queue_id)
    desk = st.session_state.get(f"strop-desk-{queue_id}")
    if isinstance(desk, DeskState) and desk.claim is None:
        take_next(desk, current_client(), now=datetime.now(UTC))


def again(desk: DeskState, label: str) -> None:
    """A button that asks for the next item."""
    with _middle():
        st.button(
            label,
            key=f"again-{desk.queue_id}",
            type="primary",
            on_click=on_item(desk, now_and_here(take_next)),
        )


def _offer_adjudication(desk: DeskState) -> None:
    with _middle():
        st.button(
            "Settle a disagreement",
            key=f"adjudicate-{desk.queue_id}",
            type="tertiary",
            help="Where reviewers of an item disagree, somebody who has not seen it decides.",
            on_click=on_item(desk, now_and_here(take_adjudication)),
        )
        if desk.note:
            st.html(f"<p class='strop-help' role='status'>{escape(desk.note)}</p>")


def _middle() -> st.delta_generator.DeltaGenerator:
    return st.container(horizontal_alignment="center", width="stretch")
