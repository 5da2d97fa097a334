"""What a sentence denies, by rules in the way of NegEx.

A trigger (`no`, `denies`, `without`, `was not`) denies the phrases that follow it as far as its
scope goes (Chapman et al. 2001, J Biomed Inform 34:301). The scope is cut early here: a sentence
that hedges, that only seems to deny (`not only`, `no longer`), or that denies twice, denies nothing
for certain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from evaluators.checks.polarity_words import (
    ADVERBS,
    ASSERTING,
    AUXILIARIES,
    BREAKS,
    CLAUSE_HEADS,
    DENIERS,
    DETERMINERS,
    GENERIC,
    HEDGES,
    JOINS,
    LIGHT,
    NOT,
    PREPOSITIONS,
    PRESENT,
    PRONOUNS,
    PSEUDO,
    PSEUDO_HEADS,
    TRANSPARENT,
    TRIGGERS,
)
from evaluators.checks.statements import Polarity, Statement, Word

LONGEST = 4
MOST_WORDS = 200  # a longer sentence is no sentence, and is not read


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something denied.

    Attributes:
        stems: of its content words, in order.
        bounds: stems of what narrows it: `no pain` on `palpation`.
        first, last: words of the sentence, from the trigger to the end of the phrase.
        verbal: an action denied by `not`, in the passive if `passive`.
    """

    stems: tuple[str, ...]
    bounds: frozenset[str]
    first: int
    last: int
    subject: str
    verbal: bool = False
    passive: bool = False
    inflected: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence, what it denies, and whether it is plain enough to be a witness."""

    statement: Statement
    denied: tuple[Phrase, ...]
    plain: bool


def read_denials(statement: Statement) -> Reading:
    """A sentence with what it denies."""
    plain = _is_plain(statement)
    return Reading(statement, tuple(_denied(statement)) if plain else (), plain)


def _is_plain(statement: Statement) -> bool:
    """Whether nothing in the sentence hedges it or only seems to deny."""
    words = statement.words
    if len(words) > MOST_WORDS or not HEDGES.isdisjoint(statement.texts):
        return False
    if PSEUDO_HEADS.isdisjoint(statement.texts):
        return True
    return not any((a.text, b.text) in PSEUDO for a, b in pairwise(words))


def _denied(statement: Statement) -> list[Phrase]:
    """What a sentence denies for certain; a question denies what its plain `no` answers."""
    if TRIGGERS.isdisjoint(statement.texts):
        return []
    if statement.asked and statement.answer is not Polarity.NEGATED:
        return []
    triggers = list(_triggers(statement))
    if not triggers:
        return []
    ends = [at for at, *_ in triggers[1:]] + [len(statement.words)]
    found: list[Phrase] = []
    doubled = False
    for (at, begin, sure), limit in zip(triggers, ends, strict=True):
        scope = _scope_end(statement.words, begin, limit)
        # Two denials without a break between them may cancel out, so neither counts.
        alone, doubled = not doubled, limit < len(statement.words) and scope == limit
        if alone and not doubled:
            found += _phrases(statement.words, at, begin, scope, sure)
    return found


def _triggers(statement: Statement) -> Iterator[tuple[int, int, bool]]:
    """(place, where the scope begins, whether it surely spans a list) of each trigger."""
    words = statement.words
    for i, word in enumerate(words):
        text = word.text
        if statement.asked:
            if (text == "any" and not (i and words[i - 1].text == "in")) or (
                i == 1 and text == "you" and _asks_of_you(statement)
            ):
                yield i, i + 1, True
        elif text in NOT:
            if text == "never" or (i and words[i - 1].text in AUXILIARIES):
                yield i, i + 1, False
        elif text in DENIERS and _denies(words, i):
            yield i, _after_lead(words, i + 1), text not in ("no", "without")


def _asks_of_you(statement: Statement) -> bool:
    """`Do you smoke?`, and not `Do you have any pain?`, where `any` leads."""
    return statement.words[0].text in ("do", "did", "have") and "any" not in statement.texts


def _denies(words: Sequence[Word], at: int) -> bool:
    """`denied chest pain` and `negative for strep`, not `denied the claim`, `was denied`."""
    following = words[at + 1].text if at + 1 < len(words) else ""
    if words[at].text == "negative":
        return following == "for"
    if words[at].text != "denied":
        return True
    before = words[at - 1].text if at else ""
    return following not in DETERMINERS - {"any"} and before not in AUXILIARIES


_LEADS = ("evidence", "sign", "signs", "symptom", "symptoms", "complaint", "complaints", "presence")


def _after_lead(words: Sequence[Word], at: int) -> int:
    """Past `for`, `any` and `evidence of`."""
    while at < len(words) and words[at].text in ("for", "any"):
        at += 1
    if at + 1 < len(words) and words[at].text in _LEADS and words[at + 1].text == "of":
        return at + 2
    return at


def _scope_end(words: Sequence[Word], begin: int, limit: int) -> int:
    for i in range(begin, limit):
        if words[i].text in BREAKS or (words[i].text in CLAUSE_HEADS and i > begin):
            return i
    return limit


def _phrases(words: Sequence[Word], at: int, begin: int, end: int, sure: bool) -> Iterator[Phrase]:
    verbal = words[at].text in NOT or words[at].text == "you"
    chunks, joins = _split(words, begin, end)
    whole = sure or any(join in ("or", "nor", "/") for join in joins)
    followed = words[end].text if end < len(words) else ""
    for number, chunk in enumerate(chunks):
        last = number == len(chunks) - 1
        if number and not (whole and set(joins[:number]) <= {",", "or", "nor", "/", "and"}):
            return
        if number and not sure and "and" in joins[:number]:
            return
        if last and followed in AUXILIARIES and not is_presence(words, end):
            return
        phrase = _phrase(words, chunk, at, verbal=verbal and not number)
        if phrase is not None:
            yield phrase
        elif not number:
            return


def list_phrases(words: Sequence[Word], at: int, begin: int) -> list[Phrase]:
    """The members of the list that begins at a place, after the verb that governs it."""
    end = _scope_end(words, begin, len(words))
    return list(_phrases(words, at, begin, end, sure=True))


def is_presence(words: Sequence[Word], at: int) -> bool:
    """`no fever was noted` denies the fever; `no refund was promised` does not deny a refund."""
    return at + 1 < len(words) and words[at + 1].text in PRESENT


def _split(words: Sequence[Word], begin: int, end: int) -> tuple[list[range], list[str]]:
    """Members of a list, and what joins each to the next."""
    chunks, joins, start, i = [], [], begin, begin
    while i < end:
        if words[i].text in JOINS:
            if i > start:
                chunks.append(range(start, i))
                joins.append(words[i].text)
            elif joins:
                joins[-1] = words[i].text  # `, or` joins as `or` does
            start = i + 1
        i += 1
    if start < end:
        chunks.append(range(start, end))
    return chunks, joins


def _phrase(words: Sequence[Word], chunk: range, at: int, *, verbal: bool) -> Phrase | None:
    core, bounds, light = _core(words, chunk)
    if not core or len(core) > LONGEST:
        return None
    verbal = verbal and not light
    stems = tuple(words[i].stem for i in core)
    if len(stems) == 1 and (stems[0] in GENERIC or len(stems[0]) < 3):
        return None
    first = words[core[0]]
    return Phrase(
        stems,
        bounds,
        at,
        core[-1],
        subject_before(words, at),
        verbal=verbal,
        passive=verbal and at > 0 and is_passive(words, at),
        inflected=first.text.endswith(("ed", "ing")),
    )


def _core(words: Sequence[Word], chunk: range) -> tuple[list[int], frozenset[str], bool]:
    """Content words up to the first preposition, the stems after it, and if a light verb led."""
    core: list[int] = []
    bounds: set[str] = set()
    light = narrowed = False
    for i in chunk:
        text = words[i].text
        if not core and text in LIGHT:
            light = True
        elif text in PREPOSITIONS and core:
            narrowed = True
        elif narrowed:
            bounds |= {words[i].stem} - IDLE
        elif text in TRANSPARENT or (not core and (text in ADVERBS or text in PREPOSITIONS)):
            continue
        elif not text[0].isalnum():
            narrowed = True
        else:
            core.append(i)
    return core, frozenset(bounds), light


IDLE = frozenset(DETERMINERS | PRONOUNS | TRANSPARENT | {","})


def is_passive(words: Sequence[Word], at: int) -> bool:
    """Whether a form of `be` stands before a place, adverbs and `not` left out."""
    at -= 1
    while at >= 0 and (words[at].text in ADVERBS or words[at].text in NOT):
        at -= 1
    return at >= 0 and words[at].text in ("was", "were", "is", "are", "am", "be", "been", "being")


def subject_before(words: Sequence[Word], at: int) -> str:
    """Stem of the noun that the clause at a place speaks of; empty for a pronoun or none."""
    i = at
    while i > 0 and words[i - 1].text not in BREAKS:
        i -= 1
        if words[i].text in AUXILIARIES or words[i].text in ASSERTING or words[i].text in DENIERS:
            while i > 0 and (words[i - 1].text in AUXILIARIES or words[i - 1].text in ADVERBS):
                i -= 1
            before = words[i - 1].text if i else ""
            content = before[:1].isalpha() and before not in PRONOUNS | BREAKS | CLAUSE_HEADS
            return words[i - 1].stem if content else ""
    if at and words[at].text in DENIERS and words[at - 1].text not in PRONOUNS:
        return words[at - 1].stem if words[at - 1].text[0].isalpha() else ""
    return ""
