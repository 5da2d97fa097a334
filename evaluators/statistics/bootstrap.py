"""The clustered bootstrap over sums: percentile, BCa and studentised intervals.

Everything is computed from one row of sums per cluster, so a resample is a row of counts times the
matrix of sums. Whole clusters are drawn with replacement (Davison and Hinkley 1997, ch. 3.8).

Bootstrap draws: how often each cluster occurs in each resample.

A row of counts is multinomial: as many draws as there are clusters, all equally likely. The law is
that of drawing one by one; with many clusters it is reached by less work. Draws depend on clusters,
seed and resamples alone, so all metrics of a file share them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.uint8]

_CACHE_CELLS = 2**19  # counts of a block stay in the processor's cache
_KEPT_CELLS = 2**25  # draws up to this many bytes are kept for the next metric
_FEW = 200  # clusters that are drawn one by one; a count then fits a byte, too
_SHORTFALL = 4.0  # standard deviations by which Poisson counts fall short of the draws


def draw_counts(clusters: int, *, seed: int, resamples: int) -> Iterator[Counts]:
    """Counts in blocks of shape (some resamples, clusters)."""
    if resamples * clusters <= _KEPT_CELLS:
        yield from _kept_blocks(clusters, seed, resamples)
    else:
        yield from _draw_blocks(clusters, seed, resamples)


@lru_cache(maxsize=2)
def _kept_blocks(clusters: int, seed: int, resamples: int) -> list[Counts]:
    return list(_draw_blocks(clusters, seed, resamples))


def _draw_blocks(clusters: int, seed: int, resamples: int) -> Iterator[Counts]:
    rng = np.random.default_rng(seed)
    draw = _draw_singly if clusters < _FEW else _draw_poisson
    step = max(1, _CACHE_CELLS // clusters)
    for start in range(0, resamples, step):
        yield draw(rng, min(step, resamples - start), clusters)


def _draw_singly(rng: np.random.Generator, size: int, clusters: int) -> Counts:
    first = (np.arange(size) * clusters)[:, None]
    draws = rng.integers(0, clusters, size=(size, clusters), dtype=np.uint32) + first
    counts = np.bincount(draws.ravel(), minlength=size * clusters)
    return counts.reshape(size, clusters).astype(np.uint8)


def _draw_poisson(rng: np.random.Generator, size: int, clusters: int) -> Counts:
    """Independent Poisson counts, which given their total are multinomial, and the missing draws.

    Their mean is a little under one, so that the total nearly always falls short of the number of
    draws; a row whose total is too large is drawn anew (Kingman 1993, Poisson Processes, ch. 1.2).
    """
    counts = _poisson_bytes(rng, size * clusters, 1 - _SHORTFALL / math.sqrt(clusters))
    rows = counts.reshape(size, clusters)
    totals = rows.astype(np.float32) @ np.ones(clusters, dtype=np.float32)
    missing = clusters - totals.astype(np.int64)
    over = np.flatnonzero(missing < 0)
    missing[over] = 0
    places = np.repeat(np.arange(size) * clusters, missing)
    places += rng.integers(0, clusters, size=len(places), dtype=np.uint32)
    np.add.at(counts, places, np.uint8(1))
    if len(over):
        rows[over] = _draw_singly(rng, len(over), clusters)
    return rows


def _poisson_bytes(rng: np.random.Generator, size: int, mean: float) -> Counts:
    """Poisson counts, exact: a random byte each, and for the few bytes left over a second draw."""
    thresholds, limit, rest = _poisson_table(mean)
    words = -(-size // 8)
    raw = rng.integers(0, 2**64, size=words, dtype=np.uint64).view(np.uint8)
    counts = np.zeros(8 * words, dtype=np.uint8)
    above = np.empty(8 * words, dtype=np.bool_)
    for threshold in thresholds:
        np.greater_equal(raw, threshold, out=above)
        counts += above.view(np.uint8)
    np.greater_equal(raw, limit, out=above)
    hit = np.flatnonzero(above.view(np.uint64) != 0)
    inner = np.flatnonzero(above.reshape(-1, 8)[hit])
    odd = hit[inner >> 3] * 8 + (inner & 7)
    counts[odd] = np.searchsorted(rest, rng.random(len(odd)), side="right")
    return counts[:size]


@lru_cache(maxsize=64)
def _poisson_table(mean: float) -> tuple[list[int], int, NDArray[np.float64]]:
    """How to read a byte as a Poisson count.

    Returns:
        the byte from which on the count is at least 1, 2, ...; the byte from which on it is drawn
        again; the cumulative chances of 0, 1, ... in that second draw.
    """
    chances = [256 * math.exp(-mean)]
    for k in range(1, 40):
        chances.append(chances[-1] * mean / k)
    whole = np.floor(chances).astype(np.int64)
    rest = np.cumsum(np.asarray(chances) - whole)
    limit = int(whole.sum())
    ends = np.cumsum(whole)[:-1]
    return [int(end) for end in ends[ends < limit]], limit, rest / rest[-1]


Floats = NDArray[np.float64]
Sums = Any  # numbers of shape (clusters, k), dense or scipy-sparse
Figure = Callable[[Any], Any]  # sums of shape (..., k) -> figures of shape (...)

_CHUNK_CELLS = 4_000_000
_JACKKNIFE_CELLS = 200_000_000
_NORMAL = NormalDist()


def draw_weights(clusters: int, *, seed: int, resamples: int) -> Iterator[Floats]:
    """How often each cluster is drawn: arrays (some resamples, clusters) that fit in memory."""
    for counts in draw_counts(clusters, seed=seed, resamples=resamples):
        yield counts.astype(np.float64)


def resampled_figures(
    figure: Figure, sides: Sequence[Sums], *, seed: int, resamples: int
) -> list[Floats]:
    """Figures of bootstrap resamples, shape (resamples,) per side; the same draws for all sides."""
    clusters, width = sides[0].shape
    at_once = resamples * width <= _CHUNK_CELLS
    sides = [_single_precision(side) for side in sides]
    drawn: list[list[Any]] = [[] for _ in sides]
    for counts in draw_counts(clusters, seed=seed, resamples=resamples):
        for block in _split(counts, width):
            for side, sums in zip(drawn, sides, strict=True):
                totals = (block.astype(sums.dtype) @ sums).astype(np.float64)
                side.append(totals if at_once else figure(totals))
    joined = [np.concatenate(side) for side in drawn]
    return [np.asarray(figure(side) if at_once else side, dtype=np.float64) for side in joined]


def _single_precision(sums: Sums) -> Sums:
    """Counts whose every total is exact in 24 bits are summed twice as fast in single precision."""
    if hasattr(sums, "toarray") or not sums.size:
        return sums
    if np.abs(sums).max() * len(sums) >= 2**24 or not bool((sums == np.rint(sums)).all()):
        return sums
    return sums.astype(np.float32)


def _split(counts: Any, width: int) -> Iterator[Any]:
    """Rows of a block, so few at once that their figures' sums fit in memory."""
    step = max(1, _CHUNK_CELLS // width)
    for start in range(0, len(counts), step):
        yield counts[start : start + step]


def jackknife_figures(figure: Figure, sums: Sums) -> Floats | None:
    """The figure without each cluster, shape (clusters,); None where that would take too long."""
    clusters, width = sums.shape
    if clusters < 2 or clusters * width > _JACKKNIFE_CELLS:
        return None
    total = np.asarray(sums.sum(axis=0), dtype=np.float64)
    step = max(1, _CHUNK_CELLS // width)
    parts = []
    for start in range(0, clusters, step):
        block = sums[start : start + step]
        dense = block.toarray() if hasattr(block, "toarray") else block
        parts.append(np.asarray(figure(total - dense), dtype=np.float64))
    return np.concatenate(parts)


def percentile_interval(drawn: Floats, *, level: float) -> tuple[float, float]:
    """Quantiles of the resampled figures (Efron and Tibshirani 1993, ch. 13)."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def expanded_level(level: float, clusters: int, *, narrow: bool = False) -> float:
    """A higher level that makes up for the bootstrap's being too narrow with few clusters.

    Hesterberg 2015 (Am. Stat. 69:371, sec. 5.3): the normal quantile becomes Student's.

    Args:
        narrow: the resampled figures spread less than the figure, by clusters - 1 to clusters.
    """
    from scipy.special import stdtrit

    wide = float(stdtrit(clusters - 1, 0.5 + level / 2))
    wide *= math.sqrt(clusters / (clusters - 1)) if narrow else 1.0
    return min(2 * _NORMAL.cdf(wide) - 1, 1 - 1e-9)


def bca_interval(
    value: float, drawn: Floats, left_out: Floats | None, *, level: float
) -> tuple[float, float]:
    """Bias-corrected and accelerated interval (Efron 1987, JASA 82:171).

    Args:
        value: the figure of the sample.
        drawn: figures of resamples.
        left_out: figures without each cluster, for the acceleration; None takes none.
    """
    below = (np.count_nonzero(drawn < value) + 0.5 * np.count_nonzero(drawn == value)) / len(drawn)
    edge = 1 / (len(drawn) + 1)
    bias = _NORMAL.inv_cdf(float(np.clip(below, edge, 1 - edge)))
    acceleration = _acceleration(left_out)
    shares = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + _NORMAL.inv_cdf(tail)
        shares.append(_NORMAL.cdf(bias + z / (1 - acceleration * z)))
    low, high = np.quantile(drawn, shares)
    return float(low), float(high)


def _acceleration(left_out: Floats | None) -> float:
    if left_out is None:
        return 0.0
    apart = left_out.mean() - left_out
    spread = float((apart**2).sum())
    return float((apart**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def studentised_interval(
    sums: Floats, *, seed: int, resamples: int, level: float
) -> tuple[float, float]:
    """Bootstrap-t interval of a ratio of cluster sums (Hall 1988, Ann. Statist. 16:927).

    Args:
        sums: shape (clusters, 2): total of the values and count of each cluster. The estimate is
            the ratio of the totals; its variance in each resample comes by linearisation. Where
            clusters differ in size the level is expanded, since then it falls short.
    """
    if sums[:, 1].min() < sums[:, 1].max():
        level = expanded_level(level, len(sums))
    total, count = sums[:, 0], sums[:, 1]
    mean = total.sum() / count.sum()
    error = np.sqrt(((total - mean * count) ** 2).sum()) / count.sum()
    columns = np.column_stack([total, count, total**2, total * count, count**2])
    parts = []
    for weights in draw_weights(len(sums), seed=seed, resamples=resamples):
        t, c, tt, tc, cc = (weights @ columns).T
        means = t / c
        variance = (tt - 2 * means * tc + means**2 * cc) / c**2
        parts.append((means - mean) / np.sqrt(np.maximum(variance, _FLOOR * error**2)))
    low, high = np.quantile(np.concatenate(parts), [(1 - level) / 2, (1 + level) / 2])
    return float(mean - high * error), float(mean - low * error)


_FLOOR = 0.05  # a resample of few distinct clusters must not blow the interval up
