"""Quantities by their words: bounds of a number (`at least 5`, `at most 5`) and counts of a list.

A bound is wrong where the source gives the same number another bound, and nowhere the same or none.
Two bounds that leave nothing between them (`under 18` and `at least 18`) tell one limit from both
its sides, so they are no fault.
A count is wrong where it heads a list of another size (`three symptoms: fever and cough`) and the
source does not count that noun so. Quantifiers (`most of`, `hardly any`) are axes of `opposites`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from evaluators.checks.facts.facts import NumberFact
from evaluators.checks.facts.numerals import BIG, SMALL
from evaluators.checks.text.claims import OutputClaim, quote, word_set

LOWER, UPPER = "lower", "upper"
_LOWER = (
    r"at least|no (?:fewer|less) than|not less than|a minimum of|minimum of|more than|over|above|"
    r"exceed(?:s|ed|ing)?|greater than|upwards of|older than|longer than|higher than|"
    r"mindestens|wenigstens|mehr als|über|nicht weniger als"
)
_UPPER = (
    r"at most|no more than|not more than|a maximum of|maximum of|up to|fewer than|less than|under|"
    r"below|not exceeding|younger than|shorter than|lower than|smaller than|"
    r"höchstens|maximal|weniger als|unter|bis zu|nicht mehr als"
)
_OPEN = re.compile(
    r"more than|over|above|exceed(?:s|ed|ing)?|greater than|older than|longer than|higher than|"
    r"mehr als|über|fewer than|less than|under|below|younger than|shorter than|lower than|"
    r"smaller than|weniger als|unter",
    re.IGNORECASE,
)  # the number itself is not within; every other bound includes it
_GAP = r"\s+(?:an?\s+|the\s+)?[$€£]?\s?$"
_BOUND = re.compile(rf"(?<![\w-])(?:({_LOWER})|({_UPPER})){_GAP}", re.IGNORECASE)
_CUES = word_set(
    "least fewer less minimum more over above exceeds exceeded exceeding upwards than most "
    "maximum up under below mindestens wenigstens mehr über höchstens maximal weniger unter bis"
)
_BEFORE = 24
_NUMERAL = rf"\d[\d.,]*\d|\d|{'|'.join(sorted({*SMALL, *BIG}, key=len, reverse=True))}"
_TOLD = re.compile(rf"(?<![\w.,-])({_NUMERAL})(?![\w-])", re.IGNORECASE)
_NOUN = re.compile(r"\s(?:[^\W\d_]+\s){0,2}?([^\W\d_]{3,}):\s")
_AFTER_COLON = re.compile(r"[^.!?;:()\n]+")
_MOST_LISTED = 12


def check_bounds(
    output: str, numbers: Sequence[NumberFact], source: str, words: frozenset[str]
) -> Iterator[OutputClaim]:
    """A claim for each bounded number that the source bounds from the other side.

    Args:
        words: the distinct case-folded words of the output.
    """
    for number in () if words.isdisjoint(_CUES) else numbers:
        found = _bound_before(output, number.start)
        if found is None:
            continue
        said, is_open, start = found
        told = [(m, _bound_before(source, m.start())) for m in _places(source, number)]
        if told and all(o is not None and o[0] != said and o[1] == is_open for _, o in told):
            place, other = told[0]
            held = quote(source[other[2] if other else place.start() : place.end()])
            problem = f"the source bounds it the other way: {held}"
            yield OutputClaim(start, number.end, "quantity", problem)


def _bound_before(text: str, at: int) -> tuple[str, bool, int] | None:
    """The side of the bound that ends at a number, if the number is left out, where it begins."""
    m = _BOUND.search(text, max(0, at - _BEFORE), at)
    if m is None:
        return None
    return LOWER if m[1] else UPPER, _OPEN.fullmatch(m[1] or m[2]) is not None, m.start()


def _places(source: str, number: NumberFact) -> Iterator[re.Match[str]]:
    for m in _TOLD.finditer(source):
        word = m[1].lower()
        value: float | None = SMALL.get(word, BIG.get(word))
        if value is None:
            digits = m[1].replace(",", "")
            value = float(digits) if digits.replace(".", "", 1).isdigit() else None
        if value is not None and value in number.values:
            yield m


def check_counts(output: str, numbers: Sequence[NumberFact], source: str) -> Iterator[OutputClaim]:
    """A claim for each count that heads a list of another size."""
    for number in numbers if ":" in output else ():
        value = number.values[0]
        noun = _NOUN.match(output, number.end)
        if noun is None or not value.is_integer() or not 2 <= value <= _MOST_LISTED:
            continue
        listed = _AFTER_COLON.match(output, noun.end())
        size = _size_of(listed[0]) if listed else None
        if size is None or size == value or _counts_so(number, noun[1], source):
            continue
        problem = f"{size} are listed: {quote(listed[0] if listed else '')}"
        yield OutputClaim(number.start, noun.end(1), "quantity", problem)


def _size_of(listed: str) -> int | None:
    """Members of a list whose commas leave no doubt; None where they do."""
    *parts, last = re.split(r",\s", listed.strip())
    lead = re.match(r"(?:and|or|und|oder)\s", last)
    if parts and lead is not None:
        clean = all(" and " not in f" {part} " for part in (*parts, last[lead.end() :]))
        return len(parts) + 1 if clean else None
    ends = re.split(r"\s(?:and|or|und|oder)\s", last)
    if len(ends) == 2 and all(" and " not in f" {part} " for part in parts):
        return len(parts) + 2
    return None


def _counts_so(number: NumberFact, noun: str, source: str) -> bool:
    for m in _places(source, number):
        if noun.rstrip("s").casefold() in source[m.end() : m.end() + 40].casefold():
            return True
    return False
