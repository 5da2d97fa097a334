"""People by name: by lists of given and family names, by titles, and by how texts introduce them.

No model is asked here. A family name that no list holds is found where a title, a label or a known
given name stands before it; where none does, it is not. Once found, a name is found in every
other place of the document, alone too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import yaml

from backend.services.datasets.masking.identifiers import leads
from backend.services.datasets.masking.identifiers.shapes import FoundIdentifier

LISTS = Path(__file__).with_name("lists")
_WORD = re.compile(r"[^\W\d_]+(?:[’'][^\W\d_]{2,})*")
_TITLES = (
    "mr mrs ms mister missus dr doctor doktor prof professor herr herrn hr frau fr fräulein sir "
    "madam dame nurse sister schwester pfleger oberarzt oberärztin chefarzt chefärztin "
    "rechtsanwalt rechtsanwältin notar notarin richter richterin med dipl priv doz pd ing jur phil "
    "rer nat"
)
TITLES = frozenset(_TITLES.split())
_SHORTENED = "mr mrs ms dr prof hr fr med dipl priv doz pd ing jur phil rer nat"
SHORTENED = frozenset(_SHORTENED.split())  # have a point; after any other title a sentence ends
_SURE_TITLES = frozenset(["mr", "mrs", "ms", "dr", "prof", "herr", "herrn", "hr", "frau"])
_UNITS = frozenset({"ms", "hr", "nat", "ing"})  # in small letters milliseconds, hours, a suffix
_SMALL = "von van vom de der den del della di da dos el al bin ibn ten ter zu"
PARTICLES = frozenset(_SMALL.split())
_DISEASE = re.compile(
    r"\s?(?:[’']s|s)?[\s-]{1,2}(?:disease|syndrome?|sign|test|palsy|score|scale|manoeuvre|maneuver"
    r"|catheter|procedure|fracture|lymphoma|classification|criteria|reflex|phenomenon|tumou?r"
    r"|zeichen|krankheit|phänomen|skala|manöver|klassifikation|schema|dialekt|gmbh|ag|kg|inc|ltd"
    r"|llc|bank|klinik|hospital|clinic|street|road|avenue)",
    re.IGNORECASE,
)
_MOST_TOKENS = 4


@dataclass(frozen=True, slots=True)
class TextWord:
    """A word of a text, and what it looks like: `Smith`, `SMITH`, `smith`, or a letter alone."""

    start: int
    end: int
    text: str
    folded: str

    @property
    def is_capital(self) -> bool:
        """Whether it begins with a capital."""
        return self.text[0].isupper()

    @property
    def is_initial(self) -> bool:
        """Whether it is one capital alone."""
        return len(self.text) == 1 and self.is_capital


@dataclass(frozen=True, slots=True)
class NameLists:
    """Names and words, in small letters.

    Attributes:
        given: given name -> f, m, or n where both bear it.
        ambiguous: names that are words too.
        eponyms: names that things bear.
        never: words that are no names.
    """

    given: MappingProxyType[str, str]
    family: frozenset[str]
    ambiguous: frozenset[str]
    eponyms: frozenset[str]
    never: frozenset[str]


@lru_cache(maxsize=1)
def shipped_words() -> dict[str, str]:
    """Every list that is shipped, by its name."""
    found: dict[str, str] = {}
    for file in ("names.yaml", "words.yaml"):
        found |= yaml.safe_load((LISTS / file).read_text(encoding="utf-8"))
    return found


_PLAIN = str.maketrans("éèêáàâóòôíúñçşğıłńśżźćč", "eeeaaaoooiuncsgilnszzcc")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


def ascii_name(name: str) -> str:
    """A name as addresses and user names write it."""
    folded = name.lower().translate(_UMLAUTS).translate(_PLAIN)
    return re.sub(r"[^a-z0-9._-]", "", folded)


def _spellings(names: str) -> set[str]:
    """Names in small letters, with umlauts and as they are written without."""
    listed = names.lower().split()
    return {*listed, *(name.translate(_UMLAUTS) for name in listed)}


@lru_cache(maxsize=8)
def name_lists(languages: tuple[str, ...], extra: tuple[str, ...] = ()) -> NameLists:
    """The lists of these languages, with names of the policy as family names."""
    words = shipped_words()
    given: dict[str, str] = {}
    for language in languages:
        for gender in "fmn":
            for name in _spellings(words[f"given_{language}_{gender}"]):
                given[name] = gender if given.get(name, gender) == gender else "n"
    family = {n for lang in languages for n in _spellings(words[f"family_{lang}"])}
    more = {part.lower() for name in extra for part in _WORD.findall(name)}
    ambiguous = set(words["ambiguous"].split()) - more
    return NameLists(
        MappingProxyType(given),
        frozenset(family | more),
        frozenset(ambiguous),
        frozenset(words["eponyms"].split()) - more,
        frozenset(words["never"].lower().split()) - more,
    )


def tokens_of(text: str) -> list[TextWord]:
    """The words of a text."""
    return [TextWord(m.start(), m.end(), m[0], m[0].lower()) for m in _WORD.finditer(text)]


@dataclass(slots=True)
class _Reader:
    """Walks over the words of a document and takes those that name somebody."""

    text: str
    tokens: Sequence[TextWord]
    lists: NameLists

    def find(self) -> Iterator[tuple[int, int]]:
        """Stretches of tokens that are one name each: first and last + 1."""
        place = 0
        while place < len(self.tokens):
            end = self._name_at(place)
            if end > place:
                yield place, end
            place = max(end, place + 1)

    def _name_at(self, place: int) -> int:
        """Where the name ends that begins with a token; `place` where none does."""
        if self._after_title(place) or self._is_introduced(place):
            return self._take(place, titled=True)
        return self._by_lists(place)

    def _after_title(self, place: int) -> bool:
        """Whether a title stands right before; small letters count after the sure ones alone."""
        token = self.tokens[place]
        if token.folded in TITLES or len(token.text) < 2 or self._is_word(place):
            return False
        titles = self._titles_before(place)
        if not titles or (titles[0].folded == "fr" and self.text[titles[0].end] != "."):
            return False
        if self._in_list(place):
            return True
        titles = [title for title in titles if title.text not in _UNITS]
        if not token.is_capital:  # "MR angiography" is none
            return any(t.folded in _SURE_TITLES and not t.text.isupper() for t in titles)
        sure = any(title.folded in _SURE_TITLES for title in titles)
        return bool(titles) and (sure or not self._in_capitals(place))

    def _titles_before(self, place: int) -> list[TextWord]:
        """The titles right before a word, the nearest first: `Prof. Dr. med.`"""
        found: list[TextWord] = []
        while place and self.tokens[place - 1].folded in TITLES:
            gap = self.text[self.tokens[place - 1].end : self.tokens[place].start]
            ends = "." in gap and self.tokens[place - 1].folded not in SHORTENED
            if gap.strip(" .-\t\n") or gap.count("\n") > 1 or ends:
                break
            place -= 1
            found.append(self.tokens[place])
        return found

    def _is_introduced(self, place: int) -> bool:
        """Whether a label, a greeting or a role stands before what looks like a name."""
        token = self.tokens[place]
        before = self.text[max(0, token.start - leads.REACH) : token.start]
        if self._is_word(place) or len(token.text) < 2 or token.folded in TITLES:
            return False
        if self._answers(place):
            return True
        colon = before.rstrip()[-1:] in leads.COLONS
        if colon and (label := leads.AFTER_COLON.search(before)) is not None:
            if leads.SPEAKERS.match(label[0]):
                return self._is_spoken_of(place, label[0])
            return self._in_list(place) or (token.is_capital and not self._is_a_thing(place))
        if leads.SURE_LEADS.search(before):
            return True
        if leads.FORM_LABEL.search(before):
            ends = self.text[token.end : token.end + 1] in ("\n", "")
            return token.is_capital or ends or self._in_list(place)
        if leads.LEADS.search(before):
            near = "\n" in before[-3:] or "spel" in before[-9:].lower()
            named = token.is_capital and (self._two_ahead(place) or near)
            return self._in_list(place) or named
        if self._in_capitals(place) or not token.is_capital:
            return False
        if leads.GREETING.search(before):
            return self.text[token.end : token.end + 1] in (",", ".", "!", "?", "\n")
        if leads.NAMED.search(before):
            return True
        if not self._two_ahead(place) or self._is_a_thing(place):
            return False
        return leads.ROLES.search(before) is not None or self._is_followed(place)

    def _answers(self, place: int) -> bool:
        """Whether somebody was asked who they are, and this is what they say."""
        token = self.tokens[place]
        before = self.text[max(0, token.start - leads.ASKED_REACH) : token.start]
        if not token.is_capital or "?" not in before or leads.ASKED.search(before) is None:
            return False
        ends = self.text[token.end : token.end + 1] in (".", "\n", "")
        return self._two_ahead(place) or (ends and not self._in_capitals(place))

    def _is_a_thing(self, place: int) -> bool:
        """Whether the words from here name a hospital, a desk, a sign of a disease."""
        last = self.tokens[self._take(place, titled=False) - 1]
        disease = _DISEASE.match(self.text, self.tokens[place].end) is not None
        return disease or last.folded in shipped_words()["things"].split()

    def _is_followed(self, place: int) -> bool:
        """Whether what follows the words is said of people: `, born`, `<mail>`, `, Oberarzt`."""
        last = self.tokens[self._take(place, titled=False) - 1]
        return leads.FOLLOWED.match(self.text, last.end) is not None

    def _is_spoken_of(self, place: int, label: str) -> bool:
        """Whether `Patient:` introduces a name, and is not who speaks in a conversation."""
        following = place + 1 < len(self.tokens) and self._joins(place, place + 1)
        if self._in_list(place) and following and self._in_list(place + 1):
            return True
        speaks = self.text.count(label.strip()) > 1
        gap = self.text[self.tokens[place].end :][:1]
        two = gap == " " and self._two_ahead(place) and not self._is_a_thing(place)
        return not speaks and (self._in_list(place) or two)

    def _two_ahead(self, place: int) -> bool:
        """Whether the next word too looks like a part of a name."""
        two = place + 1 < len(self.tokens) and self._joins(place, place + 1)
        return two and self._looks_named(place + 1)

    def _in_capitals(self, place: int) -> bool:
        """Whether all is in capitals here, so that they say nothing of names."""
        around = self.tokens[max(0, place - 4) : place + 5]
        return all(t.text.isupper() for t in around if len(t.text) > 1) and len(around) > 4

    def _by_lists(self, place: int) -> int:
        """By the lists: given and family, `Family, Given`, a letter and a family, or one alone."""
        token, lists = self.tokens[place], self.lists
        following = place + 1 < len(self.tokens) and self._joins(place, place + 1)
        if token.folded in lists.given and following and self._follows_given(place):
            return self._take(place, titled=False)
        initial = token.is_initial and following
        if initial and (self._family_ahead(place) or self._is_initial_of_a_name(place)):
            return self._take(place, titled=False)
        if token.folded in lists.family and token.is_capital:
            if self._comma_given(place):
                return place + 2
            if (
                following
                and self.tokens[place + 1].folded in lists.given
                and token.folded not in lists.ambiguous
            ):
                return self._take(place, titled=False)
        return place + 1 if self._alone(place) else place

    def _follows_given(self, place: int) -> bool:
        """Whether the word after a given name goes on with the name."""
        token, following = self.tokens[place], self.tokens[place + 1]
        known = following.folded in self.lists.family or following.folded in self.lists.given
        if token.folded in self.lists.ambiguous or not token.is_capital:
            return (
                known
                and following.is_capital == token.is_capital
                and (token.folded not in self.lists.ambiguous or token.is_capital)
            )
        return self._looks_named(place + 1)

    def _family_ahead(self, place: int) -> bool:
        """`J. Smith`, `J. R. Smith`: letters with points, then a name of the list."""
        for ahead in range(place + 1, min(place + 3, len(self.tokens))):
            if not self._joins(ahead - 1, ahead):
                return False
            token = self.tokens[ahead]
            if token.folded in self.lists.family and token.is_capital:
                return "." in self.text[self.tokens[place].end : token.start] or (
                    token.folded not in self.lists.ambiguous
                )
            if not token.is_initial:
                return False
        return False

    def _is_initial_of_a_name(self, place: int) -> bool:
        """`seen by K. Zumbrägel`: a letter with its point, a name that no list holds after it."""
        token, name = self.tokens[place], self.tokens[place + 1]
        if self.text[token.end] != "." or len(name.text) < 4 or not self._looks_named(place + 1):
            return False
        before = self.text[max(0, token.start - leads.REACH) : token.start]
        return leads.BEFORE_INITIAL.search(before) is not None and not self._in_capitals(place)

    def _comma_given(self, place: int) -> bool:
        if place + 1 >= len(self.tokens):
            return False
        given = self.tokens[place + 1]
        gap = self.text[self.tokens[place].end : given.start]
        return gap.strip(" ") == "," and given.folded in self.lists.given and given.is_capital

    def _alone(self, place: int) -> bool:
        """Whether a name without any other word beside it is one."""
        token, lists = self.tokens[place], self.lists
        known = token.folded in lists.given or token.folded in lists.family
        if not known or token.folded in lists.ambiguous or len(token.text) < 3:
            return False
        if token.folded in lists.never or _DISEASE.match(self.text, token.end):
            return False
        if token.folded in lists.eponyms and token.folded not in lists.given:
            return False
        if token.is_capital:
            return True
        return token.folded in lists.given and len(token.text) > 4

    def _take(self, place: int, *, titled: bool) -> int:
        """Take words from here as long as they go on with a name; small ones after a title too."""
        end = place + 1
        while end < len(self.tokens) and end - place < _MOST_TOKENS and self._joins(end - 1, end):
            if self._goes_on(place, end, titled):
                end += 1
            elif self._particles_ahead(end):
                end += 2
            else:
                break
        return end

    def _goes_on(self, place: int, here: int, titled: bool) -> bool:
        token = self.tokens[here]
        if token.is_initial:
            return True
        gap = self.text[self.tokens[here - 1].end : token.start]
        if "," in gap:
            known = token.folded in self.lists.given
            return (
                token.is_capital and here - place == 1 and (known or self._is_labelled(place, here))
            )
        if "\n" in gap and self._is_in_form(place):
            return False
        if "\n" in gap and not self._in_list(here) and here - place > 1:
            return False
        if not self.tokens[place].is_capital:
            small = token.folded in self.lists.family and not token.is_capital
            if titled and here - place == 1 and not token.is_capital and not small:
                ends = not self.text[token.end :].lstrip(" ")[:1].isalnum()
                return ends and len(token.text) > 2 and not self._is_word(here)
            return small
        return self._looks_named(here)

    def _is_in_form(self, place: int) -> bool:
        """Whether a label opens the line: `Surname Okonjo`, and another line begins after it."""
        start = self.tokens[place].start
        return leads.FORM_LABEL.search(self.text[max(0, start - leads.REACH) : start]) is not None

    def _is_labelled(self, place: int, here: int) -> bool:
        """`Name: Zumbrägel, Kunigunde`: what follows a label, turned round, and ends there."""
        start = self.tokens[place].start
        before = self.text[max(0, start - leads.REACH) : start]
        ends = not self.text[self.tokens[here].end :].lstrip(" ")[:1].isalnum()
        return ends and self._looks_named(here) and leads.AFTER_COLON.search(before) is not None

    def _particles_ahead(self, here: int) -> bool:
        token = self.tokens[here]
        return (
            token.folded in PARTICLES
            and here + 1 < len(self.tokens)
            and self._joins(here, here + 1)
            and self._looks_named(here + 1)
        )

    def is_before_a_name(self, place: int) -> bool:
        """Whether a given name stands before a known family name: `Xiomara` in `from Xiomara
        Okonjo`, and no `Antragsteller Okonjo`, `the witness Okonjo`."""
        if place < 2 or not self.tokens[place].is_capital or self._in_capitals(place):
            return False
        before, gap = self.tokens[place - 2], self.text[self.tokens[place - 1].end :][:1]
        joined = gap == " " and self.tokens[place].start == self.tokens[place - 1].end + 1
        small = before.text.islower() and before.folded in leads.BEFORE_GIVEN
        role = leads.ROLE.fullmatch(self.tokens[place - 1].text)
        return joined and small and role is None and self._looks_named(place - 1)

    def _looks_named(self, place: int) -> bool:
        """A capital that is no ordinary word; after small letters only what the lists know."""
        token = self.tokens[place]
        if len(token.text) < 2 or self._is_word(place) or token.folded in TITLES:
            return False
        return token.is_capital and not self.text[token.end : token.end + 1].isdecimal()

    def _joins(self, one: int, other: int) -> bool:
        """Whether only a space, a point after a letter, a dash or a comma stands between."""
        first = self.tokens[one]
        gap = self.text[first.end : self.tokens[other].start]
        if len(gap) > 3 or gap == "   ":  # columns of a form
            return False
        bare = gap.strip(" \t\n")
        if bare in ("-", "‐", "–"):
            return gap == bare
        if bare == ".":
            return first.is_initial or first.folded in TITLES or first.folded in ("jr", "st")
        return (bare == "" and len(gap) > 0) or (bare == "," and "\n" not in gap)

    def _is_word(self, place: int) -> bool:
        token = self.tokens[place]
        known = token.folded in self.lists.given or token.folded in self.lists.family
        return token.folded in self.lists.never and not (known and token.is_capital)

    def _in_list(self, place: int) -> bool:
        token = self.tokens[place]
        return token.folded in self.lists.given or token.folded in self.lists.family


def find_people(
    text: str, lists: NameLists, *, more: Iterable[tuple[int, int]] = ()
) -> list[FoundIdentifier]:
    """Names in a document, first as they are introduced, then wherever they stand alone.

    Args:
        more: places that a model called people.
    """
    tokens = tokens_of(text)
    reader = _Reader(text, tokens, lists)
    spans = [*((tokens[a].start, tokens[b - 1].end) for a, b in reader.find()), *more]
    known: dict[str, str] = {}
    for start, end in spans:
        for token in tokens_of(text[start:end]):
            if len(token.text) > 2 and token.folded not in PARTICLES:
                known.setdefault(token.folded, token.text)
    found = dict.fromkeys(spans, 0.8)
    for place, token in enumerate(tokens):
        if (stem := _known_as(token, known, lists)) is not None:
            first = tokens[place - 1] if reader.is_before_a_name(place) else token
            found.setdefault((first.start, token.start + len(stem)), 0.75)
    return [FoundIdentifier("PERSON", start, end, weight) for (start, end), weight in found.items()]


def _known_as(token: TextWord, known: dict[str, str], lists: NameLists) -> str | None:
    """How much of a word is a name that the document has introduced: `Müllers` holds Müller."""
    for stem in (token.text, token.text[:-1] if token.folded.endswith("s") else token.text):
        folded = stem.lower()
        if folded not in known:
            continue
        if token.is_capital:
            return stem
        ordinary = folded in lists.ambiguous or folded in lists.never or len(stem) < 4
        listed = folded in lists.given or folded in lists.family
        if not ordinary and (listed or known[folded].islower()):
            return stem
    return None
