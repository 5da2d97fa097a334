"""An example's input as it is shown everywhere: a conversation as its turns, else one text.

The desk draws the same turns itself (reader.js), since there the places of links and of the search
are in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.schemas.turns import TurnPlace
from dashboard.components.frame import escape
from dashboard.components.marked_text import LONGEST_SHOWN, text_html

SPEAKERS = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}
MOST_TURNS = 500
FOLDED_FROM = 280  # code points of a system message: about three lines


@dataclass(frozen=True, slots=True)
class ConversationTurn:
    """What somebody says in a conversation.

    Attributes:
        at: where `text` begins in the input, in code points.
        cut: how many more code points it has than are shown.
        folded: whether it is shown on demand only.
    """

    role: str
    name: str
    text: str
    at: int
    cut: int
    folded: bool


def last_turns(text: str, turns: Sequence[TurnPlace]) -> list[ConversationTurn]:
    """The last turns of a conversation, as many as are shown in all: LONGEST_SHOWN, MOST_TURNS."""
    shown: list[ConversationTurn] = []
    room = LONGEST_SHOWN
    for turn in reversed(turns[-MOST_TURNS:]):
        if room <= 0:
            break
        shown.append(_shown(turn, text[turn.start : turn.end], room))
        room -= turn.end - turn.start
    return shown[::-1]


def _shown(turn: TurnPlace, said: str, room: int) -> ConversationTurn:
    return ConversationTurn(
        role=turn.role,
        name=SPEAKERS.get(turn.role, turn.role.capitalize()),
        text=said[:room],
        at=turn.start,
        cut=max(0, len(said) - room),
        folded=turn.role == "system" and len(said) > FOLDED_FROM,
    )


def left_out(shown: Sequence[object], turns: Sequence[TurnPlace]) -> str:
    """A sentence where earlier turns are not shown, else nothing."""
    n = len(turns) - len(shown)
    if n == 0:
        return ""
    return "1 earlier turn is not shown." if n == 1 else f"{n:,} earlier turns are not shown."


def input_html(text: str, turns: Sequence[TurnPlace], *, kind: str = "context") -> str:
    """What an example asks: the turns of a conversation as a list, any other input as one text."""
    if not turns:
        return text_html(text, kind=kind)
    shown = last_turns(text, turns)
    missing = left_out(shown, turns)
    note = f"<p class='strop-cut'>{missing}</p>" if missing else ""
    rows = "".join(_turn_html(turn, kind) for turn in shown)
    return f"{note}<ol class='strop-turns' role='list' aria-label='Conversation'>{rows}</ol>"


def _turn_html(turn: ConversationTurn, kind: str) -> str:
    name, body = escape(turn.name), text_html(turn.text, kind=kind)
    if turn.cut:
        body += f"<p class='strop-cut'>{turn.cut:,} more characters are not shown.</p>"
    said = f"<p class='strop-label'>{name}</p>{body}"
    if turn.folded:
        size = f"{len(turn.text) + turn.cut:,} characters"
        said = f"<details><summary class='strop-label'>{name}, {size}</summary>{body}</details>"
    return f"<li class='strop-turn {escape(turn.role)}'>{said}</li>"
