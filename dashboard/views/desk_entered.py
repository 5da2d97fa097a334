"""What the browser has handed over for the item on screen: digits, marks, words, and the time."""

from __future__ import annotations

from backend.rubrics import Rubric, Text
from dashboard.components.editor import reason_handed_over, text_handed_over
from dashboard.components.keys import active_time, digits_typed
from dashboard.components.questions import answer_of_digit, text_key
from dashboard.components.reader import marks_handed_over
from dashboard.desk_state import Desk, change_answer, rate, take_time


def take_what_was_entered(desk: Desk, rubric: Rubric) -> None:
    """Take it over before anything is drawn or sent; what was taken before changes nothing."""
    _take_digits(desk, rubric)
    _take_words(desk, rubric)
    if (marks := marks_handed_over(key=desk.item_key)) is not None:
        change_answer(desk, spans=marks)
    if (time := active_time(item=desk.item_key)) is not None:
        known = {criterion.name for criterion in rubric.criteria}
        by = {name: seconds for name, seconds in time.by_question.items() if name in known}
        take_time(desk, time.seconds, by)


def _take_digits(desk: Desk, rubric: Rubric) -> None:
    """Answer questions by the digits that were typed since the last run."""
    typed = digits_typed(item=desk.item_key, sitting=desk.sitting)
    for entry in typed[desk.digits_taken :]:
        ratings = dict(desk.answer.ratings)
        answer = answer_of_digit(rubric, ratings, entry.digit, question=entry.question)
        if answer is not None:
            desk.note = None
            rate(desk, *answer)
    desk.digits_taken = len(typed)


def _take_words(desk: Desk, rubric: Rubric) -> None:
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


def correction_key(desk: Desk) -> str:
    """Key of the correction box."""
    return f"correction-{desk.item_key}"


def remark_key(desk: Desk) -> str:
    """Key of the box for a remark."""
    return f"remark-{desk.item_key}"
