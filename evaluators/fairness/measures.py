"""What is compared between groups: a metric's scores, or people's ratings by a design's weights.

A measure gives the figure of any part of its units at any level, by the method that serves it, and
the influence of each cluster on that figure, from which correlations of gaps are worked out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluators.aggregate import aggregate
from evaluators.metric import Metric
from evaluators.statistics.bootstrap import jackknife_figures
from evaluators.statistics.clusters import number_clusters, sum_clusters
from evaluators.statistics.prediction_powered import estimate_mean
from evaluators.types import Score

Floats = NDArray[np.float64]
Members = NDArray[np.bool_]

TAIL_DRAWS = 20
"""Bootstrap resamples that lie beyond a bound, so that the bound is steady."""
MOST_RESAMPLES = 10_000
_ROUGH = "few clusters: the level is met only roughly"


@dataclass(frozen=True, slots=True)
class Marginal:
    """A group's figure at some level; both bounds None where nothing is known of the spread."""

    value: float
    low: float | None
    high: float | None
    n: int
    failed: int
    clusters: int
    signature: str
    note: str = ""


class Measure(Protocol):
    """A figure of any part of the same units: a metric's, or people's ratings."""

    @property
    def name(self) -> str:
        """As it is called in reports."""

    @property
    def scale(self) -> float | None:
        """Largest value of the unit; None where there is no bound."""

    @property
    def better(self) -> str:
        """The side on which it is better: higher or lower."""

    @property
    def clusters(self) -> NDArray[np.int64]:
        """Cluster of each unit, numbered from 0."""

    def figure(self, members: Members, *, level: float) -> Marginal:
        """The figure of a part, or an EvaluatorError that says why there is none."""

    def influence(self, members: Members) -> Floats:
        """What each cluster adds to the error of that figure, shape (clusters,), up to a scale."""


@dataclass(frozen=True, slots=True)
class ScoredMeasure:
    """A metric's scores, one a unit."""

    metric: Metric
    scores: Sequence[Score]
    groups: Sequence[str | None]
    seed: int = 0
    clusters: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "clusters", number_clusters(self.groups))

    @property
    def name(self) -> str:
        """The metric's."""
        return self.metric.name

    @property
    def scale(self) -> float | None:
        """Largest value, None without a bound."""
        return self.metric.scale

    @property
    def better(self) -> str:
        """The side on which the metric is better."""
        return "higher" if self.metric.higher_is_better else "lower"

    def figure(self, members: Members, *, level: float) -> Marginal:
        """Errors as of `aggregate`."""
        chosen = np.flatnonzero(members)
        found = aggregate(
            self.metric,
            [self.scores[i] for i in chosen],
            [self.groups[i] for i in chosen],
            seed=self.seed,
            resamples=min(max(1000, math.ceil(2 * TAIL_DRAWS / (1 - level))), MOST_RESAMPLES),
            level=level,
        )
        return Marginal(
            *(found.value, found.low, found.high, found.n, found.failed, found.clusters),
            *(found.signature, found.note or (_ROUGH if found.rough else "")),
        )

    def influence(self, members: Members) -> Floats:
        """By linearisation of a mean, by the jackknife over clusters of any other figure."""
        chosen = [i for i in np.flatnonzero(members) if self.scores[i].value is not None]
        total = np.zeros(int(self.clusters.max()) + 1)
        if len(chosen) < 2:
            return total
        rows = self.metric.summary.rows([self.scores[i] for i in chosen])
        if self.metric.summary.is_mean:
            values = np.asarray(rows[:, 0], dtype=np.float64)
            np.add.at(total, self.clusters[chosen], (values - values.mean()) / len(values))
            return total
        named, own = np.unique(self.clusters[chosen], return_inverse=True)
        left_out = jackknife_figures(self.metric.summary.figure, sum_clusters(rows, own))
        if left_out is not None:
            total[named] = left_out.mean() - left_out
        return total


@dataclass(frozen=True, slots=True)
class RatedMeasure:
    """Ratings by people, one a unit and None where nobody rated, weighted by the design.

    Attributes:
        probabilities: each unit's chance of being rated.
        rate: the ratings are yes or no.
    """

    name: str
    ratings: Sequence[float | None]
    probabilities: Sequence[float]
    groups: Sequence[str | None]
    rate: bool
    scale: float | None = None
    better: str = "higher"
    clusters: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "clusters", number_clusters(self.groups))

    def figure(self, members: Members, *, level: float) -> Marginal:
        """Hajek's mean of the part; errors as of `estimate_mean`."""
        chosen = np.flatnonzero(members)
        rated = [i for i in chosen if self.ratings[i] is not None]
        found = estimate_mean(
            [self.ratings[i] for i in chosen],
            {},
            probabilities=[self.probabilities[i] for i in chosen],
            groups=[self.groups[i] for i in chosen],
            rate=self.rate,
            level=level,
        )
        clusters = len(set(self.clusters[rated].tolist()))
        return Marginal(
            *(found.plain_value, found.plain_low, found.plain_high, len(rated), 0, clusters),
            *(f"{self.name}|{found.signature}", found.note if found.plain_low is None else ""),
        )

    def influence(self, members: Members) -> Floats:
        """Weighted residuals by cluster."""
        chosen = [i for i in np.flatnonzero(members) if self.ratings[i] is not None]
        total = np.zeros(int(self.clusters.max()) + 1)
        if len(chosen) < 2:
            return total
        values = np.array([self.ratings[i] for i in chosen], dtype=np.float64)
        weights = 1 / np.array([self.probabilities[i] for i in chosen], dtype=np.float64)
        weights /= weights.sum()
        np.add.at(total, self.clusters[chosen], weights * (values - weights @ values))
        return total
