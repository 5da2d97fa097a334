"""Intervals of figures on validation rows: what a group counts for, and what cannot be said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from training.results.intervals import (
    difference_estimate,
    group_totals,
    mean_estimate,
    rate_estimate,
)

LOSSES = [1.0, 4.0, 2.0, 8.0, 3.0, 5.0, 1.5, 2.5]


def totals(values: list[float], groups: Sequence[str | None] | None = None) -> np.ndarray:
    return group_totals(groups or [None] * len(values), [(value, 1.0) for value in values])


def test_rows_of_a_group_are_summed_and_rows_without_one_stand_alone() -> None:
    found = totals([1, 2, 3, 4], ["a", None, "a", None])
    assert found.tolist() == [[4, 2], [2, 1], [4, 1]]


@pytest.mark.parametrize(
    ("values", "estimate"),
    [
        (LOSSES, lambda rows, n: mean_estimate(rows, n=n, seed=3)),
        (LOSSES, lambda rows, n: difference_estimate(rows, n=n)),
        ([1.0, 0, 1, 1, 0, 1, 0, 1], lambda rows, n: rate_estimate(rows, n=n)),
    ],
    ids=["mean", "difference", "rate"],
)
def test_a_row_that_is_repeated_in_its_group_adds_no_certainty(
    values: list[float], estimate: Callable[..., Any]
) -> None:
    names = [f"g{i}" for i in range(len(values))]
    once = estimate(totals(values, list(names)), 8)
    thrice = estimate(totals(values * 3, names * 3), 24)
    alone = estimate(totals(values * 3), 24)
    assert (thrice.n, thrice.groups, once.groups) == (24, 8, 8)
    assert thrice.value == pytest.approx(once.value)
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.15)
    assert alone.high - alone.low < 0.75 * (thrice.high - thrice.low)


def test_a_difference_without_groups_has_students_interval() -> None:
    found = difference_estimate(totals(LOSSES), n=8, level=0.9)
    low, high = stats.ttest_1samp(LOSSES, 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.level, found.n) == (0.9, 8)


def test_a_mean_lies_in_its_interval_which_the_seed_decides() -> None:
    one, same, other = (mean_estimate(totals(LOSSES), n=8, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert one.low is not None
    assert one.high is not None
    assert 0 < one.low < one.value < one.high
    assert one.high - one.value > one.value - one.low  # the losses are skewed upwards


@pytest.mark.parametrize(
    ("right", "low", "high"), [(10, 0.6615, 1), (0, 0, 0.3385), (5, 0.2091, 0.7909)]
)
def test_a_rate_has_an_interval_even_where_all_agree(right: int, low: float, high: float) -> None:
    """Wilson's formula by hand, with Student's quantile of 9 degrees of freedom, 2.2622."""
    found = rate_estimate(totals([1.0] * right + [0.0] * (10 - right)), n=10)
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)


def test_one_group_has_no_interval_and_says_why() -> None:
    rows = totals(LOSSES, ["a"] * 8)
    for found in (
        mean_estimate(rows, n=8, seed=0),
        difference_estimate(rows, n=8),
        rate_estimate(rows, n=8),
    ):
        assert (found.low, found.high, found.groups) == (None, None, 1)
        assert found.reason == "one group only: it has no interval"


def test_groups_of_unequal_size_have_a_wider_interval() -> None:
    """The bootstrap falls short of its level where groups differ in size."""
    alike = totals(LOSSES)
    unlike = alike * np.array([[1.001]] + [[1.0]] * 7)
    equal, unequal = (mean_estimate(rows, n=8, seed=1) for rows in (alike, unlike))
    assert equal.value == pytest.approx(unequal.value, rel=1e-3)
    assert equal.low is not None
    assert unequal.low is not None
    assert unequal.value - unequal.low > 1.1 * (equal.value - equal.low)


def test_groups_all_alike_have_no_interval_and_say_why() -> None:
    alike = totals([0.1] * 6)
    for found in (mean_estimate(alike, n=6, seed=0), difference_estimate(alike, n=6)):
        assert found.value == pytest.approx(0.1)
        assert (found.low, found.high) == (None, None)
        assert "all groups are alike" in found.reason
