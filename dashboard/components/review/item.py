"""Words about an item and an answer: how far the queue is, what was voted, what was said.

Nothing here can name a model: the shapes that it is given hold none.
"""

from __future__ import annotations

from backend.rubrics import Multi, Number, Rubric, Text, chosen_options
from backend.schemas.review.desk import AnswerIn, QueueProgress
from dashboard.components.frame import escape
from dashboard.components.questions import Value

WINNER_WORDS = {
    "left": "A is better",
    "right": "B is better",
    "tie": "Equally good",
    "both_bad": "Both bad",
    "cannot_judge": "Cannot judge",
}


def answer_lines(answer: AnswerIn, rubric: Rubric | None = None) -> dict[str, str]:
    """A finished answer in words, for looking at it; in the words of the rubric where given."""
    lines: dict[str, str] = {}
    if answer.winner is not None:
        lines["vote"] = WINNER_WORDS[answer.winner]
    for name, value in answer.ratings.items():
        if value is not None:
            lines[name.replace("_", " ")] = _words(rubric, name, value)
    if answer.spans:
        lines["marks"] = ", ".join(mark.kind.replace("_", " ") for mark in answer.spans)
    if answer.correction is not None:
        lines["correction"] = answer.correction
    if answer.correction_reason:
        lines["what was wrong"] = answer.correction_reason
    if answer.comment:
        lines["comment"] = answer.comment
    return lines


def _words(rubric: Rubric | None, name: str, value: Value) -> str:
    """An answer in the words on the buttons; as it is stored where the rubric has none for it."""
    known = {criterion.name: criterion for criterion in rubric.criteria} if rubric else {}
    criterion = known.get(name)
    if criterion is None or isinstance(criterion, Number | Text):
        return str(value)
    labels = {str(choice.value): choice.label for choice in criterion.choices()}
    given = (chosen_options(value) or []) if isinstance(criterion, Multi) else [str(value)]
    return ", ".join(labels.get(one, one) for one in given)


def answer_line(answer: AnswerIn, rubric: Rubric) -> str:
    """A finished answer in one short line."""
    parts = [
        text if len(text) <= 24 else f"{text[:22]}…"
        for name, text in answer_lines(answer, rubric).items()
        if name not in ("correction", "what was wrong", "comment", "marks")
    ]
    parts += ["corrected"] * (answer.correction is not None)
    parts += [f"{len(answer.spans)} marked"] * bool(answer.spans)
    return " · ".join(parts) or "no answer"


def progress_html(
    name: str, progress: QueueProgress, *, here: int = 0, left: int | None = None
) -> str:
    """The queue's name, a bar, and the counts in words.

    Args:
        here: what the person has done in this sitting.
        left: what is left for the person; the bar is then theirs, and the queue stands below it.
    """
    done, total = progress.done, progress.total
    whole = f"<span>{done} of {total} done</span>"
    label = "reviews done"
    if left is not None:
        done, total, label = progress.mine, progress.mine + left, "reviews done by you"
        whole = (
            f"<span><strong>{done} by you, {left} left for you</strong></span>"
            f"<span>The queue: {progress.done} of {progress.total} done</span>"
        )
    sitting = f"<span>{here} in this sitting</span>" if here else ""
    share = 100 * done / total if total else 0
    return (
        f"<div class='strop-bar'><strong>{escape(name)}</strong>"
        f"<div class='track' role='progressbar' aria-valuenow='{done}' "
        f"aria-valuemin='0' aria-valuemax='{total}' aria-label='{label}'>"
        f"<div class='fill' style='width:{share:.1f}%'></div></div>"
        f"{whole}{sitting}</div>"
    )
