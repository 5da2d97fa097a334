"""Finds the checkable facts of a text: dates, times, identifiers, numbers with their units.

Spans are code points of the text as given. Each stretch of text belongs to one fact only; the
kinds are looked for in the order in which a longer reading wins over a shorter one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from evaluators.checks.facts.dates import Day, Weekday, find_dates, find_times, find_weekdays
from evaluators.checks.facts.numerals import (
    GERMAN_RUN,
    NUMBER_WORDS,
    NUMERAL,
    WORD_RUN,
    counts_in_german,
    parse_german,
    readings,
    run_readings,
    words_of,
    writes_comma_decimals,
)
from evaluators.checks.facts.rates import (
    find_often,
    often_after,
    period_before,
    read_per,
    tells_often,
)
from evaluators.checks.facts.spelled import find_spelled
from evaluators.checks.facts.units import Unit, rate, scale_after, units_after, units_before
from evaluators.checks.text.lettering import plain_case, squash


@dataclass(frozen=True, slots=True)
class NumberFact:
    """A number; several of one stretch are all told by its words (`twenty nine ninety`).

    Attributes:
        values: its possible readings, likeliest first.
        spelled: in words.
        often: it tells how often a thing is done (`twice daily`).
        parts: numbers that say the same together: `1 hour` and `30 minutes` of 90 minutes.
        others: what the same words may mean instead: `pounds` of money, and of mass.
    """

    start: int
    end: int
    values: tuple[float, ...]
    unit: Unit | None
    spelled: bool = False
    often: bool = False
    parts: tuple[NumberFact, ...] = ()
    others: tuple[NumberFact, ...] = ()


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
    said: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts of a text, each list in reading order, and its distinct words."""

    numbers: tuple[NumberFact, ...]
    dates: tuple[Dated, ...]
    times: tuple[Timed, ...]
    weekdays: tuple[Weekday, ...]
    identifiers: tuple[Identifier, ...]
    words: frozenset[str]


_DIGIT = re.compile(r"\d")
_PLAIN_DIGITS = b"0123456789"
_WHOLE_NUMBER = re.compile(r"\d+")
_LETTERS = re.compile(r"[A-Za-z]+")
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"')\]]+[^\s<>\"')\].,;:!?]")
_PHONE = re.compile(r"[+(0](?<!\w.)\d[\d\s()/.-]{5,30}\d(?![\w-])")
_DASHED = re.compile(r"(?<![\w.,-])\d{2,}(?:-\d{2,}){1,}(?![\w-])")
# The lookahead changes nothing but the time: what has no digit is no code.
_CODE = re.compile(r"(?<![\w-])(?=[\w#/.-]*\d)#?\w+(?:[-/.#]\w+)*(?![\w-])", re.ASCII)
_CODE_SHAPE = re.compile(r"#\d{2,}$|[A-Za-z].*\d|\d+[A-Za-z]+\d")
_WORD_AND_YEAR = re.compile(r"[a-z]{3,}-\d+s?$")
# `2. März` is a date, also after a colon or at the head of a line; `3. May help` is a third item.
_GERMAN_DAY = (
    r"\.\s(?:(?i:januar|februar|märz|mai|juni|juli|oktober|dezember)\b"
    r"|(?:April|August|September|November)\s\d{4}\b)"
)
_LIST_MARK = re.compile(
    rf"(?m)(?:^[ \t]*|(?<=[.:;!?])\s+)\(?\d{{1,2}}(?!{_GERMAN_DAY})[.)](?=\s|$)"
)
_MARK_CUE = re.compile(r"\d[.)](?:\s|$)", re.MULTILINE)  # in each of these, found faster
_CITED = re.compile(r"\[\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\]")
_BEGINS = re.compile(r"[\d½⅓⅔¼¾⅛]|(?<![\w.,])\.\d")  # as every NUMERAL does, which may be long
_RANGE = re.compile(r"\s?(?:-|–|—|to|bis|and|und)\s?$")
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b")
_NUMERIC_CODE = re.compile(r"(?i:FY)\d+|\d+(?:[eE][+-]?\d+|x\d+|[hm]\d\d?m?)|[xX]\d{1,2}")
_AFTER_NUMBER = re.compile(r"\d\s?$")
_COUNTED = re.compile(r"\s[^\W\d_]{3,}(?=\s?/|\s(?:per|an?|each|pro|je|am|im)\s)")
_SPACED = re.compile(r"\d[ ]\d|, ")
_MINUS = re.compile(r"\b(?:minus)\s$", re.IGNORECASE)
_BRACKETED = re.compile(r"[^()\s]*\d[^()\s]*\)")
_THEN = re.compile(r"\.?\s?(?:,\s|and\s|und\s)?")
_COMPOUNDED = frozenset({"time", "calendar", "length", "mass"})
_DOSES = frozenset({"mass", "volume", "form", "form:puff", "form:drop", "activity", "substance"})


class _UsedSpans:
    """Stretches of text that belong to a fact already."""

    def __init__(self, size: int) -> None:
        self._mask = bytearray(size)

    def claim(self, start: int, end: int) -> bool:
        """Take the stretch unless a part of it is taken."""
        if any(self._mask[start:end]):
            return False
        self._mask[start:end] = b"\x01" * (end - start)
        return True


def find_facts(text: str, words: frozenset[str] | None = None) -> Facts:
    """All checkable facts of a text but names.

    Args:
        words: its distinct case-folded words, if they are known.
    """
    words = words_of(text) if words is None else words
    text = plain_case(text)
    taken = _UsedSpans(len(text))
    has_digit = _has_digit(text)
    for pattern, cue in ((_LIST_MARK, _MARK_CUE), (_CITED, _CITED)):
        for m in pattern.finditer(text) if has_digit and cue.search(text) else ():
            taken.claim(m.start(), m.end())
    identifiers = list(_find_addresses(text, taken))
    dates = [
        Dated(s, e, d)
        for s, e, d in find_dates(text, words, has_digit=has_digit)
        if taken.claim(s, e)
    ]
    times = [
        Timed(s, e, m)
        for s, e, m in find_times(text, words, has_digit=has_digit)
        if taken.claim(s, e)
    ]
    weekdays = [day for day in find_weekdays(text, words) if taken.claim(day.start, day.end)]
    spelled = list(_find_spelled(text, taken, words, has_digit=has_digit))
    codes = list(_find_codes(text, taken)) if has_digit else []
    numbers = [
        *spelled,
        *(_find_numerals(text, taken, words) if has_digit else ()),
        *_find_words(text, taken, words),
    ]
    return Facts(
        tuple(_compounded(text, numbers)),
        tuple(dates),
        tuple(times),
        tuple(weekdays),
        (*identifiers, *codes),
        words,
    )


def _has_digit(text: str) -> bool:
    """Looked for in bytes where that is the same, which takes a tenth of the time."""
    if text.isascii():
        return len(text.encode("ascii").translate(None, _PLAIN_DIGITS)) < len(text)
    return _DIGIT.search(text) is not None


def _find_addresses(text: str, taken: _UsedSpans) -> Iterable[Identifier]:
    patterns = [_MAIL] * ("@" in text) + [_URL] * ("://" in text or "www." in text)
    for pattern in patterns:
        for m in pattern.finditer(text):
            if taken.claim(m.start(), m.end()):
                yield Identifier(m.start(), m.end(), squash(m[0]), m[0])


def _find_codes(text: str, taken: _UsedSpans) -> Iterable[Identifier]:
    for pattern in (_PHONE, _DASHED, _CODE) if "-" in text else (_PHONE, _CODE):
        for m in pattern.finditer(text):
            if pattern is _DASHED and m[0].count("-") == 1 and len(m[0]) < 7:
                continue
            if pattern is _CODE and not _is_code(m[0]):
                continue
            if pattern is _PHONE and sum(map(str.isdigit, m[0])) < 7:
                continue
            if _is_measure(text, m) or not taken.claim(m.start(), m.end()):
                continue
            yield Identifier(m.start(), m.end(), squash(m[0]), m[0])


def _is_code(text: str) -> bool:
    """Letters with digits, but no word with a number such as `mid-1990s`."""
    return _CODE_SHAPE.match(text) is not None and _WORD_AND_YEAR.match(text) is None


def _is_measure(text: str, match: re.Match[str]) -> bool:
    """EUR29 and US$5 are money, 1e6 is a number, 1h30 a time: no codes."""
    if _NUMERIC_CODE.fullmatch(match[0]) is not None:
        return True
    if _AFTER_NUMBER.search(text, max(0, match.start() - 2), match.start()) is not None:
        return bool(units_after(match[0], 0)[0])  # kg/m2
    letters = _LETTERS.match(match[0])
    if letters is None:
        return False
    units, start = units_before(text, match.start() + letters.end())
    return bool(units) and start == match.start()


def _find_spelled(
    text: str, taken: _UsedSpans, words: frozenset[str], *, has_digit: bool
) -> Iterable[NumberFact]:
    """How often, and amounts in words and parts."""
    found = find_spelled(text, words, has_digit=has_digit)
    for place, amounts in groupby(found, key=lambda amount: (amount.start, amount.end)):
        if taken.claim(*place):
            yield _as_one(NumberFact(*place, (a.value,), a.unit, spelled=True) for a in amounts)
    for often in find_often(text) if tells_often(text, words) else ():
        place = (often.start, often.end)
        if taken.claim(*place):
            whole = () if often.every is None else (_whole(place, often.every, often.period),)
            yield NumberFact(*place, (often.count,), often.unit, often=True, parts=whole)


def _as_one(readings_of: Iterable[NumberFact]) -> NumberFact:
    """Readings of one stretch as the first of them."""
    first, *others = readings_of
    return replace(first, others=tuple(others)) if others else first


def _whole(place: tuple[int, int], every: float, period: Unit) -> NumberFact:
    """The 6 hours of `every 6 hours`."""
    name = period.name[period.name.rfind(" ") + 1 :]
    return NumberFact(*place, (every,), units_after(name, 0)[0][0])


def _find_numerals(text: str, taken: _UsedSpans, words: frozenset[str]) -> Iterable[NumberFact]:
    comma = writes_comma_decimals(words)
    previous: NumberFact | None = None
    for m in NUMERAL.finditer(text):
        for number in _one_or_list(text, m, comma):
            if not taken.claim(number.start, number.end):
                if number.start >= m.start() or not taken.claim(m.start(), number.end):
                    continue
                number = replace(number, start=m.start(), unit=None, others=())  # `Fr.`, a Friday
            if previous is not None:
                yield from _before(text, previous, number, m.end())
            previous = number
    if previous is not None:
        yield previous


def _before(text: str, first: NumberFact, second: NumberFact, end: int) -> Iterable[NumberFact]:
    """A number; in `2-3 days` and `from 91 to 104 million` with what the second one counts too."""
    digits = _BEGINS.search(text, second.start)
    between = first.end, digits.start() if digits else second.start
    if first.unit is not None or _RANGE.fullmatch(text, *between) is None:
        yield first
        return
    factor, _, may_be_unit = scale_after(text, end)
    scaled = tuple([value * factor for value in first.values])
    others = () if factor == 1 or may_be_unit else (replace(first, values=scaled),)
    yield replace(first, others=first.others + others) if others else first
    if second.unit is not None:
        yield NumberFact(first.start, first.end, first.values, second.unit, others=others)


def _one_or_list(text: str, match: re.Match[str], comma: bool | None) -> Iterable[NumberFact]:
    """The readings of a numeral: one number with each unit it may have, or several numbers."""
    before, start = units_before(text, match.start())
    bracketed = text[start - 1 : start] == "(" and text[match.end() : match.end() + 1] == ")"
    factor, scaled_to, may_be_unit = scale_after(text, match.end() + bracketed, money=bool(before))
    after, end = units_after(text, scaled_to)
    values = readings(match[0], comma_decimals=comma, measured=bool(before or after))
    if not values:
        yield from _separate(match)
        return
    both = tuple(unit for unit in before if unit in after)  # $20 CAD
    end = scaled_to if before and not both else end
    head = both or before or after
    ordinal = _ORDINAL.match(text, match.end())
    end = ordinal.end() if ordinal and not head else end
    sign = _sign(text, start)
    readings_of = tuple(dict.fromkeys(s * v * factor for v in values for s in sign))
    at = start - (text[start - 1 : start] in "-−" and -1 in sign) if start else start
    parts = tuple(_separate(match)) if _SPACED.search(match[0]) else ()
    found = list(_with_rates(text, at, end, readings_of, head, parts))
    if may_be_unit:
        units, end = units_after(text, match.end())
        unscaled = tuple(dict.fromkeys(s * v for v in values for s in sign))
        found += _with_rates(text, at, end, unscaled, units, ())
    last = max(number.end for number in found)
    yield _as_one(n if n.end == last else replace(n, end=last) for n in found)


def _separate(match: re.Match[str]) -> Iterable[NumberFact]:
    for part in _WHOLE_NUMBER.finditer(match[0]):
        at = match.start()
        yield NumberFact(at + part.start(), at + part.end(), (float(part[0]),), None)


def _with_rates(
    text: str,
    start: int,
    end: int,
    values: tuple[float, ...],
    heads: tuple[Unit, ...],
    parts: tuple[NumberFact, ...],
) -> Iterable[NumberFact]:
    """The number with each unit that its word may be, per what follows."""
    per, past = read_per(text, end)
    if not per and not heads and (noun := _COUNTED.match(text, end)) is not None:
        per, past = read_per(text, noun.end())
        per = per if all(unit.dimension != "noun" for unit in per) else ()
        past = end if not per else past
    often = None if per or not heads else often_after(text, end)
    money = any(unit.dimension.startswith("money") for unit in heads)
    if not per and money and (period := period_before(text, start)) is not None:
        per = (period,)
    for head in heads or (None,):
        if per:
            yield NumberFact(start, past, values, rate(head, per), parts=parts)
        elif often is not None and head is not None and head.dimension in _DOSES:
            unit = rate(head, (often.period,), times=often.count)
            yield NumberFact(start, end, values, unit, parts=parts)
        else:
            yield NumberFact(start, end, values, head, parts=parts)


def _sign(text: str, start: int) -> tuple[int, ...]:
    """-1 after a minus; both in brackets, in which accounts write what is below zero."""
    before = text[start - 1 : start]
    if start == 0 or before not in "-−(":
        after_s = text[start - 2 : start - 1] in "sSſ"
        return (-1,) if after_s and _MINUS.search(text, max(0, start - 6), start) else (1,)
    if before == "(":
        return (1, -1) if _BRACKETED.match(text, start) else (1,)
    return (-1,) if start == 1 or text[start - 2] in " (\n\t=" else (1,)


def _find_words(text: str, taken: _UsedSpans, words: frozenset[str]) -> Iterable[NumberFact]:
    for m in () if words.isdisjoint(NUMBER_WORDS) else WORD_RUN.finditer(text):
        units, end = units_after(text, m.end())
        if taken.claim(m.start(), end):
            for values in run_readings(m[0]):
                found = _with_rates(text, m.start(), end, values, units, ())
                yield _as_one(_in_words(number, end) for number in found)
    if not counts_in_german(words):
        return
    for m in GERMAN_RUN.finditer(text):
        value = parse_german(m[0])
        factor, end, _ = scale_after(text, m.end())
        units, end = units_after(text, end)
        if value is not None and taken.claim(m.start(), end):
            found = _with_rates(text, m.start(), end, (value * factor,), units, ())
            yield _as_one(_in_words(number, end) for number in found)


def _in_words(number: NumberFact, end: int) -> NumberFact:
    """Written out, as `replace` does it in twice the time."""
    return NumberFact(number.start, end, number.values, number.unit, spelled=True)


def _compounded(text: str, numbers: list[NumberFact]) -> Iterable[NumberFact]:
    """`1 hour 30 minutes`, `5 ft 10 in` and `2 lb and 3 oz` are one quantity of two parts."""
    measured = sorted(
        (n for n in numbers if n.unit is not None and n.unit.dimension in _COMPOUNDED),
        key=lambda n: n.start,
    )
    joined: set[int] = set()
    for first, second in pairwise(measured):
        if id(first) in joined or not _continues(text, first, second):
            continue
        joined |= {id(first), id(second)}
        yield _sum_of(first, second)
    yield from (number for number in numbers if id(number) not in joined)


def _sum_of(first: NumberFact, second: NumberFact) -> NumberFact:
    """In the unit of the second, the smaller one."""
    factor = second.unit.factor if second.unit else 1.0
    total = sum(n.values[0] * (n.unit.factor if n.unit else 1.0) for n in (first, second))
    parts = (first, second)
    return NumberFact(first.start, second.end, (total / factor,), second.unit, parts=parts)


def _continues(text: str, first: NumberFact, second: NumberFact) -> bool:
    if first.unit is None or second.unit is None:
        return False
    return (
        first.unit.dimension == second.unit.dimension
        and first.unit.factor > second.unit.factor
        and first.start < second.start
        and _THEN.fullmatch(text, first.end, second.start) is not None
    )
