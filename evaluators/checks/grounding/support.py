"""Where a source supports what an output states: for each claim, places in the source.

The claims and whether they hold are those of `grounding`; this finds where. A claim that does not
hold has places too when the source says something else of the same thing: the number with another
unit, the sentence that denies what the output states. All offsets are code points.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from evaluators.checks.facts.facts import Facts, NumberFact, find_facts
from evaluators.checks.facts.sources import number_key
from evaluators.checks.grounding.grounding import find_claims
from evaluators.checks.text.claims import OutputClaim, split_sentences

MOST_PLACES = 50  # of one claim; a reader follows no more
_WORD = re.compile(r"\w+")
_BETWEEN = r"[\W_]+"
_LOOSE = r"[\W_]*"


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """A stretch of a source."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Link:
    """A claim of an output and where its source speaks of it.

    Attributes:
        supported: whether the source says the same.
        reason: why it is not supported; None where it is.
        sources: places in the source, in reading order; none when the source is silent, or when
            the support lies in no one stretch.
    """

    start: int
    end: int
    kind: str
    supported: bool
    reason: str | None
    sources: tuple[SourcePlace, ...]


@dataclass(frozen=True, slots=True)
class _SupportTexts:
    output: str
    said: Facts
    source: str
    told: Facts


def find_support(output: str, source: str) -> list[Link]:
    """Every claim of an output in reading order, with its places in the source.

    Args:
        source: all that the model was given, as `grounding.source_of` joins it: the context, a line
            break, the input. Places count from the start of that text.
    """
    texts = _SupportTexts(output, find_facts(output), source, find_facts(source))
    return [_link(claim, texts) for claim in find_claims(output, source)]


def _link(claim: OutputClaim, texts: _SupportTexts) -> Link:
    find = _FINDERS.get(claim.kind, _by_words)
    places = sorted({*find(claim, texts)}, key=lambda place: (place.start, place.end))
    return Link(
        start=claim.start,
        end=claim.end,
        kind=claim.kind,
        supported=claim.problem is None,
        reason=claim.problem,
        sources=tuple(_apart(places))[:MOST_PLACES],
    )


def _apart(places: Iterable[SourcePlace]) -> Iterator[SourcePlace]:
    """Places that do not overlap; of two that do, the earlier."""
    end = -1
    for place in places:
        if place.start >= end:
            yield place
            end = place.end


def _by_number(claim: OutputClaim, texts: _SupportTexts) -> Iterator[SourcePlace]:
    here = [n for n in texts.said.numbers if (n.start, n.end) == (claim.start, claim.end)]
    said = [reading for n in here for reading in (n, *n.others)]
    for fits in (_equal, _converted, _rounded):
        found = [known for known in texts.told.numbers if any(fits(n, known) for n in said)]
        if found:
            yield from (SourcePlace(known.start, known.end) for known in found)
            return
    parts = {value for n in said for value in n.values}
    for dated in texts.told.dates:
        if any(part in parts for day in dated.days for part in (day.year, day.day)):
            yield SourcePlace(dated.start, dated.end)


def _equal(said: NumberFact, known: NumberFact) -> bool:
    """The same value; a unit may differ, then the place shows what the source says instead."""
    return not {*map(number_key, said.values)}.isdisjoint(map(number_key, known.values))


def _converted(said: NumberFact, known: NumberFact) -> bool:
    if said.unit is None or known.unit is None or said.unit.dimension != known.unit.dimension:
        return False
    return any(
        math.isclose(said.unit.to_base(a), known.unit.to_base(b), rel_tol=0.01, abs_tol=1e-12)
        for a in said.values
        for b in known.values
    )


def _rounded(said: NumberFact, known: NumberFact) -> bool:
    """The source's number, rounded as coarsely as the output writes it."""
    for value in said.values:
        digits = len(f"{abs(value):.9g}".replace(".", "").strip("0")) or 1
        if any(b and float(f"{b:.{digits}g}") == value for b in known.values):
            return True
    return False


def _by_date(claim: OutputClaim, texts: _SupportTexts) -> Iterator[SourcePlace]:
    said = [d for d in texts.said.dates if (d.start, d.end) == (claim.start, claim.end)]
    for known in texts.told.dates:
        if any(a.is_told_by(b) for dated in said for a in dated.days for b in known.days):
            yield SourcePlace(known.start, known.end)
    days = {d.day for d in texts.said.weekdays if (d.start, d.end) == (claim.start, claim.end)}
    for weekday in texts.told.weekdays:
        if weekday.day in days:
            yield SourcePlace(weekday.start, weekday.end)


def _by_time(claim: OutputClaim, texts: _SupportTexts) -> Iterator[SourcePlace]:
    said = [t for t in texts.said.times if (t.start, t.end) == (claim.start, claim.end)]
    for known in texts.told.times:
        if any(timed.minutes & known.minutes for timed in said):
            yield SourcePlace(known.start, known.end)


def _by_code(claim: OutputClaim, texts: _SupportTexts) -> Iterator[SourcePlace]:
    said = texts.output[claim.start : claim.end]
    keys = {i.key for i in texts.said.identifiers if (i.start, i.end) == (claim.start, claim.end)}
    known = [SourcePlace(i.start, i.end) for i in texts.told.identifiers if i.key in keys]
    letters = [re.escape(c) for c in said if c.isalnum()]
    spaced = rf"(?<![^\W_]){_LOOSE.join(letters)}(?![^\W_])"
    yield from known or (_matches(spaced, texts.source) if letters else ())


def _by_phrase(claim: OutputClaim, texts: _SupportTexts) -> Iterator[SourcePlace]:
    """The words in their order, or else each word that the source has."""
    words = _WORD.findall(texts.output[claim.start : claim.end])
    whole = list(_matches(_BETWEEN.join(map(_inflected, words)), texts.source) if words else ())
    if whole or claim.kind == "quotation":
        yield from whole
        return
    for word in words:
        yield from _matches(_inflected(word), texts.source)


def _inflected(word: str) -> str:
    stem = word[:-1] if word.endswith("s") and len(word) > 3 else word
    return rf"\b{re.escape(stem)}s?\b"


def _by_words(claim: OutputClaim, texts: _SupportTexts) -> Iterator[SourcePlace]:
    """The sentences of the source that share most of the claim's words."""
    words = _long_words(texts.output[claim.start : claim.end])
    sentences = [SourcePlace(*place) for place in split_sentences(texts.source)]
    shared = [len(words & _long_words(texts.source[s.start : s.end])) for s in sentences]
    most = max(shared, default=0)
    if most:
        yield from (s for s, n in zip(sentences, shared, strict=True) if n == most)


def _by_sentence(claim: OutputClaim, texts: _SupportTexts) -> Iterator[SourcePlace]:
    """The sentences of the source that share most words with the sentence of the claim."""
    around = [(a, b) for a, b in split_sentences(texts.output) if a <= claim.start < b]
    start, end = around[0] if around else (claim.start, claim.end)
    yield from _by_words(OutputClaim(start, end, claim.kind, claim.problem), texts)


def _long_words(text: str) -> set[str]:
    return {word[:5].casefold() for word in _WORD.findall(text) if len(word) > 3}


def _matches(pattern: str, source: str) -> Iterator[SourcePlace]:
    for m in re.finditer(pattern, source, re.IGNORECASE):
        yield SourcePlace(m.start(), m.end())


_FINDERS: dict[str, Callable[[OutputClaim, _SupportTexts], Iterator[SourcePlace]]] = {
    "number": _by_number,
    "money": _by_number,
    "measure": _by_number,
    "date": _by_date,
    "time": _by_time,
    "identifier": _by_code,
    "name": _by_phrase,
    "quotation": _by_phrase,
    "negation": _by_words,
    **dict.fromkeys(
        ("role", "direction", "polarity", "antonym", "entity", "quantity", "addition"), _by_sentence
    ),
}
