"""A source document, indexed once so that many outputs can be checked against it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from evaluators.checks.dates import WEEKDAYS, Day
from evaluators.checks.facts import Facts, find_facts, squash


@dataclass(frozen=True, slots=True)
class Source:
    """A source document, indexed for look-up."""

    text: str
    squashed: str
    words: frozenset[str]
    initials: str
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
    words = frozenset(re.findall(r"\w+", text.casefold())) | facts.words
    values, measures = _index_numbers(facts, days)
    return Source(
        text=text,
        squashed=squash(text),
        words=words,
        initials="".join(word[0] for word in re.findall(r"[^\W\d_]+", text.casefold())),
        values=values,
        measures=measures,
        days=days,
        minutes=frozenset(m for timed in facts.times for m in timed.minutes),
        identifiers=frozenset(found.key for found in facts.identifiers),
        weekdays=frozenset(WEEKDAYS[word] for word in words & WEEKDAYS.keys()),
    )


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
            if number.unit:
                base = number.unit.to_base(value)
                measures.setdefault(number.unit.dimension, []).append(base)
    for part in (p for day in days for p in (day.year, day.day) if p is not None):
        values.setdefault(float(part), set()).add(None)
    return values, measures
