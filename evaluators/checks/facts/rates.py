"""What a quantity is told per: `/kg/day`, `a month`, `twice daily`; and how often a thing is done.

`39 EUR per month`, `a monthly fee of 39 EUR` and `39 EUR im Monat` are one rate. How often (`twice
daily`, `every 12 hours`, `b.i.d.`) is a number of its own, and makes a rate of a dose beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evaluators.checks.facts.numerals import SMALL, readings
from evaluators.checks.facts.units import (
    DAY,
    FORTNIGHT,
    HOUR,
    MONTH,
    QUARTER,
    UNITS,
    WEEK,
    YEAR,
    Unit,
    count_of,
    rate,
)
from evaluators.checks.text.claims import word_set
from evaluators.checks.text.lettering import EitherCase

_PERIODIC: Mapping[str, Unit] = {
    **dict.fromkeys(("hourly", "stündlich"), HOUR),
    **dict.fromkeys(("daily", "nightly", "täglich"), DAY),
    **dict.fromkeys(("weekly", "wöchentlich"), WEEK),
    **dict.fromkeys(("fortnightly",), FORTNIGHT),
    **dict.fromkeys(("monthly", "monatlich", "mtl", "pcm"), MONTH),
    **dict.fromkeys(("quarterly", "vierteljährlich"), QUARTER),
    **dict.fromkeys(("yearly", "annual", "annually", "jährlich", "p.a", "p. a"), YEAR),
}
_ADVERB = "|".join(re.escape(word) for word in sorted(_PERIODIC, key=len, reverse=True))
_ADVERB_AFTER = re.compile(rf"[\s,]{{1,2}}({_ADVERB})(?:e[nrs]?)?(?!\w)\.?", re.IGNORECASE)
_ADVERB_BEFORE = re.compile(
    rf"(?<!\w)({_ADVERB})(?:e[nrs]?)?\s+(?:[^\W\d_]+\s+){{0,2}}?(?:[^\W\d_]+:\s*)?"
    r"(?:(?:of|is|are|was|were|at|costs?|von|beträgt|ist|sind|kostet)\s+)?(?:only\s+|nur\s+)?$",
    re.IGNORECASE,
)
_PER = re.compile(
    r"\s?[/∕]\s?|[\s-]+(?P<how>per|pro|je|an?|each|every|im|am|die|in\s+(?:der|einer|einem|an?))"
    r"[\s-]+",
    re.IGNORECASE,
)
_FREE = frozenset({"per", "pro", "je"})
_PER_NUMBER = re.compile(r"\d+(?:[.,]\d+)*\s?")
_PER_WORD = re.compile(r"mm\s?Hg|[^\W\d_]+(?:[²³]|[23](?!\w))?")
_BELOW: Mapping[str, Unit] = {
    "night": DAY,
    "nacht": DAY,
    "y": YEAR,
    "a": YEAR,
    "w": WEEK,
    "j": YEAR,
}
_SAME = {"head": "person", "capita": "person", "people": "person", "kopf": "person"}
MOST_BELOW = 3


def read_per(text: str, position: int) -> tuple[tuple[Unit, ...], int]:
    """Units below the line that stand after a quantity, and where they end."""
    below: list[Unit] = []
    while len(below) < MOST_BELOW and (step := _one_below(text, position)) is not None:
        unit, position = step
        below.append(unit)
    return tuple(below), position


def _one_below(text: str, position: int) -> tuple[Unit, int] | None:
    if (adverb := _ADVERB_AFTER.match(text, position)) is not None:
        return _PERIODIC[adverb[1].lower()], adverb.end(1)
    found = _PER.match(text, position)
    if found is None:
        return None
    free = found["how"] is None or found["how"].lower() in _FREE
    number = _PER_NUMBER.match(text, found.end()) if free else None
    at = number.end() if number else found.end()
    word = _PER_WORD.match(text, at)
    unit = _unit_below(word[0], free=free, slash=found["how"] is None) if word else None
    if number is not None:
        values = readings(number[0].strip(), comma_decimals=False, measured=True)
        if not values or (unit is None and values[0] < 100):
            return None
        end = word.end() if word and unit is not None else at - (text[at - 1] == " ")
        return count_of(values[0], unit if unit and unit.dimension != "noun" else None), end
    return (unit, word.end()) if word and unit is not None else None


def _unit_below(word: str, *, free: bool, slash: bool) -> Unit | None:
    """After an article only a period is one; after `per` any thing is."""
    units = UNITS.get(word) or UNITS.get(word.lower())
    unit = units[0] if units else _BELOW.get(word) if slash or len(word) > 1 else None
    if not free:
        return unit if unit is not None and unit.dimension in ("time", "calendar") else None
    if unit is None and len(word) > 2:
        noun = word.casefold()
        return Unit(_SAME.get(noun, noun.rstrip("s")), "noun")
    return unit


def period_before(text: str, position: int) -> Unit | None:
    """The month of `a monthly fee of` before a sum."""
    found = _ADVERB_BEFORE.search(text, max(0, position - 48), position)
    return _PERIODIC[found[1].lower()] if found else None


@dataclass(frozen=True, slots=True)
class Often:
    """How often: `count` times in a period; `every` is the length that was told in its place."""

    start: int
    end: int
    count: float
    period: Unit
    every: float | None = None

    @property
    def unit(self) -> Unit:
        """Of the count."""
        return rate(None, (self.period,))


_COUNTS: dict[str, float] = {
    **{word: float(value) for word, value in SMALL.items() if 0 < value <= 12},
    "a": 1.0, "once": 1.0, "twice": 2.0, "thrice": 3.0, "ein": 1.0, "zwei": 2.0, "drei": 3.0,
    "vier": 4.0, "fünf": 5.0, "sechs": 6.0, "acht": 8.0, "zehn": 10.0, "zwölf": 12.0,
    "other": 2.0, "second": 2.0, "third": 3.0, "zweiten": 2.0, "zweite": 2.0, "dritten": 3.0,
}  # fmt: skip
_NUMBER = "|".join(sorted((w for w in _COUNTS if len(w) > 1), key=len, reverse=True))
_TIME = (
    r"hours?|hrs?|h|days?|d|weeks?|wks?|months?|years?|minutes?|mins?|nights?|"
    r"stunden?|std|tage?n?|wochen?|monate?n?|jahre?n?|minuten?"
)
_OFTEN = EitherCase(
    rf"(?<![\w.,])(?:(?P<n>once|twice|thrice|(?:{_NUMBER}|\d{{1,3}})(?:\s?-?(?:x|×|mal)|\s+times))"
    rf"(?:\s+(?:an?|per|each|every|pro|am|im|die|je|in\s+(?:der|einer|a))\s+|\s?/\s?|\s+)"
    rf"(?P<unit>{_TIME}|{_ADVERB})"
    rf"|(?:every|each|alle|jede[ns]?)\s+(?P<every>{_NUMBER}|\d{{1,3}})[\s-]?(?P<of>{_TIME})"
    rf"|(?P<hourly>\d{{1,2}})[\s-]?(?:hourly|stündlich)"
    r"|q\.?\s?(?P<q>\d{1,2})\s?(?P<qof>h|hrs?|hours?|d)\b"
    r"|(?P<latin>b\.i\.d|t\.i\.d|q\.i\.d|q\.d|bid|tid|qid|qd))"
    r"(?!\w)(?!\s*(?:-|–|to|or|bis|oder)\s*\d)"
)
_DOSED = re.compile(
    r"(?:\d|\b(?:mg|mcg|g|ml|tablets?|tabs?|puffs?|drops?|caps?|p\.?o\.?|units?)),?\s$"
)
_LATIN = {"bid": 2.0, "tid": 3.0, "qid": 4.0, "qd": 1.0}
_REGULAR = re.compile(
    rf"(?<!\w)(?:({_ADVERB})(?:e[nrs]?)?|(?:every|each|per|an?|jede[nrs]?|pro|am)\s+(day|night|morning|"
    r"evening|hour|week|month|year|quarter|tag|nacht|stunde|woche|monat|jahr))(?!\w)"
)
_DAYS = frozenset({"night", "morning", "evening", "nacht"})
_CUES = word_set(
    "once twice thrice times mal x every each alle jede jeden jedes einmal zweimal dreimal "
    "viermal fünfmal sechsmal hourly stündlich q bid tid qid qd"
)
_REGULAR_CUES = _PERIODIC.keys() | word_set(
    "day night morning evening hour week month year quarter tag nacht stunde woche monat jahr"
)


def tells_often(text: str, words: frozenset[str]) -> bool:
    """Whether it is worth to look for frequencies."""
    return not words.isdisjoint(_CUES) or ".i.d" in text or "2x" in text or "3x" in text


def find_often(text: str) -> Iterator[Often]:
    """Every frequency that is told in numbers."""
    for found in _OFTEN.finditer(text):
        if (often := _often(text, found)) is not None:
            yield often


def often_after(text: str, position: int) -> Often | None:
    """The frequency that follows a dose, a comma or `by mouth` between them at most."""
    gap = _BETWEEN.match(text, position)
    found = _OFTEN.match(text, gap.end()) if gap else None
    return _often(text, found) if found is not None else None


_BETWEEN = re.compile(r",?\s+(?:(?:by mouth|orally|p\.?o\.?|i\.?v\.?)\s+)?", re.IGNORECASE)


def _often(text: str, found: re.Match[str]) -> Often | None:
    start, end = found.span()
    if found["latin"]:
        said = text[start:end]
        if "." not in said and not (said.islower() or said.isupper()):
            return None  # `Bid` and `Tid` are words and names
        if said == "bid" and _DOSED.search(text, max(0, start - 12), start) is None:
            return None  # `her bid was lower`
        return Often(start, end, _LATIN[found["latin"].replace(".", "").lower()], DAY)
    if found["n"]:
        word = found["unit"].lower()
        period = _PERIODIC.get(word) or _period(word)
        return Often(start, end, _count(found["n"]), period)
    told = found["every"] or found["hourly"] or found["q"]
    length = _count(told)
    period = _period((found["of"] or found["qof"] or "h").lower())
    if not length:
        return None
    return Often(start, end, 1.0, count_of(length, period), length if told.isdigit() else None)


def _count(words: str) -> float:
    """The number in `3 times`, `3x`, `dreimal`, `twice`."""
    lower = words.lower()
    if lower in _COUNTS:
        return _COUNTS[lower]
    bare = re.sub(r"(?:\s?-?(?:x|×|mal)|\s+times)$", "", lower)
    return _COUNTS[bare] if bare in _COUNTS else float(bare)


def _period(word: str) -> Unit:
    return DAY if word.startswith("night") else UNITS[word][0]


def find_regular(text: str, words: frozenset[str]) -> Iterator[Unit]:
    """Units of `daily`, `every week`: once in it, which a source may say and no output claims."""
    for found in _REGULAR.finditer(text.casefold()) if not words.isdisjoint(_REGULAR_CUES) else ():
        word = found[1] or found[2]
        period = DAY if word in _DAYS else _PERIODIC.get(word) or UNITS[word][0]
        yield rate(None, (period,))
