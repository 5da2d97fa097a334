"""Figures of scores beside ratings: correlations at three levels, the area under the ROC curve, and
a threshold from which a score says yes.

Pearson's r, Spearman's rho and Kendall's tau-b (scipy's) over all samples, within each document,
and between systems by their means (Deutsch, Dror and Roth 2021, TACL 9:1132).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import UndefinedFigure
from evaluators.statistics.clusters import number_clusters

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
LEAST_SYSTEMS = 3


@dataclass(frozen=True, slots=True)
class Rated:
    """Aligned columns of items that people have rated.

    Attributes:
        scores: by the name of the score; NaN where it could not be computed.
        groups: documents; an item without one is one of its own.
        systems: what wrote each item, or None.
    """

    ratings: Floats
    scores: Mapping[str, Floats]
    groups: tuple[str | None, ...]
    systems: tuple[str | None, ...] = ()


def _pearson(x: Floats, y: Floats) -> float:
    from scipy.stats import pearsonr

    return float(pearsonr(x, y).statistic)


def _spearman(x: Floats, y: Floats) -> float:
    from scipy.stats import rankdata

    return _pearson(rankdata(x), rankdata(y))


def _kendall(x: Floats, y: Floats) -> float:
    from scipy.stats import kendalltau

    if len(x) == 2:  # scipy divides by the pairs that are left
        return float(np.sign((x[0] - x[1]) * (y[0] - y[1])))
    return float(kendalltau(x, y, method="asymptotic").statistic)


def area_under_roc(x: Floats, y: Floats) -> float:
    """Chance that an item of label 1 has the higher score, ties half (Hanley and McNeil 1982)."""
    from scipy.stats import rankdata

    yes = y > 0.5
    n, m = int(yes.sum()), int((~yes).sum())
    return float((rankdata(x)[yes].sum() - n * (n + 1) / 2) / (n * m))


Coefficient = Callable[[Floats, Floats], float]
CORRELATIONS: Mapping[str, Coefficient] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "kendall": _kendall,
}
AT = ("sample", "document", "system")


@dataclass(frozen=True, slots=True)
class RatedFigure:
    """A figure of some rows: `of` takes scores, ratings and rows, and raises UndefinedFigure."""

    name: str
    at: str
    of: Callable[[Floats, Rated, Places], float]
    count: Callable[[Rated, Places], int] = field(default=lambda rated, rows: len(rows))


def _defined(measure: Coefficient, x: Floats, y: Floats, what: str) -> float:
    if len(x) < 2:
        raise UndefinedFigure(f"{what}: there is only one.")
    for name, values in (("scores", x), ("ratings", y)):
        if np.ptp(values) == 0:
            raise UndefinedFigure(
                f"{what}: all {name} are alike, so they are correlated with none."
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nearly constant: the value is checked instead
        found = measure(x, y)
    if not np.isfinite(found):
        raise UndefinedFigure(f"{what}: the values differ by rounding alone.")
    return found


def _at_sample(measure: Coefficient) -> Callable[[Floats, Rated, Places], float]:
    return lambda x, rated, rows: _defined(measure, x[rows], rated.ratings[rows], "samples")


def within_documents(measure: Coefficient, x: Floats, rated: Rated, rows: Places) -> list[float]:
    """The coefficient of each document that has one."""
    members = number_clusters(rated.groups)[rows]
    found = []
    for document in np.unique(members):
        own = rows[members == document]
        try:
            found.append(_defined(measure, x[own], rated.ratings[own], "document"))
        except UndefinedFigure:
            continue
    return found


def _system_codes(rated: Rated) -> Places:
    """Number of each item's system; -1 where none is named."""
    known = sorted({name for name in rated.systems if name})
    numbers = {name: i for i, name in enumerate(known)}
    return np.array([numbers.get(name or "", -1) for name in rated.systems], dtype=np.int64)


def _by_system(x: Floats, ratings: Floats, codes: Places) -> tuple[Floats, Floats]:
    """Mean score and mean rating of each system that has an item among these."""
    named = codes >= 0
    counts = np.bincount(codes[named])
    there = counts > 0
    sums = [np.bincount(codes[named], weights=v[named])[there] for v in (x, ratings)]
    return sums[0] / counts[there], sums[1] / counts[there]


def _at_system(measure: Coefficient, codes: Places) -> Callable[[Floats, Rated, Places], float]:
    def of(x: Floats, rated: Rated, rows: Places) -> float:
        one, other = _by_system(x[rows], rated.ratings[rows], codes[rows])
        if len(one) < LEAST_SYSTEMS:
            raise UndefinedFigure(
                f"systems: there are {len(one)}, of fewer than {LEAST_SYSTEMS} any two agree.",
                hint="Name the system of each item as 'model'.",
            )
        return _defined(measure, one, other, "systems")

    return of


def measures_of(rated: Rated) -> list[RatedFigure]:
    found = [RatedFigure(name, "sample", _at_sample(m)) for name, m in CORRELATIONS.items()]
    codes = _system_codes(rated)
    for name, measure in CORRELATIONS.items():
        found.append(RatedFigure(name, "system", _at_system(measure, codes), _count_systems))
    if is_binary(rated.ratings):
        found.append(RatedFigure("auroc", "sample", _roc))
    return found


def _roc(x: Floats, rated: Rated, rows: Places) -> float:
    y = rated.ratings[rows]
    if len(np.unique(y)) < 2:
        raise UndefinedFigure(f"samples: all labels are {y[0]:g}; both are needed.")
    return area_under_roc(x[rows], y)


def _count_systems(rated: Rated, rows: Places) -> int:
    return len({rated.systems[i] for i in rows if rated.systems[i]})


# A threshold: where it says yes, how good that is, how it is chosen elsewhere


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which score on an item counts as labelled 1, and where that was decided.

    Attributes:
        below: up to the value rather than from it on.
        words: how it came about, for the reader.
    """

    value: float
    below: bool = False
    words: str = ""


def said_yes(x: Floats, threshold: Threshold) -> NDArray[np.bool_]:
    """Which scores lie on the side of label 1."""
    return x <= threshold.value if threshold.below else x >= threshold.value


def balanced_accuracy(x: Floats, y: Floats, threshold: Threshold) -> float:
    """Mean of the rates at which either label is found."""
    yes, said = y > 0.5, said_yes(x, threshold)
    return float((said[yes].mean() + (~said[~yes]).mean()) / 2)


def choose_threshold(x: Floats, labels: Floats) -> Threshold:
    """The threshold, and its side, at which balanced accuracy is highest on these rows.

    It is to be measured on others. Of several as good the one in the middle of the widest gap.

    Raises:
        UndefinedFigure: one label only, or all scores alike.
    """
    kept = np.isfinite(x)
    x, labels = x[kept], labels[kept]
    if not is_binary(labels) or len(np.unique(labels)) < 2:
        raise UndefinedFigure("A threshold is chosen on labels of 0 and 1, of which both occur.")
    values = np.unique(x)
    if len(values) < 2:
        raise UndefinedFigure("A threshold cannot be chosen: all scores are alike.")
    middles, gaps = (values[1:] + values[:-1]) / 2, np.diff(values)
    yes = labels > 0.5
    above_yes = 1 - np.searchsorted(np.sort(x[yes]), middles) / yes.sum()
    above_no = 1 - np.searchsorted(np.sort(x[~yes]), middles) / (~yes).sum()
    accuracy = (above_yes + 1 - above_no) / 2
    at = int(np.lexsort((-gaps, -np.maximum(accuracy, 1 - accuracy)))[0])
    return Threshold(float(middles[at]), below=bool(accuracy[at] < 0.5))


def is_binary(ratings: Floats) -> bool:
    """Whether all ratings are 0 or 1, so that they are labels."""
    return bool(np.isin(ratings, (0.0, 1.0)).all())
