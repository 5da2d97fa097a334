"""The button that stops long work, shown while there is something to stop."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from backend.schemas.queue import JobOut
from dashboard.components.frame import problems_shown

STOPPABLE = ("queued", "running")


def show_cancel(job: JobOut | None, what: str, cancel: Callable[[str | None], object]) -> None:
    """A button that asks for a reason, which may be left out.

    Args:
        what: what it stops, for example "run 7".
        cancel: takes the reason.
    """
    if job is None or job.state not in STOPPABLE:
        return
    with st.popover("Cancel …"):
        reason = st.text_input("Why? It stays in the record.", key=f"why-job-{job.id}")
        if st.button(f"Cancel {what}", key=f"cancel-job-{job.id}"):
            with problems_shown():
                cancel(reason.strip() or None)
                st.rerun()
