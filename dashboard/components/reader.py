"""Source and output beside each other, with links, a search, and marks that the expert sets.

The browser draws the texts (text.js, reader.js) and owns the marks of the item on screen; what it
hands over is read here before anything is drawn. Offsets are code points on both sides. Knows
nothing of drafts or of the API.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from backend.rubrics import Rubric
from backend.schemas.review.desk import ItemView, LinkOut, MarkedSpan, OutputText
from dashboard.components.marked_text import LONGEST_SHOWN
from dashboard.components.texts.formatted import Node, format_text
from dashboard.components.texts.turns import ConversationTurn, last_turns, left_out

HERE = Path(__file__).parent
KEY = "strop-reader"
ANY_KIND = ("wrong fact", "not in the source", "something missing", "wording", "other")


@cache
def _component() -> Any:
    html, css = ((HERE / f"reader.{kind}").read_text("utf-8") for kind in ("html", "css"))
    js = "\n".join(
        (HERE / name).read_text("utf-8")
        for name in ("unsent.js", "text.js", "texts/formatted.js", "reader.js")
    )
    return st.components.v2.component(
        "strop_reader", html=html, css=css, js=js, isolate_styles=False
    )


def show_reader(
    item: ItemView,
    rubric: Rubric,
    *,
    key: str,
    marks: Sequence[MarkedSpan],
    links: Sequence[LinkOut] | None,
    correcting: bool,
    formatted: bool = False,
) -> None:
    """The texts of an item.

    Args:
        key: unique per lease; another one is another item, and `marks` are then taken over.
        links: which claims the source supports; None while nobody has asked for them.
        correcting: whether the correction box needs room below.
        formatted: show Markdown and JSON as they are meant; what is formatted cannot be marked.
    """
    _component()(
        key=KEY,
        data={
            "item": key,
            "sources": _sources(item, formatted),
            "outputs": [_part(name, out.text, formatted) for name, out in outputs_of(item)],
            "formatted": formatted,
            "markable": item.output is not None,
            "wanted": item.output is not None and bool(item.output.text),
            "flags": [flag.model_dump() for flag in item.output.flagged] if item.output else [],
            "links": None if links is None else [link.model_dump() for link in links],
            "marks": [mark.model_dump() for mark in marks],
            "kinds": _kinds(rubric),
            "severities": [
                {"name": s.name, "label": s.label, "help": s.help} for s in rubric.severities
            ],
            "correcting": correcting,
        },
        default={"marks": None, "wants": None},
        on_marks_change=_nothing,
        on_wants_change=_nothing,
    )


def marks_handed_over(*, key: str) -> list[MarkedSpan] | None:
    """The marks of the item of this key as the browser has them; None when none was ever set."""
    handed = _state("marks")
    if not handed or handed["item"] != key:
        return None
    return [MarkedSpan.model_validate(mark) for mark in handed["marks"]]


def wants_links(*, key: str) -> bool:
    """Whether the browser has drawn the item of this key and asks for its links."""
    return bool(_state("wants") == key)


def _state(name: str) -> Any:
    state = st.session_state.get(KEY)
    return state.get(name) if state else None


def outputs_of(item: ItemView) -> list[tuple[str, OutputText]]:
    """The outputs of an item under the names that people read."""
    if item.output is not None:
        return [("Answer to judge", item.output)]
    sides = zip(("Answer A", "Answer B"), (item.left, item.right), strict=True)
    return [(name, output) for name, output in sides if output is not None]


def _sources(item: ItemView, formatted: bool) -> list[dict[str, Any]]:
    """The input, and below it the context; `at` is where each begins in the text of the links.

    Each turn of a conversation is a part of its own.
    """
    at = len(item.context) + 1 if item.context else 0
    if item.turns:
        parts = [
            {**_part(turn.name, turn.text, formatted), **_turn(turn), "at": at + turn.at}
            for turn in last_turns(item.input, item.turns)
        ]
        parts[0]["before"] = left_out(parts, item.turns)
    else:
        name = "Task" if item.context else "Source"
        parts = [{**_part(name, item.input, formatted), "at": at}]
    if item.context:
        parts.append({**_part("Source", item.context, formatted), "at": 0})
    return parts


def _turn(turn: ConversationTurn) -> dict[str, Any]:
    return {"role": turn.role, "cut": turn.cut, "folded": turn.folded}


def _part(name: str, text: str, formatted: bool) -> dict[str, Any]:
    cut = max(0, len(text) - LONGEST_SHOWN)
    part = {"name": name, "text": text[:LONGEST_SHOWN], "cut": cut}
    if formatted:
        made = format_text(text)
        part |= {"nodes": list(map(_node, made.nodes)), "whyNot": made.why_not}
    return part


def _node(node: Node) -> str | list[Any]:
    """A part of a formatted text as reader.js grows it: [tag, number of an item, what is in it]."""
    return node if isinstance(node, str) else [node.tag, node.number, list(map(_node, node.inside))]


def _kinds(rubric: Rubric) -> list[dict[str, str]]:
    """The kinds of error of the rubric, or common ones where it allows any."""
    return [
        {"name": kind, "label": kind.replace("_", " "), "help": rubric.span_help.get(kind, "")}
        for kind in rubric.span_kinds or ANY_KIND
    ]


def _nothing() -> None:
    """A state of a component exists only with a callback; the script's own run does the work."""
