"""Agreement of raters: coefficients corrected for chance, each with an interval over items.

Every coefficient is a function of sums over items, so its interval comes from the same clustered
BCa bootstrap as any other figure. Undefined values (all ratings equal) are errors, not 0 or 1.

    percent               share of agreeing pairs, each rating weighing alike
    bennett_s             Bennett, Alpert and Goldstein 1954, Public Opin. Q. 18:303
    cohen_kappa           Cohen 1960, Educ. Psychol. Meas. 20:37; weighted: Cohen 1968 (two raters)
    scott_pi              Scott 1955, Public Opin. Q. 19:321 (two raters)
    fleiss_kappa          Fleiss 1971, Psychol. Bull. 76:378; gaps as in Gwet 2014, ch. 2
    krippendorff_alpha    Krippendorff 2004, Content Analysis, ch. 11
    gwet_ac1, gwet_ac2    Gwet 2008, Br. J. Math. Stat. Psychol. 61:29
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import CannotCompute, UnknownMetric
from evaluators.statistics.bootstrap import (
    bca_interval,
    expanded_level,
    jackknife_figures,
    resampled_figures,
)
from evaluators.statistics.clusters import number_clusters, sum_clusters
from evaluators.statistics.coincidence import alpha_rows_and_figure
from evaluators.statistics.ratings import RatingTable, Scale, keep_paired
from evaluators.types import Figure

Floats = NDArray[np.float64]
RowsAndFigure = tuple[Floats, Callable[[Floats], Floats]]
FEW_ITEMS = 30


def agreement_weights(table: RatingTable, scale: Scale) -> Floats:
    """How far two categories agree, from 0 to 1: (q, q).

    Identity for nominal, linear in ranks for ordinal, quadratic in values for interval and ratio.
    """
    q = len(table.categories)
    match scale:
        case Scale.NOMINAL:
            return np.eye(q)
        case Scale.ORDINAL:
            apart, power = np.arange(len(table.numbers), dtype=np.float64), 1
        case Scale.INTERVAL | Scale.RATIO:
            apart, power = table.numbers, 2
        case _:
            assert_never(scale)
    widest = np.ptp(apart) or 1.0
    weights: Floats = 1 - (np.abs(apart[:, None] - apart[None, :]) / widest) ** power
    return weights


def _pair_rows(table: RatingTable, weights: Floats) -> Floats:
    """Per item: agreement of its pairs of ratings, 1, and the share of each category."""
    counts = table.counts
    n = counts.sum(axis=1)
    agreeing = (counts * (counts @ weights - 1)).sum(axis=1) / (n * (n - 1))
    return np.column_stack([agreeing, np.ones(len(n)), counts / n[:, None]])


def _corrected(agreed: Floats, chance: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa: Floats = np.where(chance < 1 - 1e-12, (agreed - chance) / (1 - chance), np.nan)
    return kappa


def _percent(table: RatingTable, scale: Scale) -> RowsAndFigure:
    """Each rating weighs alike, as in Krippendorff's observed agreement."""
    pairs, n = _pair_rows(table, agreement_weights(table, scale)), table.counts.sum(axis=1)
    rows = np.column_stack([pairs[:, 0] * n, n])
    return rows, lambda sums: sums[..., 0] / sums[..., 1]


def _chance_corrected(
    table: RatingTable, scale: Scale, chance: Callable[[Floats, Floats], Floats]
) -> RowsAndFigure:
    weights = agreement_weights(table, scale)

    def figure(sums: Floats) -> Floats:
        shares = sums[..., 2:] / sums[..., 1:2]
        return _corrected(sums[..., 0] / sums[..., 1], chance(shares, weights))

    return _pair_rows(table, weights), figure


def _fleiss_chance(shares: Floats, weights: Floats) -> Floats:
    chance: Floats = ((shares @ weights) * shares).sum(axis=-1)
    return chance


def _gwet_chance(shares: Floats, weights: Floats) -> Floats:
    q = len(weights)
    if q < 2:
        return np.ones(shares.shape[:-1])
    chance: Floats = weights.sum() / (q * (q - 1)) * (shares * (1 - shares)).sum(axis=-1)
    return chance


def _bennett_chance(shares: Floats, weights: Floats) -> Floats:
    return np.full(shares.shape[:-1], weights.mean())


def _two_raters(table: RatingTable, scale: Scale, *, pooled: bool) -> RowsAndFigure:
    """Cohen's kappa, or Scott's pi where the two raters share one distribution (pooled)."""
    if len(table.raters) != 2:
        raise CannotCompute(
            f"This coefficient is for two raters, not {len(table.raters)}.",
            hint="See the table of pairs.",
        )
    weights, q = agreement_weights(table, scale), len(table.categories)
    rows = np.zeros((len(table.items), q * q))
    rows[np.arange(len(rows)), table.codes[:, 0] * q + table.codes[:, 1]] = 1.0

    def figure(sums: Floats) -> Floats:
        cells = sums.reshape(*sums.shape[:-1], q, q) / sums.sum(axis=-1)[..., None, None]
        first, second = cells.sum(axis=-1), cells.sum(axis=-2)
        if pooled:
            first = second = (first + second) / 2
        agreed = (cells * weights).sum(axis=(-1, -2))
        return _corrected(agreed, ((first @ weights) * second).sum(axis=-1))

    return rows, figure


COEFFICIENTS: dict[str, Callable[[RatingTable, Scale], RowsAndFigure]] = {
    "percent": _percent,
    "cohen_kappa": partial(_two_raters, pooled=False),
    "scott_pi": partial(_two_raters, pooled=True),
    "bennett_s": partial(_chance_corrected, chance=_bennett_chance),
    "fleiss_kappa": partial(_chance_corrected, chance=_fleiss_chance),
    "krippendorff_alpha": alpha_rows_and_figure,
    "gwet_ac1": lambda table, scale: _chance_corrected(table, Scale.NOMINAL, _gwet_chance),
    "gwet_ac2": partial(_chance_corrected, chance=_gwet_chance),
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """How the interval is drawn."""

    seed: int = 0
    resamples: int = 1000
    level: float = 0.95


def agreement(
    name: str,
    table: RatingTable,
    *,
    scale: Scale = Scale.NOMINAL,
    clusters: Sequence[str | None] | None = None,
    drawing: Drawing | None = None,
) -> Figure:
    """One coefficient over the items that have at least two ratings, with its interval.

    Args:
        clusters: group of each item, where items are not independent.

    Returns:
        a figure whose n counts items with two ratings or more, and failed those with fewer.

    Raises:
        UnknownMetric: no coefficient of that name.
        InvalidValues: one rater, or no item with two ratings.
        CannotCompute: undefined, as when all ratings are equal.
    """
    if name not in COEFFICIENTS:
        raise UnknownMetric(name, COEFFICIENTS)
    drawing = drawing or Drawing()
    kept = keep_paired(table)
    paired = RatingTable(
        tuple(table.items[i] for i in kept), table.raters, table.categories, table.codes[kept]
    )
    rows, figure = COEFFICIENTS[name](paired, scale)
    groups = [None] * len(kept) if clusters is None else [clusters[i] for i in kept]
    sums = sum_clusters(rows, number_clusters(groups))
    value = float(figure(sums.sum(axis=0)))
    if not np.isfinite(value):
        raise CannotCompute(
            f"{name} is undefined: all ratings are equal, so chance agreement is 1.",
            hint="Rate items that differ, or report percent agreement.",
        )
    low, high, lost = _interval(value, sums, figure, drawing)
    few = len(sums) < FEW_ITEMS
    return Figure(
        metric=name,
        value=value,
        low=low,
        high=high,
        n=len(kept),
        failed=len(table.items) - len(kept),
        signature=(
            f"{name}|strop:1|scale:{scale}|raters:{len(table.raters)}|ci:bootstrap-bca"
            f"|level:{drawing.level}|resamples:{drawing.resamples}|seed:{drawing.seed}"
        ),
        rough=few or lost > 0.05,
        clusters=len(sums),
        level=drawing.level,
        method="bootstrap-bca",
        note=f"undefined in {lost:.0%} of resamples" if lost else "",
    )


def _interval(
    value: float, sums: Floats, figure: Callable[[Floats], Floats], drawing: Drawing
) -> tuple[float, float, float]:
    """Bounds, and the share of resamples in which the coefficient is undefined."""
    [drawn] = resampled_figures(figure, [sums], seed=drawing.seed, resamples=drawing.resamples)
    defined = drawn[np.isfinite(drawn)]
    if len(sums) < 2 or not len(defined):
        raise CannotCompute("One item only: no interval can be estimated.", hint="Rate more.")
    left_out = jackknife_figures(figure, sums)
    if left_out is not None and not np.isfinite(left_out).all():
        left_out = None
    level = expanded_level(drawing.level, len(sums), narrow=True)
    low, high = bca_interval(value, defined, left_out, level=level)
    return low, high, 1 - len(defined) / len(drawn)
