"""Confidence sequences: what they promise when one looks after every vote."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluators.errors import InvalidValues
from evaluators.statistics.sequential import (
    Decision,
    average_by_item,
    confidence_sequence,
    decide,
    difference_sequence,
    e_values,
    log_capital,
    plug_in_bets,
)


def test_false_alarms_when_looking_after_every_vote() -> None:
    rng = np.random.default_rng(0)
    votes = rng.choice([0.0, 0.5, 1.0], size=(400, 1000), p=[0.4, 0.2, 0.4])
    capital = log_capital(votes, 0.5, alpha=0.05)
    assert (capital.max(axis=1) >= math.log(20)).mean() <= 0.05
    seen = np.arange(1, 1001)
    mean = np.cumsum(votes, axis=1) / seen
    naive = np.abs(mean - 0.5) / np.sqrt(0.2 / seen)
    assert (naive[:, 10:].max(axis=1) > 1.96).mean() > 0.3  # the naive test, for comparison


def test_power_against_a_clear_winner() -> None:
    votes = np.random.default_rng(1).binomial(1, 0.7, 300).astype(float)
    stopping = decide(confidence_sequence(list(votes)), threshold=0.5)
    assert stopping.decision is Decision.ABOVE
    assert stopping.n < 200
    assert e_values(list(votes))[-1] > 20


def test_the_sequence_holds_the_truth_at_all_times() -> None:
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(60):
        found = confidence_sequence(list(rng.beta(2, 6, 200)))
        missed += bool(((found.low > 0.25) | (found.high < 0.25)).any())
    assert missed <= 7  # 3 allowed on average


def test_bounds_only_tighten_and_agree_with_the_capital() -> None:
    values = list(np.random.default_rng(3).random(80))
    found = confidence_sequence(values)
    assert (np.diff(found.low) >= 0).all()
    assert (np.diff(found.high) <= 0).all()
    inside = (found.low[-1] + found.high[-1]) / 2
    assert log_capital(values, inside, alpha=0.05).max() < math.log(20)
    outside = found.high[-1] + 0.01
    assert log_capital(values, outside, alpha=0.05).max() >= math.log(20)


def test_undecided_says_so() -> None:
    stopping = decide(confidence_sequence([1.0, 0.0, 1.0]), threshold=0.5)
    assert (stopping.decision, stopping.n) == (Decision.CONTINUE, 3)


def test_below_the_threshold() -> None:
    found = confidence_sequence([0.0] * 60)
    assert decide(found, threshold=0.5).decision is Decision.BELOW


def test_differences_lie_between_minus_one_and_one() -> None:
    found = difference_sequence([0.5, -0.5] * 100)
    assert -1 <= found.low[-1] < 0 < found.high[-1] <= 1


@pytest.mark.parametrize("values", [[], [1.5], [-0.1], [float("nan")]])
def test_what_is_no_sequence(values: list[float]) -> None:
    with pytest.raises(InvalidValues):
        confidence_sequence(values)


def test_votes_on_one_item_are_one_value() -> None:
    assert average_by_item([1, 0, 1, 0.5], ["a", "b", "a", "b"]) == [1, 0.25]


def test_a_bet_knows_only_what_came_before() -> None:
    values = list(np.random.default_rng(4).random(30))
    bets = plug_in_bets(values, alpha=0.05)
    changed = plug_in_bets([*values[:20], 1 - values[20], *values[21:]], alpha=0.05)
    assert (bets[:21] == changed[:21]).all()
    assert bets[21] != changed[21]


def test_the_capital_starts_as_one_half_on_each_side() -> None:
    first = log_capital([0.5], 0.5, alpha=0.05)  # a bet that neither wins nor loses
    assert first[0] == pytest.approx(math.log(0.5))


@pytest.mark.parametrize("past", [[1.0, 0.0, 1.0] * 20, [1.0, 0.5] * 30, [0.0, 0.0, 1.0, 0.5] * 15])
def test_the_capital_does_not_see_the_next_vote_before_it_bets(past: list[float]) -> None:
    """Over a fair next vote the leading half of the capital stays the same on average.

    The past is long enough for the bet to lie below its bound, which would hide a look ahead.
    """
    now = log_capital(past, 0.5, alpha=0.05)[-1]
    after = [log_capital([*past, vote], 0.5, alpha=0.05)[-1] for vote in (0.0, 1.0)]
    assert now > math.log(0.5)  # one side leads, and leads still after either vote
    assert np.exp(after).mean() == pytest.approx(math.exp(now), rel=1e-12)
