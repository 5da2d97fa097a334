"""Bootstrap draws: how often each cluster occurs in each resample.

A row of counts is multinomial: as many draws as there are clusters, all equally likely. The law is
that of drawing one by one; with many clusters it is reached by less work. Draws depend on clusters,
seed and resamples alone, so all metrics of a file share them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

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
