"""Agreement of raters: coefficients corrected for chance, each with an interval over items.

Every coefficient is a function of sums over items, so its interval comes from the same clustered
BCa bootstrap as any other figure. Undefined values (all ratings equal) are errors, not 0 or 1.

    percent               share of agreeing pairs, exactly equal, each rating weighing alike
    observed_agreement    mean over items of the (weighted) share of agreeing pairs, which all
                          coefficients below but alpha correct for chance (Gwet 2014, ch. 2)
    bennett_s             Bennett, Alpert and Goldstein 1954, Public Opin. Q. 18:303; weighted:
                          Brennan and Prediger 1981, Educ. Psychol. Meas. 41:687
    cohen_kappa           Cohen 1960, Educ. Psychol. Meas. 20:37; weighted: Cohen 1968 (two raters)
    scott_pi              Scott 1955, Public Opin. Q. 19:321 (two raters)
    fleiss_kappa          Fleiss 1971, Psychol. Bull. 76:378
    krippendorff_alpha    Krippendorff 2004, Content Analysis, ch. 11; its distance is the scale's
    gwet_ac1, gwet_ac2    Gwet 2008, Br. J. Math. Stat. Psychol. 61:29

With gaps (Gwet 2014, Handbook of Inter-Rater Reliability, 4th ed., ch. 2): agreement is that of the
items with two ratings or more, chance that of all items; cohen_kappa takes each rater's shares from
all that they rated, as Conger's kappa does. Alpha leaves out items that were rated once.

Krippendorff's alpha from coincidences, for any scale, as a function of sums over items.

Krippendorff 2004, Content Analysis, ch. 11. With c_ik ratings k of item i and n_i ratings in all,
the observed disagreement weighs each pair of ratings of an item by 1/(n_i - 1).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import NamedTuple, assert_never

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues, UndefinedFigure, UnknownMetric
from evaluators.statistics.agreement.ratings import RatingTable, Scale, keep_paired
from evaluators.statistics.bootstrap import (
    Drawing,
    bca_interval,
    expanded_level,
    jackknife_figures,
    resampled_figures,
)
from evaluators.statistics.clusters import number_clusters, sum_clusters
from evaluators.statistics.intervals import Interval, constant_interval
from evaluators.types import Figure

Floats = NDArray[np.float64]
MANY_CATEGORIES = 100


def alpha_rows_and_figure(
    table: RatingTable, scale: Scale
) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Rows of numbers per item, and alpha as a function of their sums.

    Raises:
        InvalidValues: texts on another scale than nominal; an ordinal or ratio scale with too
            many distinct values; a ratio scale with values below 0.
    """
    match scale:
        case Scale.NOMINAL:
            return _nominal_rows(table.counts), _nominal_alpha
        case Scale.INTERVAL:
            return _interval_rows(table.counts, table.numbers), _interval_alpha
        case Scale.ORDINAL | Scale.RATIO:
            return _coincidence_rows(table), _coincidence_alpha(table, scale)
        case _:
            assert_never(scale)


def _alpha(observed: Floats, expected: Floats, n: Floats) -> Floats:
    """1 - observed / expected disagreement, the latter over n (n - 1) pairs of ratings."""
    with np.errstate(invalid="ignore", divide="ignore"):
        alpha: Floats = np.where(expected > 0, 1 - (n - 1) * observed / expected, np.nan)
    return alpha


def _nominal_rows(counts: Floats) -> Floats:
    n = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (n - 1)
    return np.column_stack([n - agreeing, counts])


def _nominal_alpha(sums: Floats) -> Floats:
    counts = sums[..., 1:]
    n = counts.sum(axis=-1)
    return _alpha(sums[..., 0], n**2 - (counts**2).sum(axis=-1), n)


def _interval_rows(counts: Floats, numbers: Floats) -> Floats:
    n, total, squares = counts.sum(axis=1), counts @ numbers, counts @ numbers**2
    within = 2 * (n * squares - total**2) / (n - 1)
    return np.column_stack([within, n, total, squares])


def _interval_alpha(sums: Floats) -> Floats:
    within, n, total, squares = np.moveaxis(sums, -1, 0)
    spread = 2 * (n * squares - total**2)
    return _alpha(within, np.where(spread > 1e-9 * (1 + n * squares), spread, 0.0), n)


def _coincidence_rows(table: RatingTable) -> Floats:
    q = len(table.categories)
    if q > MANY_CATEGORIES:
        raise InvalidValues(
            f"{q} distinct values are too many for this scale.", hint="Use the interval scale."
        )
    counts = table.counts
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(q)
    rows: Floats = (pairs / (counts.sum(axis=1) - 1)[:, None, None]).reshape(len(counts), q * q)
    return rows


def _coincidence_alpha(table: RatingTable, scale: Scale) -> Callable[[Floats], Floats]:
    q = len(table.categories)
    table.check_order()
    ratio = _ratio_apart(table.numbers) if scale is Scale.RATIO else None

    def figure(sums: Floats) -> Floats:
        pairs = sums.reshape(*sums.shape[:-1], q, q)
        counts = pairs.sum(axis=-1)
        apart = _ordinal_apart(counts) if ratio is None else ratio
        observed = (pairs * apart).sum(axis=(-1, -2))
        expected = (counts[..., :, None] * counts[..., None, :] * apart).sum(axis=(-1, -2))
        return _alpha(observed, expected, counts.sum(axis=-1))

    return figure


def _ordinal_apart(counts: Floats) -> Floats:
    """Squared number of ratings between two ranks, half of each end counted."""
    middle = np.cumsum(counts, axis=-1) - counts / 2
    apart: Floats = (middle[..., :, None] - middle[..., None, :]) ** 2
    return apart


def _ratio_apart(numbers: Floats) -> Floats:
    if numbers.min() < 0:
        raise InvalidValues("A ratio scale has no values below 0.", hint="Use the interval scale.")
    together = numbers[:, None] + numbers[None, :]
    apart: Floats = (
        (numbers[:, None] - numbers[None, :]) / np.where(together > 0, together, 1)
    ) ** 2
    return apart


RowsAndFigure = tuple[Floats, Callable[[Floats], Floats]]
FEW_ITEMS = 30


class KappaWeights(StrEnum):
    """How far two different values agree, by their distance or by that of their ranks.

    identity: not at all. linear: less by their distance, none at the widest. quadratic: by its
    square. ordinal: by the pairs of ranks that lie between (Gwet 2014, ch. 3).
    """

    IDENTITY = "identity"
    LINEAR = "linear"
    QUADRATIC = "quadratic"
    LINEAR_RANKS = "linear-ranks"
    QUADRATIC_RANKS = "quadratic-ranks"
    ORDINAL = "ordinal"


_BY_RANK = {
    KappaWeights.LINEAR: KappaWeights.LINEAR_RANKS,
    KappaWeights.QUADRATIC: KappaWeights.QUADRATIC_RANKS,
}


def weights_of(
    table: RatingTable, scale: Scale, weights: KappaWeights | None = None
) -> KappaWeights:
    """The weights asked for, else those of the scale; words in order have ranks alone."""
    chosen = (
        weights
        or {
            Scale.NOMINAL: KappaWeights.IDENTITY,
            Scale.ORDINAL: KappaWeights.QUADRATIC_RANKS,
            Scale.INTERVAL: KappaWeights.QUADRATIC,
            Scale.RATIO: KappaWeights.QUADRATIC,
        }[scale]
    )
    return _BY_RANK.get(chosen, chosen) if table.are_texts and table.ordered else chosen


def agreement_weights(table: RatingTable, weights: KappaWeights) -> Floats:
    """How far two categories agree, from 0 to 1: (q, q).

    Raises:
        InvalidValues: the categories are texts without an order.
    """
    q = len(table.categories)
    if weights is KappaWeights.IDENTITY:
        return np.eye(q)
    table.check_order()
    ranks = np.arange(q, dtype=np.float64)
    match weights:
        case KappaWeights.LINEAR:
            apart = _distances(table.numbers)
        case KappaWeights.QUADRATIC:
            apart = _distances(table.numbers) ** 2
        case KappaWeights.LINEAR_RANKS:
            apart = _distances(ranks)
        case KappaWeights.QUADRATIC_RANKS:
            apart = _distances(ranks) ** 2
        case KappaWeights.ORDINAL:
            steps = _distances(ranks)
            apart = steps * (steps + 1) / 2
        case _:
            assert_never(weights)
    found: Floats = 1 - apart / (apart.max() or 1.0)
    return found


def _distances(values: Floats) -> Floats:
    apart: Floats = np.abs(values[:, None] - values[None, :])
    return apart


def _agreeing(counts: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Per item: agreement of its pairs of ratings, 0 without a pair, and whether it has one."""
    n = counts.sum(axis=1)
    paired = n >= 2
    pairs = np.where(paired, n * (n - 1), 1.0)
    return (counts * (counts @ weights - 1)).sum(axis=1) / pairs * paired, paired.astype(float)


def _corrected(agreed: Floats, chance: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa: Floats = np.where(chance < 1 - 1e-12, (agreed - chance) / (1 - chance), np.nan)
    return kappa


def _percent(table: RatingTable, weights: Floats) -> RowsAndFigure:
    """Each rating weighs alike, as in Krippendorff's observed agreement; weights are not used."""
    agreeing, paired = _agreeing(table.counts, np.eye(len(table.categories)))
    n = table.counts.sum(axis=1) * paired
    return np.column_stack([agreeing * n, n]), _ratio


def _observed(table: RatingTable, weights: Floats) -> RowsAndFigure:
    return np.column_stack(_agreeing(table.counts, weights)), _ratio


def _ratio(sums: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Floats = sums[..., 0] / sums[..., 1]
    return ratio


def _chance_corrected(
    table: RatingTable, weights: Floats, chance: Callable[[Floats, Floats], Floats]
) -> RowsAndFigure:
    counts = table.counts
    rated = counts.sum(axis=1, keepdims=True)
    rows = np.column_stack([*_agreeing(counts, weights), np.ones(len(counts)), counts / rated])

    def figure(sums: Floats) -> Floats:
        shares = sums[..., 3:] / sums[..., 2:3]
        return _corrected(_ratio(sums), chance(shares, weights))

    return rows, figure


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


def _cohen(table: RatingTable, weights: Floats) -> RowsAndFigure:
    _check_two(table)
    q, (first, second) = len(table.categories), table.codes.T
    both = (first >= 0) & (second >= 0)
    cells = np.zeros((len(table.items), q * q))
    cells[both, first[both] * q + second[both]] = 1.0
    rows = np.hstack([cells, *(codes[:, None] == np.arange(q) for codes in (first, second))])

    def figure(sums: Floats) -> Floats:
        joint, shares = sums[..., : q * q], sums[..., q * q :].reshape(*sums.shape[:-1], 2, q)
        with np.errstate(invalid="ignore", divide="ignore"):
            agreed = (joint * weights.ravel()).sum(axis=-1) / joint.sum(axis=-1)
            shares = shares / shares.sum(axis=-1, keepdims=True)
        one, other = shares[..., 0, :], shares[..., 1, :]
        return _corrected(agreed, ((one @ weights) * other).sum(axis=-1))

    return rows, figure


def _scott(table: RatingTable, weights: Floats) -> RowsAndFigure:
    """Fleiss' kappa is Scott's pi of many raters."""
    _check_two(table)
    return _chance_corrected(table, weights, _fleiss_chance)


def _check_two(table: RatingTable) -> None:
    if len(table.raters) != 2:
        raise UndefinedFigure(
            f"This coefficient is for two raters, not {len(table.raters)}.",
            hint="See the table of pairs.",
        )


ALPHA, EXACT = "krippendorff_alpha", frozenset({"percent", "gwet_ac1"})
RATES = frozenset({"percent", "observed_agreement"})
PAIRED_ONLY = RATES | {ALPHA}  # an item that was rated once says nothing to these
_WEIGHTED: dict[str, Callable[[RatingTable, Floats], RowsAndFigure]] = {
    "percent": _percent,
    "observed_agreement": _observed,
    "cohen_kappa": _cohen,
    "scott_pi": _scott,
    "bennett_s": partial(_chance_corrected, chance=_bennett_chance),
    "fleiss_kappa": partial(_chance_corrected, chance=_fleiss_chance),
    "gwet_ac1": partial(_chance_corrected, chance=_gwet_chance),
    "gwet_ac2": partial(_chance_corrected, chance=_gwet_chance),
}
COEFFICIENTS = (*_WEIGHTED, ALPHA)


def agreement(
    name: str,
    table: RatingTable,
    *,
    scale: Scale = Scale.NOMINAL,
    weights: KappaWeights | None = None,
    drawing: Drawing | None = None,
) -> Figure:
    """One coefficient with its interval; items of one group are drawn together.

    Args:
        weights: how far different values agree, by default as the scale has it; percent and
            gwet_ac1 are exact whatever is asked, alpha goes by the scale.

    Returns:
        a figure whose n counts items with two ratings or more, and failed those with fewer.

    Raises:
        UnknownMetric: no coefficient of that name.
        InvalidValues: one rater, no item with two ratings, or texts without an order where one
            is needed.
        UndefinedFigure: undefined, as when all ratings are equal, or one item or group alone.
    """
    if name not in COEFFICIENTS:
        raise UnknownMetric(name, COEFFICIENTS)
    drawing, kept = drawing or Drawing(), keep_paired(table)
    found = _measure(name, table.of_items(kept) if name in PAIRED_ONLY else table, scale, weights)
    sums, figure = found.sums, found.figure
    value = float(figure(sums.sum(axis=0)))
    if not np.isfinite(value):
        raise UndefinedFigure(
            f"{name} is undefined: all ratings are equal, so chance agreement is 1.",
            hint="Rate items that differ, or report percent agreement.",
        )
    if found.alike:
        interval = _interval_of_alike(name, value, len(sums), drawing)
    else:
        interval = _interval(sums, value, figure, drawing)
    return Figure(
        metric=name,
        value=value,
        low=interval.low,
        high=interval.high,
        n=len(kept),
        failed=len(table.items) - len(kept),
        signature=(
            f"{name}|strop:2|{found.recipe}|raters:{len(table.raters)}|{interval.recipe}"
            f"|level:{drawing.level}|resamples:{drawing.resamples}|seed:{drawing.seed}"
        ),
        rough=interval.rough,
        clusters=len(sums),
        level=drawing.level,
        method=interval.method,
        note=interval.note,
    )


class _Measured(NamedTuple):
    sums: Floats  # by cluster
    figure: Callable[[Floats], Floats]
    alike: bool  # no cluster agrees more than another
    recipe: str


def _measure(
    name: str, table: RatingTable, scale: Scale, weights: KappaWeights | None
) -> _Measured:
    """What a coefficient is computed from.

    Raises:
        UndefinedFigure: one item or group alone, or not two raters where two are needed.
    """
    if name == ALPHA:
        chosen, recipe = weights_of(table, scale), f"distance:{scale}"
        rows, figure = alpha_rows_and_figure(table, scale)
    else:
        chosen = KappaWeights.IDENTITY if name in EXACT else weights_of(table, scale, weights)
        recipe = f"scale:{scale}|weights:{chosen}"
        rows, figure = _WEIGHTED[name](table, agreement_weights(table, chosen))
    members = number_clusters(table.groups)
    if members.max() < 1:
        raise UndefinedFigure(
            "One item or group only: no interval can be estimated.", hint="Rate more."
        )
    alike = _agree_alike(table, agreement_weights(table, chosen), members)
    return _Measured(sum_clusters(rows, members), figure, alike, recipe)


def _agree_alike(table: RatingTable, weights: Floats, members: NDArray[np.int64]) -> bool:
    """Whether no cluster agrees more than another, so that resamples tell of chance alone."""
    sums = sum_clusters(np.column_stack(_agreeing(table.counts, weights)), members)
    paired = sums[sums[:, 1] > 0]
    return bool(np.ptp(paired[:, 0] / paired[:, 1]) < 1e-12)


def _interval_of_alike(name: str, value: float, clusters: int, drawing: Drawing) -> Interval:
    """Wilson's for a share, else none."""
    how = "perfect agreement" if value > 1 - 1e-12 else "the same agreement"
    if name in RATES:
        alike = "agreement on no item" if value < 1e-12 else f"{how} on every item"
        return constant_interval(value, clusters, 1.0, drawing.level, alike=alike)
    note = f"{how} on every item: nothing is known of its spread"
    return Interval(None, None, "none", True, note)


def _interval(
    sums: Floats, value: float, figure: Callable[[Floats], Floats], drawing: Drawing
) -> Interval:
    [drawn] = resampled_figures(figure, [sums], seed=drawing.seed, resamples=drawing.resamples)
    defined = drawn[np.isfinite(drawn)]
    left_out = jackknife_figures(figure, sums)
    if left_out is not None and not np.isfinite(left_out).all():
        left_out = None
    level = expanded_level(drawing.level, len(sums), narrow=True)
    low, high = bca_interval(value, defined, left_out, level=level)
    lost = 1 - len(defined) / len(drawn)
    if high - low < 1e-12:
        return Interval(None, None, "none", True, "all resamples are alike: nothing is known")
    note = f"undefined in {lost:.1%} of resamples" if lost else ""
    return Interval(low, high, "bootstrap-bca", len(sums) < FEW_ITEMS or lost > 0.05, note)
