"""Cuts a source into windows that a model can read beside a sentence."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from evaluators.checks.text.claims import split_sentences

Place = tuple[int, int]


def windows_of(
    text: str, starts: Sequence[int], *, limit: int, size: int | None = None
) -> list[Place]:
    """(start, end) of windows of whole sentences that together cover a text; none of an empty one.

    Args:
        starts: code point at which each token of the text begins.
        limit: tokens of a window at most; a longer sentence is cut at a token.
        size: sentences of a window at most, and each window begins one sentence after the one
            before (SummaC, arXiv:2111.09525); None takes as many as fit, and none twice.
    """
    places = [
        part for place in split_sentences(text) for part in _cut(place, starts, max(limit, 1))
    ]
    found: list[Place] = []
    first = covered = 0
    while first < len(places):
        last = _reach(places, first, starts, limit, size or len(places))
        if last > covered:
            found.append((places[first][0], places[last - 1][1]))
            covered = last
        first = first + 1 if size else last
    return found


def _reach(
    places: Sequence[Place], first: int, starts: Sequence[int], limit: int, size: int
) -> int:
    """The sentence before which a window from `first` on ends."""
    last = first + 1
    while last < min(first + size, len(places)) and (
        bisect_left(starts, places[last][1]) - bisect_left(starts, places[first][0]) <= limit
    ):
        last += 1
    return last


def _cut(place: Place, starts: Sequence[int], limit: int) -> list[Place]:
    """The sentence, or pieces of it of at most so many tokens."""
    a, b = place
    first, last = bisect_left(starts, a), bisect_left(starts, b)
    if last - first <= limit:
        return [place]
    # Tokens of one character begin where it does, so an edge may repeat: no empty piece.
    edges = sorted({a, b, *(starts[i] for i in range(first + limit, last, limit))})
    return list(pairwise(edges))
