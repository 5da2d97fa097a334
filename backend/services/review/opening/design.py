"""Sampling designs: which items of a frame are reviewed, with which chance, and why.

Pure functions of a seed; the frame is numbered 0 to N - 1 and nothing is known of the database.

    random      a simple random sample of the frame
    stratified  a simple random sample within each value of a slice
    active      a random anchor out of the whole frame, and targeted strata on top of it

Every stratum is drawn from by itself, without replacement and without regard to the others, so an
item that lies in several is drawn with probability 1 - prod(1 - n_h / N_h), exactly (Cochran 1977,
"Sampling Techniques", ch. 5A, for each; independence for their union). That is what is stored with
the item, and what estimates divide by. An item drawn twice is reviewed once, so that a budget is
an upper bound.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from backend.errors import CannotCompute, InvalidInput

ANCHOR = "anchor"
AT_RANDOM = "Drawn at random, so that a part can stand for the whole."
NO_VALUE = "(none)"


class DesignKind(StrEnum):
    """How items are chosen."""

    RANDOM = "random"
    STRATIFIED = "stratified"
    ACTIVE = "active"


class Allocation(StrEnum):
    """How a stratified budget is shared out: by the size of the strata, or alike."""

    PROPORTIONAL = "proportional"
    EQUAL = "equal"


@dataclass(frozen=True, slots=True)
class Target:
    """A targeted stratum as it is asked for, with a share of the budget or a number of items.

    Attributes:
        metric: the check by which `high_risk` goes; by default the first that was scored.
        top: share of the frame that counts as extreme.
    """

    name: str
    share: float | None = None
    n: int | None = None
    metric: str | None = None
    top: float = 0.25

    @property
    def is_sized(self) -> bool:
        """Whether it says how large it is."""
        return self.share is not None or self.n is not None


@dataclass(frozen=True, slots=True)
class SamplingDesign:
    """How the items of a queue are to be chosen.

    Attributes:
        by, allocation: of a stratified design, the key of the slice.
        anchor: of an active design, the anchor's share of the budget; by default what is left.
        minutes: a budget of active minutes in place of a number of items.
        minutes_per_review: taken where earlier reviews do not tell.
    """

    kind: DesignKind = DesignKind.RANDOM
    by: str | None = None
    allocation: Allocation = Allocation.PROPORTIONAL
    anchor: float | None = None
    targets: tuple[Target, ...] = ()
    minutes: float | None = None
    minutes_per_review: float | None = None


@dataclass(frozen=True, slots=True)
class Stratum:
    """Items (by number) of which `n` are drawn; `why` is said to experts after they submitted.

    `n_without` counts items that could not be placed, for lack of the measure that defines it.
    """

    name: str
    why: str
    members: tuple[int, ...]
    n: int
    n_without: int = 0


class Drawn(NamedTuple):
    """An item of the sample: its number in the frame, its stratum, its chance, and why."""

    number: int
    stratum: str | None
    probability: float
    why: str | None


def draw_simple(n_frame: int, n: int | None, rng: random.Random) -> list[Drawn]:
    """A simple random sample in random order; all of the frame where n is None or beyond it."""
    size = min(n or n_frame, n_frame)
    chance = size / n_frame
    return [Drawn(i, None, chance, AT_RANDOM) for i in rng.sample(range(n_frame), size)]


def draw_strata(strata: Sequence[Stratum], rng: random.Random) -> list[Drawn]:
    """Independent simple random samples, each item once, all in random order.

    An item is put down to the first stratum that drew it, so that the first one keeps all of its
    draws: what is put down to an anchor is a simple random sample by itself.
    """
    drawn: dict[int, Stratum] = {}
    for stratum in strata:
        for index in rng.sample(stratum.members, min(stratum.n, len(stratum.members))):
            drawn.setdefault(index, stratum)
    chances = inclusion_probabilities(strata, of=drawn)
    sample = [Drawn(i, s.name, chances[i], s.why) for i, s in drawn.items()]
    rng.shuffle(sample)
    return sample


def inclusion_probabilities(
    strata: Sequence[Stratum], *, of: Collection[int] | None = None
) -> dict[int, float]:
    """The chance of each item that lies in any stratum: that of the union of the draws.

    Args:
        of: only these items; None: all.
    """
    shares: dict[int, list[float]] = {}
    for stratum in strata:
        share = min(1.0, stratum.n / len(stratum.members))
        for index in stratum.members if of is None else filter(of.__contains__, stratum.members):
            shares.setdefault(index, []).append(share)
    return {i: s[0] if len(s) == 1 else 1 - math.prod(1 - f for f in s) for i, s in shares.items()}


def stratify(
    values: Sequence[str | None], *, key: str, budget: int | None, allocation: Allocation
) -> list[Stratum]:
    """One stratum for each value of a slice; those without it are a stratum of their own.

    Raises:
        InvalidInput: no item has the key, or the budget is smaller than the number of strata.
    """
    members: dict[str, list[int]] = {}
    for index, value in enumerate(values):
        members.setdefault(NO_VALUE if value is None else value, []).append(index)
    if set(members) == {NO_VALUE}:
        raise InvalidInput(f"No example has a slice {key!r}.", hint="See: strop dataset show")
    names = sorted(members)
    sizes = [len(members[name]) for name in names]
    counts = sizes if budget is None else allocate(sizes, budget, allocation)
    return [
        Stratum(
            name=f"{key}={name}"[:80],
            why=f"Drawn at random among the cases with {key} = {name}.",
            members=tuple(members[name]),
            n=count,
        )
        for name, count in zip(names, counts, strict=True)
    ]


def allocate(sizes: Sequence[int], budget: int, allocation: Allocation) -> list[int]:
    """How many to draw from strata of these sizes: at least one each, never more than there are.

    Proportional allocation rounds by largest remainders; what a full stratum cannot take goes to
    the others.

    Raises:
        InvalidInput: fewer items than strata, so that one would have no chance of being drawn.
    """
    if budget < len(sizes):
        raise InvalidInput(
            f"{budget} items cannot cover {len(sizes)} strata.",
            hint=f"Ask for at least {len(sizes)} items, or stratify by another slice.",
        )
    if budget >= sum(sizes):
        return list(sizes)
    # What a stratum would get if fractions could be drawn.
    alike = allocation is Allocation.EQUAL
    wishes = [budget / len(sizes) if alike else budget * size / sum(sizes) for size in sizes]
    counts = [min(size, max(1, math.floor(wish))) for size, wish in zip(sizes, wishes, strict=True)]
    while sum(counts) != budget:
        step = 1 if sum(counts) < budget else -1
        movable = [i for i, n in enumerate(counts) if (n < sizes[i] if step > 0 else n > 1)]
        counts[max(movable, key=lambda i: step * (wishes[i] - counts[i]))] += step
    return counts


def share_budget(
    targets: Sequence[Target], *, anchor: float | None, budget: int
) -> tuple[int, list[int]]:
    """Items of the anchor and of each target.

    Targets with neither share nor number take equal parts of half of what the others leave; the
    anchor, unless its share is given, takes the rest.

    Raises:
        InvalidInput: more is asked for than the budget holds, or no item is left for the anchor.
    """
    _check_targets(targets)
    fixed = {t.name: t.n or round((t.share or 0.0) * budget) for t in targets if t.is_sized}
    reserved = 0 if anchor is None else max(1, round(anchor * budget))
    left = budget - reserved - sum(fixed.values())
    loose = [t for t in targets if not t.is_sized]
    spare = left if anchor is not None else left // 2
    each = spare // len(loose) if loose else 0
    counts = [fixed.get(t.name, each) for t in targets]
    n_anchor = reserved if anchor is not None else budget - sum(counts)
    if left < 0 or n_anchor < 1 or (loose and each < 1):
        raise InvalidInput(
            f"A budget of {budget} items does not hold the anchor and these strata.",
            hint="Ask for more items, or give the strata smaller shares: "
            "without a random anchor nothing can be said of the whole.",
        )
    return n_anchor, [max(1, count) for count in counts]


def _check_targets(targets: Sequence[Target]) -> None:
    if not targets:
        raise InvalidInput(
            "An active design needs at least one targeted stratum.",
            hint="For example: --strata high_risk:0.3,models_disagree:0.2",
        )
    names = [target.name for target in targets]
    if len(set(names)) < len(names):
        raise InvalidInput("A stratum is named twice.")
    if any(target.share is not None and target.n is not None for target in targets):
        raise InvalidInput("A stratum has a share or a number of items, not both.")


def anchor_stratum(n_frame: int, n: int) -> Stratum:
    """The random part that every active design has."""
    return Stratum(ANCHOR, AT_RANDOM, tuple(range(n_frame)), n)


def most_extreme(values: Sequence[float | None], *, top: float, what: str) -> tuple[int, ...]:
    """Numbers of the items with the highest values: about the share `top` of those that have one.

    Ties at the edge are all in, unless the edge is the lowest value there is, which is no extreme.

    Raises:
        CannotCompute: nothing has a value, or all values are alike.
    """
    known = sorted(value for value in values if value is not None)
    if not known or known[0] == known[-1]:
        raise CannotCompute(
            f"No output stands out by {what}: " + ("all are alike." if known else "none has it."),
            hint="Leave this stratum out.",
        )
    edge = known[max(0, len(known) - max(1, math.floor(top * len(known))))]
    if edge == known[0]:
        edge = next(value for value in known if value > known[0])
    return tuple(i for i, value in enumerate(values) if value is not None and value >= edge)


def spread_of_ranks(measures: Mapping[str, Sequence[float | None]]) -> list[float | None]:
    """How far checks disagree about each item: the range of its ranks by them, 0 to 1.

    Ranks are shares of the items that a check scored and that it holds to be less at risk, ties
    counting half, so that checks of different units can be compared. None for an item that fewer
    than two checks scored.
    """
    ranked = [_ranks(values) for values in measures.values()]
    spreads: list[float | None] = []
    for ranks in zip(*ranked, strict=True):
        known = [rank for rank in ranks if rank is not None]
        spreads.append(max(known) - min(known) if len(known) >= 2 else None)
    return spreads


def _ranks(values: Sequence[float | None]) -> list[float | None]:
    known = sorted(value for value in values if value is not None)
    return [
        None if v is None else (bisect_left(known, v) + bisect_right(known, v)) / (2 * len(known))
        for v in values
    ]
