"""One item on the expert's desk: source, output, questions, correction, and what to do with it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import streamlit as st

from backend.rubrics import Rubric, Text
from backend.schemas.review import Claim, ReviewQueueForMe
from dashboard.components.editor import text_editor, text_handed_over
from dashboard.components.frame import browser_zone, escape
from dashboard.components.item import (
    WINNER_WORDS,
    show_outputs,
    source_html,
)
from dashboard.components.keys import digits_typed, listen_for_keys
from dashboard.components.questions import Value, answer_of_digit, show_questions, text_key
from dashboard.desk_state import Desk, change_answer, rate, save_if_changed, skip, submit
from dashboard.session import current_client
from dashboard.views.desk_head import guidelines_key, saved_html, show_head, toggle

VOTE_KEYS = {"left": "A", "right": "B", "tie": "E", "both_bad": "X", "cannot_judge": "J"}
SKIP_REASONS = ("Not my field", "The source is not readable", "I know this case", "Something else")


def show_item(desk: Desk, queue: ReviewQueueForMe, rubric: Rubric) -> None:
    """The item, and at the end the save of what changed in this run."""
    assert desk.claim is not None
    _take_what_was_typed(desk, rubric)
    listen_for_keys(item=desk.item_key)
    saved_mark = show_head(desk, queue, rubric)
    if desk.claim.kind == "pair":
        _show_pair(desk, desk.claim, rubric)
    else:
        _show_single(desk, desk.claim, rubric)
    save_if_changed(desk, current_client())
    saved_mark.html(saved_html(desk, zone=browser_zone()))


def _take_what_was_typed(desk: Desk, rubric: Rubric) -> None:
    """Digits and words that the browser has handed over, before anything is drawn or sent."""
    _take_digits(desk, rubric)
    _take_words(desk, rubric)


def _take_digits(desk: Desk, rubric: Rubric) -> None:
    """Answer the next questions by the digits that were typed since the last run."""
    typed = digits_typed(item=desk.item_key)
    for digit in typed[desk.digits_taken :]:
        answer = answer_of_digit(rubric, dict(desk.answer.ratings), digit)
        if answer is not None:
            _rate(desk, *answer)
    desk.digits_taken = len(typed)


def _show_single(desk: Desk, claim: Claim, rubric: Rubric) -> None:
    source, work = st.columns([1, 1.08], gap="medium")
    source.html(source_html(claim.item))
    with work:
        show_outputs(claim.item)
        show_questions(rubric, dict(desk.answer.ratings), partial(_rate, desk), item=desk.item_key)
        _show_correction(desk, claim)
        _show_comment(desk, rubric)
        _show_actions(desk, rubric)


def _show_pair(desk: Desk, claim: Claim, rubric: Rubric) -> None:
    st.html(source_html(claim.item, wide=True))
    show_outputs(claim.item)
    st.html("<p class='strop-question'>Which answer is better?</p>")
    with st.container(horizontal=True, gap="xsmall"):
        for winner, key in VOTE_KEYS.items():
            picked = desk.answer.winner == winner
            st.button(
                ("✓ " if picked else "") + WINNER_WORDS[winner],
                key=f"vote-{desk.item_key}-{winner}",
                type="primary" if picked else "secondary",
                shortcut=key,
                on_click=_vote,
                args=(desk, winner),
            )
    show_questions(rubric, dict(desk.answer.ratings), partial(_rate, desk), item=desk.item_key)
    _show_comment(desk, rubric)
    _show_actions(desk, rubric)


def _vote(desk: Desk, winner: str) -> None:
    desk.note = None
    change_answer(desk, winner=winner)


def _rate(desk: Desk, criterion: str, value: Value) -> None:
    desk.note = None
    rate(desk, criterion, value)


def _show_correction(desk: Desk, claim: Claim) -> None:
    """A button, or once pressed the box with the output in it and the diff below."""
    output = claim.item.output
    if output is None:
        return
    if not desk.correcting:
        st.button(
            "Correct the answer",
            shortcut="E",
            key=f"correct-{desk.item_key}",
            icon=":material/edit:",
            on_click=_start_correcting,
            args=(desk,),
        )
        return
    text_editor(
        key=_correction_key(desk),
        original=output.text,
        text=output.text if desk.answer.correction is None else desk.answer.correction,
        label="The answer as it should have been",
        focus=desk.answer.correction is None,
    )


def _start_correcting(desk: Desk) -> None:
    desk.correcting = True


def _show_comment(desk: Desk, rubric: Rubric) -> None:
    """A box for a remark, where the rubric has no question that takes words."""
    if any(isinstance(criterion, Text) for criterion in rubric.criteria):
        return
    text_editor(
        key=_remark_key(desk),
        text=desk.answer.comment or "",
        label="Remark (optional)",
        longest=20_000,
    )


def _show_actions(desk: Desk, rubric: Rubric) -> None:
    skipping = f"desk-skip-{desk.item_key}"
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button(
            "Submit\u2002:small[Ctrl + Enter]",
            key=f"submit-{desk.item_key}",
            type="primary",
            on_click=_submit,
            args=(desk, rubric),
        )
        st.button(
            "Skip", shortcut="S", key=f"skip-{desk.item_key}", on_click=toggle, args=(skipping,)
        )
    if desk.note:
        st.html(f"<p class='strop-saved bad' role='alert'>{escape(desk.note)}</p>")
    if st.session_state.get(skipping):
        _show_skip(desk)


def _submit(desk: Desk, rubric: Rubric) -> None:
    _take_what_was_typed(desk, rubric)
    sent = desk.finished_here
    submit(desk, current_client(), rubric, now=datetime.now(UTC))
    if desk.finished_here > sent:
        st.session_state[guidelines_key(desk)] = False


def _take_words(desk: Desk, rubric: Rubric) -> None:
    for criterion in rubric.criteria:
        if isinstance(criterion, Text):
            words = text_handed_over(key=text_key(criterion, item=desk.item_key))
            if words is not None:
                rate(desk, criterion.name, words or None)
    if (remark := text_handed_over(key=_remark_key(desk))) is not None:
        change_answer(desk, comment=remark or None)
    if (text := text_handed_over(key=_correction_key(desk))) is not None:
        output = desk.claim.item.output if desk.claim else None
        unchanged = output is not None and text == output.text
        change_answer(desk, correction=None if unchanged else text)


def _correction_key(desk: Desk) -> str:
    return f"correction-{desk.item_key}"


def _remark_key(desk: Desk) -> str:
    return f"remark-{desk.item_key}"


def _show_skip(desk: Desk) -> None:
    with st.container(border=True):
        chosen = st.pills(
            "Why do you skip it? Others get it instead of you.",
            SKIP_REASONS,
            key=f"skip-reason-{desk.item_key}",
        )
        words = st.text_input("In your words (optional)", key=f"skip-words-{desk.item_key}")
        reason = ": ".join(part for part in (chosen, words.strip()) if part)
        st.button(
            "Skip this item",
            key=f"skip-now-{desk.item_key}",
            disabled=not reason,
            on_click=_skip,
            args=(desk, reason),
        )


def _skip(desk: Desk, reason: str) -> None:
    skip(desk, current_client(), reason, now=datetime.now(UTC))
