"""Which words of a text carry meaning of their own, and the words of a text by stem."""

from __future__ import annotations

from collections.abc import Set
from functools import lru_cache

from evaluators.checks.text.claims import word_set
from evaluators.checks.text.memo import remembered
from evaluators.checks.text.statements import stem_word

FUNCTION = word_set(
    "a an the and or but if of to in on at by for with from as is are was were be been being "
    "it its this that these those he she they we you i his her their our your my me him them "
    "us do does did have has had will would can could should may might must there here which "
    "who whom whose what when where why how than then so such also into about any each own "
    "both while because since although just very some all other doctor patient pt said says "
    "der die das und oder ein eine einen einem einer des dem den ist sind war waren wurde "
    "wurden wird werden hat haben hatte im am zu von mit für auf es er sie wir ihr"
)
# Shared by sentences that speak of different matters.
VAGUE = word_set(
    "day days week weeks month months year years hour hours minute minutes time times ago old "
    "age date today now yesterday tomorrow one two three four five six seven eight nine ten "
    "lot lots bit thing things something anything way ways many much few little get got go "
    "goes going went come came make made take took put say said know think yeah yes okay well "
    "right really even still only also again back dr mr mrs ms"
)
_IDLE = FUNCTION | VAGUE
NO_WORDS: frozenset[str] = frozenset()


@remembered
def is_content(text: str) -> bool:
    """Whether a lower-case word tells what a sentence is about."""
    return len(text) > 2 and text not in _IDLE and text[0].isalpha()


@lru_cache(maxsize=2048)
def stems_of(words: frozenset[str]) -> frozenset[str]:
    """Stems of the words of a text; remembered, since several outputs share one source."""
    return frozenset(map(stem_word, words))


@lru_cache(maxsize=2048)
def with_stems(words: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """Each word with its stem: equal sets may give their words in different order."""
    return tuple(zip(words, map(stem_word, words), strict=True))


def forms_of(stems: Set[str], words: frozenset[str]) -> frozenset[str]:
    """The words among those of a text that have one of some stems."""
    if stems.isdisjoint(stems_of(words)):
        return NO_WORDS
    return frozenset([word for word, stem in with_stems(words) if stem in stems])
