"""Swapped roles: the source says who did what to whom, and the output says it the other way round.

Three kinds. `Anna paid Ben` against `Ben paid Anna` (passive voice and `to` are read: `Ben was
paid by Anna` is the former). `from X to Y` against `from Y to X`. An illness or a possession of a
relative against the same of the patient, or of another relative. A swap is called only where the
source never says it the output's way; what both say alike is a claim that holds.

Whose illness it is: what the source says of a relative and the output of the patient.

Also the other way round, and of another relative. Called only where every mention of the thing in
the source is of a relative (or none is), and the output says plainly whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from evaluators.checks.contradictions.denials import (
    ADVERBS,
    AUXILIARIES,
    BREAKS,
    CLAUSE_HEADS,
    HEDGES,
    JOINS,
    KIN,
    NOT,
    PREPOSITIONS,
    PRONOUNS,
    TRANSPARENT,
    Phrase,
    SentenceReading,
    list_phrases,
)
from evaluators.checks.contradictions.negation import Found, find_all, index_stems
from evaluators.checks.contradictions.polarity import read_polarity
from evaluators.checks.text.claims import OutputClaim, quote, word_set
from evaluators.checks.text.content import stems_of
from evaluators.checks.text.statements import Polarity, Statement, stem_set, stem_word

_HAVING = frozenset({"has", "had", "have", "developed", "develops"})
_HAVING_PAIRS = frozenset({("diagnosed", "with"), ("died", "of"), ("suffers", "from"),
                           ("suffered", "from"), ("died", "from")})  # fmt: skip
_VERBS = _HAVING | {verb for verb, _ in _HAVING_PAIRS}
_PATIENT = frozenset({"patient", "pt", "he", "she"})
_NOBODY = frozenset({"family", "partner"})
NEIGHBOURS = 2
SELF = "patient"


def check_kin(
    output: str, source: str, words: frozenset[str], source_words: frozenset[str]
) -> Iterator[OutputClaim]:
    """A claim for each thing that one text says of a relative and the other of someone else.

    Args:
        words, source_words: the distinct case-folded words of both.
    """
    here = not words.isdisjoint(KIN)
    if not here and source_words.isdisjoint(KIN):
        return
    owned = [
        (reading.statement, phrase)
        for reading in read_polarity(output, _VERBS)
        for phrase in _owned(reading.statement, in_kin=here)
    ]
    stems = stems_of(source_words) if owned else frozenset()
    shared = [(said, phrase) for said, phrase in owned if stems.issuperset(phrase.stems)]
    if not shared:
        return
    told = read_polarity(source)
    places = index_stems(told, {stem for _, phrase in shared for stem in phrase.stems})
    for statement, phrase in shared:
        problem = _problem(statement, find_all(phrase, told, places), told, source)
        if problem is not None:
            yield OutputClaim(*statement.place(output, phrase.first, phrase.last), "role", problem)


def kin_of(statement: Statement) -> frozenset[str]:
    """Relatives that a sentence names."""
    return frozenset(KIN[text] for text in statement.texts if text in KIN)


def _owned(statement: Statement, *, in_kin: bool) -> Iterator[Phrase]:
    """What a plain sentence says that its one subject has."""
    words, kin = statement.words, kin_of(statement)
    if statement.asked or len(kin) > 1 or kin & _NOBODY:
        return
    owners = {text for text, named in KIN.items() if named in kin} if kin else _PATIENT
    for i, word in enumerate(words[1:], 1):
        pair = (words[i - 1].text, word.text)
        if word.text not in _HAVING and pair not in _HAVING_PAIRS:
            continue
        before = [w.text for w in words[max(0, i - 3) : i]]
        plain_pronoun = not in_kin or not {"he", "she"} & set(before)
        if owners & set(before) and (kin or plain_pronoun):
            yield from list_phrases(words, i, i + 1)
            return


def _problem(
    saying: Statement, found: Found, told: Sequence[SentenceReading], source: str
) -> str | None:
    """Why the owner is another, or None."""
    if not found or any(mention.polarity is not Polarity.AFFIRMED for _, mention in found):
        return None
    if len({id(reading) for reading, _ in found}) < len(found):
        return None  # said twice in one sentence: of two people, perhaps
    whose, holders = kin_of(saying), [_holder(reading.statement) for reading, _ in found]
    if not all(holders) or any(kin & _NOBODY for kin in holders):
        return None
    first = found[0][0].statement
    told_so = quote(source[first.start : first.end])
    if not whose and all(SELF not in kin for kin in holders):
        return f"the source says it of the {' and the '.join(sorted(holders[0]))}: {told_so}"
    around = frozenset().union(*(_kin_around(told, told.index(reading)) for reading, _ in found))
    if whose and not around & (whose | _NOBODY):
        return f"the source does not say it of the {min(whose)}: {told_so}"
    return None


def _holder(statement: Statement) -> frozenset[str]:
    """Whom a sentence of the source speaks of: relatives, the patient, or nobody for certain."""
    own = statement.speaker == "" or statement.speaker in _PATIENT
    kin = kin_of(statement)
    if kin:
        return kin if own or "my" not in statement.texts else frozenset()
    named = "patient" in statement.texts or "i" in statement.texts
    return frozenset({SELF}) if own and named else frozenset()


def _kin_around(told: Sequence[SentenceReading], at: int) -> frozenset[str]:
    near = told[max(0, at - NEIGHBOURS) : at + NEIGHBOURS + 1]
    return frozenset().union(*(kin_of(reading.statement) for reading in near))


MOST_ALIKE = 40  # deeds of one verb that are compared, so that no text takes forever
_NAME = (
    r"(?:(?:Mrs?|Ms|Dr)\.?\s)?[A-ZÀ-Þ][\w'’-]{0,40}(?:\s[A-ZÀ-Þ][\w'’-]{0,40}){0,2}"
    r"|[Tt]he\s[a-z]{3,20}"
)
_HELP = (
    r"(?:(?:has|had|have|will|did|also|then|later|already|just|recently|still|now|never|not)\s)"
    r"{0,3}"
)
_BE = r"(?:was|were|is|are|has\sbeen|had\sbeen|have\sbeen|will\sbe|being)\s"
_BEGINS = r"\b(?=[A-ZÀ-Þ]|the\s)"  # changes nothing but the time: as every name does
_ACTIVE = re.compile(
    rf"{_BEGINS}({_NAME})\s{_HELP}([a-z]{{3,20}})\s(?:to\s|from\s)?({_NAME})(?![\w'’])"
)
_CARRIED = re.compile(
    rf"{_BEGINS}({_NAME})\s{_HELP}([a-z]{{3,20}})(?:\s[^\s.!?;]{{1,20}}){{1,5}}?\s(to|from)\s({_NAME})"
    r"(?![\w'’])"
)
_GOAL = re.compile(r"\s(?:to|from)\s(?:[A-ZÀ-Þ]|[Tt]he\s)")  # in each of these, found faster
_PASSIVE = re.compile(
    rf"{_BEGINS}({_NAME})\s{_BE}(?:\w+ly\s)?([a-z]{{3,20}})(?:\s[^\s.!?;]{{1,20}}){{0,5}}?\sby\s({_NAME})"
    r"(?![\w'’])"
)
_WAY = re.compile(
    r"\bfrom\s((?:[^\s.,;!?]+(?:[.,]\d+)?\s){1,4}?)(?:back\s)?(?:to|into)\s"
    r"((?:[^\s.,;!?]+(?:[.,]\d+)?)(?:\s[^\s.,;!?]+(?:[.,]\d+)?){0,2})"
)
_WAY_BACK = re.compile(
    r"\bto\s((?:[^\s.,;!?]+\s){1,3}?)from\s((?:[^\s.,;!?]+)(?:\s[^\s.,;!?]+){0,2})"
)
_RETURNS = re.compile(
    r"\b(?:back|returns?|returned|round[\s-]trip|both\sways|vice\sversa|forth|reversed?|again)\b",
    re.IGNORECASE,
)
# Either party does it to the other alike.
_MUTUAL = stem_set(
    "met meets meet married marries dated resembles equals matches kissed "
    "hugged divorced joined fought faced accompanied"
)
_NO_DEED = frozenset(
    AUXILIARIES
    | BREAKS
    | CLAUSE_HEADS - {"takes", "took", "reports", "reported", "notes", "noted"}
    | HEDGES
    | JOINS
    | NOT
    | PREPOSITIONS
    | PRONOUNS
    | TRANSPARENT
    | ADVERBS
)
_EMPTY = word_set("the a an his her their its our my your mr mrs ms dr and or of")


@dataclass(frozen=True, slots=True)
class Deed:
    """Who did something to whom; `verb` is empty for a way from one to the other."""

    verb: str
    who: frozenset[str]
    whom: frozenset[str]
    start: int
    end: int


@lru_cache(maxsize=2048)
def read_deeds(text: str) -> tuple[Deed, ...]:
    """Deeds and ways of a text; remembered, since several outputs share one source."""
    return (*_deeds(text), *_ways(text))


def _deeds(text: str) -> Iterator[Deed]:
    for m in _scan(_ACTIVE, text):
        yield from _deed(m, m[2], m[1], m[3])
    if _GOAL.search(text) is not None:
        for m in _scan(_CARRIED, text):
            yield from _deed(m, m[2], m[1], m[4])
    if " by " in text:
        for m in _scan(_PASSIVE, text):
            yield from _deed(m, m[2], m[3], m[1])


def _scan(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Matches that may share their ends: `Anna paid Ben and Ben paid Carl`."""
    at = 0
    while (m := pattern.search(text, at)) is not None:
        yield m
        at = m.end(1)


def _deed(match: re.Match[str], verb: str, who: str, whom: str) -> Iterator[Deed]:
    if verb in _NO_DEED or (stem := stem_word(verb)) in _MUTUAL:
        return
    first, second = _parties(who), _parties(whom)
    if first and second and not first & second:
        yield Deed(stem, first, second, match.start(), match.end())


def _parties(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", name.lower())) - _EMPTY


def _ways(text: str) -> Iterator[Deed]:
    if "from " not in text:
        return
    for pattern, backwards in ((_WAY, False), (_WAY_BACK, True)):
        for m in pattern.finditer(text):
            start, goal = _parties(m[1]), _parties(m[2])
            if backwards:
                start, goal = goal, start
            shared = start & goal
            if start - shared and goal - shared:
                yield Deed("", start - shared, goal - shared, m.start(), m.end())


def check_roles(output: str, source: str, source_words: frozenset[str]) -> Iterator[OutputClaim]:
    """A claim for each deed of the output that the source tells too, either way round.

    Args:
        source_words: the distinct case-folded words of the source.
    """
    said = read_deeds(output)
    if said:
        known = stems_of(source_words)
        said = tuple(deed for deed in said if not deed.verb or deed.verb in known)
    told = _by_verb(read_deeds(source)) if said else {}
    returns = None
    for deed in said:
        alike = told.get(deed.verb, ())
        if not alike or len(alike) > MOST_ALIKE:
            continue
        same = any(deed.who & other.who and deed.whom & other.whom for other in alike)
        swapped = [other for other in alike if _is_swapped(deed, other)]
        if same:
            yield OutputClaim(deed.start, deed.end, "role", None)
        elif swapped:
            returns = _RETURNS.search(source) is not None if returns is None else returns
            if deed.verb or not returns:
                told_so = quote(_sentence(source, swapped[0]))
                problem = f"the source has it the other way round: {told_so}"
                yield OutputClaim(deed.start, deed.end, "role", problem)


def _by_verb(deeds: Sequence[Deed]) -> Mapping[str, Sequence[Deed]]:
    found: dict[str, list[Deed]] = {}
    for deed in deeds:
        found.setdefault(deed.verb, []).append(deed)
    return found


def _is_swapped(deed: Deed, other: Deed) -> bool:
    crossed = deed.who & other.whom and deed.whom & other.who
    return bool(crossed) and not deed.who & other.who and not deed.whom & other.whom


def _sentence(text: str, deed: Deed) -> str:
    """The words around a deed, to the full stops on either side or some way off."""
    left, right = text[max(0, deed.start - 40) : deed.start], text[deed.end : deed.end + 40]
    before = re.split(r"[.!?\n]\s*", left)[-1] if left else ""
    after = re.match(r"[^.!?\n]*[.!?]?", right)
    return before + text[deed.start : deed.end] + (after[0] if after else "")
