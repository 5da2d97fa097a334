"""A box to write in, and the correction box that shows as one types what differs from the output.

Streamlit's own text area tells the server only when it is left; this one (editor.js) does so
after each pause in typing, so that a draft is never older than that. It knows nothing of drafts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent


@cache
def _component() -> Any:
    html, css = ((HERE / f"editor.{kind}").read_text("utf-8") for kind in ("html", "css"))
    js = "\n".join((HERE / name).read_text("utf-8") for name in ("unsent.js", "editor.js"))
    return st.components.v2.component("strop_editor", html=html, css=css, js=js)


def text_editor(
    *,
    key: str,
    text: str,
    label: str,
    original: str | None = None,
    longest: int | None = None,
    unseen: bool = False,
    focus: bool = False,
    reasons: Sequence[str] = (),
    reason: str | None = None,
) -> None:
    """Show the box; `text_handed_over` tells what was written in it.

    Args:
        key: unique per item; another key is another box.
        text: what stands in the box when it is first shown.
        original: the text to compare with and to go back to; None shows no comparison.
        longest: most characters that the box takes.
        unseen: whether the label is for screen readers only.
        focus: whether the cursor is put into it when it is first shown.
        reasons: what may have been wrong, to pick from; where there are none it is not asked.
        reason: what was picked and written so far, as `reason_handed_over` tells it.
    """
    _component()(
        key=key,
        data={
            "item": key,
            "original": original,
            "text": text,
            "label": label,
            "longest": longest,
            "unseen": unseen,
            "focus": focus,
            "reasons": list(reasons),
            "reason": reason,
        },
        default={"text": text, "reason": reason},
        on_text_change=_nothing,
        on_reason_change=_nothing,
    )


def text_handed_over(*, key: str) -> str | None:
    """The text of a box as the browser last handed it over; None when it was never changed.

    It is known before the box is drawn, so that a submit right after the last word has that word.
    """
    return _handed_over(key, "text")


def reason_handed_over(*, key: str) -> str | None:
    """What was wrong, in the words that the browser last handed over; None as above."""
    return _handed_over(key, "reason")


def _handed_over(key: str, name: str) -> str | None:
    state = st.session_state.get(key)
    value = state.get(name) if state else None
    return None if value is None else str(value)


def _nothing() -> None:
    """A state of a component exists only with a callback; the script's own run does the work."""
