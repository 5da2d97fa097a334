"""Additions: a stretch of an output whose content words are nowhere in the source.

Novelty is weak: what is worded otherwise is novel too. So an addition is called only where many
novel words stand together and the rest of the output is worded almost wholly as the source is. The
measures under it (how many novel words, how long the longest stretch) serve `risk` as features of
their own, by the metrics `novel_words` and `novel_stretch` in `overlap`.

A word is known if its stem is in the source, or a word with the same first five letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from evaluators.checks.facts.numerals import is_german
from evaluators.checks.text.claims import OutputClaim, quote, split_sentences
from evaluators.checks.text.content import is_content, stems_of
from evaluators.checks.text.statements import stem_word

PREFIX = 5
LEAST = 5  # weight of a stretch that is called an addition
GAP = 1.5  # what a known word in a stretch takes from its weight
MOST_NOVEL = 0.15  # of the other content words of the output
LEAST_REST = 8  # content words outside the stretch, or there is nothing to compare it with
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words of one sentence that are mostly novel.

    Attributes:
        weight: novel words, less `GAP` for each known one between them.
        novel, size: novel and all content words within.
    """

    start: int
    end: int
    weight: float
    novel: int
    size: int


@dataclass(frozen=True, slots=True)
class Novelty:
    """Content words of an output: how many, how many novel, and the longest novel stretch."""

    words: int
    novel: int
    longest: Stretch | None


def check_additions(
    output: str, words: frozenset[str], source_words: frozenset[str]
) -> Iterator[OutputClaim]:
    """A claim for the longest stretch of an output that the source has no words of.

    Args:
        words, source_words: the distinct case-folded words of both. German is not read: its
            compounds are novel more often than what they say is.
    """
    if len(words - source_words) < LEAST:
        return
    novel = novel_of(words, source_words)
    if len(novel) < LEAST or 2 * len(novel) > sum(map(is_content, words)) or is_german(words):
        return
    found = measure_novelty(output, novel)
    stretch = found.longest
    if stretch is None or stretch.weight < LEAST:
        return
    rest, others = found.words - stretch.size, found.novel - stretch.novel
    if rest >= LEAST_REST and others <= MOST_NOVEL * rest:
        said = quote(output[stretch.start : stretch.end])
        problem = f"the source has no words of {said}, as it has of the rest"
        yield OutputClaim(stretch.start, stretch.end, "addition", problem)


def novel_of(words: frozenset[str], source_words: frozenset[str]) -> frozenset[str]:
    """The content words among some that a source does not know."""
    known = _known_of(source_words)
    return frozenset(word for word in words - source_words if _is_novel(word, known))


def measure_novelty(output: str, novel_words: frozenset[str]) -> Novelty:
    """How much of an output is made of novel words, and where they stand closest."""
    count = novel = 0
    longest: Stretch | None = None
    for start, end in split_sentences(output):
        said = [word.casefold() for word in _WORD.findall(output, start, end)]
        here = sum(map(novel_words.__contains__, said))  # all of them have content
        count += sum(map(is_content, said))
        novel += here
        if here > (longest.weight if longest else 0):  # no stretch weighs more than its novel words
            best = _longest(
                [
                    (m.start(), m.end(), word in novel_words)
                    for m, word in zip(_WORD.finditer(output, start, end), said, strict=True)
                    if is_content(word)
                ]
            )
            if best is not None and (longest is None or best.weight > longest.weight):
                longest = best
    return Novelty(count, novel, longest)


def _longest(words: Sequence[tuple[int, int, bool]]) -> Stretch | None:
    """The stretch of most weight, in one pass: a stretch that weighs nothing is begun anew."""
    best: Stretch | None = None
    weight, first, novel = 0.0, 0, 0
    for i, (_, end, new) in enumerate(words):
        if weight <= 0:
            weight, first, novel = 0.0, i, 0
        weight += 1.0 if new else -GAP
        novel += new
        if new and (best is None or weight > best.weight):
            best = Stretch(words[first][0], end, weight, novel, i - first + 1)
    return best


def _is_novel(word: str, known: Set[str]) -> bool:
    return (
        is_content(word)
        and (stem := stem_word(word)) not in known
        and (len(stem) < PREFIX or stem[:PREFIX] not in known)
    )


@lru_cache(maxsize=2048)
def _known_of(words: frozenset[str]) -> frozenset[str]:
    """Stems of a source, and their first letters."""
    stems = stems_of(words)
    return stems | {stem[:PREFIX] for stem in stems if len(stem) >= PREFIX}
