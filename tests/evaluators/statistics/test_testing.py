"""Tests of paired differences against scipy, definitions and enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, permutation_test

from evaluators.aggregate import paired_difference
from evaluators.errors import InvalidValues
from evaluators.metric import Metric
from evaluators.registry import resolve_metrics
from evaluators.statistics.intervals import Interval
from evaluators.statistics.testing import (
    agree_on_zero,
    benjamini_hochberg,
    count_flips,
    holm,
    mcnemar_exact,
    swap_test,
)
from evaluators.types import Sample, Score

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


def test_sampled_swaps_agree_with_the_exact_count() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 16)
    exact = permutation_test((values,), np.sum, permutation_type="samples", n_resamples=np.inf)
    sums = np.column_stack([values, np.ones(16)])
    none = np.column_stack([np.zeros(16), np.ones(16)])
    sampled = swap_test(lambda s: s[..., 0] / s[..., 1], none, sums, seed=0, resamples=20_000)
    assert sampled == pytest.approx(exact.pvalue, abs=0.02)


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


# p and interval of one figure.


@pytest.mark.parametrize(
    ("value", "low", "high", "p", "found"),
    [
        (0.2, 0.1, 0.3, 0.01, (0.1, 0.3, 0.01)),  # they agree: nothing changes
        (0.2, -0.1, 0.5, 0.2, (-0.1, 0.5, 0.2)),
        (0.0, -0.1, 0.1, 1.0, (-0.1, 0.1, 1.0)),
        (0.2, -0.01, 0.41, 0.044, (-0.01, 0.41, 0.0620)),  # p from the interval
        (-0.2, -0.41, 0.01, 0.044, (-0.41, 0.01, 0.0620)),
        (0.0, -0.1, 0.1, 0.01, (-0.1, 0.1, 1.0)),
        (0.2, 0.0, 0.4, 0.03, (0.0, 0.4, 0.05)),
        (0.2, 0.1, 0.3, 0.11, (-0.0453, 0.3, 0.11)),  # the bound from p
        (-0.2, -0.3, -0.1, 0.11, (-0.3, 0.0453, 0.11)),
        (0.2, 0.1, 0.3, 1.0, (-0.3, 0.3, 1.0)),  # no farther than the other bound
    ],
)
def test_p_and_interval_say_the_same_of_zero(
    value: float, low: float, high: float, p: float, found: tuple[float, float, float]
) -> None:
    interval, same = agree_on_zero(value, Interval(low, high, "m", note="few"), p, level=0.95)
    assert (interval.low, interval.high, same) == pytest.approx(found, abs=5e-5)
    assert ((interval.low or 0) <= 0 <= (interval.high or 0)) == (same >= 0.05)
    changed = (interval.low, interval.high, same) != (low, high, p)
    assert interval.note.startswith("few; ") == changed


def test_an_interval_that_is_not_known_changes_no_p() -> None:
    nothing = Interval(None, None, "none")
    assert agree_on_zero(0.1, nothing, 0.001, level=0.95) == (nothing, 0.001)


@pytest.mark.parametrize("name", ["exact_match", "token_f1", "f1"])
@pytest.mark.parametrize("size", [1, 3])
def test_no_paired_difference_contradicts_itself(name: str, size: int) -> None:
    """Small samples on the edge, where tests and intervals part."""
    [metric] = resolve_metrics([name])
    rng, parted = np.random.default_rng(3), 0
    for n, gain, level in product((6, 12, 21), (0.2, 0.35, 0.5), (0.8, 0.95, 0.99)):
        old, new = (draw_scores(metric, rng, n, share) for share in (0.2, 0.2 + gain))
        groups = [str(i // size) for i in range(n)]
        found = paired_difference(metric, old, new, groups, level=level, resamples=200)
        if found.low is not None and found.high is not None:
            assert (found.low <= 0 <= found.high) == (found.p >= 1 - level), found
        parted += "holds 0" in found.note or "widened" in found.note
    assert parted  # without `agree_on_zero` some of them would have


def draw_scores(metric: Metric, rng: np.random.Generator, n: int, share: float) -> list[Score]:
    rest = (1 - share) / 2
    words = rng.choice(["one two", "one three", "four"], n, p=[share, rest, rest])
    return metric.score(
        [Sample(id=str(i), prediction=str(w), references=("one two",)) for i, w in enumerate(words)]
    )
