"""What a sentence denies, by rules in the way of NegEx.

A trigger (`no`, `denies`, `without`, `was not`) denies the phrases that follow it as far as its
scope goes (Chapman et al. 2001, J Biomed Inform 34:301). The scope is cut early here: a sentence
that hedges, that only seems to deny (`not only`, `no longer`), or that denies twice, denies nothing
for certain.

The words by which polarity is read: what denies, hedges, asserts, joins and breaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from evaluators.checks.text.claims import word_set
from evaluators.checks.text.statements import Polarity, Statement, Word

NOT = frozenset({"not", "n't", "never"})
DENIERS = word_set("no without denies deny denying denied negative")
TRIGGERS = frozenset({*NOT, *DENIERS, "any", "you"})
DETERMINERS = word_set("a an the any his her their its our my your this that these those some")
PRONOUNS = word_set("i he she we they it you there who this that these those")
TRANSPARENT = frozenset(DETERMINERS | {"of"})
AUXILIARIES = word_set(
    "was were is are am be been being has have had did does do will would can could"
)
ADVERBS = word_set(
    "also now ever still already again currently really very quite actually yet even so fully "
    "been just been completely entirely at all either"
)
# Such words make the whole sentence useless as a witness, for or against.
HEDGES = word_set(
    "if whether may might could would should must possible possibly probable probably likely "
    "unlikely perhaps maybe suspect suspected suspicion suspicious risk risks avoid prevent "
    "prevents monitor evaluate evaluated rule ruled exclude excluded concern concerned worry "
    "worried fear feared unless until otherwise seem seems seemed appear appears appeared "
    "apparently think thinks thought believe believes believed guess doubt doubts unclear "
    "unsure uncertain unknown differential versus vs question questionable screening assess "
    "resolved resolving resolves stopped gone ceased better improved denial hardly barely "
    "scarcely rarely seldom neither refuse refused refuses declined claims claimed alleged "
    "allegedly supposedly hypothetical potential potentially cannot lack lacks unable fail "
    "fails failed ask asks asked requests requested wants wanted hopes hope expect expects"
)
PSEUDO = frozenset(
    (a, b)
    for a, seconds in {
        "not": "only just sure certain necessarily merely simply always all every entirely quite "
        "completely fully much many enough even until so yet because very well without",
        "n't": "only just sure certain necessarily merely always all every entirely quite much "
        "many enough even until yet think know believe because really too very recall remember",
        "no": "longer doubt matter more less later sooner wonder one problem problems worries "
        "idea further other change changes difference",
        "without": "doubt question fail further",
        "never": "mind again before",
        "all": "but",
        "nothing": "but",
        "anything": "but",
        "used": "to",
        "other": "than",
        "rather": "than",
        "more": "than",
        "less": "than",
        "or": "not",
        "like": "this that these",
        "as": "needed",
        "in": "case",
    }.items()
    for b in seconds.split()
)
PSEUDO_HEADS = frozenset(first for first, _ in PSEUDO)
BREAKS = word_set(
    "; : ( ) [ ] . ! ? | • — – but however although though except aside apart besides because "
    "since while whereas which who whom whose so then instead yet despite when where after "
    "before unless until"
)
JOINS = frozenset({",", "or", "nor", "and", "/", "&"})
# A list of nouns ends where a clause of its own begins.
CLAUSE_HEADS = word_set(
    "i he she we they it you there has have had is are was were am does do did will would can "
    "reports reported states stated presents presented complains complained notes noted says "
    "said admits endorses appears remains continues takes took also that"
)
PREPOSITIONS = word_set(
    "in on at with to over around under by during for from into onto near between through "
    "upon about against within per as than like than across towards toward via regarding"
)
LIGHT = word_set(
    "have has had having been being be experience experienced experiencing report reported "
    "reporting complain complained complaining notice noticed noticing feel felt feeling show "
    "showed shown reveal revealed demonstrate demonstrated get got getting contain contained "
    "include included any a an the"
)
ASSERTING = word_set(
    "has have had having reports reported complains complained with develops developed "
    "experiences experienced experiencing gets got received admits endorses notes noted shows "
    "showed reveals revealed is was are were am been felt feels feeling includes included "
    "positive exhibits exhibited demonstrates demonstrated sustained suffered suffers "
    "been being contains contained"
)
BARE_WITH = word_set(
    "presents presented presenting diagnosed male female man woman patient boy girl gentleman "
    "lady associated along admitted"
)
DEGREES = word_set(
    "mild moderate severe slight bad terrible some occasional intermittent constant persistent "
    "high low acute chronic new recent significant worsening mildly intense sharp dull bit "
    "little lot of"
)
PRESENT = word_set(
    "noted seen found present reported observed detected identified appreciated evident"
)
GENERIC = word_set(
    "problem issu chang complaint concern evidenc sign symptom history difficulty thing other "
    "further additional significant acut reason need idea longer more one way time patient "
    "customer difference question doubt matter detail information medication treatment plan "
    "none nothing nobody someth anyth any anything everything much work case all part note "
    "answer comment known recent prior previou abnormal normal abnormality finding relief"
)
# Both sides of a contradiction must speak of the same time and mood.
TIMES = word_set(
    "now currently today tonight tomorrow yesterday presently previously formerly initially "
    "recently ago last next past prior history earlier later before after since until during "
    "anymore again sometimes often usually occasionally morning night will would can could "
    "ever always once used still yet already first second third week month year when while"
)
KIN = {
    form: kin
    for kin, forms in {
        "mother": "mother mom mum mommy mama mother's maternal",
        "father": "father dad daddy papa paternal",
        "brother": "brother brothers",
        "sister": "sister sisters",
        "son": "son sons",
        "daughter": "daughter daughters",
        "child": "child children kid kids baby",
        "wife": "wife",
        "husband": "husband",
        "grandmother": "grandmother grandma",
        "grandfather": "grandfather grandpa",
        "aunt": "aunt aunts",
        "uncle": "uncle uncles",
        "cousin": "cousin cousins",
        "family": "family familial relatives relative parents parent siblings sibling grandparents",
        "partner": "partner boyfriend girlfriend fiance fiancee roommate friend",
    }.items()
    for form in forms.split()
}


LONGEST = 4
MOST_WORDS = 200  # a longer sentence is no sentence, and is not read


class Phrase(NamedTuple):
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


class SentenceReading(NamedTuple):
    """A sentence, what it denies, and whether it is plain enough to be a witness."""

    statement: Statement
    denied: tuple[Phrase, ...]
    plain: bool


def read_denials(statement: Statement) -> SentenceReading:
    """A sentence with what it denies."""
    plain = _is_plain(statement)
    return SentenceReading(statement, tuple(_denied(statement)) if plain else (), plain)


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
    return list(_phrases(words, at, begin, _scope_end(words, begin, len(words)), sure=True))


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


# What no phrase begins with: `_core` passes over it, and no member of a list holds it.
NEVER_FIRST = TRANSPARENT | ADVERBS | PREPOSITIONS | LIGHT | JOINS


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
