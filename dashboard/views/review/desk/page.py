"""The expert's page: one item at a time, until nothing is left.

The whole desk is a fragment: a click runs this and nothing around it, and a submit is one run that
sends the answer, claims the next item and draws it. Each outcome is a screen of its own.

The left pane: how far the queue is, whether the draft is saved, and one's own answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import assert_never

import streamlit as st

from backend.errors import Conflict, LeaseLost, NotAuthenticated, NotFound, StropError
from backend.rubrics import Rubric
from backend.schemas.review.desk import ReviewQueueForMe
from dashboard.components.address import note_in_address
from dashboard.components.frame import show_state
from dashboard.components.jump import jump_to_top
from dashboard.components.marked_text import plain
from dashboard.session import QUEUE_KEY, current_client, my_queues, sign_in_ended
from dashboard.views.review.desk.after import lead_on, load_history, take_up_again
from dashboard.views.review.desk.entered import take_what_was_entered
from dashboard.views.review.desk.item import show_item
from dashboard.views.review.desk.screens import (
    show_closed,
    show_empty,
    show_error,
    show_feedback,
    show_finished,
    show_paused,
    show_share,
)
from dashboard.views.review.desk.state import (
    DeskState,
    Screen,
    has_words,
    lose_item,
    take_next,
    tick,
)

STYLE = Path(__file__).parents[3] / "components" / "desk.css"
HEARTBEAT_FOR = timedelta(minutes=30)
BEAT_SECONDS = 30


def show() -> None:
    """Choose the queue and put its desk on the page."""
    st.html(STYLE)
    queues = my_queues()
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
    asked = st.query_params.get("queue")
    if asked is not None and asked not in map(str, names):
        show_state("?", f"Queue {asked} is not one of yours", "Choose one of those below.")
        st.query_params.pop("queue")
    elif asked is not None and QUEUE_KEY not in st.session_state:
        st.session_state[QUEUE_KEY] = int(asked)
    st.session_state.setdefault(QUEUE_KEY, ordered[0].id)
    chosen: int = st.pills(
        "Queue",
        list(names),
        format_func=lambda i: plain(names[i].name),
        key=QUEUE_KEY,
        label_visibility="collapsed",
        required=True,
    )
    if asked is None or asked in map(str, names):
        note_in_address("queue", str(chosen))
    return names[chosen]


def desk_of(queue_id: int) -> DeskState:
    """The desk of a queue in this tab; a new one takes its first item."""
    key = f"strop-desk-{queue_id}"
    if key not in st.session_state:
        now = datetime.now(UTC)
        st.session_state[key] = DeskState(queue_id, sitting=now.isoformat())
        take_up_again(
            st.session_state[key], current_client(), st.query_params.get("item", ""), now=now
        )
        load_history(st.session_state[key], current_client())
    desk: DeskState = st.session_state[key]
    return desk


@st.fragment  # type: ignore[untyped-decorator]
def show_desk(queue: ReviewQueueForMe, rubric: Rubric) -> None:
    """The screen on which the desk stands."""
    desk = desk_of(queue.id)
    tick(desk, now=datetime.now(UTC))
    _catch_up(desk, rubric)
    jump_to_top(item=f"{queue.id}-{desk.screen}-{desk.item_key}")
    _show_screen(desk, queue, rubric)
    if desk.signed_out and not sign_in_ended():
        st.rerun()  # the page around this shows how to sign in


def _catch_up(desk: DeskState, rubric: Rubric) -> None:
    """What happened elsewhere since the last drawing: an item finished, a new sign-in."""
    now = datetime.now(UTC)
    if desk.signed_out and not sign_in_ended():
        desk.signed_out = False
        if desk.claim is None:
            take_next(desk, current_client(), now=now)
    if desk.gone is not None:
        take_what_was_entered(desk, rubric)
        lead_on(desk, current_client(), words=has_words(desk, rubric), now=now)


def _show_screen(desk: DeskState, queue: ReviewQueueForMe, rubric: Rubric) -> None:
    match desk.screen:
        case Screen.ITEM:
            show_item(desk, queue, rubric)
        case Screen.FEEDBACK:
            show_feedback(desk, rubric)
        case Screen.FINISHED:
            show_finished(desk)
        case Screen.EMPTY:
            show_empty(desk)
        case Screen.SHARE:
            show_share(desk)
        case Screen.PAUSED:
            show_paused(desk)
        case Screen.CLOSED:
            show_closed(desk)
        case Screen.ERROR:
            show_error(desk)
        case _:
            assert_never(desk.screen)


@st.fragment(run_every=BEAT_SECONDS)  # type: ignore[untyped-decorator]
def keep_lease(queue_id: int) -> None:
    """Keep the lease alive while the page is open and somebody works at it."""
    desk = desk_of(queue_id)
    if desk.claim is None or desk.seen_at is None or desk.problem or desk.gone or desk.signed_out:
        return
    if datetime.now(UTC) - desk.seen_at > HEARTBEAT_FOR:
        return
    try:
        current_client().desk.heartbeat(desk.claim.slot_id, desk.claim.version)
    except (Conflict, LeaseLost, NotAuthenticated, NotFound) as error:
        lose_item(desk, error)
        st.rerun()
    except StropError:
        return  # nothing that was entered is lost by a beat that was missed
