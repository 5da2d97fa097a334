"""Confidence sequences: what they promise when one looks after every vote."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluators.errors import InvalidValues
from evaluators.statistics.sequential import (
    Decision,
    batch_sizes,
    clustered_sequence,
    confidence_sequence,
    decide,
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


@pytest.mark.parametrize("values", [[], [1.5], [-0.1], [float("nan")]])
def test_what_is_no_sequence(values: list[float]) -> None:
    with pytest.raises(InvalidValues):
        confidence_sequence(values)


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


# Votes in clusters.


@pytest.mark.parametrize(
    ("most", "sizes"),
    [
        (0, [1]),
        (1, [1]),
        (2, [1, 2]),
        (5, [1, 5]),
        (9, [1, 9]),
        (10, [1, 5, 10]),
        (20, [1, 5, 20]),
        (60, [1, 5, 25, 60]),
    ],
)
def test_sizes_of_batches(most: int, sizes: list[int]) -> None:
    assert batch_sizes({"one": 1, "most": most} if most else None) == sizes


def test_a_second_look_at_a_few_clusters_costs_the_others_nothing() -> None:
    planned = {str(i): 2 if i < 4 else 1 for i in range(40)}
    assert batch_sizes(planned) == [1]
    assert batch_sizes({**planned, **{str(i): 2 for i in range(21)}}) == [1, 2]


def test_one_planned_vote_a_cluster_is_a_plain_sequence() -> None:
    values = [1.0, 0.0, 1.0, 1.0, 0.5] * 8
    clusters = [str(i) for i in range(40)]
    found = clustered_sequence(values, clusters, planned=dict.fromkeys(clusters, 1))
    plain = confidence_sequence(values)
    assert (found.low == plain.low).all()
    assert (found.high == plain.high).all()
    assert found.mean == pytest.approx(plain.mean)


def test_a_vote_on_a_cluster_that_has_entered_moves_no_bound() -> None:
    """Unless it closes a batch: here nothing is planned beyond the first votes."""
    once = clustered_sequence([1.0] * 20, [str(i) for i in range(20)])
    more = clustered_sequence([1.0] * 20 + [0.0] * 40, [str(i % 20) for i in range(60)])
    assert (more.low[:20] == once.low).all()
    assert (more.low[19:] == more.low[19]).all()
    assert decide(more, threshold=0.5) == decide(once, threshold=0.5)
    assert more.mean[-1] == pytest.approx(1 / 3)


def test_a_batch_enters_when_its_last_planned_vote_is_there() -> None:
    """Coins in the first round, agreement in the second: only whole batches tell."""
    clusters = [str(i) for i in range(40)] * 2
    values = [float(i % 2) for i in range(40)] + [1.0] * 40
    found = clustered_sequence(values, clusters, planned=dict.fromkeys(clusters, 2))
    stop = decide(found, threshold=0.5)
    assert stop.decision is Decision.ABOVE
    assert 40 < stop.n < 80
    assert decide(clustered_sequence(values, clusters), threshold=0.5).decision is Decision.CONTINUE


def test_more_votes_than_planned_enter_nowhere() -> None:
    clusters = [str(i) for i in range(30)] * 3
    values = [float(i % 2) for i in range(60)] + [1.0] * 30
    planned = dict.fromkeys(clusters, 2)
    found = clustered_sequence(values, clusters, planned=planned)
    assert (found.low[60:] == found.low[59]).all()
    assert (found.high[60:] == found.high[59]).all()


def test_what_judges_nothing_fills_a_plan_and_has_no_value() -> None:
    clusters = ["x", "x", "y", "y"]
    found = clustered_sequence([None, 1.0, 0.0, None], clusters, planned={"x": 2, "y": 2})
    assert math.isnan(found.mean[0])
    assert found.mean[1:] == pytest.approx([1.0, 0.5, 0.5])
    with pytest.raises(InvalidValues):
        clustered_sequence([], [])


def test_bounds_that_contradict_each_other_stay_as_they_were() -> None:
    found = clustered_sequence([1.0] * 60 + [0.0] * 400, [str(i) for i in range(460)])
    assert (found.low <= found.high).all()
    assert found.low[-1] > 0.5
    assert decide(found, threshold=0.5).decision is Decision.ABOVE
    plain = confidence_sequence([1.0] * 60 + [0.0] * 400)
    assert (plain.low[-1], plain.high[-1]) == (found.low[-1], found.high[-1])


@pytest.mark.parametrize("past", [12, 40])
def test_the_bounds_after_a_vote_hang_on_the_votes_before_it(past: int) -> None:
    rng = np.random.default_rng(5)
    clusters = [str(rng.integers(15)) for _ in range(60)]
    values = [float(rng.random() < 0.6) for _ in range(60)]
    planned = {str(i): 4 for i in range(15)}
    whole = clustered_sequence(values, clusters, planned=planned)
    part = clustered_sequence(values[:past], clusters[:past], planned=planned)
    assert (whole.low[:past] == part.low).all()
    assert (whole.high[:past] == part.high).all()
