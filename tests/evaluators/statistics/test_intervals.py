"""Intervals: published values, and what they do at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluators.errors import InvalidValues
from evaluators.statistics.bootstrap import (
    bca_interval,
    draw_counts,
    jackknife_figures,
    percentile_interval,
    resampled_figures,
    studentised_interval,
)
from evaluators.statistics.clusters import number_clusters, sum_clusters
from evaluators.statistics.draws import VERSION
from evaluators.statistics.intervals import (
    mean_interval,
    paired_rate_interval,
    rate_interval,
    wilson,
)


def mean(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def columns(values: np.ndarray) -> np.ndarray:
    return np.column_stack([values, np.ones(len(values))])


@pytest.mark.parametrize(
    ("x", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_wilson_as_published(x: int, n: int, low: float, high: float) -> None:
    assert wilson(x, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("x", "n"), [(-1, 3), (4, 3), (0, 0)])
def test_wilson_refuses_what_is_no_rate(x: int, n: int) -> None:
    with pytest.raises(InvalidValues, match="no rate"):
        wilson(x, n)


def test_bca_equals_scipy() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(0).exponential(1, 60)
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=1)
    sums = columns(values)
    [drawn] = resampled_figures(mean, [sums], seed=0, resamples=20_000)
    ours = bca_interval(values.mean(), drawn, jackknife_figures(mean, sums), level=0.95)
    expected = theirs.confidence_interval
    assert ours == pytest.approx((expected.low, expected.high), abs=0.015)


def test_percentile_of_known_draws() -> None:
    assert percentile_interval(np.arange(101.0), level=0.9) == pytest.approx((5, 95))


def test_studentised_interval_leans_to_the_long_tail() -> None:
    values = np.random.default_rng(1).lognormal(0, 1, 40)
    low, high = studentised_interval(columns(values), seed=0, resamples=4000, level=0.95)
    assert high - values.mean() > 1.3 * (values.mean() - low)


def test_resamples_are_the_same_for_all_sides() -> None:
    sums = columns(np.random.default_rng(0).random(20))
    one, two = resampled_figures(mean, [sums, sums + np.array([1.0, 0.0])], seed=3, resamples=50)
    assert two - one == pytest.approx(np.ones(50))


def test_totals_of_whole_numbers_are_exact_where_they_take_more_than_24_bits() -> None:
    sums = columns(np.array([2.0**24 + 1, 1.0, 3.0]))
    [drawn] = resampled_figures(lambda totals: totals[..., 0], [sums], seed=0, resamples=50)
    counts = np.concatenate(list(draw_counts(3, seed=0, resamples=50)))
    assert (drawn == counts.astype(np.float64) @ sums[:, 0]).all()


def test_a_recipe_names_the_version_of_the_draws_where_there_are_draws() -> None:
    drawn = mean_interval(columns(np.arange(30.0)), scale=None, seed=0, resamples=100)
    assert drawn.recipe == f"ci:bootstrap-t|draws:{VERSION}"
    assert rate_interval(columns(np.array([0.0, 1.0] * 30))).recipe == "ci:wilson"


def test_clustered_rate_is_wider() -> None:
    hits = np.repeat([1.0, 0.0] * 20, 10)
    members = number_clusters([str(i // 10) for i in range(400)])
    plain = rate_interval(columns(hits))
    clustered = rate_interval(sum_clusters(columns(hits), members))
    assert (plain.method, clustered.method) == ("wilson", "wilson-clustered")
    assert clustered.high - clustered.low > 2.9 * (plain.high - plain.low)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_no_event_still_has_an_interval(rate: float) -> None:
    interval = rate_interval(columns(np.full(30, rate)))
    assert interval.high - interval.low > 0.1
    assert interval.rough


def test_equal_values_are_bounded_like_a_rate() -> None:
    interval = mean_interval(columns(np.full(50, 0.5)), scale=1.0, seed=0, resamples=100)
    assert interval.low < 0.4
    assert interval.rough
    assert interval.note == "all values are alike"


def test_one_group_gets_the_whole_range() -> None:
    sums = np.array([[3.5, 10.0]])
    interval = mean_interval(sums, scale=1.0, seed=0, resamples=100)
    assert (interval.low, interval.high, interval.rough) == (0.0, 1.0, True)
    with pytest.raises(InvalidValues, match="One group only"):
        mean_interval(sums, scale=None, seed=0, resamples=100)


def test_paired_rates_as_published() -> None:
    # Agresti and Min 2005: (b - c) / (n + 2) with half a pair added to each cell
    rows = np.zeros((100, 3))
    rows[:, 2] = 1
    rows[:20, 0] = 1
    rows[20:30, 1] = 1
    interval = paired_rate_interval(rows)
    centre, half = 10 / 102, 1.959964 * math.sqrt(31 - 100 / 102) / 102
    assert (interval.low, interval.high) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_samples_without_a_group_are_their_own() -> None:
    assert number_clusters(["a", None, "a", None, "b"]).tolist() == [0, 1, 0, 2, 3]
