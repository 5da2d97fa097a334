"""Bootstrap draws are multinomial, however they are made."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from evaluators.statistics import bootstrap as draws


@pytest.mark.parametrize("clusters", [2, 30, 199, 200, 701, 70_000])
def test_every_resample_has_as_many_draws_as_clusters(clusters: int) -> None:
    counts = np.concatenate(list(draws.draw_counts(clusters, seed=1, resamples=20)))
    assert counts.shape == (20, clusters)
    assert (counts.sum(axis=1, dtype=np.int64) == clusters).all()


@pytest.mark.parametrize("draw", [draws._draw_singly, draws._draw_poisson])
def test_counts_follow_the_binomial_law(draw: object) -> None:
    clusters = 250
    counts = draw(np.random.default_rng(0), 4000, clusters)  # type: ignore[operator]
    seen = np.bincount(counts.ravel(), minlength=6)[:6] / counts.size
    expected = binom.pmf(np.arange(6), clusters, 1 / clusters)
    assert seen == pytest.approx(expected, abs=4 * np.sqrt(expected / counts.size).max())


def test_counts_of_two_clusters_hang_together_as_in_the_multinomial() -> None:
    counts = draws._draw_poisson(np.random.default_rng(3), 20_000, 200).astype(np.float64)
    halves = counts[:, :100].sum(axis=1)
    assert halves.mean() == pytest.approx(100, abs=0.2)
    assert halves.var() == pytest.approx(50, rel=0.05)  # independent counts would give 100


def test_too_large_a_total_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "_SHORTFALL", 0.0)  # half of the totals come out too large
    counts = draws._draw_poisson(np.random.default_rng(5), 400, 300)
    assert (counts.sum(axis=1, dtype=np.int64) == 300).all()
    assert counts.max() > 2


def test_draws_depend_on_the_seed_alone_and_are_kept() -> None:
    first = list(draws.draw_counts(300, seed=7, resamples=100))
    draws._kept_blocks.cache_clear()
    again = list(draws.draw_counts(300, seed=7, resamples=100))
    other = list(draws.draw_counts(300, seed=8, resamples=100))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    assert next(iter(draws.draw_counts(300, seed=8, resamples=100))) is other[0]
