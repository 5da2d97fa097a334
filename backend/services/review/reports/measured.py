"""A number of a queue with its interval and recipe, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend.schemas.review.reports import Measured
from evaluators.statistics import RESAMPLES

if TYPE_CHECKING:
    from evaluators.statistics.intervals import Interval
    from evaluators.types import Figure

LEVEL = 0.95
LEAST = 3


def scaled(measured: Measured, factor: float, *, unit: str) -> Measured:
    """The same in another unit, for a factor above 0."""
    numbers = {name: getattr(measured, name) for name in ("value", "low", "high")}
    changed = {name: None if n is None else n * factor for name, n in numbers.items()}
    return measured.model_copy(update={**changed, "unit": unit})


def noted(measured: Measured, note: str) -> Measured:
    """The same with one more note."""
    notes = "; ".join(filter(None, (measured.note, note)))
    return measured.model_copy(update={"note": notes})


def unknown(reason: str, *, n: int = 0, unit: str = "") -> Measured:
    """No number, and why."""
    return Measured(n=n, unit=unit, error=reason)


def of_figure(figure: Figure, *, unit: str = "") -> Measured:
    """A figure of the evaluators."""
    return Measured.of(figure, unit=unit, error=None)


def mean_of(
    name: str,
    values: Sequence[float],
    *,
    clusters: Sequence[str | None] | None = None,
    unit: str = "",
    factor: float = 1.0,
    seed: int = 0,
) -> Measured:
    """Mean of values times `factor`, with the studentised bootstrap interval over clusters.

    Fewer than three independent values are no figure.
    """
    from evaluators.statistics.intervals import mean_interval

    sums = _sums(values, clusters)
    if sums is None or len(sums) < LEAST:
        return _too_few(len(values), 0 if sums is None else len(sums), unit)
    interval = mean_interval(sums, scale=None, seed=seed, resamples=RESAMPLES)
    scaled = sum(values) / len(values) * factor
    return _measured(name, scaled, interval, len(values), unit, factor)


def share_of(
    name: str, hits: Sequence[bool], *, clusters: Sequence[str | None] | None = None
) -> Measured:
    """Share of hits, with Wilson's interval over clusters; an error where there is no trial."""
    from evaluators.statistics.intervals import rate_interval

    sums = _sums([float(hit) for hit in hits], clusters)
    if sums is None:
        return _too_few(0, 0, "")
    return _measured(name, sum(hits) / len(hits), rate_interval(sums), len(hits), "", 1.0)


def _sums(values: Sequence[float], clusters: Sequence[str | None] | None) -> Any:
    import numpy as np

    from evaluators.statistics.clusters import number_clusters, sum_clusters

    if not values:
        return None
    rows = np.column_stack([np.asarray(values, dtype=np.float64), np.ones(len(values))])
    return sum_clusters(rows, number_clusters(clusters or [None] * len(values)))


def _measured(
    name: str, value: float, interval: Interval, n: int, unit: str, factor: float
) -> Measured:
    return Measured(
        value=value,
        low=None if interval.low is None else interval.low * factor,
        high=None if interval.high is None else interval.high * factor,
        n=n,
        unit=unit,
        rough=interval.rough,
        note=interval.note,
        signature=f"{name}|strop:1|{interval.recipe}|level:{LEVEL}",
    )


def _too_few(n: int, clusters: int, unit: str) -> Measured:
    if n == 0:
        return unknown("There is nothing to measure yet.", unit=unit)
    reason = f"{clusters} independent values tell too little; {LEAST} are needed."
    return unknown(reason, n=n, unit=unit)
