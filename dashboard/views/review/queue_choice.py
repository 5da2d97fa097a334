"""Which review queue a page is about; the pages of a lead share the choice."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.review.queues import ReviewQueueOut
from dashboard.components.address import choose
from dashboard.session import current_client, current_project

CHOICE_KEY = "strop-queue"
NO_QUEUE = (
    "No queue is open yet. Open one on the page “Open a queue”, or by command: `strop review open`"
)
NO_PAIRS = (
    "No blind pairs yet. Open a queue of pairs on the page “Open a queue”, or by command: "
    "`strop review open --run R --pair base,v1 --queue NAME`"
)


def chosen_queue(*, kind: str | None = None) -> ReviewQueueOut | None:
    """The queue that was chosen here or on another page, else the newest; None with a hint.

    Args:
        kind: only queues of this kind are offered.
    """
    queues = current_client().queues.list(current_project().id)
    fitting = [queue for queue in queues if kind in (None, queue.kind)]
    if not fitting:
        st.info(NO_PAIRS if kind == "pair" else NO_QUEUE)
        return None
    return choose_queue(fitting)


def choose_queue(queues: Sequence[ReviewQueueOut]) -> ReviewQueueOut:
    """One of the queues; a choice when there are several, the newest first."""
    by_id = {queue.id: queue for queue in sorted(queues, key=lambda queue: -queue.id)}
    titles = {i: queue_title(queue) for i, queue in by_id.items()}
    chosen = choose("queue", "Queue", titles, first=st.session_state.get(CHOICE_KEY))
    st.session_state[CHOICE_KEY] = chosen
    return by_id[chosen]


def queue_title(queue: ReviewQueueOut) -> str:
    """Name, kind and how far, as a choice shows it."""
    kind = "blind pairs" if queue.kind == "pair" else "single outputs"
    state = "closed" if queue.closed else f"{queue.progress.done} of {queue.progress.total} done"
    return f"{queue.name} · {kind} · {state}"
