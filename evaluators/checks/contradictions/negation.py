"""Negation flips: what the source denies and the output states, and the other way round.

A flip is called only where both texts are plain: the same phrase, every mention of it in the source
with the same polarity, the same time, the same person, nothing that narrows one side alone. What
one of them denies and both agree on is a claim that holds. The words of the source are quoted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from evaluators.checks.contradictions.denials import (
    DENIERS,
    KIN,
    NOT,
    TIMES,
    Phrase,
    SentenceReading,
)
from evaluators.checks.contradictions.polarity import (
    PhraseMention,
    denied_phrases,
    find_mentions,
    read_polarity,
)
from evaluators.checks.facts.numerals import is_german
from evaluators.checks.text.claims import OutputClaim, quote
from evaluators.checks.text.content import forms_of, stems_of
from evaluators.checks.text.statements import Polarity, Statement

MOST_MENTIONS = 40  # beyond that nothing is certain, and no text takes forever
# Without one of these a text denies nothing, and is not read; `t` is what is left of `don't`.
_CUES = frozenset({*DENIERS, *NOT, "t", "nope", "nah", "none"})
_PEOPLE = frozenset({"patient", "pt", "customer", "client", "caller", "user", "member"})
_ROLES = _PEOPLE | {"agent", "doctor"}
_SELF = frozenset({"i", "my", "we", "our", "me"})

Places = Mapping[str, Sequence[int]]
Judged = tuple[Statement, int, int, str | None]  # first and last word, and what is wrong


def check_negations(
    output: str, source: str, words: frozenset[str], source_words: frozenset[str]
) -> Iterator[OutputClaim]:
    """A claim for each phrase that one text denies and the other states or denies as well.

    Args:
        words, source_words: the distinct case-folded words of both. German is not read.
    """
    if is_german(words):
        return
    denied_here = _shared(output, words, source_words)
    denied_there = _shared(source, source_words, words)
    wanted = {stem for phrase in (*denied_here, *denied_there) for stem in phrase.stems}
    if not wanted:
        return
    said, told = read_holding(output, words, wanted), read_holding(source, source_words, wanted)
    there = index_stems(told, wanted)
    for statement, first, last, problem in (
        *_check_denials(said, told, there, source),
        *_check_assertions(said, told, there, denied_there, source),
    ):
        yield OutputClaim(*statement.place(output, first, last), "negation", problem)


def _shared(text: str, words: frozenset[str], other_words: frozenset[str]) -> list[Phrase]:
    """What a text denies, each once, of which the other text has all words; few sentences do."""
    if words.isdisjoint(_CUES):
        return []
    found = denied_phrases(text, stems_of(other_words))
    return list({phrase.stems: phrase for phrase in found}.values())


def read_holding(text: str, words: frozenset[str], wanted: Set[str]) -> list[SentenceReading]:
    """The sentences of a text that may hold one of some stems; `words` are all of its words."""
    return read_polarity(text, forms_of(wanted, words))


def index_stems(readings: Sequence[SentenceReading], wanted: Set[str]) -> dict[str, list[int]]:
    """Sentences that hold each of some stems."""
    places: dict[str, list[int]] = {}
    for number, reading in enumerate(readings):
        for stem in reading.statement.stems & wanted:
            places.setdefault(stem, []).append(number)
    return places


def find_all(phrase: Phrase, readings: Sequence[SentenceReading], places: Places) -> Found:
    """Every mention of a phrase; none at all where there are too many to be certain."""
    held = [places.get(stem, ()) for stem in phrase.stems]
    rarest = min(held, key=len)
    if len(rarest) > MOST_MENTIONS:
        return []
    return [
        (readings[number], mention)
        for number in rarest
        if all(stem in readings[number].statement.stems for stem in phrase.stems)
        for mention in find_mentions(phrase, readings[number])
    ]


def _check_denials(
    said: Sequence[SentenceReading], told: Sequence[SentenceReading], there: Places, source: str
) -> Iterator[Judged]:
    """What the output denies, against the source."""
    for reading in said:
        for phrase in () if reading.statement.asked else reading.denied:
            found = find_all(phrase, told, there)
            if {mention.polarity for _, mention in found} == {Polarity.NEGATED}:
                yield reading.statement, phrase.first, phrase.last, None
            if {mention.polarity for _, mention in found} == {Polarity.AFFIRMED}:
                for held, mention in found:
                    if _is_same_matter(phrase, reading.statement, mention, held.statement):
                        problem = f"the source states it: {_quote(held.statement, source)}"
                        yield reading.statement, phrase.first, phrase.last, problem
                        break


def _check_assertions(
    said: Sequence[SentenceReading],
    told: Sequence[SentenceReading],
    there: Places,
    denied_there: Sequence[Phrase],
    source: str,
) -> Iterator[Judged]:
    """What the source denies, against the output."""
    here = index_stems(said, {stem for phrase in denied_there for stem in phrase.stems})
    for phrase in denied_there:
        if not all(stem in here for stem in phrase.stems):
            continue
        stated = find_all(phrase, said, here)
        if {mention.polarity for _, mention in stated} != {Polarity.AFFIRMED}:
            continue
        found = find_all(phrase, told, there)
        if {mention.polarity for _, mention in found} == {Polarity.NEGATED}:
            yield from _flips(phrase, stated, found, source)


def _flips(phrase: Phrase, stated: Found, found: Found, source: str) -> Iterator[Judged]:
    """The first statement of the output that a denial of the source contradicts."""
    for reading, mention in stated:
        for held, _ in found:
            for denied in held.denied:
                if denied.stems == phrase.stems and _is_same_matter(
                    denied, held.statement, mention, reading.statement
                ):
                    problem = f"the source denies it: {_quote(held.statement, source)}"
                    yield reading.statement, mention.first, mention.last, problem
                    return


def _is_same_matter(
    denied: Phrase, denying: Statement, mention: PhraseMention, stating: Statement
) -> bool:
    """Whether a denial and a statement speak of one thing, at one time, of one person."""
    return (
        denied.bounds <= stating.stems
        and (denied.verbal or mention.bounds <= denying.stems)
        and _marks(denying, TIMES) == _marks(stating, TIMES)
        and _kin(denying) == _kin(stating)
        and _is_same_subject(denied.subject, mention.subject)
        and _is_same_side(denying, stating)
    )


def _marks(statement: Statement, marks: frozenset[str]) -> frozenset[str]:
    return marks & statement.texts


def _kin(statement: Statement) -> set[str]:
    return {KIN[text] for text in statement.texts if text in KIN}


def _is_same_subject(one: str, other: str) -> bool:
    if not one or not other or one == other:
        return True
    return (one in _PEOPLE) != (other in _PEOPLE) and not {one, other} & {"agent", "doctor"}


def _is_same_side(one: Statement, other: Statement) -> bool:
    """`Agent: I have no record` says nothing of the customer's record."""
    first, second = _speaking(one), _speaking(other)
    return not first or not second or first == second


def _speaking(statement: Statement) -> str:
    """Who speaks of himself in a line of a dialogue, or whom a plain sentence names."""
    if statement.speaker and statement.texts & _SELF:
        return statement.speaker
    named = statement.texts & _ROLES
    return min(named) if len(named) == 1 and not statement.asked else ""


def _quote(statement: Statement, source: str) -> str:
    return quote(source[statement.start : statement.end])


Found = list[tuple[SentenceReading, PhraseMention]]
