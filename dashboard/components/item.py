"""An item as an expert sees it: its source, and one output or a blind left and right.

Nothing here can name a model: the shapes that it is given hold none.
"""

from __future__ import annotations

import streamlit as st

from backend.schemas.review import Answer, FlaggedSpan, ItemView, QueueProgress, ShownOutput
from dashboard.components.frame import card_html, escape
from dashboard.components.marked_text import Flag, flag_list_html, marked_html, text_html

WINNER_WORDS = {
    "left": "A is better",
    "right": "B is better",
    "tie": "Equally good",
    "both_bad": "Both bad",
    "cannot_judge": "Cannot judge",
}


def source_html(item: ItemView, *, wide: bool = False) -> str:
    """The input with the context below it (beside it where wide); scrolls on its own when long."""
    parts = [card_html("Task" if item.context else "Source", text_html(item.input))]
    if item.context:
        parts.append(card_html("Source", text_html(item.context)))
    body = "".join(parts)
    kind = "strop-source wide" if wide else "strop-source"
    return f"<section class='{kind}' tabindex='0' aria-label='Source'>{body}</section>"


def output_html(output: ShownOutput, *, title: str) -> str:
    """One output with its flags marked, and the flags with their reasons below it."""
    flags = [_flag(span) for span in output.flagged]
    text = marked_html(output.text, flags) if output.text else "<em>The answer is empty.</em>"
    return card_html(title, text + (flag_list_html(output.text, flags) if flags else ""))


def show_outputs(item: ItemView) -> None:
    """The output, or left and right beside each other under the names A and B."""
    if item.output is not None:
        st.html(output_html(item.output, title="Answer to judge"))
        return
    for column, output, name in zip(st.columns(2), (item.left, item.right), "AB", strict=True):
        if output is not None:
            column.html(output_html(output, title=f"Answer {name}"))


def answer_lines(answer: Answer) -> dict[str, str]:
    """A finished answer in words, for looking back at it."""
    lines = {name: str(value) for name, value in answer.ratings.items() if value is not None}
    if answer.winner is not None:
        lines["vote"] = WINNER_WORDS[answer.winner]
    if answer.correction is not None:
        lines["correction"] = answer.correction
    if answer.comment:
        lines["comment"] = answer.comment
    return lines


def _flag(span: FlaggedSpan) -> Flag:
    return Flag(span.start, span.end, span.reason)


def progress_html(name: str, progress: QueueProgress) -> str:
    """The queue's name, a bar, and the counts in words."""
    mine = f", {progress.mine} by you" if progress.mine else ""
    share = 100 * progress.done / progress.total if progress.total else 0
    return (
        f"<div class='strop-bar'><strong>{escape(name)}</strong>"
        f"<div class='track' role='progressbar' aria-valuenow='{progress.done}' "
        f"aria-valuemax='{progress.total}' aria-label='reviews done'>"
        f"<div class='fill' style='width:{share:.1f}%'></div></div>"
        f"<span>{progress.done} of {progress.total} done{mine}</span></div>"
    )
