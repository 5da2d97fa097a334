"""Whose illness it is: what the source says of a relative and the output of the patient.

Also the other way round, and of another relative. Called only where every mention of the thing in
the source is of a relative (or none is), and the output says plainly whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evaluators.checks.claims import Claim, quote
from evaluators.checks.denials import Phrase, Reading, list_phrases
from evaluators.checks.negation import Found, find_all, index_stems
from evaluators.checks.polarity import read_polarity
from evaluators.checks.polarity_words import KIN
from evaluators.checks.statements import Polarity, Statement, stem_word

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
) -> Iterator[Claim]:
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
    stems = set(map(stem_word, source_words)) if owned else set()
    shared = [(statement, phrase) for statement, phrase in owned if stems >= set(phrase.stems)]
    if not shared:
        return
    told = read_polarity(source)
    places = index_stems(told, {stem for _, phrase in shared for stem in phrase.stems})
    for statement, phrase in shared:
        problem = _problem(statement, find_all(phrase, told, places), told, source)
        if problem is not None:
            yield Claim(*statement.place(output, phrase.first, phrase.last), "role", problem)


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


def _problem(saying: Statement, found: Found, told: Sequence[Reading], source: str) -> str | None:
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


def _kin_around(told: Sequence[Reading], at: int) -> frozenset[str]:
    near = told[max(0, at - NEIGHBOURS) : at + NEIGHBOURS + 1]
    return frozenset().union(*(kin_of(reading.statement) for reading in near))
