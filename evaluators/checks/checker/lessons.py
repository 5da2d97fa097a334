"""What a checker is taught with: sentences of right texts, the same with an error planted, marks.

Every wrong sentence stands beside a right one, where there is one the very sentence that it was
made of, so that neither length nor subject tells the two apart. Pure: which texts are right, and
which may be learned from, is decided elsewhere.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, zip_longest

from evaluators.checks.checker.checker import sentences_of
from evaluators.checks.planting.plant import KINDS, Planted, plant_errors
from evaluators.spread import Spread, cut

MARKED = "marked"
BLOCK = 25
TAUGHT_KINDS = tuple(name for name, kind in KINDS.items() if kind.misstates)
"""What one sentence can show; that something is left out is no property of a sentence."""


@dataclass(frozen=True, slots=True)
class RightText:
    """A text whose every sentence its source supports, as people have it.

    Attributes:
        key: the caller's, comes back with each lesson.
        group: texts of one group are never donors to one another.
    """

    key: int
    group: str
    source: str
    text: str


@dataclass(frozen=True, slots=True)
class MarkedText:
    """An output in which a person marked errors: (start, end) in code points."""

    key: int
    group: str
    source: str
    text: str
    marks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A sentence, and whether the source of its text supports it.

    Attributes:
        kind: of the planted error, or `marked`; None of a right sentence.
    """

    key: int
    sentence: str
    supported: bool
    kind: str | None = None


Pair = tuple[Lesson | None, Lesson]


def teach(
    right: Sequence[RightText],
    marked: Sequence[MarkedText],
    *,
    most: int,
    seed: int,
    spread: Spread = map,
) -> list[Lesson]:
    """As many right sentences as wrong ones, right before wrong; `most` lessons in all.

    Marked sentences come first, then planted errors, the kinds in turn so that a rare one is not
    lost among numbers. A marked sentence is paired with a right one of the same group where there
    is one, else of any.

    Args:
        spread: where errors are planted in blocks of texts.
    """
    rng = random.Random(seed)
    taken: list[Pair] = [(None, lesson) for lesson in _marked(marked)]
    rng.shuffle(taken)
    taken += _in_turn(_planted(right, seed, spread), rng)
    taken = taken[: most // 2]
    return _pair_up(taken, right, marked, rng)


def whole_texts(
    right: Sequence[RightText], *, seed: int, spread: Spread = map
) -> list[tuple[RightText, str, str]]:
    """Each right text with one planted error: (text, with the error, its kind), kinds in turn."""
    found, counts = [], Counter[str]()
    for one, options in zip(right, _options(right, seed, spread), strict=True):
        if options:
            best = min(options, key=lambda planted: (counts[planted.kind], planted.start))
            counts[best.kind] += 1
            found.append((one, best.text, best.kind))
    return found


def _planted(right: Sequence[RightText], seed: int, spread: Spread) -> Mapping[str, list[Pair]]:
    """By kind: the right sentence and the one with the error; at most one error a sentence."""
    found: dict[str, list[Pair]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for one, options in zip(right, _options(right, seed, spread), strict=True):
        places = sentences_of(one.text)
        used: set[int] = set()
        for planted in sorted(options, key=lambda p: (counts[p.kind], p.start)):
            wrong = _touched(planted.text, planted.start, planted.end)
            at = _index_of(places, planted.start, planted)
            if wrong is None or at is None or at in used:
                continue
            used.add(at)
            counts[planted.kind] += 1
            true = one.text[slice(*places[at])]
            if true != wrong:
                pair = Lesson(one.key, true, True), Lesson(one.key, wrong, False, planted.kind)
                found[planted.kind].append(pair)
    return found


def _options(right: Sequence[RightText], seed: int, spread: Spread) -> list[list[Planted]]:
    """For each text what can be planted in it."""
    donors = _Donors(right)
    grounds = [(one, donors.of(one.group)) for one in right]
    return list(chain.from_iterable(spread(partial(_plant, seed), cut(grounds, BLOCK))))


def _plant(seed: int, grounds: Sequence[tuple[RightText, list[str]]]) -> list[list[Planted]]:
    return [
        plant_errors(one.text, one.source, kinds=TAUGHT_KINDS, seed=seed + one.key, donors=donors)
        for one, donors in grounds
    ]


class _Donors:
    """Right texts of other groups, from which foreign sentences may be taken."""

    def __init__(self, right: Sequence[RightText], *, most: int = 40) -> None:
        self._known = [(one.group, one.text) for one in right]
        self._most = most

    def of(self, group: str) -> list[str]:
        other = [text for known, text in self._known if known != group]
        return other[:: max(1, len(other) // self._most)][: self._most]


def _touched(text: str, start: int, end: int) -> str | None:
    """The sentence that a stretch lies in; the longest of several."""
    hit = [text[a:b] for a, b in sentences_of(text) if a < max(end, start + 1) and b > start]
    return max(hit, key=len, default=None)


def _index_of(places: Sequence[tuple[int, int]], start: int, planted: Planted) -> int | None:
    """Which right sentence an error was planted in, or stands beside."""
    before = [i for i, (a, _) in enumerate(places) if a <= start]
    return before[-1] if before else (0 if places else None)


def _in_turn(found: Mapping[str, list[Pair]], rng: random.Random) -> list[Pair]:
    by_kind = [found[kind] for kind in TAUGHT_KINDS if kind in found]
    for pairs in by_kind:
        rng.shuffle(pairs)
    return [pair for row in zip_longest(*by_kind) for pair in row if pair is not None]


def _marked(marked: Iterable[MarkedText]) -> list[Lesson]:
    found = []
    for one in marked:
        for a, b in sentences_of(one.text):
            if any(start < b and end > a for start, end in one.marks):
                found.append(Lesson(one.key, one.text[a:b], False, MARKED))
    return found


def _pair_up(
    taken: Sequence[Pair],
    right: Sequence[RightText],
    marked: Sequence[MarkedText],
    rng: random.Random,
) -> list[Lesson]:
    used = {(true.key, true.sentence) for true, _ in taken if true is not None}
    groups = {one.key: one.group for one in right} | {one.key: one.group for one in marked}
    spare: dict[str, list[Lesson]] = defaultdict(list)
    for one in right:
        for a, b in sentences_of(one.text):
            if (one.key, one.text[a:b]) not in used:
                spare[one.group].append(Lesson(one.key, one.text[a:b], True))
    for lessons in spare.values():
        rng.shuffle(lessons)
    found = []
    for true, wrong in taken:
        partner = true or _partner(spare, groups[wrong.key], rng)
        if partner is not None:
            found += [partner, wrong]
    return found


def _partner(spare: dict[str, list[Lesson]], group: str, rng: random.Random) -> Lesson | None:
    own = spare.get(group)
    if not own:
        filled = sorted(name for name, lessons in spare.items() if lessons)
        own = spare[rng.choice(filled)] if filled else None
    return own.pop() if own else None
