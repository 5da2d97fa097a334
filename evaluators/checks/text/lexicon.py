"""Which English words say the same and which the opposite, by their stems.

The file beside this one is a part of WordNet 3.0 (Miller 1995, CACM 38:39; its licence stands in
it): words in small letters that are met in its tagged texts or have three senses. It has the sets
of synonyms, both sides of each antonym (with an adjective those like it) and irregular forms. A
word of several senses has the synonyms of all of them: ask of two words that stand in one place,
where chance seldom puts them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from evaluators.checks.text.memo import remembered
from evaluators.checks.text.statements import stem_word

_FILE = Path(__file__).with_name("wordnet.json")
_NONE: frozenset[str] = frozenset()


class _Lexicon(NamedTuple):
    """Synonyms and opposites of each stem, and the plain form of each irregular one."""

    synonyms: dict[str, frozenset[str]]
    opposites: dict[str, frozenset[str]]
    forms: dict[str, str]


@lru_cache(maxsize=1)
def _lexicon() -> _Lexicon:
    """Read once, when it is first asked for: it takes about a tenth of a second."""
    kept = json.loads(_FILE.read_text(encoding="utf-8"))
    synonyms: dict[str, set[str]] = defaultdict(set)
    opposites: dict[str, set[str]] = defaultdict(set)
    for line in kept["synonyms"]:
        stems = _stems(line)
        for stem in stems:
            synonyms[stem] |= stems
    for line in kept["opposites"]:
        one, other = map(_stems, line.split("|"))
        for stem in one:
            opposites[stem] |= other
        for stem in other:
            opposites[stem] |= one
    return _Lexicon(
        {stem: frozenset(found - {stem}) for stem, found in synonyms.items()},
        {stem: frozenset(found - {stem}) for stem, found in opposites.items()},
        dict(line.split() for line in kept["forms"]),
    )


def _stems(line: str) -> set[str]:
    return set(map(stem_word, line.split()))


@remembered
def plain_stem(word: str) -> str:
    """The stem of a lower-case word, of an irregular form that of its plain one."""
    return stem_word(_lexicon().forms.get(word, word))


def synonyms_of(stem: str) -> frozenset[str]:
    """Stems of words that may say the same."""
    return _lexicon().synonyms.get(stem, _NONE)


def opposites_of(stem: str) -> frozenset[str]:
    """Stems of words that may say the opposite."""
    return _lexicon().opposites.get(stem, _NONE)
