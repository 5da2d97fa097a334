"""Bootstrap draws: how often each cluster occurs in each resample of an ordinary bootstrap.

A row of counts is multinomial (Efron 1979, Ann. Statist. 7:1): as many draws as there are clusters,
all equally likely. Most of them come as independent Poisson counts, which given their total are
multinomial (Kingman 1993, Poisson Processes, ch. 1.2); what is missing to the total is drawn one by
one, and a row of too many is not used. Sixteen random bits are looked up as four counts at once, by
the digits of their chances (Marsaglia, Tsang and Wang 2004, J. Stat. Softw. 11:3).

Needs numpy alone: the checker of a dossier has the text of this module in it.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

VERSION = 2
"""Raised when a seed draws otherwise than before. It stands as `draws:2` in the signature of every
figure whose interval is drawn; figures without it had version 1."""

Counts = NDArray[np.uint8]
Quads = NDArray[np.uint32]  # four counts of a byte each
Digits = list[tuple[Quads, int]]

AT_ONCE = 2**25  # counts that are drawn together

_MOST = 16  # Poisson counts below this are told apart; at a mean below 1 others have chance 1e-14
_QUADS = 2**17  # looked up together, so that bits and quads stay in the processor's cache


def draw(clusters: int, *, seed: int, resamples: int) -> Iterator[Counts]:
    """Counts of shape (some resamples, clusters): all resamples together, or as many as fit."""
    rng = np.random.Generator(np.random.SFC64(seed))
    step = resamples if clusters * resamples <= AT_ONCE else max(16, AT_ONCE // 8 // clusters)
    for start in range(0, resamples, step):
        yield _draw_rows(rng, min(step, resamples - start), clusters)


def _draw_rows(rng: np.random.Generator, resamples: int, clusters: int) -> Counts:
    """Counts of shape (resamples, clusters).

    The mean of a Poisson count is so far below 1 that a total falls short of the draws by one to
    two standard deviations; few means, so that few tables are made. Which rows are used depends on
    their totals alone, and so does not change the law of a row given its total.
    """
    shortfall = 0.5 ** max(1, (clusters.bit_length() - 1) // 2)
    over = math.erfc(shortfall * math.sqrt(clusters / 2)) / 2  # chance of too large a total
    spare = resamples * over / (1 - over) + 3 * math.sqrt(resamples * over)
    size = (resamples + int(spare)) * clusters
    quads = _draw_quads(rng, -(-size // 4), *_poisson_digits(1 - shortfall))
    rows = quads.view(np.uint8)[:size].reshape(-1, clusters)
    totals = rows.sum(axis=1, dtype=np.min_scalar_type(_MOST * clusters))
    missing = clusters - totals.astype(np.int64)
    large = np.flatnonzero(missing[:resamples] < 0)
    others = resamples + np.flatnonzero(missing[resamples:] >= 0)[: len(large)]
    if len(others) < len(large):
        return _draw_rows(rng, resamples, clusters)
    rows[large], missing[large] = rows[others], missing[others]
    return _draw_missing(rng, rows[:resamples], missing[:resamples])


def _draw_missing(rng: np.random.Generator, rows: Counts, missing: NDArray[np.int64]) -> Counts:
    """The rows, with so many single draws added to each in place."""
    size, clusters = rows.shape
    places = np.repeat(np.arange(size) * clusters, missing)
    places += rng.integers(0, clusters, size=len(places), dtype=np.min_scalar_type(clusters - 1))
    np.add.at(rows.reshape(-1), places, np.uint8(1))
    return rows


def _draw_quads(
    rng: np.random.Generator, size: int, digits: Digits, rest: NDArray[np.float64]
) -> Quads:
    """So many groups of four independent counts, read digit by digit."""
    if not digits:
        return _all_quads()[np.searchsorted(rest, rng.random(size), side="right")]
    table, sure = digits[0]
    quads, unsure = np.empty(size, dtype=np.uint32), []
    for start in range(0, size, _QUADS):
        block = quads[start : start + _QUADS]
        bits = rng.bit_generator.random_raw(-(-len(block) // 4)).view(np.uint16)[: len(block)]
        table.take(bits, out=block, mode="clip")
        unsure.append(np.flatnonzero(bits >= sure) + start)
    again = np.concatenate(unsure)
    if len(again):
        quads[again] = _draw_quads(rng, len(again), digits[1:], rest)
    return quads


@lru_cache(maxsize=16)
def _poisson_digits(mean: float) -> tuple[Digits, NDArray[np.float64]]:
    """How sixteen bits are read as four Poisson counts, and those left over once more.

    Returns:
        for each of two digits the quads by bits, and the bits from which on the next digit is read;
        the cumulative chances of all quads after these.
    """
    single = np.array([math.exp(-mean) * mean**k / math.factorial(k) for k in range(_MOST)])
    pair = np.outer(single, single).ravel()
    chances, digits = np.outer(pair, pair).ravel(), []
    for _ in range(2):
        shares = 2**16 / chances.sum() * chances
        whole = shares.astype(np.int64)
        table = np.repeat(_all_quads(), whole)
        digits.append((np.pad(table, (0, 2**16 - len(table))), len(table)))
        chances = shares - whole
    rest = np.cumsum(chances)
    return digits, rest / rest[-1]


@lru_cache(maxsize=1)
def _all_quads() -> Quads:
    """Every four counts, the last the quickest to change."""
    counts = np.indices((_MOST,) * 4, dtype=np.uint8).reshape(4, -1).T
    return np.ascontiguousarray(counts).view(np.uint32).ravel()
