"""Small versions of tests/benchmarks/evaluators_coverage.py that fail when an interval breaks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evaluators.statistics.bootstrap import percentile_interval, resampled_figures
from evaluators.statistics.clusters import number_clusters, sum_clusters
from evaluators.statistics.intervals import Interval, mean_interval, rate_interval

REPEATS = 300
LEAST, MOST = 0.915, 0.98  # .95 give or take three standard errors of 300 repeats


def columns(values: np.ndarray) -> np.ndarray:
    return np.column_stack([values, np.ones(len(values))])


def draw_seed(rng: np.random.Generator) -> int:
    """Seed of one bootstrap; one for all would err the same way each time."""
    return int(rng.integers(2**31))


def coverage(truth: float, draw: Callable[[np.random.Generator], tuple[float, float]]) -> float:
    rng = np.random.default_rng(1)
    found = [draw(rng) for _ in range(REPEATS)]
    return sum(low <= truth <= high for low, high in found) / REPEATS


def bounds(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("n", [100, 400])
def test_rates(p: float, n: int) -> None:
    def draw(rng: np.random.Generator) -> tuple[float, float]:
        return bounds(rate_interval(columns((rng.random(n) < p).astype(float))))

    assert LEAST <= coverage(p, draw) <= MOST


@pytest.mark.parametrize(("a", "b"), [(5, 5), (1, 5)])
def test_means_of_thirty(a: int, b: int) -> None:
    def draw(rng: np.random.Generator) -> tuple[float, float]:
        values = columns(rng.beta(a, b, 30))
        return bounds(mean_interval(values, scale=1.0, seed=draw_seed(rng), resamples=600))

    assert LEAST <= coverage(a / (a + b), draw) <= MOST


def grouped(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Values in 40 groups of 5 that share most of what they are."""
    members = number_clusters([str(i // 5) for i in range(200)])
    return np.repeat(rng.normal(0.5, 0.1, 40), 5) + rng.normal(0, 0.05, 200), members


def test_groups_are_heeded_and_the_plain_bootstrap_fails() -> None:
    def clustered(rng: np.random.Generator) -> tuple[float, float]:
        values, members = grouped(rng)
        sums = sum_clusters(columns(values), members)
        return bounds(mean_interval(sums, scale=None, seed=draw_seed(rng), resamples=600))

    def plain(rng: np.random.Generator) -> tuple[float, float]:
        values, _ = grouped(rng)
        sides = [columns(values)]
        [drawn] = resampled_figures(lambda s: s[..., 0] / s[..., 1], sides, seed=0, resamples=200)
        return percentile_interval(drawn, level=0.95)

    assert LEAST <= coverage(0.5, clustered) <= MOST
    assert coverage(0.5, plain) < 0.8


def test_clustered_rates() -> None:
    def draw(rng: np.random.Generator) -> tuple[float, float]:
        hits = rng.binomial(5, rng.beta(1.5, 1.5, 60))
        return bounds(rate_interval(np.column_stack([hits, np.full(60, 5.0)])))

    assert LEAST <= coverage(0.5, draw) <= MOST
