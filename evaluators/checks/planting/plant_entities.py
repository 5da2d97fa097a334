"""Planted errors of who and what: a name or a thing swapped for another, and roles exchanged."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from evaluators.checks.contradictions.roles import Deed, read_deeds
from evaluators.checks.facts.names import find_names, opens_sentence
from evaluators.checks.facts.numerals import words_of
from evaluators.checks.planting.plant_ground import Ground, TextEdit, with_case
from evaluators.checks.planting.plant_words import (
    FIRMS,
    FIRST_NAMES,
    LAST_NAMES,
    PLACE_LEADS,
    PLACES,
    THINGS,
)
from evaluators.checks.text.claims import listed, word_set

_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herrn?|Frau)\.?\s$")
_FORM = re.compile(r"\b(?:Inc|Corp|Corporation|Ltd|Limited|LLC|plc|GmbH|AG|KG|SE|Bank|Group)$")
_LEAD = re.compile(r"([\w'’]+)\s(the\s)?$", re.IGNORECASE)
_OWNER = re.compile(r"['’]s?$")
_FROM_DONORS = 40  # names of other documents that are looked at


Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Entity:
    """A name in a text, its kind, and whether `the` stands before it."""

    start: int
    end: int
    text: str
    kind: str
    article: bool
    lead: str


def find_entities(ground: Ground, rng: random.Random) -> Iterator[TextEdit]:
    """Names for names, things for things: from the source, from other documents, from lists."""
    names = _entities(ground.output)
    told = _entities(ground.source)
    strange = [
        e
        for text in rng.sample(list(ground.donors), min(len(ground.donors), 20))
        for e in _entities(text)
    ][:_FROM_DONORS]
    for name in names:
        yield from _for_name(ground, name, told, 0)
        yield from _for_name(ground, name, strange, 1)
        yield from _from_lists(ground, name, rng)
    yield from _things(ground)


@lru_cache(maxsize=4096)
def _entities(text: str) -> tuple[_Entity, ...]:
    found = []
    for name in find_names(text, words_of(text)):
        owner = _OWNER.search(text[name.start : name.end])
        end = name.end - len(owner[0]) if owner else name.end
        lead = _LEAD.search(text, max(0, name.start - 24), name.start)
        before = lead[1].lower() if lead else ""
        kind = _kind(text[name.start : end], text[max(0, name.start - 8) : name.start], before)
        article = before == "the" or bool(lead and lead[2])
        found.append(_Entity(name.start, end, text[name.start : end], kind, article, before))
    return tuple(found)


_SETS = {
    **{name: f"first {i}" for i, names in enumerate(FIRST_NAMES) for name in names},
    **dict.fromkeys(LAST_NAMES, "last"),
    **{name: f"place {i}" for i, names in enumerate(PLACES) for name in names},
    **dict.fromkeys(FIRMS, "firm"),
}


def _kind(said: str, before: str, lead: str) -> str:
    """What a name is of: by its title, its list, the form of its company, or how it stands."""
    words = said.split()
    if _TITLE.search(before):
        return "last" if len(words) == 1 else "person"
    if len(words) == 1 and said in _SETS:
        return _SETS[said]
    if words[0] in _SETS and _SETS[words[0]].startswith("first"):
        return "person"
    if _FORM.search(said):
        return "company"
    if lead in PLACE_LEADS:
        return "where"
    return f"name of {min(len(words), 3)}"


def _for_name(
    ground: Ground, name: _Entity, others: Sequence[_Entity], rank: int
) -> Iterator[TextEdit]:
    start, end = ground.sentence_at(name.start)
    sentence = ground.output[start:end].casefold()
    for other in others:
        shared = words_of(other.text) & words_of(name.text)
        fits = other.kind == name.kind and other.article == name.article
        fits = fits and len(other.text.split()) == len(name.text.split())
        if rank and name.kind.startswith("name of"):
            fits = fits and other.lead == name.lead  # of what kind it is, only its place tells
        if fits and not shared and other.text.casefold() not in sentence:
            yield TextEdit(name.start, name.end, other.text, rank, (other.text,))


def _from_lists(ground: Ground, name: _Entity, rng: random.Random) -> Iterator[TextEdit]:
    kind = name.kind
    if kind.startswith("name of") or kind in ("where", "company"):
        return
    if kind == "person":
        first, *rest = name.text.split()
        sex = next((i for i, names in enumerate(FIRST_NAMES) if first in names), 0)
        new = f"{rng.choice(FIRST_NAMES[sex])} {rng.choice(LAST_NAMES)}" if rest else ""
        members: Sequence[str] = (new,) if new else ()
    else:
        members = tuple(member for member, of in _SETS.items() if of == kind)
    for member in rng.sample(members, min(3, len(members))):
        if not words_of(member) & ground.told.words:
            yield TextEdit(name.start, name.end, member, 2, (member,))


def _thing_table(language: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in THINGS[language]:
        members = listed(row)
        for word in members:
            found[word] = (*found.get(word, ()), *(other for other in members if other != word))
    return found


_THINGS = {language: _thing_table(language) for language in THINGS}
_WORD = re.compile(r"(?<![\w-])[^\W\d_]+(?:-ray)?(?![\w-])")
_KEPT = re.compile(r"\b(?:back|head|heart|right|left)\s(?:of|now|to|up|and forth)\b", re.IGNORECASE)


def _things(ground: Ground) -> Iterator[TextEdit]:
    """Common nouns of our lists, in the form in which they stand."""
    table = _THINGS[ground.language]
    for m in _WORD.finditer(ground.output):
        word = m[0] if ground.language == "de" else m[0].lower()
        if word not in table or _KEPT.match(ground.output, m.start()):
            continue
        start, end = ground.sentence_at(m.start())
        sentence = words_of(ground.output[start:end])
        for other in table[word]:
            if other.casefold() not in sentence:
                rank = 0 if other.casefold() in ground.told.words else 2
                yield TextEdit(m.start(), m.end(), with_case(other, m[0]), rank, (other,))


_DOER = r"(?:(?:Mrs?|Ms|Dr|Herrn?|Frau)\.?\s)?[A-ZÄÖÜ][\w'’-]+(?:\s[A-ZÄÖÜ][\w'’-]+)?"
_GERMAN_DEED = re.compile(
    r"\b((?:Herr|Frau)\s[A-ZÄÖÜ][\w-]+)(\s[a-zäöüß]{3,20}\s)((?:Herrn|Frau)\s[A-ZÄÖÜ][\w-]+)"
)
_THAN = re.compile(rf"\b({_DOER})(\s(?:is|was|are|were)\s\w+er\sthan\s)({_DOER})")


def find_roles(ground: Ground, rng: random.Random) -> Iterator[TextEdit]:
    """The two parties of a deed, a way or a comparison, each in the place of the other."""
    if ground.language == "de":
        yield from _german_roles(ground)
        return
    told = read_deeds(ground.source)
    for deed in read_deeds(ground.output):
        if _is_told_swapped(deed, told):
            continue
        places = _parties_of(ground.output, deed)
        if places is not None and _is_exchangeable(ground.output, deed, *places):
            yield from _exchange(ground.output, *places)
    yield from _other_party(ground)
    for m in _THAN.finditer(ground.output):
        if f"{m[3]}{m[2]}{m[1]}" not in ground.source:
            yield from _exchange(ground.output, m.span(1), m.span(3))


_OTHER_PARTY = {
    one: other
    for pair in listed(
        "patient/doctor customer/agent buyer/seller landlord/tenant employer/employee "
        "client/lawyer plaintiff/defendant lender/borrower licensor/licensee teacher/student "
        "guest/host insurer/insured supplier/purchaser caller/agent husband/wife mother/father"
    )
    for one, other in (pair.split("/"), pair.split("/")[::-1])
}
_DOES = re.compile(
    r"\b(The|the)\s(\w+)(?=\s(?:has|had|is|was|will|shall|must|may|can|\w+s|\w+ed|said|paid|told|"
    r"sent|took|gave|bought|sold|felt|wrote|left|went)\s)"
)
_OWN = re.compile(
    r"\b(The patient|He|She)"
    r"(?=\s(?:has|had|suffers|suffered|takes|took|was diagnosed|is allergic)\s)"
)
_WHOSE = re.compile(
    r"\b(His|Her|The patient['’]s)\s(?:mother|father|brother|sister|son|daughter|wife|husband)"
    r"(?=\s(?:has|had|suffers|takes|took|was|is)\s)"
)
_KIN = ("mother", "father", "sister", "brother")
_OF = {"The patient": "The patient's", "He": "His", "She": "Her"}


def _other_party(ground: Ground) -> Iterator[TextEdit]:
    """What one party did said of the other, what the patient has of a relative, and back."""
    for m in _DOES.finditer(ground.output):
        other = _OTHER_PARTY.get(m[2])
        if other is not None:
            yield TextEdit(*m.span(2), other, 0 if other in ground.told.words else 2, (other,))
    for m in _OWN.finditer(ground.output):
        kin = next((kin for kin in _KIN if kin not in ground.told.words), None)
        if kin is not None:
            yield TextEdit(*m.span(), f"{_OF[m[1]]} {kin}", 1)
    for m in _WHOSE.finditer(ground.output):
        yield TextEdit(*m.span(), {"His": "He", "Her": "She"}.get(m[1], "The patient"), 1)


def _german_roles(ground: Ground) -> Iterator[TextEdit]:
    for m in _GERMAN_DEED.finditer(ground.output):
        first = re.sub(r"^Herrn\s", "Herr ", m[3])
        swapped = first + m[2] + re.sub(r"^Herr\s", "Herrn ", m[1])
        if swapped not in ground.source:
            yield TextEdit(m.start(), m.end(), swapped)


def _is_told_swapped(deed: Deed, told: Sequence[Deed]) -> bool:
    return any(
        other.verb == deed.verb and deed.who & other.whom and deed.whom & other.who
        for other in told
    )


_PARTIES = word_set(
    "patient doctor nurse physician surgeon customer agent client caller buyer seller landlord "
    "tenant employer employee manager supplier company bank insurer court judge police mother "
    "father sister brother son daughter wife husband teacher student plaintiff defendant "
    "president minister government union team club player coach witness victim suspect driver "
    "officer lawyer reporter host guest king queen army mayor school dog cat parties"
)
_EITHER = word_set("see saw seen meet treat examin evaluat consult follow visit join")
_GOES_ON = re.compile(
    r"\s?(?:[.,;:!?)]|$|(?:in|on|at|to|for|with|by|of|from|and|but|because|after|before|that|when|"
    r"who|about|as|\d+|last|this|today|yesterday)\b)"
)
_AMOUNT = re.compile(r"[$€£]?\d[\d.,]*\s?[\w%°/]*")


def _is_exchangeable(text: str, deed: Deed, first: Place, second: Place) -> bool:
    """Whether both are whole phrases of one kind: two names, two parties, two amounts."""
    if deed.verb in _EITHER or _GOES_ON.match(text, second[1]) is None:
        return False
    one, other = text[slice(*first)], text[slice(*second)]
    if not deed.verb:
        return _is_same_sort(one, other) and text[first[1] : second[0]].strip() in ("to", "from")
    return _is_party(one) and _is_party(other)


def _is_party(said: str) -> bool:
    """A proper name of a person or firm, or `the customer`."""
    words = said.split()
    if words[0].lower() == "the":
        return len(words) == 2 and words[1] in _PARTIES
    if all(word[0].isupper() for word in words) and len(words) <= 3:
        known = words[-1] in _SETS or words[0] in _SETS or words[0].rstrip(".") in _TITLES
        return known or (len(words) > 1 and words[0].lower() not in _NO_NAMES)
    return False


_TITLES = word_set("Mr Mrs Ms Miss Dr Prof")
_NO_NAMES = word_set(
    "he she i they it we you this that these those since recently then when the a an in on"
)


def _is_same_sort(one: str, other: str) -> bool:
    if _AMOUNT.fullmatch(one) and _AMOUNT.fullmatch(other):
        return re.sub(r"[\d.,]", "", one) == re.sub(r"[\d.,]", "", other)
    return one[0].isupper() and other[0].isupper() and one.split()[0].lower() not in _NO_NAMES


_FREE = word_set("the mr mrs ms dr a an")


def _parties_of(text: str, deed: Deed) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Where the two parties of a deed stand: runs of their words at either end of it."""
    words = [
        (deed.start + m.start(), deed.start + m.end(), m[0].lower())
        for m in re.finditer(r"\w+", text[deed.start : deed.end])
    ]
    runs = [_run(words, parties) for parties in (deed.who, deed.whom)]
    if None in runs:
        return None
    first, second = sorted(run for run in runs if run is not None)
    return (first, second) if first[1] < second[0] else None


def _run(words: Sequence[tuple[int, int, str]], party: frozenset[str]) -> tuple[int, int] | None:
    """From the first to the last word of a party, its title and article with it."""
    at = [i for i, (_, _, word) in enumerate(words) if word in party]
    if not at or at[-1] - at[0] >= len(party) + 2:
        return None
    first = at[0]
    while first and words[first - 1][2] in _FREE:
        first -= 1
    return words[first][0], words[at[-1]][1]


_NUMBERED = re.compile(r"\s(?:was|were|is|are|has|have|do|does)\s")


def _exchange(text: str, first: tuple[int, int], second: tuple[int, int]) -> Iterator[TextEdit]:
    one, other = text[slice(*first)], text[slice(*second)]
    between = text[first[1] : second[0]]
    if one.lower() == other.lower() or len(one) > 60 or len(other) > 60:
        return
    if _NUMBERED.search(between) and one.endswith("s") != other.endswith("s"):
        return
    if opens_sentence(text, first[0]):
        one = one[0].lower() + one[1:] if one.split()[0] in ("The", "A", "An") else one
        other = other[0].upper() + other[1:]
    yield TextEdit(first[0], second[1], other + between + one)
