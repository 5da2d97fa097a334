"""A source document, indexed once so that many outputs can be checked against it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from evaluators.checks.facts.dates import Day, days_between
from evaluators.checks.facts.dictated import written
from evaluators.checks.facts.facts import Facts, Identifier, NumberFact, find_facts
from evaluators.checks.facts.numerals import words_of
from evaluators.checks.facts.rates import find_regular
from evaluators.checks.facts.spelled import find_implied
from evaluators.checks.facts.units import DECADE, Unit, spellings_of
from evaluators.checks.text.lettering import (
    expand_contractions,
    folded_words,
    plain_case,
    squash,
)

_PARTS = re.compile(r"[\W_]+")
_VERSION = re.compile(r"\d+(?:\.\d+)?")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Figures:
    """The facts of a source, indexed for look-up.

    Attributes:
        values: units in which each number stands; None among them for a bare one.
        measures: (quantity in base units, name of its unit) by dimension, in reading order; "" for
            bare numbers.
        often: as `measures`, of what is done so often.
        decades: tens of years and of ages that the source tells or that its years lie in.
    """

    values: dict[float, set[Unit | None]]
    measures: dict[str, list[tuple[float, str]]]
    often: dict[str, list[tuple[float, str]]]
    decades: frozenset[int]
    days: tuple[Day, ...]
    minutes: frozenset[int]
    identifiers: frozenset[str]
    weekdays: frozenset[int]


@dataclass(frozen=True)
class Source:
    """A source document, of which each index is made when an output first asks for it.

    Attributes:
        words: distinct and case-folded, in all their spellings, those with digits too.
        letters: those of letters alone, as the text spells them.
    """

    text: str
    words: frozenset[str]
    letters: frozenset[str]

    @cached_property
    def figures(self) -> Figures:
        """Its facts; three outputs in five claim none, and ask for none."""
        return _index_figures(self.text, self.letters)

    @property
    def both(self) -> str:
        """The text, and what is dictated in it as it would be written down."""
        return _both(self.text)

    @property
    def squashed(self) -> str:
        """Letters and digits of the text only; few outputs ask for them."""
        return _squashed(self.text)

    def mentions(self, unit: Unit) -> bool:
        """Whether a word for the unit stands anywhere."""
        return unit.dimension in ("noun", "count") or not self.words.isdisjoint(spellings_of(unit))


@lru_cache(maxsize=2048)
def index_source(text: str) -> Source:
    """A source and its words; remembered, since several outputs share one source."""
    said, letters = written(text), words_of(text)
    words = letters if said is None else letters | words_of(said)
    return Source(text, folded_words(_both(text), words), letters)


def _index_figures(text: str, letters: frozenset[str]) -> Figures:
    text = plain_case(text)
    said, facts = written(text), find_facts(text, letters)
    if said is not None:
        facts = _joined(facts, find_facts(said))
    days = tuple(day for dated in facts.dates for day in dated.days)
    numbers = _Numbers()
    numbers.add_facts(facts, days)
    numbers.add_implied(text, facts)
    weekdays = {found.day for found in facts.weekdays} | days_between(text, facts.words)
    return Figures(
        values=numbers.values,
        measures=numbers.measures,
        often=numbers.often,
        decades=frozenset(numbers.decades),
        days=days,
        minutes=frozenset(m for timed in facts.times for m in timed.minutes),
        identifiers=frozenset(found.key for found in facts.identifiers),
        weekdays=frozenset(weekdays),
    )


def _joined(facts: Facts, more: Facts) -> Facts:
    """The facts of a text with those of the same text as it would be written down."""
    return Facts(
        numbers=facts.numbers + more.numbers,
        dates=facts.dates + more.dates,
        times=facts.times + more.times,
        weekdays=facts.weekdays,
        identifiers=facts.identifiers,
        words=facts.words | more.words,
    )


@lru_cache(maxsize=64)
def _squashed(text: str) -> str:
    return squash(_both(text))


@lru_cache(maxsize=64)
def _both(text: str) -> str:
    said = written(text)
    return text if said is None else f"{text}\n{said}"


@lru_cache(maxsize=64)
def expanded(text: str) -> str:
    """A source squashed with its contractions spelled out; few outputs ask for it."""
    return squash(expand_contractions(text))


@lru_cache(maxsize=64)
def initials_of(text: str) -> str:
    """First letters of all words of a text, for acronyms; few outputs ask for them."""
    return "".join(word[0] for word in re.findall(r"[^\W\d_]+", text.casefold()))


def number_key(value: float) -> float:
    """A number to nine digits, so that equal quantities are equal keys."""
    return float(f"{value:.9g}")


class _Numbers:
    """The numbers of a source by value and by dimension."""

    def __init__(self) -> None:
        self.values: dict[float, set[Unit | None]] = {}
        self.measures: dict[str, list[tuple[float, str]]] = {}
        self.often: dict[str, list[tuple[float, str]]] = {}
        self.decades: set[int] = set()

    def add_facts(self, facts: Facts, days: Sequence[Day]) -> None:
        for number in facts.numbers:
            self._add_number(number)
        for part in (p for day in days for p in (day.year, day.day) if p is not None):
            self._add(float(part), None)
        for found in facts.identifiers:
            for digits in _digits_in(found):
                self._add(float(digits), None)

    def add_implied(self, text: str, facts: Facts) -> None:
        for value, unit in find_implied(text, facts.words):
            self._add(value, unit)
            if unit is not None:
                self._measure(self.measures, value, unit)
        for unit in find_regular(text, facts.words):
            self._measure(self.often, 1.0, unit)

    def _add_number(self, number: NumberFact) -> None:
        for value in number.values:
            if number.often and number.unit is not None:
                self._measure(self.often, value, number.unit)
            else:
                self._add(value, number.unit)
            self._measure(self.measures, value, number.unit)
        for part in (*number.parts, *number.others):
            self._add_number(part)

    def _add(self, value: float, unit: Unit | None) -> None:
        self.values.setdefault(number_key(value), set()).add(unit)
        if 10 <= value < 2200 and (unit is None or unit.name in ("year", DECADE.name)):
            self.decades.add(int(value) // 10 * 10)

    def _measure(
        self, where: dict[str, list[tuple[float, str]]], value: float, unit: Unit | None
    ) -> None:
        key, base, name = ("", value, "")
        if unit is not None:
            key, base, name = unit.dimension, unit.to_base(value), unit.name
        where.setdefault(key, []).append((base, name))


def _digits_in(found: Identifier) -> list[str]:
    """The numbers of a code that may stand without it: of #12345, TK-48213, Under-17 and v2.1."""
    parts = _PARTS.split(found.said)
    if found.said[0] in "vV" and found.said[1:2].isdigit():
        return [*_VERSION.findall(found.said)[:1], *_DIGITS.findall(found.said)]
    lettered = found.said[0] == "#" or any(part.isalpha() for part in parts)
    return [p for p in parts if p.isdecimal() and len(p) < 16 and (lettered or len(p) > 3)]
