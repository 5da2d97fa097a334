"""Finding the texts of erased examples in other texts, whole or in part.

A text that was cut, quoted or shown as an example holds a stretch of the original. Every stretch of
SHORTEST characters or more that is the same is found: its windows of WIDTH characters stand in an
index, and the text that is searched is probed at every WIDTH-th character, so that a stretch of
2 * WIDTH - 1 characters is met by one probe at least. What is met is followed to both sides.

A stretch that other examples hold word for word, such as the wording that begins every question, is
no text of the erased example and stays (`is_shared`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH = 12
SHORTEST = 2 * WIDTH
LEAST = 8
BLACK = "█"
_PLACES = 8  # of a window that is repeated, so many places are followed


@dataclass(slots=True)
class Passages:
    """The texts that are to be found.

    Attributes:
        texts: of erased examples; those shorter than SHORTEST are found as whole values alone, and
            single words, which are labels, not at all.
        is_shared: whether a stretch stands in a text that is not erased.
    """

    texts: Sequence[str]
    is_shared: Callable[[str], bool] = lambda _: False
    _index: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    _known: dict[str, bool] = field(default_factory=dict)
    _whole: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.texts = list(dict.fromkeys(text for text in self.texts if text.strip()))
        short = (text for text in self.texts if LEAST <= len(text) < SHORTEST)
        self._whole = frozenset(text for text in short if " " in text.strip())
        for number, text in enumerate(self.texts):
            for start in range(len(text) - WIDTH + 1):
                places = self._index.setdefault(text[start : start + WIDTH], [])
                if len(places) < _PLACES:
                    places.append((number, start))

    def stretches(self, text: str) -> list[tuple[int, int]]:
        """Start and end of what is of an erased text, in order, none overlapping."""
        if text in self._whole and not self._shared(text):
            return [(0, len(text))]
        found: list[tuple[int, int]] = []
        at = 0
        while at + WIDTH <= len(text):
            places = self._index.get(text[at : at + WIDTH])
            if places is None:
                at += WIDTH
                continue
            start, end = self._widest(text, at, places)
            stretch = text[start:end]
            if end - start >= SHORTEST and not self._shared(stretch):
                found.append((max(start, found[-1][1] if found else 0), end))
                at = end
            else:
                at = max(end - WIDTH + 1, at + 1) if end - start >= SHORTEST else at + WIDTH
        return found

    def holds(self, value: Any) -> bool:
        """Whether a value of JSON has a string with such a stretch, in keys too."""
        match value:
            case str():
                return bool(self.stretches(value))
            case dict():
                return any(self.holds(part) for pair in value.items() for part in pair)
            case list() | tuple():
                return any(self.holds(part) for part in value)
        return False

    def blacked(self, value: Any) -> Any:
        """The value with every such stretch blacked out, sign for sign; offsets stay true."""
        match value:
            case str():
                return _black(value, self.stretches(value))
            case dict():
                return {self.blacked(k): self.blacked(v) for k, v in value.items()}
            case list():
                return [self.blacked(part) for part in value]
        return value

    def _widest(self, text: str, at: int, places: Iterable[tuple[int, int]]) -> tuple[int, int]:
        return max((self._follow(text, at, *p) for p in places), key=lambda s: s[1] - s[0])

    def _follow(self, text: str, at: int, number: int, place: int) -> tuple[int, int]:
        source, start, end, before = self.texts[number], at, at + WIDTH, place
        after = place + WIDTH
        while start and before and text[start - 1] == source[before - 1]:
            start, before = start - 1, before - 1
        while end < len(text) and after < len(source) and text[end] == source[after]:
            end, after = end + 1, after + 1
        return start, end

    def _shared(self, stretch: str) -> bool:
        if stretch not in self._known:
            self._known[stretch] = self.is_shared(stretch)
        return self._known[stretch]


def json_or_text(text: str) -> Any:
    """JSON as a value; what is none, such as a line that was cut while it was written, as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _black(text: str, stretches: Sequence[tuple[int, int]]) -> str:
    for start, end in stretches:
        text = text[:start] + BLACK * (end - start) + text[end:]
    return text
