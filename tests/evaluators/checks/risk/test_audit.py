"""The audit of what skipped review: alarms as seldom as it says, sees what doubles, counts once."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
import pytest

from evaluators.checks.risk.audit import audit_state, least_to_refute
from evaluators.checks.risk.triage import labels_missing
from evaluators.errors import InvalidValues

# Orders drawn at random come to the same counts again and again.
state_of = lru_cache(maxsize=None)(audit_state)


def first_refuted(wrong: np.ndarray, total: int, **bounds: float) -> int | None:
    """The first look at which the bound is refuted; only a wrong output can do it."""
    for n in np.flatnonzero(wrong) + 1:
        if state_of(int(n), int(wrong[:n].sum()), total, **bounds).refuted:
            return int(n)
    return None


def shuffled(total: int, n_wrong: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(np.arange(total) < n_wrong)


@pytest.mark.parametrize(
    ("total", "n_wrong", "delta"), [(400, 20, 0.1), (60, 3, 0.2), (19, 0, 0.1)]
)
def test_false_alarms_are_as_rare_as_stated(total: int, n_wrong: int, delta: float) -> None:
    """Simulated: the share is exactly epsilon, and the audit looks at every output in turn."""
    rng = np.random.default_rng(1)
    alarms = sum(
        first_refuted(shuffled(total, n_wrong, rng), total, epsilon=0.05, delta=delta) is not None
        for _ in range(300)
    )
    assert alarms / 300 <= delta + 2 * np.sqrt(delta * (1 - delta) / 300)


def test_no_order_of_a_small_set_is_favoured() -> None:
    """Exact: over all orders of 12 outputs with 3 wrong ones, at most delta alarm for 1/4."""
    orders = [np.isin(np.arange(12), chosen) for chosen in combinations(range(12), 3)]
    alarms = [first_refuted(order, 12, epsilon=0.25, delta=0.2) is not None for order in orders]
    assert 0 < sum(alarms) / len(orders) <= 0.2


def test_a_doubled_rate_is_seen() -> None:
    rng = np.random.default_rng(2)
    looks = [first_refuted(shuffled(400, 40, rng), 400) or 400 for _ in range(60)]
    assert 40 < np.median(looks) < 130


def test_bounds_hold_together_at_all_looks() -> None:
    rng = np.random.default_rng(3)
    broken = 0
    for _ in range(100):
        wrong = np.flatnonzero(shuffled(100, 10, rng)) + 1  # only a wrong one raises the bound
        broken += max(state_of(int(n), k, 100).low for k, n in enumerate(wrong, 1)) > 0.1
    assert broken <= 16  # simulated: delta is 0.1


def test_the_bound_crosses_epsilon_when_it_is_refuted() -> None:
    state = audit_state(30, 8, 400)
    assert state.refuted
    assert state.low > 0.05
    assert not audit_state(30, 2, 400).refuted
    assert audit_state(30, 2, 400).low < 0.05
    assert "delta:0.1" in state.signature


def test_what_is_impossible_is_refuted_at_once() -> None:
    assert audit_state(1, 1, 10).refuted  # one of ten is more than a twentieth
    assert not audit_state(0, 0, 10).refuted
    assert not audit_state(10, 0, 10).refuted
    assert audit_state(1, 1, 1, epsilon=0.99).refuted
    assert np.isfinite(audit_state(400, 400, 400).evidence)


def test_many_outputs_are_no_trouble() -> None:
    state = audit_state(500, 100, 1_000_000)
    assert state.refuted
    assert 0.1 < state.low < 0.2


def test_how_many_looks_it_takes_at_least() -> None:
    assert least_to_refute(400) == 2
    assert least_to_refute(10) == 1
    assert least_to_refute(5, epsilon=0.999) is None or least_to_refute(5, epsilon=0.999) == 5


@pytest.mark.parametrize(
    ("counts", "bounds"),
    [
        ((5, 6, 10), {}),
        ((11, 0, 10), {}),
        ((0, 0, 0), {}),
        ((1, -1, 10), {}),
        ((1, 0, 10), {"epsilon": 0.0}),
        ((1, 0, 10), {"epsilon": 1.0}),
        ((1, 0, 10), {"delta": 0.0}),
        ((1, 0, 10), {"epsilon": float("nan")}),
    ],
)
def test_nonsense_is_refused(counts: tuple[int, int, int], bounds: dict[str, float]) -> None:
    with pytest.raises(InvalidValues):
        audit_state(*counts, **bounds)


def test_how_many_labels_are_missing() -> None:
    risks = list(np.linspace(0, 1, 30))
    assert labels_missing(risks, [False] * 30, epsilon=0.05, delta=0.1) == 15
    risks = list(np.linspace(0, 1, 1000))
    some = [i % 50 == 7 for i in range(1000)]
    more = labels_missing(risks, some, epsilon=0.03, delta=0.05)
    assert more is not None
    assert 1000 < more < 100_000
    half = [i % 2 == 0 for i in range(1000)]
    assert labels_missing(risks, half, epsilon=0.05, delta=0.1) is None
