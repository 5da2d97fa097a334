"""English words of one gender exchanged for those of the other, where it can be done safely.

`her` is him or his, `his` is her or hers: what follows decides, and after a verb that may take two
objects ("gave her medication") nothing does, so that the row is refused. Rules, no parser: what
they do on real text is reported by tests/benchmarks and in the guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from evaluators.checks.text.lettering import plain_case
from evaluators.fairness.lexicon import Lexicon

TOKEN = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)*|[^\w\s]|_", re.UNICODE)
SIMPLE = {
    "he": "she", "she": "he", "him": "her", "himself": "herself", "herself": "himself",
    "hers": "his",
}  # fmt: skip
PRONOUNS = {
    "he": "male", "him": "male", "his": "male", "himself": "male", "she": "female", "her": "female",
    "hers": "female", "herself": "female",
}  # fmt: skip
TITLES = frozenset({"mr", "mrs", "ms", "miss"})
_CONTRACTED = re.compile(r"^(he|she)(['’](?:s|d|ll))$", re.IGNORECASE)
_ADVERB = re.compile(r"ly$")
_NOUNS_IN_LY = {
    "family", "belly", "assembly", "anomaly", "ally", "reply", "supply", "elderly", "only", "early",
    "daily", "weekly", "monthly",
}  # fmt: skip


class Unsafe(Exception):
    """A row that cannot be exchanged safely; the text is the reason, as it is counted."""


@dataclass(frozen=True, slots=True)
class WordEdit:
    """What stands at a place, and what is to stand there."""

    start: int
    end: int
    now: str
    gender: str


def edits(text: str, lexicon: Lexicon) -> Iterator[WordEdit]:
    """Every gendered word with its counterpart.

    Raises:
        Unsafe: the text names both genders in one phrase, or a pronoun cannot be told.
    """
    lowered = text.lower()
    for phrase in lexicon.gender.get("both_named", ()):
        if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", lowered):
            raise Unsafe("it names both genders in one phrase")
    words = _words(lexicon)
    tokens = list(TOKEN.finditer(text))
    for place, token in enumerate(tokens):
        word = token.group().lower().replace("’", "'")
        bare, suffix = _parted(word)
        if (found := _CONTRACTED.match(token.group())) is not None:
            said = plain_case(found.group(1)).lower()
            now = as_written(SIMPLE[said], found.group(1)) + found.group(2)
            yield WordEdit(*token.span(), now, PRONOUNS[said])
        elif word in PRONOUNS:
            now = _pronoun(word, place, tokens, lexicon)
            yield WordEdit(*token.span(), as_written(now, token.group()), PRONOUNS[word])
        elif bare in TITLES:
            _require_title(token.group(), place, tokens)
            now, gender = words[bare]
            yield WordEdit(*token.span(), as_written(now, token.group()[:2]), gender)
        elif bare in words:
            now, gender = words[bare]
            ending = token.group()[len(bare) :] if suffix else ""
            yield WordEdit(
                *token.span(), as_written(now, token.group()[: len(bare)]) + ending, gender
            )


def _require_title(word: str, place: int, tokens: list[re.Match[str]]) -> None:
    """A title stands before a name; `miss` without one is a verb, or somebody spoken to."""
    following = tokens[place + 1 : place + 3]
    if following and following[0].group() == ".":
        following = following[1:]
    if not word[0].isupper() or not following or not following[0].group()[0].isupper():
        raise Unsafe("a title that stands before no name, or a verb")


def _parted(word: str) -> tuple[str, str]:
    """A word and its possessive ending; "ma'am" is one word."""
    return (word[:-2], word[-2:]) if word.endswith("'s") else (word, "")


@lru_cache(maxsize=8)
def _words_of(
    pairs: tuple[tuple[str, str], ...], one_way: tuple[tuple[str, str, str], ...]
) -> dict[str, tuple[str, str]]:
    table: dict[str, tuple[str, str]] = {}
    for male, female in pairs:
        table.setdefault(male.lower(), (female, "male"))
        table.setdefault(female.lower(), (male, "female"))
    for was, now, gender in one_way:
        table.setdefault(was.lower(), (now, gender))
    return table


def _words(lexicon: Lexicon) -> dict[str, tuple[str, str]]:
    ways = lexicon.gender.get("one_way") or {}
    to_male: Mapping[str, str] = ways.get("male_of") or {}
    to_female: Mapping[str, str] = ways.get("female_of") or {}
    one_way = tuple((w, n, "female") for w, n in to_male.items())
    one_way += tuple((w, n, "male") for w, n in to_female.items())
    return _words_of(tuple((a, b) for a, b in lexicon.gender.get("pairs") or ()), one_way)


def _pronoun(word: str, place: int, tokens: list[re.Match[str]], lexicon: Lexicon) -> str:
    if word in SIMPLE:
        return SIMPLE[word]
    following = tokens[place + 1].group().lower() if place + 1 < len(tokens) else "."
    closes = not following[0].isalnum() or following in set(lexicon.gender["closers"])
    closes &= following not in ('"', "'", "“", "(")
    doubtful = following in set(lexicon.gender["doubtful"])
    if word == "his":
        if doubtful and following != "back":
            raise Unsafe('"his" may be her or hers')
        return "hers" if closes else "her"
    if closes:
        return "him"
    before = tokens[place - 1].group().lower() if place else ""
    doubtful |= before in set(lexicon.gender["two_objects"])
    adverb = bool(_ADVERB.search(following)) and following not in _NOUNS_IN_LY
    if doubtful or adverb or not following[0].isalpha():
        raise Unsafe('"her" may be him or his')
    return "his"


def as_written(now: str, was: str) -> str:
    """A word in the case of the one that it takes the place of."""
    if was.isupper() and len(was) > 1:
        return now.upper()
    if was[:1].isupper():
        return now[:1].upper() + now[1:]
    return now[:1].lower() + now[1:] if was[:1].islower() else now
