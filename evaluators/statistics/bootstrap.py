"""The clustered bootstrap over sums: percentile, BCa and studentised intervals.

Everything is computed from one row of sums per cluster, so a resample is a row of counts times the
matrix of sums. Whole clusters are drawn with replacement (Davison and Hinkley 1997, ch. 3.8). Draws
depend on clusters, seed and resamples alone, so all metrics of a file share them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.statistics.draws import AT_ONCE, Counts, draw

Floats = NDArray[np.float64]
Sums = Any  # numbers of shape (clusters, k), dense or scipy-sparse
Figure = Callable[[Any], Any]  # sums of shape (..., k) -> figures of shape (...)

_CHUNK_CELLS = 4_000_000
_SMALL_PRODUCT = 1_000_000  # multiplications up to which OpenBLAS does not copy the factors
_FEW_ROWS = 16
_JACKKNIFE_CELLS = 200_000_000
_NORMAL = NormalDist()
_BLOCK_CELLS = 2**17  # a block stays in the processor's cache, in double precision too
_FEW_CELLS = 2**20  # draws up to this many bytes are kept for many slices, more for two


@dataclass(frozen=True, slots=True)
class Drawing:
    """How an interval is drawn."""

    seed: int = 0
    resamples: int = 1000
    level: float = 0.95


def draw_counts(clusters: int, *, seed: int, resamples: int) -> Iterator[Counts]:
    """How often each cluster is drawn: blocks (some resamples, clusters), to be read only."""
    step = max(1, _BLOCK_CELLS // clusters)
    for counts in _drawn(clusters, seed, resamples):
        yield from (counts[start : start + step] for start in range(0, len(counts), step))


def _drawn(clusters: int, seed: int, resamples: int) -> Iterator[Counts]:
    if clusters * resamples > AT_ONCE:
        yield from draw(clusters, seed=seed, resamples=resamples)
        return
    keep = _few_draws if clusters * resamples <= _FEW_CELLS else _many_draws
    yield keep(clusters, seed, resamples)


def _all_draws(clusters: int, seed: int, resamples: int) -> Counts:
    [counts] = draw(clusters, seed=seed, resamples=resamples)
    counts.flags.writeable = False
    return counts


_few_draws = lru_cache(maxsize=32)(_all_draws)
_many_draws = lru_cache(maxsize=2)(_all_draws)


def forget_draws() -> None:
    """Keep no draws of before; for tests and benchmarks."""
    _few_draws.cache_clear()
    _many_draws.cache_clear()


def draw_weights(clusters: int, *, seed: int, resamples: int) -> Iterator[Floats]:
    """The blocks of `draw_counts` as numbers that can be multiplied."""
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
    return sums.astype(np.float32, order="F")


def _split(counts: Any, width: int) -> Iterator[Any]:
    """Rows of a block, so few at once that their figures' sums fit in memory.

    Where that are not too few, so few that OpenBLAS multiplies them without copying.
    """
    step = max(1, _CHUNK_CELLS // width)
    small = _SMALL_PRODUCT // (counts.shape[1] * width)
    if small >= _FEW_ROWS:
        step = small
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
