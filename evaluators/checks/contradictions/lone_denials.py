"""Lone denials: the output says `not` where the source says the same without any word of denial.

`The bill does not require a licence` `The bill requires every driver to hold a licence`.
Weaker than `negation`, which compares whole phrases: here the clause that is denied and a sentence
of the source need share the verb and what stands about it. A denial is called lone where such
a sentence is plainly positive and no sentence that shares as much, nor its neighbours, holds a word
of denial, of refusal, of failing or of doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evaluators.checks.contradictions.denials import ADVERBS, BREAKS, PSEUDO
from evaluators.checks.text.claims import OutputClaim, quote, word_set
from evaluators.checks.text.content import forms_of, is_content
from evaluators.checks.text.statements import (
    Polarity,
    Statement,
    Transcript,
    Word,
    stem_set,
    transcribe,
)

_NOT = frozenset({"not", "n't", "never", "nicht", "nie", "niemals"})
_FAILING = word_set("fail failed fails unable refuse refused refuses declined declines")
# `t` is what is left of `don't`.
_CUES = _NOT | _FAILING | {"t", "cannot"}
_COUNTER = stem_set(
    "not n't never no nor neither none nobody nothing nowhere without hardly barely rarely "
    "seldom scarcely deny denied denies fail failed fails failure refuse refused unable "
    "inability lack lacks lacked absence absent decline declined reject rejected stop "
    "stopped cease ceased avoid avoided prevent prevented prohibit prohibited ban banned "
    "forbid forbidden unlikely few only against refrain "
    "limited nope nah cannot wrong negative unless however disagree impossible unclear "
    "trouble difficult difficulty discontinue remain remained maximum instead uncertain "
    "doubt doubtful "
    "nicht kein keine keinen keiner nie niemals ohne weder noch verweigert abgelehnt kaum"
)
# Said of so much that they tell nothing of what is denied.
_LIGHT = stem_set(
    "have had having know think want need make made take taking taken give given get got "
    "go going went come feel felt see seen look say said tell told try use used seem able "
    "find found like keep put let mean help call become became happen sure much many well "
    "good better worse enough"
)
# A denial under one of these is no plain statement.
_OPEN = word_set(
    "if whether may might unless sole solely every everyone everything "
    "everybody necessarily always entirely perhaps maybe possibly until"
)
_AFTER = 4  # content words after the denial that belong to what is denied
_BEFORE = 3
_NEAR = 40  # words from the denial within which they stand
MOST_SENTENCES = 40


def check_lone_denials(
    output: str, source: str, words: frozenset[str], source_words: frozenset[str]
) -> Iterator[OutputClaim]:
    """A claim for each denial of the output that nothing in the source answers to.

    Args:
        words, source_words: the distinct case-folded words of both.
    """
    if words.isdisjoint(_CUES):
        return
    transcript = transcribe(output)
    for i in range(len(transcript)):
        statement = transcript.statement(i)
        if statement.asked or _CUES.isdisjoint(statement.texts):
            continue
        if output[statement.start : statement.end] in source:
            continue
        for at in range(len(statement.words) - 1):
            if _denies(statement.words, at):
                claim = _check(output, source, source_words, statement, at)
                if claim is not None:
                    yield claim


def _denies(words: Sequence[Word], at: int) -> bool:
    """`not`, and `failed to` or `unable to`; but not `not only`."""
    text, following = words[at].text, words[at + 1].text
    if text in _FAILING:
        return following == "to"
    return (text in _NOT or text == "cannot") and (text, following) not in PSEUDO


def _check(
    output: str, source: str, source_words: frozenset[str], statement: Statement, at: int
) -> OutputClaim | None:
    clause = _clause(statement.words, at)
    if clause is None:
        return None
    head, about, last = clause
    witness = _witness(
        source, head, about, forms_of({head}, source_words), forms_of(about, source_words)
    )
    if witness is None:
        return None
    told = quote(source[witness.start : witness.end])
    return OutputClaim(
        *statement.place(output, at, last), "negation", f"the source states it: {told}"
    )


def _clause(words: Sequence[Word], at: int) -> tuple[str, frozenset[str], int] | None:
    """The stem of what is denied first, the stems about it, and the place of that first word."""
    after = _content(words, range(at + 1, min(len(words), at + 1 + _NEAR)), _AFTER)
    before = _content(words, range(at - 1, max(-1, at - 1 - _NEAR), -1), _BEFORE)
    if not after or any(word.text in _OPEN for word in words[max(0, at - 6) : at + 4]):
        return None
    head = next((i for i in after if words[i].stem not in _LIGHT), None)
    if head is None:
        return None
    about = frozenset(words[i].stem for i in (*after, *before) if i != head) - _LIGHT
    return words[head].stem, about, head


def _content(words: Sequence[Word], places: range, most: int) -> list[int]:
    found: list[int] = []
    for i in places:
        if words[i].text in BREAKS or len(found) == most:
            break
        if is_content(words[i].text) and words[i].text not in ADVERBS:
            found.append(i)
    return found


def _witness(
    source: str,
    head: str,
    about: frozenset[str],
    head_forms: frozenset[str],
    about_forms: frozenset[str],
) -> Statement | None:
    """The positive sentence that shares most with what is denied, if none that denies does."""
    transcript, counter = transcribe(source), _COUNTER - {head}
    best: Statement | None = None
    most = least = 0
    places = list(transcript.holding(head_forms | about_forms)) if about_forms else []
    if len(places) > MOST_SENTENCES:
        return None
    for i in places:
        bare = transcript.bare(i)
        may_hold = any(map(bare.__contains__, head_forms))
        if HEAD * may_hold + sum(map(bare.__contains__, about_forms)) < LEAST:
            continue
        statement = transcript.statement(i)
        held = head in statement.stems
        shared = len(about & statement.stems) + HEAD * held
        if _is_countered(transcript, i, counter):
            least = max(least, shared)
        elif (
            shared > most
            and (not statement.asked or statement.answer is Polarity.AFFIRMED)
            and (held or shared >= UNHELD)
        ):
            best, most = statement, shared
    return best if most >= LEAST and most > least else None


def _is_countered(transcript: Transcript, i: int, counter: frozenset[str]) -> bool:
    """Whether the sentence denies, or what is said next in a dialogue does."""
    statement = transcript.statement(i)
    if not counter.isdisjoint(statement.stems):
        return True
    if not statement.speaker and not statement.asked:
        return False
    following = range(i + 1, min(i + 1 + REPLIES, len(transcript)))
    return any(not counter.isdisjoint(transcript.statement(j).stems) for j in following)


UNHELD = 5  # content words shared that make up for the denied one
LEAST = 3
HEAD = 2
REPLIES = 2  # sentences of a dialogue that may take back what is said
