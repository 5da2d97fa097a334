"""A claim: a part of an output that can be held against its source, and what was found.

Sentences of a text with their places, by rules.

Word lists are written as plain text; this makes them tuples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutputClaim:
    """A checkable part of an output, and why the source does not support it (None if it does)."""

    start: int
    end: int
    kind: str
    problem: str | None


def quote(text: str, *, longest: int = 90) -> str:
    """Words of the source in one line, cut at a word where they are long."""
    words = text.split(None, longest + 1)  # more cannot be shown; a sentence may have any number
    line = " ".join(words[: longest + 1])
    if len(line) > longest:
        line = line[:longest].rsplit(" ", 1)[0] + " ..."
    return f"“{line}”"


# Begins with one set of characters, which is looked for many times as fast as two.
_END = re.compile(r"[.!?\n](?:(?<=\n)\n*|(?<!\n)[\"'”’)\]]*\s+(?=[^\sa-zà-ÿ]))")
_LONGEST_ABBREVIATION = 6  # so that no text is read again from its start at every full stop
_ABBREVIATED = frozenset({"Dr", "Mr", "rs", "Ms", "of", "St", "vs", "tc", ".g", ".e", "No", ".h"})
_ABBREVIATION = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|Prof|St|vs|etc|e\.g|i\.e|No|z\.B|d\.h|[A-Z])\.$")


def split_sentences(text: str) -> list[tuple[int, int]]:
    """(start, end) of each sentence in code points, white space left out."""
    found, start = [], 0
    for m in _END.finditer(text):
        mark, end = m.start(), m.end()
        if text[mark] == "\n":
            found.append((start, mark))
        elif (
            text[mark] == "." and "\n" not in m[0] and _ends_in_abbreviation(text, start, mark + 1)
        ):
            continue
        else:
            found.append((start, mark + 1))
        start = end
    found.append((start, len(text)))
    return [place for a, b in found if (place := _trim(text, a, b)) is not None]


def _ends_in_abbreviation(text: str, start: int, end: int) -> bool:
    last = text[max(0, end - 3) : end - 1]  # most words end in other letters
    if last not in _ABBREVIATED and not "A" <= last[-1:] <= "Z":
        return False
    return _ABBREVIATION.search(text, max(start, end - _LONGEST_ABBREVIATION), end) is not None


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    if start < end and not text[start].isspace() and not text[end - 1].isspace():
        return start, end
    part = text[start:end]
    body = part.strip()
    lead = len(part) - len(part.lstrip())
    return (start + lead, start + lead + len(body)) if body else None


def listed(words: str) -> tuple[str, ...]:
    """The words of a text, in order."""
    return tuple(words.split())


def word_set(words: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(words.split())
