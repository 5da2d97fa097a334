"""Sampling designs: who is drawn, with which chance, and that the chances are the true ones."""

from __future__ import annotations

import random
from collections import Counter
from math import sqrt
from statistics import fmean, stdev

import pytest

from backend.errors import CannotCompute, InvalidInput
from backend.services.review.opening.design import (
    ANCHOR,
    Allocation,
    Drawn,
    Stratum,
    Target,
    allocate,
    anchor_stratum,
    draw_simple,
    draw_strata,
    inclusion_probabilities,
    most_extreme,
    share_budget,
    spread_of_ranks,
    stratify,
)

N = 60
# A value that goes with being drawn: whoever forgets the weights is far off.
VALUES = [float(i) for i in range(N)]
OVERLAPPING = (
    anchor_stratum(N, 12),
    Stratum("high_risk", "why", tuple(range(45, 60)), 6),
    Stratum("slice:a=b", "why", tuple(range(50, 60)), 4),
)
APART = tuple(
    stratify([str(i // 20) for i in range(N)], key="s", budget=13, allocation=a) for a in Allocation
)


def total_by_weights(drawn: list[Drawn]) -> float:
    """Horvitz and Thompson's estimate of the mean."""
    return sum(VALUES[one.number] / one.probability for one in drawn) / N


@pytest.mark.parametrize("strata", [OVERLAPPING, *APART], ids=["union", "proportional", "equal"])
def test_weighting_by_the_stored_chance_is_unbiased(strata: tuple[Stratum, ...]) -> None:
    estimates = [total_by_weights(draw_strata(strata, random.Random(seed))) for seed in range(3000)]
    error = stdev(estimates) / sqrt(len(estimates))
    assert abs(fmean(estimates) - fmean(VALUES)) < 4 * error


def test_every_item_is_drawn_as_often_as_is_stored() -> None:
    runs = 4000
    counts = Counter(
        one.number for seed in range(runs) for one in draw_strata(OVERLAPPING, random.Random(seed))
    )
    for number, chance in inclusion_probabilities(OVERLAPPING).items():
        error = sqrt(chance * (1 - chance) / runs)
        assert abs(counts[number] / runs - chance) < 4.5 * error, number


def test_the_chance_in_several_strata_is_that_of_their_union() -> None:
    chances = inclusion_probabilities(OVERLAPPING)
    assert chances[0] == 0.2
    assert chances[47] == pytest.approx(1 - 0.8 * 0.6)
    assert chances[55] == pytest.approx(1 - 0.8 * 0.6 * 0.6)


def test_what_the_anchor_drew_stays_its_own() -> None:
    """Put down to it, the anchor's items are a simple random sample: 12 of 60, all alike."""
    firsts: Counter[int] = Counter()
    for seed in range(2000):
        drawn = draw_strata(OVERLAPPING, random.Random(seed))
        of_anchor = [one.number for one in drawn if one.stratum == ANCHOR]
        assert len(of_anchor) == 12
        firsts.update(of_anchor)
        assert len({one.number for one in drawn}) == len(drawn)
    assert all(abs(n / 2000 - 0.2) < 4.5 * sqrt(0.16 / 2000) for n in firsts.values())


def test_a_seed_fixes_sample_and_order() -> None:
    one, same, other = (draw_strata(OVERLAPPING, random.Random(seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert [d.number for d in one] != sorted(d.number for d in one)


@pytest.mark.parametrize(("n", "size", "chance"), [(3, 3, 0.3), (None, 10, 1.0), (99, 10, 1.0)])
def test_a_simple_sample_has_one_chance_for_all(n: int | None, size: int, chance: float) -> None:
    drawn = draw_simple(10, n, random.Random(1))
    assert len({one.number for one in drawn}) == size
    assert {one.probability for one in drawn} == {chance}


@pytest.mark.parametrize(
    ("sizes", "budget", "allocation", "counts"),
    [
        ([50, 30, 20], 10, Allocation.PROPORTIONAL, [5, 3, 2]),
        ([97, 2, 1], 10, Allocation.PROPORTIONAL, [8, 1, 1]),
        ([5, 5], 99, Allocation.PROPORTIONAL, [5, 5]),
        ([40, 35, 25], 7, Allocation.PROPORTIONAL, [3, 2, 2]),
        ([50, 30, 20], 9, Allocation.EQUAL, [3, 3, 3]),
        ([50, 30, 2], 12, Allocation.EQUAL, [5, 5, 2]),
        ([4, 4, 4], 3, Allocation.EQUAL, [1, 1, 1]),
    ],
)
def test_a_budget_is_shared_out_whole(
    sizes: list[int], budget: int, allocation: Allocation, counts: list[int]
) -> None:
    assert allocate(sizes, budget, allocation) == counts


def test_no_stratum_is_left_without_a_chance() -> None:
    with pytest.raises(InvalidInput, match="cannot cover 3 strata"):
        allocate([5, 5, 5], 2, Allocation.PROPORTIONAL)


def test_items_without_the_slice_are_a_stratum_of_their_own() -> None:
    strata = stratify(["x", None, "x"], key="k", budget=2, allocation=Allocation.EQUAL)
    assert [(s.name, s.members, s.n) for s in strata] == [("k=(none)", (1,), 1), ("k=x", (0, 2), 1)]
    with pytest.raises(InvalidInput, match="No example has a slice 'k'"):
        stratify([None, None], key="k", budget=2, allocation=Allocation.EQUAL)


@pytest.mark.parametrize(
    ("targets", "anchor", "expected"),
    [
        ([Target("a", share=0.3), Target("b", n=10)], None, (60, [30, 10])),
        ([Target("a", share=0.3)], 0.5, (50, [30])),
        ([Target("a"), Target("b")], None, (50, [25, 25])),
        ([Target("a"), Target("b", share=0.2)], 0.6, (60, [20, 20])),
    ],
)
def test_what_strata_leave_is_the_anchors(
    targets: list[Target], anchor: float | None, expected: tuple[int, list[int]]
) -> None:
    assert share_budget(targets, anchor=anchor, budget=100) == expected


@pytest.mark.parametrize(
    ("targets", "anchor", "message"),
    [
        ([], None, "at least one"),
        ([Target("a", share=1.0)], None, "does not hold"),
        ([Target("a", n=100)], None, "does not hold"),
        ([Target("a", share=0.6)], 0.6, "does not hold"),
        ([Target("a", share=0.1), Target("a", n=3)], None, "named twice"),
        ([Target("a", share=0.1, n=3)], None, "not both"),
    ],
)
def test_a_budget_without_an_anchor_is_refused(
    targets: list[Target], anchor: float | None, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        share_budget(targets, anchor=anchor, budget=100)


@pytest.mark.parametrize(
    ("values", "members"),
    [
        ([0.1, 0.9, 0.5, 0.2], (1,)),
        ([0.1, 0.9, 0.9, 0.2], (1, 2)),
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], (7,)),
        ([0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0], (4, 5, 6, 7)),
        ([None, 3.0, None, 1.0], (1,)),
    ],
)
def test_the_extreme_are_those_above_an_edge(
    values: list[float | None], members: tuple[int, ...]
) -> None:
    assert most_extreme(values, top=0.25, what="risk") == members


@pytest.mark.parametrize("values", [[1.0, 1.0], [None, None], []])
def test_nothing_stands_out_of_what_is_alike(values: list[float | None]) -> None:
    with pytest.raises(CannotCompute, match="No output stands out by risk"):
        most_extreme(values, top=0.25, what="risk")


def test_checks_are_compared_by_rank_and_not_by_unit() -> None:
    measures = {
        "one": [0.0, 0.1, 0.2, 0.3],
        "other": [100.0, 200.0, 0.0, 300.0],
        "third": [None, None, None, None],
    }
    spread = spread_of_ranks(measures)
    assert spread == [pytest.approx(x) for x in (0.25, 0.25, 0.5, 0.0)]
    assert spread_of_ranks({"one": [1.0, None], "two": [None, 2.0]}) == [None, None]
