"""What the browser has handed over for the item on screen: digits, marks, words, and the time."""

from __future__ import annotations

import streamlit as st

from backend.rubrics import Rubric, Text
from dashboard.components.editor import reason_handed_over, text_handed_over
from dashboard.components.keys import GO_ON, SKIP, Typed, active_time, digits_typed
from dashboard.components.questions import DIGITS, answer_of_digit, stays_on, text_key
from dashboard.components.reader import marks_handed_over
from dashboard.views.review.desk.state import DeskState, change_answer, rate, take_time

SKIP_REASONS = ("Not my field", "The source is not readable", "I know this case", "Something else")


def take_what_was_entered(desk: DeskState, rubric: Rubric) -> None:
    """Take it over before anything is drawn or sent; what was taken before changes nothing."""
    _take_digits(desk, rubric)
    _take_words(desk, rubric)
    if (marks := marks_handed_over(key=desk.item_key)) is not None:
        change_answer(desk, spans=marks)
    if (time := active_time(item=desk.item_key)) is not None:
        known = {criterion.name for criterion in rubric.criteria}
        by = {name: seconds for name, seconds in time.by_question.items() if name in known}
        take_time(desk, time.seconds, by)


def _take_digits(desk: DeskState, rubric: Rubric) -> None:
    """Answer questions by the digits that were typed since the last run."""
    typed = digits_typed(item=desk.item_key, sitting=desk.sitting)
    for entry in typed[desk.digits_taken :]:
        if entry.question == SKIP:
            _pick_skip_reason(desk, entry.digit)
        elif entry.digit == GO_ON:
            desk.staying = None
        else:
            _answer(desk, rubric, entry)
    desk.digits_taken = len(typed)


def _answer(desk: DeskState, rubric: Rubric, entry: Typed) -> None:
    """A digit for the question with the focus, the one that it stays on, or the next open one."""
    ratings = dict(desk.answer.ratings)
    question = entry.question or desk.staying
    answer = answer_of_digit(rubric, ratings, entry.digit, question=question)
    if answer is None:
        return
    desk.note = desk.missing = None
    rate(desk, *answer)
    desk.staying = answer[0] if stays_on(rubric, *answer) else None


def _pick_skip_reason(desk: DeskState, digit: str) -> None:
    place = DIGITS.find(digit)
    if 0 <= place < len(SKIP_REASONS):
        st.session_state[skip_reason_key(desk)] = SKIP_REASONS[place]


def skip_reason_key(desk: DeskState) -> str:
    """Key of the reasons of a skip."""
    return f"skip-reason-{desk.item_key}"


def skip_words_key(desk: DeskState) -> str:
    """Key of the words beside the reasons of a skip."""
    return f"skip-words-{desk.item_key}"


def _take_words(desk: DeskState, rubric: Rubric) -> None:
    for criterion in rubric.criteria:
        if isinstance(criterion, Text):
            words = text_handed_over(key=text_key(criterion, item=desk.item_key))
            if words is not None:
                rate(desk, criterion.name, words or None)
    if (remark := text_handed_over(key=remark_key(desk))) is not None:
        change_answer(desk, comment=remark or None)
    if (text := text_handed_over(key=correction_key(desk))) is not None:
        output = desk.claim.item.output if desk.claim else None
        unchanged = output is not None and text == output.text
        change_answer(desk, correction=None if unchanged else text)
    if (reason := reason_handed_over(key=correction_key(desk))) is not None:
        change_answer(desk, correction_reason=reason or None)


def correction_key(desk: DeskState) -> str:
    """Key of the correction box."""
    return f"correction-{desk.item_key}"


def remark_key(desk: DeskState) -> str:
    """Key of the box for a remark."""
    return f"remark-{desk.item_key}"
