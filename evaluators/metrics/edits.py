"""How far an output is from the answer that a person made of it.

What an output took: time, tokens, money. Means per output, lower is better.

Edits of TER, equal to sacrebleu's (and so to Tercom's) and many times faster.

Snover et al. 2006, "A Study of Translation Edit Rate": the least number of insertions, deletions,
substitutions and moves of blocks of words, by greedy search. The rules of that search (which blocks
may move where, which move is preferred, when to give up) are those that sacrebleu's `lib_ter`
states. A word is one character here, so that a move is a slice and RapidFuzz can measure distances;
sacrebleu measures them within a band around the diagonal, which is followed where it could matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from evaluators.metric import Metric, each
from evaluators.types import Sample, Score


def _seconds(sample: Sample) -> Score:
    return Score(sample.seconds)


def _tokens(sample: Sample) -> Score:
    return Score(None if sample.tokens is None else float(sample.tokens))


def _cost(sample: Sample) -> Score:
    return Score(sample.cost)


LATENCY = Metric(
    "latency", 1, each(_seconds), needs=frozenset({"seconds"}), higher_is_better=False, scale=None
)
TOKENS = Metric(
    "tokens", 1, each(_tokens), needs=frozenset({"tokens"}), higher_is_better=False, scale=None
)
PROMPT_TOKENS = Metric(
    "prompt_tokens",
    1,
    each(_tokens),
    needs=frozenset({"tokens"}),
    higher_is_better=False,
    scale=None,
)
COST = Metric("cost", 1, each(_cost), needs=frozenset({"cost"}), higher_is_better=False, scale=None)


def edit_similarity(prediction: str, reference: str) -> float:
    """1 - edits / length of the longer text, in characters (Levenshtein 1966); 1 if both empty."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(prediction, reference))


def _edits(sample: Sample) -> Score:
    return Score(max(edit_similarity(sample.prediction, r) for r in sample.references))


EDIT_SIMILARITY = Metric(
    "edit_similarity",
    1,
    each(_edits),
    needs=frozenset({"reference"}),
    description="1 - share of characters to be edited to reach the reference",
)


BAND = 25
LONGEST_BLOCK = 10
FARTHEST_MOVE = 50
MOST_MOVES = 1000
_NEVER = 10**16

Rows = list[list[int]]


def count_edits(hypothesis: Sequence[str], reference: Sequence[str]) -> int:
    """Edits, moves among them, that turn the words of the hypothesis into the reference's."""
    if not reference:
        return len(hypothesis)
    numbers: dict[str, str] = {}
    ours, theirs = (
        "".join([numbers.setdefault(word, chr(len(numbers))) for word in words])
        for words in (hypothesis, reference)
    )
    moves, tried = 0, 0
    while ours != theirs:
        gain, moved, tried = _best_move(ours, theirs, tried)
        if tried >= MOST_MOVES or gain <= 0:
            break
        moves, ours = moves + 1, moved
    start = [list(range(len(theirs) + 1))]
    return moves + _within_band(ours, theirs, _measure(ours, theirs), start, 0)


def _best_move(ours: str, theirs: str, tried: int) -> tuple[int, str, int]:
    """The gain of the best move, the words after it, and the moves tried so far."""
    rows = _extend([list(range(len(theirs) + 1))], ours, theirs)
    before = rows[-1][-1]
    path = _read_path(rows, ours, theirs)
    best, moved = (0, LONGEST_BLOCK + 1, 0, 0), ours  # a move that gains nothing is none
    for start, target, length in _matching_blocks(ours, theirs):
        if not path.worth_moving(start, target, length):
            continue
        for place in path.places(target, length):
            words = _move(ours, start, length, place)
            tried += 1
            exact = _measure(words, theirs)
            if (before - exact, length, -start, -place) <= best:  # a band makes no path shorter
                continue
            banded = _within_band(words, theirs, exact, rows, min(start, place))
            best, moved = max((best, moved), ((before - banded, length, -start, -place), words))
        if tried >= MOST_MOVES:
            break
    return best[0], moved, tried


def _matching_blocks(ours: str, theirs: str) -> Iterator[tuple[int, int, int]]:
    """(start in ours, start in theirs, length) of equal blocks, in the order that counts."""
    found: dict[str, list[int]] = {}
    for j, word in enumerate(theirs):
        found.setdefault(word, []).append(j)
    for i, word in enumerate(ours):
        for j in found.get(word, ()):
            if abs(j - i) > FARTHEST_MOVE:
                continue
            most = min(LONGEST_BLOCK, len(ours) - i, len(theirs) - j)
            for length in range(1, most + 1):
                if ours[i + length - 1] != theirs[j + length - 1]:
                    break
                yield i, j, length


def _move(words: str, start: int, length: int, place: int) -> str:
    """The block put before the word that stands at `place` now (past it, where it moves within)."""
    block, rest = words[start : start + length], words[:start] + words[start + length :]
    if place > start + length:
        place -= length
    return rest[:place] + block + rest[place:]


@dataclass(frozen=True, slots=True)
class _Path:
    """The way from one text to the other: what is wrong, and where each word of theirs stands."""

    wrong_ours: list[bool]
    wrong_theirs: list[bool]
    aligned: list[int]

    def worth_moving(self, start: int, target: int, length: int) -> bool:
        """Something is wrong at both ends, and the block is not there already."""
        return (
            any(self.wrong_ours[start : start + length])
            and any(self.wrong_theirs[target : target + length])
            and not start <= self.aligned[target] < start + length
        )

    def places(self, target: int, length: int) -> Iterator[int]:
        """Where to put the block: before its target, or after each word of the target."""
        last = -1
        for j in range(target - 1, target + length):
            place = 0 if j < 0 else self.aligned[j] + 1
            if place != last:
                yield place
            last = place


def _read_path(rows: Rows, ours: str, theirs: str) -> _Path:
    """Back from the end: keep or replace before delete before insert."""
    i, j = len(ours), len(theirs)
    wrong_ours, wrong_theirs = [True] * i, [True] * j
    aligned = [0] * j
    while i or j:
        cost = rows[i][j]
        same = i > 0 and j > 0 and ours[i - 1] == theirs[j - 1]
        if i and j and cost == rows[i - 1][j - 1] + (not same):
            i, j = i - 1, j - 1
            aligned[j] = i
            wrong_ours[i] = wrong_theirs[j] = not same
        elif i and cost == rows[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
            aligned[j] = i - 1
    return _Path(wrong_ours, wrong_theirs, aligned)


def _within_band(ours: str, theirs: str, exact: int, rows: Rows, alike: int) -> int:
    """Edit distance within the band, given that without one.

    A path of cost d never strays so far from the diagonal that the band could cut it off where d
    plus the difference in length is at most 2 * (BAND - 2), nor where the band holds all of theirs.

    Args:
        rows: those of a text that begins with the same `alike` words and is as long.
    """
    if len(theirs) < BAND or exact + abs(len(ours) - len(theirs)) <= 2 * (BAND - 2):
        return exact
    return _extend(rows[: min(alike, len(ours)) + 1], ours, theirs)[-1][-1]


def _measure(ours: str, theirs: str) -> int:
    return int(_levenshtein()(ours, theirs))


@lru_cache(maxsize=1)
def _levenshtein() -> Any:
    from rapidfuzz.distance.Levenshtein import distance

    return distance


def _extend(known: Rows, ours: str, theirs: str) -> Rows:
    """Rows of the table of distances within the band, the first of them known."""
    rows = list(known)
    ratio = len(theirs) / len(ours) if ours else 1.0
    band = BAND if ratio / 2 <= BAND else math.ceil(ratio / 2 + BAND)
    width = len(theirs) + 1
    for i in range(len(rows), len(ours) + 1):
        middle = math.floor(i * ratio)
        low = max(0, middle - band)
        high = width if i == len(ours) else min(width, middle + band)
        rows.append(_next_row(rows[-1], ours[i - 1], theirs, low, high))
    return rows


def _next_row(above: list[int], word: str, theirs: str, low: int, high: int) -> list[int]:
    row = [_NEVER] * (len(theirs) + 1)
    left = _NEVER
    if low == 0:
        row[0] = left = above[0] + 1
    for j in range(max(low, 1), high):
        best = above[j - 1] if word == theirs[j - 1] else above[j - 1] + 1
        if above[j] < best:
            best = above[j] + 1
        if left < best:
            best = left + 1
        row[j] = left = best
    return row
