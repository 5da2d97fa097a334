"""A claim: a part of an output that can be held against its source, and what was found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """A checkable part of an output, and why the source does not support it (None if it does)."""

    start: int
    end: int
    kind: str
    problem: str | None


def quote(text: str, *, longest: int = 90) -> str:
    """Words of the source in one line, cut at a word where they are long."""
    line = " ".join(text.split())
    if len(line) > longest:
        line = line[:longest].rsplit(" ", 1)[0] + " ..."
    return f"“{line}”"
