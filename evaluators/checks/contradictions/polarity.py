"""Whether a text states or denies a phrase, wherever it speaks of it.

Whatever is not plain is unclear: hedged, conditional, merely asked, no longer so, part of a longer
term (`pain medication`), governed by a word that does not assert (`asked for a refund`).

The words by which polarity is read: what denies, hedges, asserts, joins and breaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from evaluators.checks.contradictions.denials import (
    ADVERBS,
    ASSERTING,
    AUXILIARIES,
    BARE_WITH,
    BREAKS,
    CLAUSE_HEADS,
    DEGREES,
    DENIERS,
    DETERMINERS,
    HEDGES,
    IDLE,
    JOINS,
    NEVER_FIRST,
    NOT,
    PREPOSITIONS,
    PRONOUNS,
    TRANSPARENT,
    Phrase,
    SentenceReading,
    is_passive,
    is_presence,
    read_denials,
    subject_before,
)
from evaluators.checks.text.statements import Polarity, Transcript, Word, transcribe


class PhraseMention(NamedTuple):
    """A place where a text speaks of a phrase."""

    polarity: Polarity
    bounds: frozenset[str]
    first: int
    last: int
    subject: str


def read_polarity(text: str, words: frozenset[str] | None = None) -> list[SentenceReading]:
    """The sentences of a text in order, or at least those in which one of some words stands."""
    transcript = transcribe(text)
    chosen = range(len(transcript)) if words is None else transcript.holding(words)
    return [_read(text, transcript, i) for i in chosen]


_TEXT = itemgetter(0)  # of a word


def denied_phrases(text: str, stems: frozenset[str]) -> list[Phrase]:
    """All that a text denies for certain, of which every word has one of some stems."""
    transcript = transcribe(text)
    return [
        phrase
        for i in transcript.denying
        if any(w.stem in stems and w.text not in NEVER_FIRST for w in transcript.words(i))
        and HEDGES.isdisjoint(map(_TEXT, transcript.words(i)))  # else not plain
        for phrase in _read(text, transcript, i).denied
        if stems.issuperset(phrase.stems)
    ]


def _read(text: str, transcript: Transcript, i: int) -> SentenceReading:
    """One sentence with what it denies, read once."""
    held = _readings(text)
    if i not in held:
        held[i] = read_denials(transcript.statement(i))
    return held[i]


@lru_cache(maxsize=4096)
def _readings(text: str) -> dict[int, SentenceReading]:
    """The sentences of a text that were read, by their number."""
    return {}


def find_mentions(phrase: Phrase, reading: SentenceReading) -> Iterator[PhraseMention]:
    """Every place of a sentence that speaks of the phrase, and what it says of it."""
    words = reading.statement.words
    content = [i for i, w in enumerate(words) if w.text not in TRANSPARENT]
    size = len(phrase.stems)
    for j in range(len(content) - size + 1):
        if all(words[content[j + k]].stem == phrase.stems[k] for k in range(size)):
            first, last = content[j], content[j + size - 1]
            if last - first < size + 3:
                yield _mention(phrase, reading, first, last)


def _mention(phrase: Phrase, reading: SentenceReading, first: int, last: int) -> PhraseMention:
    words = reading.statement.words
    polarity = _polarity(phrase, reading, first, last)
    return PhraseMention(
        polarity, _bounds_after(words, last + 1), first, last, _subject_of(phrase, words, first)
    )


def _subject_of(phrase: Phrase, words: Sequence[Word], first: int) -> str:
    if phrase.verbal and not _after_auxiliary(words, first) and first:
        before = words[first - 1]
        return "" if before.text in PRONOUNS or not before.text[0].isalpha() else before.stem
    return subject_before(words, first)


def _bounds_after(words: Sequence[Word], at: int) -> frozenset[str]:
    found: set[str] = set()
    narrowed = False
    for word in words[at : at + 12]:
        if word.text in BREAKS or word.text in JOINS or word.text in CLAUSE_HEADS:
            break
        if narrowed and word.stem not in IDLE and word.text not in PREPOSITIONS:
            found.add(word.stem)
        narrowed = narrowed or word.text in PREPOSITIONS
    return frozenset(found)


def _polarity(phrase: Phrase, reading: SentenceReading, first: int, last: int) -> Polarity:
    statement, words = reading.statement, reading.statement.words
    if any(
        denied.first <= first <= denied.last and denied.stems == phrase.stems
        for denied in reading.denied
    ):
        return Polarity.NEGATED
    if not reading.plain or not _ends_here(phrase, words, last + 1):
        return Polarity.UNCLEAR
    if _denied_nearby(words, first, last):
        return Polarity.UNCLEAR
    if phrase.inflected != words[first].text.endswith(("ed", "ing")) and not phrase.verbal:
        return Polarity.UNCLEAR
    if statement.asked:
        single = not any(w.text in JOINS for w in words[:-1])
        return statement.answer if single and first and _is_asked(words, first) else _UNCLEAR
    if phrase.verbal:
        stated = _is_done(phrase, words, first)
    else:
        stated = _is_stated(words, first, fragment=not statement.speaker)
    return Polarity.AFFIRMED if stated else Polarity.UNCLEAR


_UNCLEAR = Polarity.UNCLEAR


def _is_asked(words: Sequence[Word], first: int) -> bool:
    before = words[first - 1].text
    return before in DETERMINERS or before in ASSERTING or before == "you"


def _ends_here(phrase: Phrase, words: Sequence[Word], at: int) -> bool:
    """A noun that goes on (`pain medication`), or of which something else is said, is another."""
    if at >= len(words) or phrase.verbal:
        return True
    text = words[at].text
    if text in AUXILIARIES:
        return is_presence(words, at)
    closed = text in BREAKS or text in JOINS or text in CLAUSE_HEADS or text in PREPOSITIONS
    return text != ":" and (closed or text in ADVERBS or not text[0].isalpha())


def _denied_nearby(words: Sequence[Word], first: int, last: int) -> bool:
    """A denial in the same clause of which it is not certain that it reaches the words."""
    for step, at in ((-1, first - 1), (1, last + 1)):
        while 0 <= at < len(words) and words[at].text not in BREAKS:
            text = words[at].text
            if step == 1 and text in JOINS:
                break
            if text in NOT or text in DENIERS or text == "none":
                return True
            at += step
    return False


def _after_auxiliary(words: Sequence[Word], first: int) -> bool:
    at = first - 1
    while at >= 0 and words[at].text in ADVERBS:
        at -= 1
    return at >= 0 and words[at].text in AUXILIARIES


def _is_done(phrase: Phrase, words: Sequence[Word], first: int) -> bool:
    """A verb after an auxiliary of the same voice, or inflected after its subject."""
    if _after_auxiliary(words, first):
        return is_passive(words, first) == phrase.passive
    if phrase.passive or not first:
        return False
    before = words[first - 1]
    finite = words[first].text.endswith(("ed", "s")) or words[first].text != words[first].stem
    return before.text in PRONOUNS or (finite and before.text[0].isalpha() and _is_noun(before))


def _is_noun(word: Word) -> bool:
    others = PREPOSITIONS | TRANSPARENT | CLAUSE_HEADS | HEDGES
    return word.text not in others and not word.text.endswith(("ly", "ing"))


_STOPS = BREAKS | HEDGES | CLAUSE_HEADS | PREPOSITIONS
_BEFORE_NOUN = DEGREES | DETERMINERS


def _is_stated(words: Sequence[Word], first: int, *, fragment: bool) -> bool:
    """Whether a word that asserts governs a noun, alone or in a list.

    Args:
        fragment: nouns alone are a statement (`Mild fever.`), as they are not in a dialogue.
    """
    i = first - 1
    passed = False
    while i >= 0:
        text = words[i].text
        if text in ASSERTING:
            return text != "with" or i == 0 or words[i - 1].text in BARE_WITH
        if text in JOINS:
            passed = True
        elif text in _STOPS or (not passed and text not in _BEFORE_NOUN):
            return False
        i -= 1
    return fragment and not passed
