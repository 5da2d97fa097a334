"""The left pane: how far the queue is, whether the draft is saved, and one's own answers."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import streamlit as st

from backend.errors import LeaseLost
from backend.rubrics import Rubric
from backend.schemas.review.desk import GoldFeedback, ReviewQueueForMe, RiskNotice
from dashboard.components.frame import browser_zone, escape
from dashboard.components.marked_text import plain
from dashboard.components.review.item import answer_line, progress_html
from dashboard.session import current_client
from dashboard.views.review.desk.after import revise
from dashboard.views.review.desk.entered import take_what_was_entered
from dashboard.views.review.desk.past import Past
from dashboard.views.review.desk.state import DeskState, on_item, unsaved

SAVED = "desk-saved"
OFFLINE = (
    "<p class='strop-saved bad strop-offline' role='alert'>No connection. What you enter stays on "
    "this page and is saved as soon as the connection is back.</p>"
    "<p class='strop-saved strop-on-its-way' aria-hidden='true'>Saving …</p>"
)


def show_side(
    desk: DeskState, queue: ReviewQueueForMe, rubric: Rubric
) -> st.delta_generator.DeltaGenerator:
    """Progress, the place of the saved mark (returned), and the last answers."""
    progress = desk.progress or queue.progress
    title = f"<h1 class='strop-unseen'>Review desk: {escape(queue.name)}</h1>"
    st.html(
        title
        + progress_html(
            queue.name, progress, here=desk.finished_here, left=left_for_me(desk, queue)
        )
    )
    with st.container(key=SAVED):
        mark: st.delta_generator.DeltaGenerator = st.empty()
        st.html(OFFLINE)
    _show_history(desk, rubric)
    return mark


_BACK_WORDS = {False: "Change my last answer", True: "Take my last skip back"}


def left_for_me(desk: DeskState, queue: ReviewQueueForMe) -> int:
    """Items that the person could still be given, less what they did since the page was opened."""
    since = (desk.progress or queue.progress).mine - queue.progress.mine
    return max(0, queue.left_for_me - since)


def last_own(desk: DeskState) -> Past | None:
    """The last answer that may still be taken back to the desk."""
    return next((past for past in desk.history if past.may_revise), None)


def _show_history(desk: DeskState, rubric: Rubric) -> None:
    with st.container(key="desk-history", gap="xsmall"):
        st.html("<p class='strop-label'>Your last answers</p>")
        if not desk.history:
            st.html("<p class='strop-help'>They appear here; the last one can be changed.</p>")
            return
        last = last_own(desk)
        if last is not None and last.review_id is not None:
            st.button(
                f"{_BACK_WORDS[last.skip_reason is not None]} :gray[:small[U]]",
                key="desk-back",
                on_click=on_item(desk, take_back),
                args=(rubric, last.review_id),
                width="stretch",
            )
        for past in desk.history:
            _show_past(desk, past, rubric, openable=past.may_revise and past is not last)
            if past is desk.history[0]:
                _show_notes(past)
        for one in desk.upheld:
            st.html(f"<p class='strop-help strop-why'>{escape(upheld_line(one))}</p>")


def upheld_line(one: GoldFeedback) -> str:
    """What a lead made of one's word against a known answer."""
    why = f" {one.resolution_reason}" if one.resolution_reason else ""
    return f"A lead has looked at a known answer that you contested: it stands.{why}"


def _show_past(desk: DeskState, past: Past, rubric: Rubric, *, openable: bool) -> None:
    at = f"{past.at.astimezone(browser_zone()):%H:%M}"
    line = past_line(past, rubric)
    if openable and past.review_id is not None:
        st.button(
            f"{at}\u2002{plain(line)}",
            key=f"past-{past.review_id}",
            type="tertiary",
            help="Take it back to the desk and change it",
            on_click=on_item(desk, take_back),
            args=(rubric, past.review_id),
        )
    else:
        st.html(f"<p class='strop-past'><time>{at}</time> {escape(line)}</p>")


def _show_notes(past: Past) -> None:
    """What can be told of the last answer now that it was sent."""
    notes = [f"Why you saw it: {past.why}"] * bool(past.why)
    notes += [risk_line(past.risk, past=True)] if past.risk else []
    notes += ["It came after the item had gone to a colleague: kept as an extra."] * past.extra
    if notes:
        st.html("".join(f"<p class='strop-help strop-why'>{escape(note)}</p>" for note in notes))


def risk_line(risk: RiskNotice, *, past: bool = False) -> str:
    """What the project's risk says of an output, and why."""
    share = f"{risk.value:.0%}"
    said = f"The checks put the chance that this output {'was' if past else 'is'} wrong at {share}"
    return f"{said}: {risk.reason}." if risk.reason else f"{said}."


def past_line(past: Past, rubric: Rubric) -> str:
    """A past answer in one line; a skip with its reason."""
    if past.skip_reason is not None:
        return f"skipped: {past.skip_reason}"
    return answer_line(past.answer, rubric)


def take_back(desk: DeskState, rubric: Rubric, review_id: int) -> None:
    """Take an own answer back to the desk; what was entered meanwhile is saved first."""
    if desk.claim is not None:
        take_what_was_entered(desk, rubric)
    revise(desk, current_client(), review_id, now=datetime.now(UTC))


def saved_html(desk: DeskState, *, zone: ZoneInfo) -> str:
    """The saved mark: when the draft was saved, or why it could not be.

    Only what the server has is called saved. The browser hides a mark of the class `kept` while it
    holds something that it has not handed over.
    """
    if unsaved(desk):
        why = _why_not_saved(desk)
        if why is None:
            return "<p class='strop-saved'>Saving …</p>"
        return f"<p class='strop-saved bad' role='alert'>Not saved. {escape(why)}</p>"
    word = "Nothing to save yet"
    if desk.saved_at is not None:
        word = f"✓ Saved {desk.saved_at.astimezone(zone):%H:%M:%S}"
    elif desk.claim is not None and desk.claim.revising and not desk.claim.resumed:
        word = "Nothing changed yet"
    elif desk.saved is not None:
        word = "✓ Draft restored"
    elif desk.sent_at is not None:
        word = f"✓ Sent {desk.sent_at.astimezone(zone):%H:%M:%S}"
    return f"<p class='strop-saved kept' role='status'>{word}</p>"


def _why_not_saved(desk: DeskState) -> str | None:
    """Why the server does not have what is on screen; None while it is being sent."""
    if desk.signed_out:
        return "Your sign-in has ended; what you enter stays on this page."
    if isinstance(desk.problem, LeaseLost):
        return "The item went to a colleague; Submit sends what is here."
    return desk.save_problem if desk.problem is None else desk.problem.message
