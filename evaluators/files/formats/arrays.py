"""The elements of a JSON array one at a time, so that a file of any length needs a small buffer.

An array that is broken is refused with the words, the line and the column that `json.loads` has for
the whole text; the elements before the fault have been given by then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any

PIECE = 1 << 16
_SPACE = re.compile(r"[ \t\n\r]*")
_NEAR = 16
"""An error so near the end of what was read may be of a word or a number that was cut there."""


def each_element(text: IO[str]) -> Iterator[tuple[Any, str]]:
    """Every element, with the text that it stands in.

    Raises:
        ValueError, RecursionError: as `json.loads` of all of it.
    """
    window = _Window(text)
    while (found := window.next_element()) is not None:
        yield found


class _Window:
    """The part of a text that is held: what follows the element that was given last."""

    def __init__(self, text: IO[str]) -> None:
        self._text, self._held = text, text.read(PIECE)
        self._at = 0  # of `_held`: where the last element ends
        self._opened = False
        self._chars, self._lines, self._column = 0, 0, 0  # before `_held`
        self._decode = json.JSONDecoder().raw_decode

    def next_element(self) -> tuple[Any, str] | None:
        while True:
            try:
                return self._element()
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos + _NEAR > len(self._held)
                if not (cut and self._read_on()):
                    raise self._as_of_the_whole(error) from None

    def _element(self) -> tuple[Any, str] | None:
        at, held = _SPACE.match(self._held, self._at).end(), self._held  # type: ignore[union-attr]
        sign = held[at : at + 1]
        if self._opened and sign == "]":
            self._end(at + 1)
            return None
        if sign != ("," if self._opened else "["):
            raise json.JSONDecodeError("Expecting ',' delimiter", held, at)
        start = _SPACE.match(held, at + 1).end()  # type: ignore[union-attr]
        if not self._opened and held[start : start + 1] == "]":
            self._end(start + 1)
            return None
        value, end = self._decode(held, start)
        after = _SPACE.match(held, end).end()  # type: ignore[union-attr]
        if held[after : after + 1] not in (",", "]"):  # perhaps the half of a number
            raise json.JSONDecodeError("Expecting ',' delimiter", held, after)
        self._at, self._opened = end, True
        return value, held[start:end]

    def _end(self, at: int) -> None:
        """Nothing but white space may follow."""
        while (after := _SPACE.match(self._held, at).end()) == len(self._held):  # type: ignore[union-attr]
            if not (more := self._text.read(PIECE)):
                return
            self._held += more
        raise json.JSONDecodeError("Extra data", self._held, after)

    def _read_on(self) -> bool:
        """Let go of what was given, and hold twice as much of the rest; False: the text ends."""
        gone, self._held = self._held[: self._at], self._held[self._at :]
        self._chars, self._lines = self._chars + len(gone), self._lines + gone.count("\n")
        self._column = len(gone) - gone.rfind("\n") - 1 + ("\n" not in gone) * self._column
        self._at = 0
        more = self._text.read(max(PIECE, len(self._held)))
        self._held += more
        return bool(more)

    def _as_of_the_whole(self, error: json.JSONDecodeError) -> ValueError:
        """The error that the decoder itself has here, at its place in the text."""
        begin = "[0" if self._opened else ""
        try:
            json.loads(begin + self._held[self._at :])
        except json.JSONDecodeError as own:
            error = json.JSONDecodeError(own.msg, self._held, own.pos - len(begin) + self._at)
        line, column = error.lineno + self._lines, error.colno
        column += self._column * (error.lineno == 1)
        return ValueError(
            f"{error.msg}: line {line} column {column} (char {error.pos + self._chars})"
        )
