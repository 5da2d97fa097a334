"""The right pane: guidelines, the vote or the questions, a remark, and what to do with the item."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from backend.errors import LeaseLost
from backend.rubrics import Rubric, Text
from backend.schemas.review.desk import MarkedSpan
from dashboard.components.editor import text_editor
from dashboard.components.frame import escape, facts_html
from dashboard.components.marked_text import text_html, unwrapped
from dashboard.components.questions import Change, Value, answered_html, show_questions
from dashboard.components.review.item import WINNER_WORDS, answer_lines
from dashboard.session import current_client, now_and_here
from dashboard.views.review.desk.after import leave_as_it_was
from dashboard.views.review.desk.entered import (
    SKIP_REASONS,
    remark_key,
    skip_reason_key,
    skip_words_key,
    take_what_was_entered,
)
from dashboard.views.review.desk.sending import skip, submit
from dashboard.views.review.desk.state import DeskState, change_answer, on_item, rate, take_next

_FORMATTED, _SWITCH = "desk-formatted", "desk-formatted-switch"
VOTE_KEYS = {"left": "A", "right": "B", "tie": "E", "both_bad": "X", "cannot_judge": "J"}


def show_answer(desk: DeskState, rubric: Rubric) -> None:
    """Everything that the expert answers an item with."""
    assert desk.claim is not None
    _show_guidelines(desk, rubric)
    if desk.claim.adjudication is not None:
        _show_answers_that_differ(desk, rubric)
    if desk.claim.kind == "pair":
        _show_vote(desk)
    show_questions(
        rubric,
        dict(desk.answer.ratings),
        on_item(desk, _rate),
        item=desk.item_key,
        staying=desk.staying,
        digits=not st.session_state.get(skipping_key(desk)),
    )
    _show_comment(desk, rubric)
    _show_actions(desk, rubric)


def show_notice(desk: DeskState) -> None:
    """What has to be known of this item before it is answered, and the way out of it.

    Its place is there without a notice too: nothing below is drawn anew when there is one.
    """
    with st.container(key="desk-notice", horizontal=True, vertical_alignment="center"):
        _fill_notice(desk)


def _fill_notice(desk: DeskState) -> None:
    assert desk.claim is not None
    if desk.problem is not None:
        late = isinstance(desk.problem, LeaseLost)
        hint = (
            "Submit sends what is here; it is kept as a further answer."
            if late
            else "What you wrote here is not on the server. Copy what you need before you go on."
        )
        st.html(notice_html(desk.problem.message, hint))
        if desk.claim.revising and not late:  # taking the next item would bring this one back
            _offer_to_leave_it_as_it_was(desk)
            return
        label = "Leave it, next item" if late else "Next item"
        st.button(
            label, key=f"leave-{desk.item_key}", on_click=on_item(desk, now_and_here(take_next))
        )
    elif desk.claim.revising:
        st.html(
            notice_html(
                "You are changing an answer that you have given.",
                "It stands until you submit this one in its place.",
            )
        )
        _offer_to_leave_it_as_it_was(desk)


def _offer_to_leave_it_as_it_was(desk: DeskState) -> None:
    st.button(
        "Leave it as it was",
        key=f"as-it-was-{desk.item_key}",
        on_click=on_item(desk, now_and_here(leave_as_it_was)),
    )


def notice_html(title: str, line: str) -> str:
    """A frame with what has to be known first."""
    return (
        f"<p class='strop-notice' role='status'><strong>{escape(title)}</strong>{escape(line)}</p>"
    )


def _show_guidelines(desk: DeskState, rubric: Rubric) -> None:
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.button(
            "Guidelines :gray[:small[G]]",
            key="desk-guidelines",
            type="tertiary",
            on_click=toggle,
            args=(guidelines_key(desk),),
        )
        st.html("<button type='button' class='strop-show-keys'>All keys <small>H</small></button>")
        st.session_state[_SWITCH] = shows_formatted()  # a switch that was not drawn is forgotten
        st.toggle("Formatted", key=_SWITCH, on_change=toggle, args=(_FORMATTED,))
    if st.session_state.setdefault(guidelines_key(desk), _is_new_here(desk)):
        st.html(
            "<section class='strop-card strop-guide' tabindex='0' aria-label='Guidelines'>"
            + text_html(unwrapped(rubric.guidelines), kind="guide")
            + "</section>"
        )


def shows_formatted() -> bool:
    """Whether this tab shows Markdown and JSON formatted: not before somebody asks for it."""
    return bool(st.session_state.get(_FORMATTED))


def _is_new_here(desk: DeskState) -> bool:
    return desk.progress is not None and desk.progress.mine == 0


def guidelines_key(desk: DeskState) -> str:
    """Where the tab remembers whether the guidelines are open."""
    return f"desk-guidelines-open-{desk.queue_id}"


def toggle(key: str) -> None:
    """Open what is closed and close what is open."""
    st.session_state[key] = not st.session_state.get(key)


def _show_answers_that_differ(desk: DeskState, rubric: Rubric) -> None:
    """What the reviewers said, side by side and without their names; the verdict is to be new."""
    view = desk.claim.adjudication if desk.claim else None
    if view is None:
        return
    reason = f" {escape(view.reason)}" if view.reason else ""
    st.html(
        "<p class='strop-question'>Your verdict is asked for</p>"
        f"<p class='strop-help'>These reviewers disagree.{reason} Judge for yourself; their "
        "answers stay beside yours.</p>"
    )
    given = [(one.label, answer_lines(one.answer, rubric)) for one in view.answers]
    marked = [(one.label, answer_marks(desk, one.answer.spans)) for one in view.answers]
    cells = "".join(
        f"<section class='strop-card' aria-label='{escape(label)}'>"
        f"<p class='strop-label'>{escape(label)}</p>"
        f"{facts_html({**lines, **({'marks': marks} if marks else {})})}</section>"
        for (label, lines), (_, marks) in zip(given, marked, strict=True)
    )
    st.html(f"<div class='strop-side-by-side'>{cells}</div>")


def answer_marks(desk: DeskState, spans: Sequence[MarkedSpan]) -> str:
    """The words that a reviewer marked, with their kinds."""
    output = desk.claim.item.output if desk.claim else None
    if output is None:
        return ""
    return "; ".join(
        f"“{output.text[mark.start : mark.end]}” {mark.kind.replace('_', ' ')}" for mark in spans
    )


def _show_vote(desk: DeskState) -> None:
    with st.container(key=f"question-{desk.item_key}-vote", gap="xsmall"):
        sign = answered_html(answered=desk.answer.winner is not None)
        st.html(f"<p class='strop-question'>{sign}Which answer is better?</p>")
        with st.container(horizontal=True, gap="xsmall"):
            for winner, key in VOTE_KEYS.items():
                picked = desk.answer.winner == winner
                words = WINNER_WORDS[winner]
                st.button(
                    f"✓ {words} :small[{key}]" if picked else f"{words} :gray[:small[{key}]]",
                    key=f"vote-{desk.item_key}-{winner}",
                    type="primary" if picked else "secondary",
                    on_click=on_item(desk, _vote),
                    args=(winner,),
                )


def _vote(desk: DeskState, winner: str) -> None:
    desk.note = desk.missing = None
    change_answer(desk, winner=winner)


def _rate(desk: DeskState, criterion: str, value: Value | Change) -> None:
    desk.note = desk.missing = desk.staying = None
    rate(desk, criterion, value(desk.answer.ratings.get(criterion)) if callable(value) else value)


def _show_comment(desk: DeskState, rubric: Rubric) -> None:
    """A box for a remark, where the rubric has no question that takes words."""
    if any(isinstance(criterion, Text) for criterion in rubric.criteria):
        return
    text_editor(
        key=remark_key(desk),
        text=desk.answer.comment or "",
        label="Note on your grading (optional)",
        longest=20_000,
    )


def _show_actions(desk: DeskState, rubric: Rubric) -> None:
    skipping = skipping_key(desk)
    with st.container(key="desk-actions", gap="xsmall"):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.button(
                "Submit\u2002:small[Ctrl + Enter]",
                key=f"submit-{desk.item_key}",
                type="primary",
                on_click=on_item(desk, _submit),
                args=(rubric,),
            )
            if desk.problem is None and desk.claim and not desk.claim.revising:
                st.button(
                    "Skip :gray[:small[S]]",
                    key=f"skip-{desk.item_key}",
                    on_click=toggle,
                    args=(skipping,),
                )
        if desk.note:
            st.html(f"<p class='strop-saved bad' role='alert'>{escape(desk.note)}</p>")
        if st.session_state.get(skipping):
            _show_skip(desk, rubric)


def skipping_key(desk: DeskState) -> str:
    """Where the tab remembers whether the reasons of a skip are open."""
    return f"desk-skip-{desk.item_key}"


def _submit(desk: DeskState, rubric: Rubric) -> None:
    take_what_was_entered(desk, rubric)
    sent = desk.finished_here
    desk.tried += 1
    submit(desk, current_client(), rubric, now=datetime.now(UTC))
    if desk.finished_here > sent:
        st.session_state[guidelines_key(desk)] = False


def _show_skip(desk: DeskState, rubric: Rubric) -> None:
    with st.container(border=True, key=f"desk-skipping-{desk.item_key}"):
        chosen = st.pills(
            "Why do you skip it?",
            SKIP_REASONS,
            format_func=lambda reason: f"{reason} :small[{SKIP_REASONS.index(reason) + 1}]",
            key=skip_reason_key(desk),
        )
        words = st.text_input("In your words (optional)", key=skip_words_key(desk))
        st.button(
            "Skip this item",
            key=f"skip-now-{desk.item_key}",
            disabled=not (chosen or words.strip()),
            on_click=on_item(desk, _skip),
            args=(rubric,),
        )


def _skip(desk: DeskState, rubric: Rubric) -> None:
    take_what_was_entered(desk, rubric)
    keys = (skip_reason_key(desk), skip_words_key(desk))  # as they are now, not as they were drawn
    said = [str(st.session_state.get(key) or "").strip() for key in keys]
    reason = ": ".join(part for part in said if part)
    skip(desk, current_client(), reason, now=datetime.now(UTC))
