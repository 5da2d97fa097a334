"""A source document, indexed once so that many outputs can be checked against it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from evaluators.checks.dates import WEEKDAYS, Day
from evaluators.checks.facts import Facts, find_facts, squash

_NOT_LETTERS = re.compile(r"[\d_]")


@dataclass(frozen=True, slots=True)
class Source:
    """A source document, indexed for look-up.

    Attributes:
        values: units in which each number stands; None among them for a bare one.
        measures: quantities in base units by dimension, in reading order; "" for bare numbers.
    """

    text: str
    squashed: str
    words: frozenset[str]
    values: dict[float, set[str | None]]
    measures: dict[str, list[float]]
    days: tuple[Day, ...]
    minutes: frozenset[int]
    identifiers: frozenset[str]
    weekdays: frozenset[int]


@lru_cache(maxsize=2048)
def index_source(text: str) -> Source:
    """Index the facts of a source; remembered, since several outputs share one source."""
    facts = find_facts(text)
    days = tuple(day for dated in facts.dates for day in dated.days)
    words = facts.words
    if _NOT_LETTERS.search(text) is not None:
        words |= frozenset(re.findall(r"\w+", text.casefold()))
    values, measures = _index_numbers(facts, days)
    return Source(
        text=text,
        squashed=squash(text),
        words=words,
        values=values,
        measures=measures,
        days=days,
        minutes=frozenset(m for timed in facts.times for m in timed.minutes),
        identifiers=frozenset(found.key for found in facts.identifiers),
        weekdays=frozenset(WEEKDAYS[word] for word in words & WEEKDAYS.keys()),
    )


@lru_cache(maxsize=64)
def initials_of(text: str) -> str:
    """First letters of all words of a text, for acronyms; few outputs ask for them."""
    return "".join(word[0] for word in re.findall(r"[^\W\d_]+", text.casefold()))


def number_key(value: float) -> float:
    """A number to nine digits, so that equal quantities are equal keys."""
    return float(f"{value:.9g}")


def _index_numbers(
    facts: Facts, days: Sequence[Day]
) -> tuple[dict[float, set[str | None]], dict[str, list[float]]]:
    values: dict[float, set[str | None]] = {}
    measures: dict[str, list[float]] = {}
    for number in facts.numbers:
        for value in number.values:
            values.setdefault(number_key(value), set()).add(
                number.unit.name if number.unit else None
            )
            base = number.unit.to_base(value) if number.unit else value
            measures.setdefault(number.unit.dimension if number.unit else "", []).append(base)
    for part in (p for day in days for p in (day.year, day.day) if p is not None):
        values.setdefault(float(part), set()).add(None)
    return values, measures
