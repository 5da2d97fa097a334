"""Corpus figures and paired differences from scores, with intervals clustered by group.

Only the stored statistics are used, so this works as well on scores read back from a database.
A resample draws whole groups with replacement (Davison and Hinkley 1997, ch. 3.8; samples without
a group are each their own), and its figure is computed from the drawn sums of statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import CannotCompute, InvalidValues
from evaluators.metric import Metric
from evaluators.types import Difference, Figure, Score

RESAMPLES = 1000
LEVEL = 0.95
ROUGH_BELOW = 30
_CHUNK_CELLS = 4_000_000

Floats = NDArray[np.float64]
Sums = Any  # numbers of shape (clusters, k), dense or scipy-sparse


def aggregate(
    metric: Metric,
    scores: Sequence[Score],
    groups: Sequence[str | None],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Figure:
    """The corpus value of a metric with its bootstrap percentile interval.

    Raises:
        CannotCompute: there is no score, or none of them has a value.
        InvalidValues: scores and groups differ in length.
    """
    _check_lengths(scores=scores, groups=groups)
    kept = [i for i, score in enumerate(scores) if score.value is not None]
    failed = sum(score.error is not None for score in scores)
    if not kept:
        raise CannotCompute(_nothing_scored(metric.name, scores))
    valued = [scores[i] for i in kept]
    members = _cluster_numbers([groups[i] for i in kept])
    sums = _cluster_sums(metric.summary.rows(valued), members)
    drawn = resampled_figures(metric, [sums], seed=seed, resamples=resamples)[0]
    low, high = _percentiles(drawn, level)
    return Figure(
        metric=metric.name,
        value=_figure_of(metric, sums),
        low=low,
        high=high,
        n=len(kept),
        failed=failed,
        signature=_signature(metric, valued, seed, resamples, level),
        not_applicable=len(scores) - len(kept) - failed,
        rough=sums.shape[0] < ROUGH_BELOW,
        clusters=sums.shape[0],
        level=level,
        method="bootstrap-percentile",
    )


def paired_difference(
    metric: Metric,
    baseline: Sequence[Score],
    candidate: Sequence[Score],
    groups: Sequence[str | None],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Difference:
    """Candidate minus baseline, both on the same samples in the same order.

    The interval resamples pairs by group; p is that of a randomisation test that swaps the two
    sides of whole groups (Riezler and Maxwell 2005), two-sided, with one added to both counts.

    Raises:
        CannotCompute: no sample has a value on both sides.
        InvalidValues: the sequences differ in length.
    """
    _check_lengths(baseline=baseline, candidate=candidate, groups=groups)
    pairs = list(zip(baseline, candidate, strict=True))
    kept = [i for i, (b, c) in enumerate(pairs) if b.value is not None and c.value is not None]
    failed = sum(b.error is not None or c.error is not None for b, c in pairs)
    if not kept:
        raise CannotCompute(_nothing_scored(metric.name, [*baseline, *candidate], pairs=True))
    old, new = [baseline[i] for i in kept], [candidate[i] for i in kept]
    members = _cluster_numbers([groups[i] for i in kept])
    rows = metric.summary.rows([*old, *new])
    sums = [_cluster_sums(rows[: len(kept)], members), _cluster_sums(rows[len(kept) :], members)]
    drawn = resampled_figures(metric, sums, seed=seed, resamples=resamples)
    before, after = (_figure_of(metric, side) for side in sums)
    low, high = _percentiles(drawn[1] - drawn[0], level)
    wins, losses, ties = _tally(old, new, higher_is_better=metric.higher_is_better)
    return Difference(
        metric=metric.name,
        baseline=before,
        candidate=after,
        value=after - before,
        low=low,
        high=high,
        p=swap_test(metric, sums[0], sums[1], seed=seed, resamples=resamples),
        wins=wins,
        losses=losses,
        ties=ties,
        n=len(kept),
        failed=failed,
        signature=_signature(metric, [*old, *new], seed, resamples, level) + "|test:paired-swap",
        not_applicable=len(pairs) - len(kept) - failed,
        rough=sums[0].shape[0] < ROUGH_BELOW,
        clusters=sums[0].shape[0],
        level=level,
        method="bootstrap-percentile",
        better="higher" if metric.higher_is_better else "lower",
    )


def resampled_figures(
    metric: Metric, sides: Sequence[Sums], *, seed: int, resamples: int
) -> list[Floats]:
    """Figures of bootstrap resamples, shape (resamples,) for each side, the same draws for all."""
    out = [np.empty(resamples) for _ in sides]
    for where, weights in _draw_weights(sides[0].shape[0], seed, resamples, sides[0].shape[1]):
        for figures, sums in zip(out, sides, strict=True):
            figures[where] = metric.summary.figure(weights @ sums)
    return out


def _draw_weights(
    clusters: int, seed: int, resamples: int, width: int
) -> Iterator[tuple[slice, Floats]]:
    """How often each cluster is drawn, in chunks of resamples that fit in memory."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK_CELLS // max(clusters, width))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        draws = rng.integers(0, clusters, size=(size, clusters))
        draws += np.arange(size)[:, None] * clusters
        counts = np.bincount(draws.ravel(), minlength=size * clusters)
        yield slice(start, start + size), counts.reshape(size, clusters).astype(np.float64)


def swap_test(metric: Metric, old: Sums, new: Sums, *, seed: int, resamples: int) -> float:
    """Two-sided p-value of no difference, by swapping the two sides of clusters at random."""
    rng = np.random.default_rng([seed, 1])
    change = new - old
    observed = abs(_figure_of(metric, new) - _figure_of(metric, old))
    base_old, base_new = np.asarray(old.sum(axis=0)), np.asarray(new.sum(axis=0))
    step, extreme = max(1, _CHUNK_CELLS // max(old.shape)), 0
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        moved = rng.integers(0, 2, size=(size, old.shape[0])).astype(np.float64) @ change
        apart = metric.summary.figure(base_new - moved) - metric.summary.figure(base_old + moved)
        extreme += int(np.count_nonzero(np.abs(apart) >= observed - 1e-12))
    return (extreme + 1) / (resamples + 1)


def _figure_of(metric: Metric, sums: Sums) -> float:
    return float(metric.summary.figure(np.asarray(sums.sum(axis=0))))


def _cluster_numbers(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """Group of each sample as a number from 0; a sample without a group gets one of its own."""
    numbers: dict[object, int] = {}
    keys = ((i,) if group is None else group for i, group in enumerate(groups))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _cluster_sums(rows: Any, members: NDArray[np.int64]) -> Sums:
    """Rows summed within clusters, shape (clusters, k)."""
    from scipy.sparse import csr_array

    n, clusters = len(members), int(members.max()) + 1
    chosen = csr_array((np.ones(n), (members, np.arange(n))), shape=(clusters, n))
    return chosen @ rows


def _percentiles(drawn: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _tally(
    old: Sequence[Score], new: Sequence[Score], *, higher_is_better: bool
) -> tuple[int, int, int]:
    sign = 1.0 if higher_is_better else -1.0
    gains = [sign * ((c.value or 0.0) - (b.value or 0.0)) for b, c in zip(old, new, strict=True)]
    wins, losses = sum(g > 0 for g in gains), sum(g < 0 for g in gains)
    return wins, losses, len(gains) - wins - losses


def _signature(
    metric: Metric, scores: Sequence[Score], seed: int, resamples: int, level: float
) -> str:
    return metric.signature(
        scores, ci="bootstrap-percentile", level=level, resamples=resamples, seed=seed
    )


def _check_lengths(**named: Sequence[object]) -> None:
    if len({len(values) for values in named.values()}) > 1:
        sizes = ", ".join(f"{len(values)} {name}" for name, values in named.items())
        raise InvalidValues(f"These must go together, one to one: {sizes}.")


def _nothing_scored(name: str, scores: Sequence[Score], *, pairs: bool = False) -> str:
    where = "on both sides" if pairs else "at all"
    if not scores:
        return f"{name}: there is nothing to summarise, 0 samples."
    errors = sorted({score.error for score in scores if score.error is not None})
    if not errors:
        return f"{name}: does not apply to any of the samples."
    return f"{name}: no sample could be scored {where}; first reason: {errors[0]}."
