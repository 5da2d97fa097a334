"""A conversation as one text, and where in that text each of its turns stands.

Everything that is said of places in an example's input (links, the search, marks) holds for the
turns too: they are stretches of the same text, and are kept nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from backend.schemas.common import ResponseBody

BETWEEN = "\n\n"


class TurnPlace(ResponseBody):
    """A message of a conversation as a stretch of its transcript; code points, end exclusive."""

    role: str
    start: int
    end: int


def transcript(messages: Sequence[Mapping[str, str]]) -> str:
    """A conversation as one text: `User: ...`, a blank line, `Assistant: ...`."""
    return BETWEEN.join(_head(turn) + turn["content"] for turn in messages)


def turns_of(messages: Sequence[Mapping[str, str]] | None) -> list[TurnPlace]:
    """What each message says as a stretch of `transcript`; none where there are no messages."""
    turns = messages or []
    lengths = (len(_head(turn)) + len(turn["content"]) + len(BETWEEN) for turn in turns)
    ends = (end - len(BETWEEN) for end in accumulate(lengths))
    return [
        TurnPlace(role=turn["role"], start=end - len(turn["content"]), end=end)
        for turn, end in zip(turns, ends, strict=True)
    ]


def _head(turn: Mapping[str, str]) -> str:
    return f"{turn['role'].capitalize()}: "
