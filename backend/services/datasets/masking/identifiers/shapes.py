"""What is found in a text, and the shapes by which it is found, run by RE2 in linear time.

RE2's `\\b` and `\\w` know ASCII alone: where a find begins and ends is looked at by `stands_apart`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from backend.errors import InvalidInput

LONGEST_SHAPE = 1000


@dataclass(frozen=True, slots=True)
class FoundIdentifier:
    """An identifier in a text.

    Attributes:
        kind: its kind, a key of KINDS or of a pattern of the policy.
        start, end: where it stands, in code points.
        weight: what decides between two that overlap: 1 is a right check digit.
    """

    kind: str
    start: int
    end: int
    weight: float


@lru_cache(maxsize=1024)
def compile_shape(shape: str) -> Any:
    """A shape as RE2 runs it.

    Raises:
        InvalidInput: RE2 does not know the expression, or it is too large.
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(shape, options)
    except re2.error as error:
        said = error.args[0] if error.args else "unknown"
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise InvalidInput(
            f"{shape[:80]!r} is no pattern: {said}.",
            hint="Patterns are RE2's: no look-around, no backreference (\\p{L} is any letter).",
        ) from None


def span_of(match: Any, name: str) -> tuple[int, int]:
    """Where a named group of a match stands, which RE2 tells by its number alone."""
    start, end = match.span(match.re.groupindex[name])
    return start, end


def stands_apart(text: str, start: int, end: int) -> bool:
    """Whether neither a letter nor a digit touches a stretch."""
    before = start > 0 and text[start - 1].isalnum() and text[start : start + 1].isalnum()
    after = end < len(text) and text[end].isalnum() and end > start and text[end - 1].isalnum()
    return not before and not after


def settle(findings: list[FoundIdentifier], text: str) -> list[FoundIdentifier]:
    """Findings in order without overlap: the weightier stands, and of two alike the longer.

    What a finding covers beyond one that wins stays a finding, so that no piece is left in clear.
    """
    covered = bytearray(len(text))
    taken: list[FoundIdentifier] = []
    for one in sorted(findings, key=lambda f: (-f.weight, f.start - f.end, f.start, f.kind)):
        for start, end in _free(covered, one.start, one.end):
            whole = (start, end) == (one.start, one.end)
            start, end = (start, end) if whole else trimmed(text, start, end)
            if whole or _tells(text[start:end], one.kind):
                taken.append(replace(one, start=start, end=end))
        covered[one.start : one.end] = b"\x01" * (one.end - one.start)
    return sorted(taken, key=lambda f: f.start)


def _free(covered: bytearray, start: int, end: int) -> list[tuple[int, int]]:
    """The stretches of a finding that no weightier one has taken."""
    found = []
    while start < end:
        begin = covered.find(0, start, end)
        if begin < 0:
            break
        stop = covered.find(1, begin, end)
        stop = end if stop < 0 else stop
        found.append((begin, stop))
        start = stop
    return found


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A stretch without what is neither a letter nor a digit at its ends."""
    while start < end and not text[start].isalnum():
        start += 1
    while start < end and not text[end - 1].isalnum():
        end -= 1
    return start, end


def _tells(piece: str, kind: str) -> bool:
    """Whether what is left of a finding could still identify somebody: digits, or a name."""
    letters = sum(ch.isalnum() for ch in piece)
    return letters >= 2 and (kind in ("PERSON", "EMAIL") or any(map(str.isdecimal, piece)))
