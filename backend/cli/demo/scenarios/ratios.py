"""Ratios of figures of several models on the same examples, with intervals over paired clusters.

Percentile intervals of the bootstrap that draws whole groups, the same draws for all models (Efron
and Tibshirani 1993, ch. 13). The figures are those of the metric itself, from its stored sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backend.cli.demo.scenarios.claims import ScenarioClaim
from backend.errors import CannotCompute

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from evaluators.metric import Metric
    from evaluators.types import Score as Scored

RESAMPLES = 2000
SMALLEST_WHOLE = 1e-9
SEED = 7
METHOD = "paired percentile bootstrap"
Unit = tuple[str, int]  # group, example


def claim_cut(
    session: Session, score_run_id: int, label: str, models: Sequence[int], text: str, *, aim: float
) -> ScenarioClaim:
    """The share by which a figure fell, 1 - new / old.

    Args:
        label: `metric` or `metric@key=value`.
        models: ids of the old and the new model.

    Raises:
        CannotCompute: the old figure is zero, in a resample too, or no example has a value of both.
    """
    old, new, n, drawn = _figures(session, score_run_id, label, models)
    if old <= 0:
        raise CannotCompute("Nothing was there to be cut: the old figure is zero.")
    low, high = _percentiles([1 - share for share in shares_of([(b, a) for a, b in drawn])])
    return ScenarioClaim(text, 1 - new / old, low, high, n, aim, True, METHOD)


def claim_kept(
    session: Session, score_run_id: int, label: str, models: Sequence[int], text: str, *, aim: float
) -> ScenarioClaim:
    """The share of one model's gain over the base that another reaches.

    Args:
        models: ids of the base, of the model asked about and of the one that it is held against.

    Raises:
        CannotCompute: it is not shown that the latter gained anything (its interval holds zero), or
            no example has a value of all three.
    """
    base, mine, best, n, drawn = _figures(session, score_run_id, label, models)
    least, most = _bounds([c - a for a, _, c in drawn])  # a gain in every resample may be certain
    if least <= 0 <= most:
        raise CannotCompute(
            f"No share of a gain in {label}: none was shown "
            f"({best - base:.3f} [{least:.3f}, {most:.3f}], n={n})."
        )
    low, high = _percentiles(shares_of([(b - a, c - a) for a, b, c in drawn]))
    return ScenarioClaim(text, (mine - base) / (best - base), low, high, n, aim, True, METHOD)


def shares_of(drawn: Sequence[tuple[float, float]]) -> list[float]:
    """Each part by its whole.

    Raises:
        CannotCompute: a whole is zero; without those draws the interval would be of the others.
    """
    if empty := sum(abs(whole) < SMALLEST_WHOLE for _, whole in drawn):
        raise CannotCompute(f"No interval: {empty} of {len(drawn)} resamples have no whole.")
    return [part / whole for part, whole in drawn]


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if min(values) == max(values):
        raise CannotCompute(f"No interval: all {len(values)} resamples are alike.")
    return _bounds(values)


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    import numpy as np

    from evaluators.statistics.bootstrap import percentile_interval

    return percentile_interval(np.asarray(values, dtype=np.float64), level=0.95)


def _figures(session: Session, score_run_id: int, label: str, models: Sequence[int]) -> Any:
    """(figure of each model..., n, resampled figures as a list of tuples of that order)."""
    from backend.services.metric_specs import parse_metric_specs
    from evaluators.registry import resolve_metrics

    (spec,) = parse_metric_specs([label])
    read = [read_scores(session, score_run_id, spec.metric, m, spec.slice) for m in models]
    both = sorted(set(read[0]).intersection(*read[1:]))
    if not both:
        raise CannotCompute(f"No example has a value of {label} for every model.")
    (metric,) = resolve_metrics([spec.metric])
    columns = [[scores[unit] for unit in both] for scores in read]
    figures, drawn = resample_together(metric, columns, [unit[0] for unit in both], seed=SEED)
    return (*figures, len(both), drawn)


def resample_together(
    metric: Metric, columns: Sequence[Sequence[Scored]], groups: Sequence[str], *, seed: int
) -> tuple[list[float], list[tuple[float, ...]]]:
    """The figure of each column of scores, and of RESAMPLES draws that all columns share.

    Args:
        columns: scores of the same examples, all with a value, one column a model.
        groups: the cluster of each example.
    """
    import numpy as np

    from evaluators.statistics.bootstrap import resampled_figures
    from evaluators.statistics.clusters import number_clusters, sum_clusters

    members = number_clusters(list(groups))
    rows = metric.summary.rows([score for column in columns for score in column])
    n = len(groups)
    sides = [sum_clusters(rows[i * n : (i + 1) * n], members) for i in range(len(columns))]
    totals = [np.asarray(side.sum(axis=0), dtype=np.float64).reshape(-1) for side in sides]
    figures = [float(metric.summary.figure(total)) for total in totals]
    drawn = resampled_figures(metric.summary.figure, sides, seed=seed, resamples=RESAMPLES)
    return figures, list(zip(*(side.tolist() for side in drawn), strict=True))


def read_scores(
    session: Session, score_run_id: int, metric: str, model_id: int, slice: Mapping[str, str]
) -> dict[Unit, Scored]:
    """Scores that have a value; an example without a group is a group of its own."""
    from backend.tables.datasets import Example
    from backend.tables.runs import Generation, Score
    from evaluators.types import Score as Scored

    query = (
        select(Example.group, Example.id, Example.slices, Score.value, Score.label, Score.stats)
        .join(Generation, Generation.example_id == Example.id)
        .join(Score, Score.generation_id == Generation.id)
        .where(
            Score.score_run_id == score_run_id,
            Score.metric == metric,
            Score.value.is_not(None),
            Generation.model_version_id == model_id,
        )
    )
    return {
        (group or f"example {example_id}", example_id): Scored(
            value, label=label, stats=tuple(stats)
        )
        for group, example_id, slices, value, label, stats in session.execute(query)
        if all(str(slices.get(key)) == wanted for key, wanted in slice.items())
    }
