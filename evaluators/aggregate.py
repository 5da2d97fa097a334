"""Corpus figures and paired differences from scores, with intervals clustered by group.

Only the stored statistics are used, so this works as well on scores read back from a database.
The interval depends on the figure: a rate gets Wilson's, a mean the studentised bootstrap, a corpus
figure such as BLEU or macro-F1 the BCa bootstrap; see `evaluators.statistics.intervals` for why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.metric import Metric
from evaluators.statistics import RESAMPLES
from evaluators.statistics.bootstrap import (
    Drawing,
    Floats,
    Sums,
    bca_interval,
    expanded_level,
    jackknife_figures,
    resampled_figures,
)
from evaluators.statistics.clusters import number_clusters, ratio_variance, sum_clusters
from evaluators.statistics.draws import VERSION as DRAWS
from evaluators.statistics.intervals import (
    ONE_CLUSTER,
    Interval,
    constant_change_interval,
    constant_interval,
    is_rounding,
    mean_interval,
    paired_rate_interval,
    rate_interval,
)
from evaluators.statistics.testing import agree_on_zero, mcnemar_exact, swap_test
from evaluators.types import Difference, Figure, Score

FEW_FOR_BCA = 40
LEVEL = 0.95


def aggregate(
    metric: Metric,
    scores: Sequence[Score],
    groups: Sequence[str | None],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Figure:
    """The corpus value of a metric with its interval, clustered by group.

    Raises:
        UndefinedFigure: there is no score, or none of them has a value.
        InvalidValues: scores and groups differ in length.
    """
    _check_lengths(scores=scores, groups=groups)
    kept = [i for i, score in enumerate(scores) if score.value is not None]
    failed = sum(score.error is not None for score in scores)
    if not kept:
        raise UndefinedFigure(_nothing_scored(metric.name, scores))
    valued = [scores[i] for i in kept]
    sums = sum_clusters(metric.summary.rows(valued), number_clusters([groups[i] for i in kept]))
    drawing = Drawing(seed, resamples, level)
    interval = _figure_interval(metric, valued, sums, drawing)
    return Figure(
        metric=metric.name,
        value=_figure_of(metric, sums),
        low=interval.low,
        high=interval.high,
        n=len(kept),
        failed=failed,
        signature=_signature(metric, valued, interval, drawing),
        not_applicable=len(scores) - len(kept) - failed,
        rough=interval.rough,
        clusters=sums.shape[0],
        level=level,
        method=interval.method,
        note=_joined(interval.note, metric.notes(valued)),
    )


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _figure_interval(
    metric: Metric, scores: Sequence[Score], sums: Sums, drawing: Drawing
) -> Interval:
    if _are_hits(metric, scores):
        return rate_interval(sums, level=drawing.level)
    if metric.summary.is_mean:
        return mean_interval(
            sums,
            scale=metric.scale,
            seed=drawing.seed,
            resamples=drawing.resamples,
            level=drawing.level,
        )
    return _corpus_interval(metric, [sums], drawing)


def _corpus_interval(metric: Metric, sides: Sequence[Sums], drawing: Drawing) -> Interval:
    """BCa interval of a figure (one side), or of the second minus the first (two sides)."""
    if sides[0].shape[0] == 1:
        return _whole_range(metric, pairs=len(sides) == 2)
    figures = metric.summary.figure
    drawn = resampled_figures(figures, sides, seed=drawing.seed, resamples=drawing.resamples)
    left_out = [jackknife_figures(figures, side) for side in sides]
    value = _figure_of(metric, sides[-1])
    if len(sides) == 2:
        value -= _figure_of(metric, sides[0])
    clusters = sides[0].shape[0]
    level = expanded_level(drawing.level, clusters, narrow=True)
    low, high = bca_interval(value, _apart(drawn), _apart(left_out), level=level)
    if high - low > 1e-12 * max(1.0, abs(value)):
        return Interval(low, high, "bootstrap-bca", clusters < FEW_FOR_BCA)
    if len(sides) == 1:
        return constant_interval(
            value, clusters, metric.scale, drawing.level, alike="all resamples are alike"
        )
    return constant_change_interval(value, clusters, metric.scale, drawing.level)


def _apart(sides: Sequence[Floats | None]) -> Any:
    if len(sides) == 1:
        return sides[0]
    old, new = sides
    return None if old is None or new is None else new - old


def _whole_range(metric: Metric, *, pairs: bool) -> Interval:
    if metric.scale is None:
        raise UndefinedFigure(
            f"{metric.name}: one group only, so no interval can be estimated.", hint="Score more."
        )
    return Interval(-metric.scale if pairs else 0.0, metric.scale, "range", True, ONE_CLUSTER)


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

    p is McNemar's exact one for yes/no outcomes without groups, else that of a randomisation test
    that swaps the two sides of whole groups. p and interval say the same of 0 (`agree_on_zero`).

    Raises:
        UndefinedFigure: no sample has a value on both sides.
        InvalidValues: the sequences differ in length.
    """
    _check_lengths(baseline=baseline, candidate=candidate, groups=groups)
    pairs = list(zip(baseline, candidate, strict=True))
    kept = [i for i, (b, c) in enumerate(pairs) if b.value is not None and c.value is not None]
    failed = sum(b.error is not None or c.error is not None for b, c in pairs)
    if not kept:
        raise UndefinedFigure(_nothing_scored(metric.name, [*baseline, *candidate], pairs=True))
    old, new = [baseline[i] for i in kept], [candidate[i] for i in kept]
    members = number_clusters([groups[i] for i in kept])
    sides = _paired_sums(metric, old, new, members)
    drawing = Drawing(seed, resamples, level)
    interval = _difference_interval(metric, old, new, sides, members, drawing)
    p, test = _test_difference(metric, old, new, sides, drawing)
    before, after = (_figure_of(metric, side) for side in sides)
    interval, p = agree_on_zero(after - before, interval, p, level=level)
    wins, losses, ties = _tally(old, new, higher_is_better=metric.higher_is_better)
    return Difference(
        metric=metric.name,
        baseline=before,
        candidate=after,
        value=after - before,
        low=interval.low,
        high=interval.high,
        p=p,
        wins=wins,
        losses=losses,
        ties=ties,
        n=len(kept),
        failed=failed,
        signature=f"{_signature(metric, [*old, *new], interval, drawing)}|test:{test}",
        not_applicable=len(pairs) - len(kept) - failed,
        rough=interval.rough,
        clusters=sides[0].shape[0],
        level=level,
        method=interval.method,
        better="higher" if metric.higher_is_better else "lower",
        note=_joined(interval.note, metric.notes([*old, *new])),
    )


def _paired_sums(
    metric: Metric, old: Sequence[Score], new: Sequence[Score], members: Any
) -> tuple[Sums, Sums]:
    """Both sides from one table of rows, so that they share its columns (the classes, for F1)."""
    rows = metric.summary.rows([*old, *new])
    return sum_clusters(rows[: len(old)], members), sum_clusters(rows[len(old) :], members)


def _difference_interval(
    metric: Metric,
    old: Sequence[Score],
    new: Sequence[Score],
    sides: tuple[Sums, Sums],
    members: Any,
    drawing: Drawing,
) -> Interval:
    if not metric.summary.is_mean:
        return _corpus_interval(metric, sides, drawing)
    if _are_hits(metric, [*old, *new]):
        change = np.array([_gain(b, c) for b, c in zip(old, new, strict=True)])
        rows = np.column_stack([change > 0, change < 0, np.ones(len(change))]).astype(float)
        return paired_rate_interval(sum_clusters(rows, members), level=drawing.level)
    change = np.column_stack([sides[1][:, 0] - sides[0][:, 0], sides[0][:, 1]])
    return _change_interval(metric, change, drawing)


def _test_difference(
    metric: Metric,
    old: Sequence[Score],
    new: Sequence[Score],
    sides: tuple[Sums, Sums],
    drawing: Drawing,
) -> tuple[float, str]:
    """p, and the name of the test."""
    independent = sides[0].shape[0] == len(old)
    if independent and _are_hits(metric, [*old, *new]):
        won, lost, _ = _tally(old, new, higher_is_better=True)
        return mcnemar_exact(won, lost), "mcnemar-exact"
    figure = metric.summary.figure
    p = swap_test(figure, *sides, seed=drawing.seed, resamples=drawing.resamples)
    return p, "paired-swap"


def _change_interval(metric: Metric, change: Floats, drawing: Drawing) -> Interval:
    if len(change) == 1:
        return _whole_range(metric, pairs=True)
    mean = float(change[:, 0].sum() / change[:, 1].sum())
    if is_rounding(ratio_variance(change), mean):
        return constant_change_interval(mean, len(change), metric.scale, drawing.level)
    return mean_interval(
        change, scale=None, seed=drawing.seed, resamples=drawing.resamples, level=drawing.level
    )


def _are_hits(metric: Metric, scores: Sequence[Score]) -> bool:
    """Whether the mean is a rate; lengths or seconds that happen to be 0 or 1 are none."""
    known = metric.summary.is_mean and metric.scale == 1.0
    return known and all(score.value in (0.0, 1.0) for score in scores)


def _figure_of(metric: Metric, sums: Sums) -> float:
    return float(metric.summary.figure(np.asarray(sums.sum(axis=0))))


def _gain(before: Score, after: Score) -> float:
    return (after.value or 0.0) - (before.value or 0.0)


def _tally(
    old: Sequence[Score], new: Sequence[Score], *, higher_is_better: bool
) -> tuple[int, int, int]:
    sign = 1.0 if higher_is_better else -1.0
    gains = [sign * _gain(b, c) for b, c in zip(old, new, strict=True)]
    wins, losses = sum(g > 0 for g in gains), sum(g < 0 for g in gains)
    return wins, losses, len(gains) - wins - losses


def _signature(
    metric: Metric, scores: Sequence[Score], interval: Interval, drawing: Drawing
) -> str:
    extra = {"draws": DRAWS, "resamples": drawing.resamples, "seed": drawing.seed}
    if not interval.method.startswith("bootstrap"):
        extra = {}
    return metric.signature(scores, ci=interval.method, level=drawing.level, **extra)


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
