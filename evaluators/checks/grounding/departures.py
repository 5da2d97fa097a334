"""Where an answer departs from what most other answers to its source say.

Several answers to one source share much of what they say. Here the stretches are found in which one
goes its own way, and what stands there in the answer that agrees most with all (the medoid, as the
consensus of minimum Bayes risk decoding, Kumar and Byrne 2004, is chosen). Texts that differ in
everything depart in everything. `weighing` says what is to be held of such a stretch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from sys import intern
from typing import NamedTuple
from unicodedata import normalize

from evaluators.errors import UndefinedFigure

_NUMBER_OR_SIGN = r"\d+(?:[.,:]\d+)*|[%€$£]"
_LETTER = r"[^\W\d_]"
_TOKEN = re.compile(rf"{_NUMBER_OR_SIGN}|{_LETTER}+(?:['’]{_LETTER}+)*")
_MARKED = rf"(?:{_LETTER}[\u0300-\u036f]*)+"  # ö as o and two dots
_ANY_TOKEN = re.compile(rf"{_NUMBER_OR_SIGN}|{_MARKED}(?:['’]{_MARKED})*")
_EDGE = ""
GAP = 1  # tokens in common between two stretches that are read as one
MOST_CELLS = 400_000_000  # of the table by which two texts are compared: 20,000 words each
Pair = tuple[str, str]
Tokens = tuple[str, ...]  # words, numbers and signs in small letters


class Departure(NamedTuple):
    """A stretch of an answer that most others lack, and what one of them has in its place.

    Attributes:
        start, end: tokens of the answer; equal where it only leaves something out.
        other_start, other_end: tokens of the other.
    """

    start: int
    end: int
    other_start: int
    other_end: int


def find_tokens(text: str) -> Iterator[re.Match[str]]:
    """The tokens of a text, where they stand and as they are written."""
    return (_TOKEN if text.isascii() else _ANY_TOKEN).finditer(text)


def tokens_of(text: str) -> Tokens:
    """The tokens of a text."""
    found = [m[0].lower().replace("’", "'") for m in find_tokens(text)]
    return tuple([intern(word if word.isascii() else normalize("NFC", word)) for word in found])


@lru_cache(maxsize=4096)
def read_tokens(answer: str) -> Tokens:
    """The tokens of an answer; remembered, since each is held against all others."""
    return tokens_of(answer)


@lru_cache(maxsize=32)
def _agreement(texts: frozenset[str]) -> tuple[Counter[Pair], tuple[str, ...]]:
    """How many texts have each pair of neighbours, and the texts, the most central first.

    A text is central by what its pairs are worth together: each the share of other texts that have
    it, less half of what a pair is worth on average, so that no length is an advantage.
    """
    tokens = {text: read_tokens(text) for text in sorted(texts)}  # every process adds up alike
    pairs = {text: frozenset(pairwise((_EDGE, *own, _EDGE))) for text, own in tokens.items()}
    counts = Counter(chain.from_iterable(pairs.values()))
    others = len(texts) - 1
    shared = {text: sum([counts[p] - 1 for p in own]) / others for text, own in pairs.items()}
    half = sum([shared[text] / len(own) for text, own in pairs.items()]) / len(texts) / 2
    worth = {text: shared[text] - half * len(own) for text, own in pairs.items()}
    return counts, tuple(sorted(texts, key=lambda text: (-worth[text], text)))


def find_departures(text: str, others: Sequence[str]) -> tuple[Tokens, list[Departure]]:
    """The most central other answer, and where this one departs from most.

    A stretch counts where a pair of neighbours in it stands in fewer than half of the others: what
    is odd in the central answer alone is no departure of this one.

    Args:
        others: one at least, none equal to the text, each once.

    Raises:
        UndefinedFigure: both texts are so long that comparing them takes more than MOST_CELLS.
    """
    counts, central = _agreement(frozenset((text, *others)))
    own = read_tokens(text)
    other = read_tokens(next(one for one in central if one != text))
    if len(own) * len(other) > MOST_CELLS:
        raise UndefinedFigure(f"answers of {len(own)} and {len(other)} words are not compared")
    edged = (_EDGE, *own, _EDGE)
    return other, [
        block
        for block in _blocks(own, other)
        if any(
            2 * (counts[pair] - 1) < len(others)
            for pair in pairwise(edged[block.start : block.end + 2])
        )
    ]


def _blocks(own: Sequence[str], other: Sequence[str]) -> list[Departure]:
    """Stretches that differ by the fewest insertions and deletions."""
    from rapidfuzz.distance import Indel

    found: list[Departure] = []
    for op in Indel.opcodes(other, own):
        if op.tag == "equal":
            continue
        start, other_start = op.dest_start, op.src_start
        if found and start - found[-1].end <= GAP:
            last = found.pop()
            start, other_start = last.start, last.other_start
        found.append(Departure(start, op.dest_end, other_start, op.src_end))
    return found
