"""Ways to find identifiers: by shape, by check digit, by the words that announce them.

A finder is a function from a text to the stretches that it found, with their weights. Where
presidio-analyzer knows a shape with its check digit, that is asked too; its patterns are run here,
one by one, so that one that takes too long is an error and never a silent gap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from backend.errors import CannotCompute
from backend.services.datasets.masking.identifiers.checks import plain_of
from backend.services.datasets.masking.identifiers.shapes import compile_shape, stands_apart

Found = tuple[int, int, float]
Finder = Callable[[str], Iterable[Found]]
Check = Callable[[str], bool]

NO = (
    r"(?:[\s-]{0,2}(?:ref(?:erence)?\.?|numbers?|nummern?|num\b\.?|no\b\.?|nrn?\b\.?|id\b"
    r"|identifier|#|№))"
)
_LINK = (
    r"[\s:#.=()|_?–-]{0,6}(?:\pL{3,12}:\s)?(?:it['’]s\s|it\sis\s|that['’]s\s|das\sist\s|es\sist\s)?"
    r"(?:(?:is|was|ist|lautet|are|of|number|no\.|nr\.?|nummer)[\s:#]{1,3}){0,2}"
)
VALUE = (
    r"((?:\pL{0,5}[-./]?|(?-i:\p{Lu}{1,3}) )\d[\pL\d]*(?:[-./_]{1,2}[\pL\d]+"
    r"|[ \t]{1,2}\d[\pL\d]*)*)"
)
LONGEST_VALUE = 34
PRESIDIO_SECONDS = 5.0
CERTAIN, ANNOUNCED, SHAPED = 1.0, 0.9, 0.7
_AROUND = 60


def shaped(
    *shapes: str, weight: float = SHAPED, check: Check | None = None, near: str | None = None
) -> Finder:
    """What has one of these shapes: group 1 where there is one, else the whole.

    Args:
        check: what it has to pass, as letters and digits in capitals; it is certain then.
        near: a word that has to stand within 60 characters, as a shape.
    """

    def find(text: str) -> Iterator[Found]:
        for shape in shapes:
            for match in compile_shape(shape).finditer(text):
                start, end = match.span(1 if match.re.groups else 0)
                if start < 0 or not stands_apart(text, start, end):
                    continue
                if check is not None and not check(plain_of(text[start:end])):
                    continue
                if near is None or _has_near(text, start, end, near):
                    yield start, end, CERTAIN if check is not None else weight

    return find


def _has_near(text: str, start: int, end: int, near: str) -> bool:
    around = text[max(0, start - _AROUND) : end + _AROUND]
    return compile_shape(f"(?i){near}").search(around) is not None


def announced(
    *labels: str, value: str = VALUE, least: int = 3, weight: float = ANNOUNCED
) -> Finder:
    """What follows one of these words, as `MRN: 48-213`; or stands before one in brackets.

    Args:
        value: the shape of what follows, with one group.
        least: digits that it has at least.
    """
    words = "(?:" + "|".join(labels) + ")"
    shapes = (
        rf"(?i)(?:^|[^\pL\d]){words}{_LINK}{value}",
        rf"(?i){value}\s?\((?:the\s|your\s|my\s|die\s)?{words}\)",
    )

    def find(text: str) -> Iterator[Found]:
        for shape in shapes:
            for match in compile_shape(shape).finditer(text):
                start = match.start(1)
                said = match.group(1)
                end = start + (_length_of_value(said) if value is VALUE else len(said.rstrip()))
                enough = sum(ch.isdecimal() for ch in text[start:end]) >= least
                if enough and stands_apart(text, start, end):
                    yield start, end, weight

    return find


_GROUP = re.compile(r"[ \t]+")


def _length_of_value(value: str) -> int:
    """How much of what follows is the number: groups of digits, as long as they are short.

    `44 32 118` is one number, `4432118 20` of `MRN 4432118 20 mg` is not.
    """
    end = 0
    for gap in _GROUP.finditer(value):
        group = value[end : gap.start()].lstrip()
        following = value[gap.end() :].split(" ", 1)[0]
        if len(plain_of(group)) > 5 or (end and len(plain_of(following)) < 2):
            return gap.start()
        end = gap.start()
    return min(len(value), LONGEST_VALUE)


def ibans(check: Check, lengths: dict[str, int]) -> Finder:
    """Account numbers, however they are spaced: the longest stretch that passes the check."""
    opening = compile_shape(r"(?i)[a-z]{2}\s?\d\s?\d")

    def find(text: str) -> Iterator[Found]:
        for match in opening.finditer(text):
            start = match.start()
            length = lengths.get(text[start : start + 2].upper())
            if length is None or (start and text[start - 1].isalnum()):
                continue
            end = _end_of(text, start, length)
            if end is not None and check(plain_of(text[start:end])):
                yield start, end, CERTAIN

    return find


def _end_of(text: str, start: int, length: int) -> int | None:
    """Where `length` letters and digits end, of which spaces and dashes may stand between."""
    seen = 0
    for place in range(start, min(len(text), start + 2 * length + 8)):
        if text[place].isalnum():
            seen += 1
            if seen == length:
                return place + 1
        elif text[place] not in " \t\n\r-.\u00a0":
            return None
    return None


@lru_cache(maxsize=64)
def _recogniser(name: str) -> Any:
    import presidio_analyzer.predefined_recognizers as known

    return getattr(known, name)()


def presidio(name: str, *, certain_only: bool = False) -> Finder:
    """What a recogniser of presidio-analyzer finds: its patterns, its check digit, its context.

    A find counts where its check passes, where its pattern is strong (.5 or more), or where one of
    its context words stands near.

    Raises:
        CannotCompute: a pattern took longer than five seconds on a text.
    """

    def find(text: str) -> Iterator[Found]:
        recogniser = _recogniser(name)
        words = [re.escape(word) for word in recogniser.context or ()]
        near = rf"(?:^|[^\pL])(?:{'|'.join(words)})(?:[^\pL]|$)" if words else None
        for pattern in recogniser.patterns:
            for start, end in _spans(recogniser, pattern, text):
                piece = text[start:end]
                passed = recogniser.validate_result(piece)
                if passed is False or recogniser.invalidate_result(piece):
                    continue
                if passed:
                    yield start, end, CERTAIN
                elif not certain_only and near and _has_near(text, start, end, near):
                    yield start, end, SHAPED

    return find


def _spans(recogniser: Any, pattern: Any, text: str) -> Iterator[tuple[int, int]]:
    compiled = _compiled(pattern.regex, recogniser.global_regex_flags)
    try:
        for match in compiled.finditer(text, timeout=PRESIDIO_SECONDS):
            if match.end() > match.start():
                yield match.span()
    except TimeoutError:
        raise CannotCompute(
            f"The pattern {pattern.name!r} takes more than {PRESIDIO_SECONDS:.0f} seconds on a "
            f"text of {len(text):,} characters.",
            hint="Split the text, or switch the kind off in the masking policy.",
        ) from None


@lru_cache(maxsize=256)
def _compiled(shape: str, flags: int) -> Any:
    import regex  # type: ignore[import-untyped]

    return regex.compile(shape, flags)
