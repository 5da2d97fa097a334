"""Bootstrap draws are multinomial, however they are made."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, poisson

from evaluators.statistics import bootstrap, draws


def _draw(clusters: int, *, seed: int, resamples: int) -> draws.Counts:
    return np.concatenate(list(draws.draw(clusters, seed=seed, resamples=resamples)))


@pytest.mark.parametrize("clusters", [1, 2, 3, 30, 255, 256, 701, 70_000])
def test_every_resample_has_as_many_draws_as_clusters(clusters: int) -> None:
    counts = _draw(clusters, seed=1, resamples=20)
    assert counts.shape == (20, clusters)
    assert (counts.sum(axis=1, dtype=np.int64) == clusters).all()


@pytest.mark.parametrize("clusters", [3, 16, 250, 1024])  # 16 and 1024 have the most rows too large
def test_counts_follow_the_binomial_law(clusters: int) -> None:
    counts = _draw(clusters, seed=0, resamples=1_000_000 // clusters)
    most = min(clusters, 6)
    seen = np.bincount(np.minimum(counts, most).ravel(), minlength=most + 1) / counts.size
    expected = binom.pmf(np.arange(most + 1), clusters, 1 / clusters)
    expected[most] = binom.sf(most - 1, clusters, 1 / clusters)
    assert (np.abs(seen - expected) < 4 * np.sqrt(expected / counts.size)).all()


@pytest.mark.parametrize("clusters", [7, 200])
def test_every_cluster_is_drawn_as_often(clusters: int) -> None:
    resamples = 400_000 // clusters
    drawn = _draw(clusters, seed=2, resamples=resamples).sum(axis=0, dtype=np.int64)
    apart = float(((drawn - resamples) ** 2 / resamples).sum())  # chi-square, clusters - 1 degrees
    assert abs(apart - (clusters - 1)) < 4 * np.sqrt(2 * (clusters - 1))


def test_counts_of_two_clusters_hang_together_as_in_the_multinomial() -> None:
    counts = _draw(200, seed=3, resamples=20_000).astype(np.float64)
    halves = counts[:, :100].sum(axis=1)
    assert halves.mean() == pytest.approx(100, abs=0.2)
    assert halves.var() == pytest.approx(50, rel=0.05)  # independent counts would give 100


def test_resamples_do_not_hang_together() -> None:
    counts = _draw(50, seed=4, resamples=20_000).astype(np.float64)
    halves = counts[:, :25].sum(axis=1)
    assert abs(np.corrcoef(halves[:-1], halves[1:])[0, 1]) < 0.03


def test_sixteen_bits_and_what_they_leave_over_have_the_chances_of_four_counts() -> None:
    mean = 31 / 32
    digits, rest = draws._poisson_digits(mean)
    chances, left = np.zeros(16**4), 1.0
    for table, sure in digits:
        places = table[:sure].view(np.uint8).reshape(-1, 4) @ [16**3, 16**2, 16, 1]
        chances += left / 2**16 * np.bincount(places, minlength=16**4)
        left *= 1 - sure / 2**16
    chances += left * np.diff(rest, prepend=0.0)
    single = poisson.pmf(np.arange(16), mean)
    pair = np.outer(single, single).ravel()
    assert np.abs(chances - np.outer(pair, pair).ravel()).max() < 1e-13


def test_too_few_rows_that_fit_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws.math, "erfc", lambda _: 0.0)  # no spare rows
    counts = _draw(300, seed=5, resamples=4)
    assert (counts.sum(axis=1, dtype=np.int64) == 300).all()


def test_more_than_is_drawn_together_comes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "AT_ONCE", 3000)
    parts = list(draws.draw(90, seed=1, resamples=50))
    assert [len(part) for part in parts] == [16, 16, 16, 2]
    assert all((part.sum(axis=1, dtype=np.int64) == 90).all() for part in parts)


def test_draws_of_a_version_stay_what_they_are() -> None:
    # Raise draws.VERSION with these: figures of one version are compared without a warning.
    assert draws.VERSION == 2
    assert _draw(9, seed=7, resamples=2).tolist() == [
        [0, 1, 1, 0, 2, 4, 0, 1, 0],
        [1, 0, 1, 1, 2, 0, 1, 2, 1],
    ]
    counts = _draw(1501, seed=0, resamples=1000)  # more than one block of quads
    assert int((counts @ np.arange(1501)).sum()) == 1_124_953_336


def test_draws_depend_on_the_seed_alone_and_are_kept() -> None:
    first = list(bootstrap.draw_counts(300, seed=7, resamples=100))
    bootstrap.forget_draws()
    again = list(bootstrap.draw_counts(300, seed=7, resamples=100))
    other = list(bootstrap.draw_counts(300, seed=8, resamples=100))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    assert next(iter(bootstrap.draw_counts(300, seed=8, resamples=100))).base is other[0].base
    with pytest.raises(ValueError, match="read-only"):
        other[0][0, 0] = 1
