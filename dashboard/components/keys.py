"""Keys of the desk, a sheet that lists them, and the clock of active time that runs beside them.

A key presses the button that the desk names for it, digits answer questions: the browser gathers
those of one item and hands over all of them, and the desk takes those it has not taken yet, so that
who rates fast may type ahead of the drawing. Streamlit's own shortcuts take no punctuation and do
not know a key that is held from one that is pressed. Here a key that repeats, a key in a text box,
and a key for an item that is not on screen any more (or is being sent) count for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
KEY = "strop-digits"


SKIP = "@skip"  # as in keys.js: digits for the reasons of a skip
GO_ON = "Enter"  # beside the digits: on from a question of which several options were chosen


@dataclass(frozen=True, slots=True)
class Typed:
    """A digit or GO_ON, and the question that had the focus (None: it is for the next open one)."""

    question: str | None
    digit: str


@dataclass(frozen=True, slots=True)
class ActiveTime:
    """Seconds of attention at one item, in all and by question."""

    seconds: float
    by_question: dict[str, float] = field(default_factory=dict)


@cache
def _component() -> Any:
    html, css = ((HERE / f"keys.{kind}").read_text("utf-8") for kind in ("html", "css"))
    js = "\n".join(
        (HERE / name).read_text("utf-8") for name in ("clock.js", "unsent.js", "keys.js")
    )
    return st.components.v2.component(
        "strop_digits", html=html, css=css, js=js, isolate_styles=False
    )


def listen_for_keys(
    *,
    item: str,
    sitting: str,
    run: int,
    keys: Mapping[str, str],
    help_rows: Sequence[tuple[str, str]],
    open_questions: Sequence[str],
    taken: int,
    time: ActiveTime,
    skipping: bool,
    missing: str | None = None,
    tried: int = 0,
) -> None:
    """Put the listener on the page, for this item and no other.

    Args:
        sitting: another one when the desk was opened anew, as after a restart of the server; digits
            that the desk before it has taken are then not handed over again.
        run: another number for each drawing; keys that wait for an answer to a submit wake by it.
        keys: key -> key of the Streamlit button that it presses.
        help_rows: (keys with blanks between them, what they do) for the sheet.
        open_questions: questions that wait for digits, in order.
        taken: digits of this item that the desk has taken.
        skipping: whether the reasons of a skip are open; digits are theirs then.
        missing: the question that keeps the answer from being sent; the page goes to it once for
            each value of `tried`.
        time: active time so far, from which the clock goes on when the item is new to the page.
    """
    _component()(
        key=KEY,
        data={
            "item": item,
            "sitting": sitting,
            "run": run,
            "keys": dict(keys),
            "help": [list(row) for row in help_rows],
            "open": list(open_questions),
            "taken": taken,
            "seconds": time.seconds,
            "by": time.by_question,
            "skipping": skipping,
            "missing": missing,
            "tried": tried,
        },
        default={"typed": None, "clock": None},
        on_typed_change=_nothing,
        on_clock_change=_nothing,
        height=1,
    )


def digits_typed(*, item: str, sitting: str) -> list[Typed]:
    """All digits typed for this item in this sitting, in order; known before anything is drawn."""
    typed = _state("typed")
    if not typed or (typed["item"], typed["sitting"]) != (item, sitting):
        return []
    return [Typed(question, digit) for question, digit in typed["entries"]]


def active_time(*, item: str) -> ActiveTime | None:
    """The time that the browser's clock has counted for this item; None before it has spoken."""
    typed = _state("typed")
    readings = [_state("clock"), typed["clock"] if typed else None]
    times = [
        ActiveTime(float(reading["seconds"]), dict(reading["by"]))
        for reading in readings
        if reading and reading["item"] == item
    ]
    return max(times, key=lambda time: time.seconds, default=None)


def _state(name: str) -> Any:
    state = st.session_state.get(KEY)
    return state.get(name) if state else None


def _nothing() -> None:
    """A state of a component exists only with a callback; the script's own run does the work."""
