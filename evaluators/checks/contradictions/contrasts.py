"""Contrasts: the output says one thing where the source says its opposite of the same matter.

`Revenue rose` against `revenue fell`, `approved` against `rejected`, `the left knee` against
`the right knee`: directions, polarity verbs and antonyms, by the axes of `opposites`. A contrast is
called only where the source holds the opposite and no word of the output's own pole in a sentence
that shares words with the output's, a shared word stands near both, and neither sentence denies,
excepts, asks or names both poles. Words that both may be true of one event, told from either side
(`bought` and `sold`, `starts` and `ends`), are no contrast, nor are two comparisons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evaluators.checks.contradictions.alternatives import ALTERNATIVES
from evaluators.checks.contradictions.denials import DENIERS, NOT
from evaluators.checks.contradictions.opposites import OPPOSITES, Pole
from evaluators.checks.text.claims import OutputClaim, quote
from evaluators.checks.text.content import forms_of, is_content, stems_of, with_stems
from evaluators.checks.text.memo import remembered
from evaluators.checks.text.statements import (
    Polarity,
    Statement,
    Word,
    stem_set,
    stem_word,
    transcribe,
)

NEAR = 3  # content words on either side that tell what a word is said of
RIGHT_AFTER = 2  # words: `funktioniert nicht`
MOST_PLACES = 40  # beyond that nothing is certain, and no text takes forever
_DENYING = frozenset({*NOT, *DENIERS, "nor", "neither", "none", "nicht", "kein", "keine", "keinen",
                      "nie", "ohne", "cannot", "nothing", "hardly"})  # fmt: skip
_EXCEPTING = frozenset({"except", "unless", "besides", "außer"})
# One event has both: who buys has a seller, and what starts ends.
_EITHER_SIDE = stem_set(
    "buy bought purchase acquire acquisition buyer lend lent lender borrow borrower arrive "
    "arrival arrived depart departure departed teach taught learn learned learnt answer "
    "answered reply ask asked inquire import export income revenue expense expenditure "
    "supply demand cause effect consequence entrance entry exit end ended finish conclude "
    "gekauft kaufte kaufen kauf verkauft verkaufte verkaufen verkauf endet endete ende"
)
_THAN = frozenset({"than", "als"})
# What is measured tells nothing of what it is measured of.
_MEASURES = stem_set(
    "percent prozent million millions billion billions thousand hundred dollars euro euros "
    "pounds points quarter quartal monday tuesday wednesday thursday friday saturday "
    "sunday montag dienstag mittwoch donnerstag freitag samstag sonntag"
)


class PoleWord(NamedTuple):
    """A word on a pole: its sentence, and the stems of the words that tell what it is said of.

    Attributes:
        denied: whether a word of denial stands before it or right after, anywhere in the sentence,
            and whether the sentence excepts something.
    """

    statement: Statement
    at: int
    near: frozenset[str]
    content: frozenset[str]
    beside: tuple[str, str]
    denied: tuple[bool, bool, bool]


def check_contrasts(
    output: str, source: str, words: frozenset[str], source_words: frozenset[str]
) -> Iterator[OutputClaim]:
    """A claim for each word of the output whose opposite the source says of the same matter.

    Args:
        words, source_words: the distinct case-folded words of both.
    """
    told = stems_of(source_words)
    for word, poles in _said(output, words, source_words, told):
        for pole in poles:
            # A word that the source has too is read only where it is bound to what follows.
            if told.isdisjoint(pole.other) or (not pole.bound and stem_word(word) in told):
                continue
            claim = _compare(output, source, word, pole, source_words)
            if claim is not None:
                yield claim
                break


def _said(
    output: str, words: frozenset[str], source_words: frozenset[str], told: frozenset[str]
) -> Iterator[tuple[str, tuple[Pole, ...]]]:
    """Words of the output that are on a pole, by a list or by their prefix."""
    for word, stem in with_stems(words):
        poles = _POLES.get(stem)
        if poles is not None:
            yield word, poles
        elif word not in source_words and _may_turn(word):
            pole = _prefixed(word, source_words, told)
            if pole is not None and f"-{word}" not in output:
                yield word, (pole,)


_POLES: dict[str, tuple[Pole, ...]] = {
    stem: OPPOSITES.get(stem, ()) + ALTERNATIVES.get(stem, ())
    for stem in OPPOSITES.keys() | ALTERNATIVES.keys()
    if stem not in _EITHER_SIDE
}
_PREFIX = re.compile(r"(?:un|non|in(?!f|t|st|v|d|k|e)|im|ir|il|dis|mis|de)(?=[a-z]{4})")
_TURNING = ("un", "non", "in", "im", "dis")
_ADJECTIVE = re.compile(r"(?:able|ible|ed|al|ive|ate|ent|ant|ful|ic|ous|ly|ar|ary|ing|ty|er|aid)$")


@remembered
def _may_turn(word: str) -> bool:
    return len(word) > 3 and _ADJECTIVE.search(word) is not None


def _prefixed(word: str, source_words: frozenset[str], told: frozenset[str]) -> Pole | None:
    """`unpaid` against `paid`, and the other way round, where the output's word is told nowhere."""
    prefix = _PREFIX.match(word)
    others = [word[prefix.end() :]] if prefix else [p + word for p in _TURNING]
    found = next((other for other in others if other in source_words), None)
    if found is None or (stem := stem_word(word)) in told:
        return None
    return Pole("antonym", frozenset({stem}), frozenset({stem_word(found)}))


def _compare(
    output: str, source: str, word: str, pole: Pole, source_words: frozenset[str]
) -> OutputClaim | None:
    here = [
        place
        for place in _places(output, frozenset({word}), pole.other)
        if output[place.statement.start : place.statement.end] not in source
    ]
    about = forms_of({stem for place in here for stem in place.content}, source_words)
    if not about or len(here) > MOST_PLACES:
        return None
    opposite = list(_places(source, forms_of(pole.other, source_words), pole.same, about))
    if not any(place.near & other.near for place in here for other in opposite[:MOST_PLACES]):
        return None
    alike = list(_places(source, forms_of(pole.same, source_words), frozenset(), about))
    for place in here if len(opposite) + len(alike) <= MOST_PLACES else ():
        held = _contradicting(place, opposite, alike, pole, stems_of(source_words))
        if held is not None:
            start, end = place.statement.place(output, place.at, place.at)
            other = held.statement.words[held.at].text
            quoted = quote(source[held.statement.start : held.statement.end])
            return OutputClaim(start, end, pole.kind, f"the source says {other!r}: {quoted}")
    return None


def _places(
    text: str, forms: frozenset[str], excluded: frozenset[str], about: frozenset[str] | None = None
) -> Iterator[PoleWord]:
    """Sentences with a word in one of some forms and none of the other pole.

    Args:
        about: words of which one has to stand there too.
    """
    transcript = transcribe(text)
    for i in transcript.holding(forms) if forms else ():
        if about is not None and not any(map(transcript.bare(i).__contains__, about)):
            continue
        statement = transcript.statement(i)
        if forms.isdisjoint(statement.texts) or not excluded.isdisjoint(statement.stems):
            continue
        if statement.asked and statement.answer is not Polarity.AFFIRMED:
            continue
        for at, found in enumerate(statement.words):
            if found.text in forms:
                yield _place(statement, at)


def _place(statement: Statement, at: int) -> PoleWord:
    words = statement.words
    content = [i for i, w in enumerate(words) if is_content(w.text) and w.stem not in _MEASURES]
    before = [words[i].stem for i in content if i < at][-NEAR:]
    after = [words[i].stem for i in content if i > at][:NEAR]
    others = frozenset(words[i].stem for i in content if i != at)
    beside = (before[-1] if before else "", after[0] if after else "")
    return PoleWord(statement, at, frozenset((*before, *after)), others, beside, _denial(words, at))


def _denial(words: Sequence[Word], at: int) -> tuple[bool, bool, bool]:
    places = [i for i, w in enumerate(words) if i != at and w.text in _DENYING]
    close = any(i < at or i - at <= RIGHT_AFTER for i in places)
    return close, bool(places), any(w.text in _EXCEPTING for w in words)


def _contradicting(
    place: PoleWord,
    opposite: Sequence[PoleWord],
    alike: Sequence[PoleWord],
    pole: Pole,
    told: frozenset[str],
) -> PoleWord | None:
    """The sentence of the source that says the opposite of the same matter for certain."""
    opposite = [other for other in opposite if other.denied == place.denied]
    if not _THAN.isdisjoint(place.statement.texts):
        opposite = [other for other in opposite if _THAN.isdisjoint(other.statement.texts)]
    opposite = [other for other in opposite if not _is_of_another(place, other, told)]
    if pole.bound:
        opposite = [other for other in opposite if _is_same_thing(place, other)]
        alike = [other for other in alike if _is_same_thing(place, other)]
    best = max(opposite, key=lambda other: _shared(place, other), default=None)
    if best is None or any(place.content & other.content for other in alike):
        return None
    if pole.bound:
        return best
    near, shared = _shared(place, best)
    beside = pole.kind != "entity" and _side_by_side(place, best)
    sure = near > 1 or (near == 1 and not alike and (shared > 1 or beside))
    return best if sure else None


def _is_of_another(one: PoleWord, other: PoleWord, told: frozenset[str]) -> bool:
    """Whether what stands right before the word is told in the source, but not in that sentence."""
    before = one.beside[0]
    return before in told and before not in other.content


def _is_same_thing(one: PoleWord, other: PoleWord) -> bool:
    return one.beside[1] != "" and one.beside[1] == other.beside[1]


def _side_by_side(one: PoleWord, other: PoleWord) -> bool:
    """`Revenue rose` and `revenue fell`, `the left knee` and `the right knee`."""
    straight = any(a and a == b for a, b in zip(one.beside, other.beside, strict=True))
    return straight or any(
        a and a == b for a, b in zip(one.beside, other.beside[::-1], strict=True)
    )


def _shared(one: PoleWord, other: PoleWord) -> tuple[int, int]:
    return len(one.near & other.near), len(one.content & other.content)
