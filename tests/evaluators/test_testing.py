"""Tests of paired differences against scipy, definitions and enumeration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from evaluators.errors import InvalidValues
from evaluators.statistics.testing import (
    benjamini_hochberg,
    count_flips,
    holm,
    mcnemar_exact,
    sign_flip_test,
    swap_test,
)

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("won", "lost", "p"), [(0, 0, 1.0), (5, 0, 0.0625), (10, 2, 0.03857421875), (3, 3, 1.0)]
)
def test_mcnemar(won: int, lost: int, p: float) -> None:
    assert mcnemar_exact(won, lost) == pytest.approx(p)
    assert mcnemar_exact(lost, won) == pytest.approx(p)


@given(P_VALUES)
def test_benjamini_hochberg_equals_scipy(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(list(false_discovery_control(p)))


@given(P_VALUES)
def test_holm_by_its_definition(p: list[float]) -> None:
    ranked = sorted(p)
    n = len(p)
    for value, adjusted in zip(p, holm(p), strict=True):
        steps = [(n - i) * q for i, q in enumerate(ranked) if q <= value]
        assert adjusted == pytest.approx(min(1.0, max(steps)))


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_corrections_refuse_what_is_no_p(correct: object) -> None:
    with pytest.raises(InvalidValues):
        correct([0.1, 1.2])  # type: ignore[operator]
    assert correct([]) == []  # type: ignore[operator]


def test_sign_flips_are_counted_exactly() -> None:
    assert sign_flip_test([1.0, 2.0, 3.0, 4.0]) == pytest.approx(2 / 16)
    assert sign_flip_test([0.0] * 5) == 1.0


def test_sampled_sign_flips_agree_with_the_exact_count() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 16)
    exact = sign_flip_test(values)
    sums = np.column_stack([values, np.ones(16)])
    none = np.column_stack([np.zeros(16), np.ones(16)])
    sampled = swap_test(lambda s: s[..., 0] / s[..., 1], none, sums, seed=0, resamples=20_000)
    assert sampled == pytest.approx(exact, abs=0.02)


def test_swap_keeps_its_level() -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for seed in range(200):
        old, new = (np.column_stack([rng.random(20), np.ones(20)]) for _ in range(2))
        p = swap_test(lambda s: s[..., 0] / s[..., 1], old, new, seed=seed, resamples=199)
        alarms += p <= 0.05
    assert alarms <= 20  # 10 expected; 20 has a chance below .2%


def test_flips() -> None:
    flips = count_flips([0, 0, 1, 1, 1], [1, 0, 0, 1, 1])
    assert (flips.fixed, flips.broken, flips.both_right, flips.both_wrong) == (1, 1, 2, 1)
    assert flips.n == 5


@pytest.mark.parametrize(("before", "after"), [([0, 1], [0]), ([0.5], [1])])
def test_flips_of_what_is_not_yes_or_no(before: list[float], after: list[float]) -> None:
    with pytest.raises(InvalidValues):
        count_flips(before, after)
