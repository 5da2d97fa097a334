"""Amounts told in words and parts: an hour and a half, two thirds, 3/4, the nineties, a dozen.

`find_spelled` gives what a text states so; `find_implied` gives besides what its words only imply
(`an hour` is one, `both` are two, `half of them` is 50%): enough to support a number, and no claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from evaluators.checks.facts.numerals import (
    BIG,
    ORDINALS,
    SMALL,
    parse_german,
    parse_words,
    readings,
)
from evaluators.checks.facts.units import DECADE, FOOT, FRACTION, PERCENT, UNITS, Unit, scale_after
from evaluators.checks.text.claims import listed, word_set
from evaluators.checks.text.lettering import EitherCase


class Amount(NamedTuple):
    """A stretch of text and the value that it stands for."""

    start: int
    end: int
    value: float
    unit: Unit | None


_SIMPLE = "|".join(sorted({*SMALL, "an", "a"} - {"zero"}, key=len, reverse=True))
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_UNIT = r"([^\W\d_]+)"
_AND_HALF = EitherCase(  # an hour and a half
    rf"(?<![\w.,])({_SIMPLE}|\d{{1,3}})[\s-]+{_UNIT}\s+and\s+an?\s+(half|quarter)\b"
)
_N_AND_HALF = EitherCase(  # two and a half hours, 2 1/2 cups
    rf"(?<![\w.,/])({_SIMPLE}|\d{{1,3}})(?:\s+and\s+an?\s+(half|quarter)|[\s-](\d)/(\d{{1,2}}))"
    rf"[\s-]+{_UNIT}"
)
_PART_OF = EitherCase(  # half an hour, a half-hour, three quarters of a mile
    r"(?<!\w)(?:(?:an?[\s-]+)?(half)(?:[\s-]+(?:of\s+)?an?)?"
    rf"|(an?|one|three)[\s-]+(quarter)s?\s+of\s+an?)[\s-]+{_UNIT}"
)
_SHARE = EitherCase(  # two thirds, a third of, 3/4 of
    rf"(?<!\w)(?:({_SIMPLE})[\s-]+({'|'.join(_PARTS)})(?:s\b|(?=\s+of\b))"
    r"|(?<![\w./-])(\d{1,2})/(\d{1,3})(?=\s+(?:of|der|des|aller)\b))"
)
_GERMAN = re.compile(  # zweieinhalb Stunden, eine halbe Stunde, Dreiviertelstunde
    r"(?<!\w)(?:([^\W\d_]*)(einhalb)|(anderthalb)|(halbe[nrsm]?)|(dreiviertel)|(viertel))[\s-]*"
    rf"{_UNIT}",
    re.IGNORECASE,
)
_GERMAN_PARTS = {"drittel": 3, "viertel": 4, "fünftel": 5, "sechstel": 6, "achtel": 8,
                 "zehntel": 10}  # fmt: skip
_GERMAN_SHARE = re.compile(  # zwei Drittel, ein Viertel der
    rf"(?<!\w)(?:(zwei|drei|vier|fünf|sieben|neun)\s({'|'.join(_GERMAN_PARTS)})"
    rf"|(ein)\s({'|'.join(_GERMAN_PARTS)})(?=\s(?:der|des|aller|von)\b))(?!\w)(?!\s(?:nach|vor)\b)",
    re.IGNORECASE,
)
_TENS = {"twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60,
         "seventies": 70, "eighties": 80, "nineties": 90}  # fmt: skip
_DECADE = re.compile(  # 1990s, his 70s, 1990er Jahre, nineties
    r"(?<![\w.,$€£-])(?:(?:1[5-9]|20)\d0|(?<=['’])\d0|(?<=\bthe )\d0|(?<=\bhis )\d0|(?<=\bher )\d0"
    r"|(?<=\bmid-)\d0|(?<=\bmid )\d0|(?<=\bearly )\d0|(?<=\blate )\d0|(?<=\btheir )\d0)(?=['’]?s\b)"
    r"['’]?s|(?<!\w)(?:(?:1[5-9]|20)?\d0)ern?(?:\sJahren?)?\b"
)
_DECADE_CUE = re.compile(r"0(?:['’]?s|ern?)\b")
_WHOLE_NUMBER = re.compile(r"\d+")
_FEET_CUE = re.compile(r"\d\s?(?:ft|feet|foot|['’′])")
_AND_CUE = re.compile(r"and\s+an?\s+(?:half|quarter)", re.IGNORECASE)
_HALF_CUE = re.compile(r"half|quarters?\s+of", re.IGNORECASE)
_FRACTION_CUE = re.compile(r"\d/\d")
_TENS_WORD = EitherCase("|".join(f"{w[0]}(?<!\\w{w[0]}){w[1:]}\\b" for w in _TENS))
_FEET = re.compile(  # 5 ft 10 in, 5'10"
    r"(?<![\w.,])(\d{1,2})\s?(?:ft\.?|feet|foot|['’′])\s?(\d{1,2}(?:\.\d)?)\s?"
    r"(?:in\b\.?|inch(?:es)?\b|[\"”″]|'')",
    re.IGNORECASE,
)
_CUES = word_set(
    "half quarter quarters third thirds fifth fifths sixth eighth eighths tenth tenths"
)


def find_spelled(text: str, words: frozenset[str], *, has_digit: bool) -> Iterator[Amount]:
    """Amounts in words and parts, the longer reading first."""
    if has_digit:
        for m in _DECADE.finditer(text) if _DECADE_CUE.search(text) else ():
            yield Amount(*m.span(), float(_WHOLE_NUMBER.findall(m[0])[0]), DECADE)
        for m in _FEET.finditer(text) if _FEET_CUE.search(text) else ():
            yield Amount(*m.span(), int(m[1]) + float(m[2]) / 12, FOOT)
    if not words.isdisjoint(_TENS):
        for m in _TENS_WORD.finditer(text):
            yield Amount(*m.span(), float(_TENS[m[0].lower()]), DECADE)
    if not words.isdisjoint(_CUES) or (has_digit and "/" in text):
        yield from _english(text)
    folded = text.casefold()
    if "halb" in folded or "viertel" in folded:
        yield from _german(text)
    if not words.isdisjoint(_GERMAN_PARTS):
        for m in _GERMAN_SHARE.finditer(text):
            share = (parse_german(m[1] or m[3]) or 0) / _GERMAN_PARTS[(m[2] or m[4]).lower()]
            if share < 1:
                yield Amount(*m.span(), share, FRACTION)


def _english(text: str) -> Iterator[Amount]:
    has_and, has_fraction = _AND_CUE.search(text), _FRACTION_CUE.search(text)
    for m in _AND_HALF.finditer(text) if has_and else ():
        yield from _measured(text, m, _number(m[1]) + 1 / _PARTS[m[3].lower()], m.span(2))
    for m in _N_AND_HALF.finditer(text) if has_and or has_fraction else ():
        part = 1 / _PARTS[m[2].lower()] if m[2] else _divided(m[3], m[4])
        if part is not None:
            yield from _measured(text, m, _number(m[1]) + part, m.span(5))
    for m in _PART_OF.finditer(text) if _HALF_CUE.search(text) else ():
        yield from _measured(text, m, 0.5 if m[1] else _number(m[2]) / 4, m.span(4))
    for m in _SHARE.finditer(text):
        share = _number(m[1]) / _PARTS[m[2].lower()] if m[1] else _divided(m[3], m[4])
        if share is not None and 0 < share < 1:
            yield Amount(*m.span(), share, FRACTION)


def _german(text: str) -> Iterator[Amount]:
    for m in _GERMAN.finditer(text):
        value = 1.5 if m[3] else 0.5 if m[4] else 0.75 if m[5] else 0.25
        if m[2]:
            whole = parse_german(m[1].lower().removesuffix("und")) if m[1] else 1
            if whole is None:
                continue
            value = whole + 0.5
        yield from _measured(text, m, value, m.span(7))


def _measured(
    text: str, found: re.Match[str], value: float, place: tuple[int, int]
) -> Iterator[Amount]:
    """With the unit, or times the scale, that the word there is; nothing where it is neither."""
    start, end = found.span()
    word = text[place[0] : place[1]]
    units = UNITS.get(word) or UNITS.get(word.lower())
    if units:
        yield from (Amount(start, end, value, unit) for unit in units)
        return
    factor = scale_after(text, place[0])[0] if len(word) > 1 else 1.0
    factor = factor if factor != 1 else float(BIG.get(word.lower(), 1))
    if factor != 1:
        yield Amount(start, end, value * factor, None)


def _number(word: str) -> float:
    lower = word.lower()
    return 1.0 if lower in ("a", "an") else float(SMALL.get(lower, lower))


def _divided(one: str, other: str) -> float | None:
    return int(one) / int(other) if int(other) else None


_ONCE = word_set(
    "hour day week fortnight month quarter year minute second decade mile pound cup pint liter "
    "litre percent tablet stunde tag woche monat jahr sekunde tablette"
)
_ONE = EitherCase(
    r"(?:a(?<!\wa)n?|e(?<!\we)ine[nrm]?)[\s-]+"
    rf"({'|'.join(sorted(_ONCE, key=len, reverse=True))})(?!\w)"
)
_WORDS: dict[str, float] = {
    "both": 2, "couple": 2, "pair": 2, "twice": 2, "double": 2, "doubled": 2, "beide": 2,
    "beiden": 2, "zweimal": 2, "doppelt": 2, "once": 1, "single": 1, "einmal": 1, "thrice": 3,
    "triple": 3, "tripled": 3, "dreimal": 3, "twins": 2, "triplets": 3, "dozen": 12, "dutzend": 12,
    "none": 0, "no": 0, "nil": 0,
}  # fmt: skip
_GERMAN_ORDINALS = {
    stem + ending: n
    for n, stem in enumerate(
        listed("erst zweit dritt viert fünft sechst siebt acht neunt zehnt elft zwölft"), 1
    )
    for ending in ("e", "er", "en", "es", "em")
}
_EVERY_ORDINAL = ORDINALS | _GERMAN_ORDINALS
_WORD_KEYS = frozenset(_WORDS)
_TENS_WORDS = word_set("twenty thirty forty fifty sixty seventy eighty ninety")
_COMPOUND_ORDINAL = re.compile(rf"\b({'|'.join(_TENS_WORDS)})-(\w+)\b", re.IGNORECASE)
_HALVES = frozenset({"half", "hälfte"})
_SHARES = {"third": 1 / 3, "drittel": 1 / 3, "quarter": 0.25, "viertel": 0.25}
_WHOLE = rf"\d[\d,.]*|{'|'.join([*SMALL, *BIG])}"
_OF = re.compile(rf"(?:out\sof|of|in|von|aus)\s(?:the\s|every\s|den\s)?({_WHOLE})(?!\w)")
_LAST_WORD = re.compile(r"(?<![\w.,])([\w.,]*\w)\s$")


def find_implied(text: str, words: frozenset[str]) -> Iterator[tuple[float, Unit | None]]:
    """(value, unit) of what words imply: enough to support a number, and no claim."""
    for m in _ONE.finditer(text) if not words.isdisjoint(_ONCE) else ():
        for unit in UNITS.get(m[1].lower(), ()):
            yield 1.0, unit
    for word in words & _WORD_KEYS:
        yield _WORDS[word], None
    yield from ((float(value), None) for value in ordinals_of(text, words))
    if not words.isdisjoint(_HALVES):
        yield from ((50.0, PERCENT), (0.5, None))
    for word in () if words.isdisjoint(_SHARES) else words & _SHARES.keys():
        yield from ((100 * _SHARES[word], PERCENT), (_SHARES[word], FRACTION))
    folded = text.casefold()  # in which a search that minds the case is three times as fast
    for m in _OF.finditer(folded):
        before = _LAST_WORD.search(folded, max(0, m.start() - 20), m.start())
        one, other = _plain(before[1]) if before else None, _plain(m[1])
        if one is not None and other is not None and 0 < one < other:
            yield one / other, FRACTION


def ordinals_of(text: str, words: frozenset[str]) -> set[int]:
    """What the ordinal numbers in words stand for, in English and German."""
    if words.isdisjoint(_EVERY_ORDINAL):
        return set()
    found = {_EVERY_ORDINAL[word] for word in words & _EVERY_ORDINAL.keys()}
    if found and not words.isdisjoint(_TENS_WORDS):
        for m in _COMPOUND_ORDINAL.finditer(text):
            last = ORDINALS.get(m[2].lower())
            found |= {SMALL[m[1].lower()] + last} if last else set()
    return found


_GERMAN_SMALL = word_set("ein eine einer zwei drei vier fünf sechs sieben acht neun zehn elf zwölf")


def _plain(word: str) -> float | None:
    """The value of one numeral or number word."""
    if word[0].isdecimal():
        values = readings(word.rstrip(".,"), comma_decimals=False, measured=True)
        return values[0] if values else None
    lower = word.lower()
    if lower in SMALL or lower in BIG:
        return parse_words([lower])[0]
    value = parse_german(lower) if lower in _GERMAN_SMALL else None
    return None if value is None else float(value)
