"""Finds the checkable facts of a text: dates, times, identifiers, numbers with their units.

Spans are code points of the text as given. Each stretch of text belongs to one fact only; the
kinds are looked for in the order in which a longer reading wins over a shorter one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from evaluators.checks.dates import Day, find_dates, find_times
from evaluators.checks.numerals import (
    GERMAN_RUN,
    NUMBER_WORDS,
    NUMERAL,
    WORD_RUN,
    is_german,
    parse_german,
    readings,
    run_readings,
    words_of,
    writes_comma_decimals,
)
from evaluators.checks.units import Unit, scale_after, unit_after, unit_before


@dataclass(frozen=True, slots=True)
class Number:
    """A number; `values` are its possible readings, likeliest first."""

    start: int
    end: int
    values: tuple[float, ...]
    unit: Unit | None
    spelled: bool = False


@dataclass(frozen=True, slots=True)
class Dated:
    """A date with its readings."""

    start: int
    end: int
    days: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class Timed:
    """A time of day with its readings in minutes since midnight."""

    start: int
    end: int
    minutes: frozenset[int]


@dataclass(frozen=True, slots=True)
class Identifier:
    """A code, address or telephone number; `key` ignores case, spaces and separators."""

    start: int
    end: int
    key: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts of a text, each list in reading order, and its distinct words."""

    numbers: tuple[Number, ...]
    dates: tuple[Dated, ...]
    times: tuple[Timed, ...]
    identifiers: tuple[Identifier, ...]
    words: frozenset[str]


_DIGIT = re.compile(r"\d")
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"')\]]+[^\s<>\"')\].,;:!?]")
_PHONE = re.compile(r"(?<!\w)(?:\+\d|\(\d|0\d)[\d\s()/.-]{5,30}\d(?![\w-])")
_DASHED = re.compile(r"(?<![\w.,-])\d{2,}(?:-\d{2,}){1,}(?![\w-])")
_CODE = re.compile(r"(?<![\w-])#?\w+(?:[-/.#]\w+)*(?![\w-])", re.ASCII)
_CODE_SHAPE = re.compile(r"#\d{2,}$|[A-Za-z].*\d|\d+[A-Za-z]+\d")
_WORD_AND_YEAR = re.compile(r"[a-z]{3,}-\d+s?$")
_NOT_ALNUM = re.compile(r"[\W_]+")
_LIST_MARK = re.compile(r"(?m)(?:^[ \t]*|(?<=[.:;!?])\s+)\(?\d{1,2}[.)](?=\s|$)")
_CITED = re.compile(r"\[\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\]")
_RANGE = re.compile(r"\s?(?:-|–|—|to|bis|and|und)\s?$")
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b")


def squash(text: str) -> str:
    """Letters and digits only, case folded."""
    return _NOT_ALNUM.sub("", text.casefold())


class _Taken:
    """Stretches of text that belong to a fact already."""

    def __init__(self, size: int) -> None:
        self._mask = bytearray(size)

    def claim(self, start: int, end: int) -> bool:
        """Take the stretch unless a part of it is taken."""
        if any(self._mask[start:end]):
            return False
        self._mask[start:end] = b"\x01" * (end - start)
        return True


def find_facts(text: str) -> Facts:
    """All checkable facts of a text but names."""
    words = words_of(text)
    taken = _Taken(len(text))
    has_digit = _DIGIT.search(text) is not None
    for pattern in (_LIST_MARK, _CITED):
        for m in pattern.finditer(text) if has_digit else ():
            taken.claim(m.start(), m.end())
    identifiers = list(_find_addresses(text, taken))
    dates = [
        Dated(s, e, d)
        for s, e, d in find_dates(text, words, has_digit=has_digit)
        if taken.claim(s, e)
    ]
    times, codes = [], []
    if has_digit:
        times = [Timed(s, e, m) for s, e, m in find_times(text) if taken.claim(s, e)]
        codes = list(_find_codes(text, taken))
    numbers = [
        *(_find_numerals(text, taken, words) if has_digit else ()),
        *_find_words(text, taken, words),
    ]
    return Facts(tuple(numbers), tuple(dates), tuple(times), (*identifiers, *codes), words)


def _find_addresses(text: str, taken: _Taken) -> Iterable[Identifier]:
    patterns = [_MAIL] * ("@" in text) + [_URL] * ("://" in text or "www." in text)
    for pattern in patterns:
        for m in pattern.finditer(text):
            if taken.claim(m.start(), m.end()):
                yield Identifier(m.start(), m.end(), squash(m[0]))


def _find_codes(text: str, taken: _Taken) -> Iterable[Identifier]:
    for pattern in (_PHONE, _DASHED, _CODE):
        for m in pattern.finditer(text):
            if pattern is _DASHED and m[0].count("-") == 1 and len(m[0]) < 7:
                continue
            if pattern is _CODE and not _is_code(m[0]):
                continue
            if pattern is _PHONE and sum(map(str.isdigit, m[0])) < 7:
                continue
            if _is_measure(text, m) or not taken.claim(m.start(), m.end()):
                continue
            yield Identifier(m.start(), m.end(), squash(m[0]))


def _is_code(text: str) -> bool:
    """Letters with digits, but no word with a number such as `mid-1990s`."""
    return _CODE_SHAPE.match(text) is not None and _WORD_AND_YEAR.match(text) is None


def _is_measure(text: str, match: re.Match[str]) -> bool:
    """EUR29 and US$5 are money, not codes."""
    letters = re.match(r"[A-Za-z]+", match[0])
    if letters is None:
        return False
    unit, start = unit_before(text, match.start() + letters.end())
    return unit is not None and start == match.start()


def _find_numerals(text: str, taken: _Taken, words: frozenset[str]) -> Iterable[Number]:
    comma = writes_comma_decimals(words)
    previous: Number | None = None
    for m in NUMERAL.finditer(text):
        for number in _one_or_list(text, m, comma):
            if not taken.claim(number.start, number.end):
                continue
            if previous is not None and _shares_unit(text, previous, number):
                yield Number(previous.start, previous.end, previous.values, number.unit)
            yield number
            previous = number


def _shares_unit(text: str, first: Number, second: Number) -> bool:
    """In `2-3 days` the unit belongs to both numbers."""
    return (
        first.unit is None
        and second.unit is not None
        and _RANGE.fullmatch(text, first.end, _digits_start(text, second)) is not None
    )


def _digits_start(text: str, number: Number) -> int:
    found = NUMERAL.search(text, number.start)
    return found.start() if found else number.start


def _one_or_list(text: str, match: re.Match[str], comma: bool | None) -> Iterable[Number]:
    before, start = unit_before(text, match.start())
    factor, end = scale_after(text, match.end())
    after, end = unit_after(text, end)
    unit = before or after
    values = readings(match[0], comma_decimals=comma, measured=unit is not None)
    if not values:
        for part in re.finditer(r"\d+", match[0]):
            at = match.start()
            yield Number(at + part.start(), at + part.end(), (float(part[0]),), None)
        return
    sign = _sign(text, start)
    ordinal = _ORDINAL.match(text, match.end())
    end = ordinal.end() if ordinal and unit is None else end
    scaled = tuple(dict.fromkeys(sign * value * factor for value in values))
    yield Number(start - (sign < 0), end, scaled, unit)


def _sign(text: str, start: int) -> int:
    if start == 0 or text[start - 1] not in "-−":
        return 1
    return -1 if start == 1 or text[start - 2] in " (\n\t=" else 1


def _find_words(text: str, taken: _Taken, words: frozenset[str]) -> Iterable[Number]:
    for m in WORD_RUN.finditer(text) if words & NUMBER_WORDS else ():
        unit, end = unit_after(text, m.end())
        if taken.claim(m.start(), end):
            for values in run_readings(m[0]):
                yield Number(m.start(), end, values, unit, spelled=True)
    if not is_german(words):
        return
    for m in GERMAN_RUN.finditer(text):
        value = parse_german(m[0])
        unit, end = unit_after(text, m.end())
        if value is not None and taken.claim(m.start(), end):
            yield Number(m.start(), end, (float(value),), unit, spelled=True)
