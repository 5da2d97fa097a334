"""The expert's page: one item at a time, until nothing is left.

The whole desk is a fragment: a click runs this and nothing around it, and a submit is one run that
sends the answer, claims the next item and draws it. Each outcome is a screen of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import assert_never

import streamlit as st

from backend.errors import StropError
from backend.rubrics import Rubric
from backend.schemas.review import ReviewQueueForMe
from dashboard.components.frame import show_problem, show_sign_in_link, show_state
from dashboard.components.jump import jump_to_top
from dashboard.components.marked_text import plain
from dashboard.desk_state import Desk, Screen, take_next, tick
from dashboard.session import current_client
from dashboard.views.desk_item import show_item

QUEUE_KEY = "strop-desk-queue"
HEARTBEAT_FOR = timedelta(minutes=30)
BEAT_SECONDS = 60


def show() -> None:
    """Choose the queue and put its desk on the page."""
    queues = current_client().my_queues()
    if not queues:
        show_state(
            "○",
            "Nothing has been given to you yet",
            "When a lead adds you to a queue, its first item appears here.",
        )
        return
    queue = choose_queue(queues)
    show_desk(queue, queue.rubric)
    keep_lease(queue.id)


def choose_queue(queues: Sequence[ReviewQueueForMe]) -> ReviewQueueForMe:
    """The queue to work on; a choice when there are several, unfinished ones first."""
    ordered = sorted(queues, key=lambda queue: (queue.closed or not queue.progress.open, queue.id))
    if len(ordered) == 1:
        return ordered[0]
    names = {queue.id: queue for queue in ordered}
    chosen = st.pills(
        "Queue",
        list(names),
        format_func=lambda i: plain(names[i].name),
        default=ordered[0].id,
        key=QUEUE_KEY,
        label_visibility="collapsed",
        required=True,
    )
    return names[chosen]


def desk_of(queue_id: int) -> Desk:
    """The desk of a queue in this tab; a new one takes its first item."""
    key = f"strop-desk-{queue_id}"
    if key not in st.session_state:
        st.session_state[key] = Desk(queue_id)
        take_next(st.session_state[key], current_client(), now=datetime.now(UTC))
    desk: Desk = st.session_state[key]
    return desk


@st.fragment  # type: ignore[untyped-decorator]
def show_desk(queue: ReviewQueueForMe, rubric: Rubric) -> None:
    """The screen on which the desk stands."""
    desk = desk_of(queue.id)
    tick(desk, now=datetime.now(UTC))
    jump_to_top(item=f"{queue.id}-{desk.screen}-{desk.item_key}")
    match desk.screen:
        case Screen.ITEM:
            show_item(desk, queue, rubric)
        case Screen.FINISHED:
            show_state("✓", "This queue is finished", _thanks(desk))
        case Screen.EMPTY:
            show_state(
                "○",
                "Nothing for you at this moment",
                _who_holds(desk),
                _thanks(desk),
            )
            _again(desk, "Look again")
        case Screen.ERROR:
            show_state("!", "This did not work", "Your saved answers are safe.")
            if desk.problem is not None:
                show_problem(desk.problem)
            _again(desk, "Try again")
        case Screen.SIGNED_OUT:
            show_sign_in_link(
                "Your sign-in has ended. Your draft is saved and comes back with you."
            )
        case _:
            assert_never(desk.screen)


def _who_holds(desk: Desk) -> str:
    progress = desk.progress
    if progress is None or not progress.leased:
        return "The items that are left need somebody else: you have seen them or skipped them."
    return f"Colleagues are at work on {progress.leased} of the items left; one may come back."


def _thanks(desk: Desk) -> str:
    if not desk.finished_here:
        return ""
    items = "1 item" if desk.finished_here == 1 else f"{desk.finished_here} items"
    return f"You have finished {items} in this sitting. Thank you."


def _again(desk: Desk, label: str) -> None:
    with st.container(horizontal=True, horizontal_alignment="center"):
        st.button(
            label, key=f"again-{desk.queue_id}", type="primary", on_click=_take_again, args=(desk,)
        )


def _take_again(desk: Desk) -> None:
    take_next(desk, current_client(), now=datetime.now(UTC))


@st.fragment(run_every=BEAT_SECONDS)  # type: ignore[untyped-decorator]
def keep_lease(queue_id: int) -> None:
    """Keep the lease alive while the page is open and somebody works at it."""
    desk = desk_of(queue_id)
    if desk.claim is None or desk.screen != Screen.ITEM or desk.seen_at is None:
        return
    if datetime.now(UTC) - desk.seen_at > HEARTBEAT_FOR:
        return
    try:
        current_client().heartbeat(desk.claim.slot_id, desk.claim.version)
    except StropError as error:  # the next click says it in full
        desk.save_problem = str(error)
