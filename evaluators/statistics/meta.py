"""Meta-evaluation: whether a score agrees with people, and whether one does more than another.

Pearson's r, Spearman's rho and Kendall's tau-b between scores and ratings at three levels (Deutsch,
Dror and Roth 2021, TACL 9:1132): over all samples; within each document, averaged over documents;
and between systems, by their means. Coefficients are scipy's. For labels of yes and no: the area
under the ROC curve, which needs no threshold, and balanced accuracy at a threshold that is given or
was chosen on other rows. Nothing is fitted here to the rows that it is measured on.

Intervals draw whole documents with replacement (Davison and Hinkley 1997, ch. 3.8): BCa bounds
(Efron 1987), at a level expanded for few documents. Of documents drawn for one coefficient the same
are drawn for all scores, so that a difference of two is of the same draws (Deutsch et al. 2021,
paired bootstrap); its p is the share of draws on the other side of 0, doubled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.statistics import RESAMPLES
from evaluators.statistics.bootstrap import Drawing, bca_interval, draw_counts, expanded_level
from evaluators.statistics.clusters import number_clusters
from evaluators.statistics.correlations import (
    CORRELATIONS,
    Floats,
    Places,
    Rated,
    RatedFigure,
    Threshold,
    balanced_accuracy,
    is_binary,
    measures_of,
    within_documents,
)
from evaluators.statistics.intervals import Interval
from evaluators.statistics.testing import agree_on_zero

FEW_DOCUMENTS = 20
FEW_SYSTEMS = 10
MOST_UNDEFINED = 0.1  # of the draws; beyond, an interval would be of the others alone
MOST_LEFT_OUT = 400
VERSION = 2


@dataclass(frozen=True, slots=True)
class MetaFigure:
    """One coefficient of one score, or why there is none.

    Attributes:
        n: what it is taken over: samples, documents or systems.
        failed: items that have a rating and no score.
        documents: independent documents among them.
    """

    metric: str
    coefficient: str
    at: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    failed: int
    documents: int
    signature: str
    rough: bool = False
    note: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class MetaDifference:
    """The coefficient of the first score minus that of the second, on the items that both have."""

    metric: str
    other: str
    coefficient: str
    at: str
    value: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    failed: int
    documents: int
    signature: str
    rough: bool = False
    note: str = ""
    error: str = ""


def meta_figures(
    rated: Rated,
    *,
    thresholds: Mapping[str, Threshold] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> list[MetaFigure]:
    """Every coefficient of every score, each with its interval or the reason why there is none.

    Args:
        thresholds: of scores by name, for balanced accuracy; none is chosen on these rows.

    Raises:
        InvalidValues: the columns differ in length, or a rating is not finite.
        UndefinedFigure: nothing is rated.
    """
    _check(rated)
    drawing = Drawing(seed, resamples, level)
    found = []
    for name, x in rated.scores.items():
        rows = np.flatnonzero(np.isfinite(x))
        for measure in measures_of(rated):
            found.append(_figure(name, measure, x, rated, rows, drawing))
        for coefficient in CORRELATIONS:
            found.append(_document_figure(name, coefficient, x, rated, rows, drawing))
        if thresholds is not None and name in thresholds and is_binary(rated.ratings):
            chosen = _accuracy_measure(thresholds[name])
            found.append(_figure(name, chosen, x, rated, rows, drawing, thresholds[name].words))
    return found


def _check(rated: Rated) -> None:
    n = len(rated.ratings)
    if not n:
        raise UndefinedFigure("Nothing is rated.")
    sizes = {len(rated.groups), *map(len, rated.scores.values())}
    if sizes != {n} or len(rated.systems) not in (0, n):
        raise InvalidValues("Ratings, scores, groups and systems must go together, one to one.")
    if not np.isfinite(rated.ratings).all():
        raise InvalidValues("A rating is not a finite number.")
    if not rated.scores:
        raise UndefinedFigure("There is no score.")


def _draws(groups: Sequence[str | None], rows: Places, drawing: Drawing) -> Iterator[Places]:
    """Rows of each resample: documents among all, the same whatever the score lacks.

    One after the other: all together would be a thousand times the rows.
    """
    members = number_clusters(groups)
    of = members[rows]
    ordered = rows[np.argsort(of, kind="stable")]
    sizes = np.bincount(of, minlength=int(members.max()) + 1)
    starts = np.cumsum(sizes) - sizes
    for block in draw_counts(len(sizes), seed=drawing.seed, resamples=drawing.resamples):
        for counts in block:
            picked = np.repeat(np.arange(len(sizes)), counts)
            taken = sizes[picked]
            first = np.repeat(starts[picked] - (np.cumsum(taken) - taken), taken)
            yield ordered[first + np.arange(len(first))]


def _values(measure: RatedFigure, x: Floats, rated: Rated, samples: Iterable[Places]) -> Floats:
    """The figure of each sample of rows; NaN where it is not defined."""

    def value(rows: Places) -> float:
        try:
            return measure.of(x, rated, rows) if len(rows) else np.nan
        except UndefinedFigure:
            return np.nan

    return np.fromiter(map(value, samples), dtype=np.float64)


def _without_each(groups: Sequence[str | None], rows: Places) -> Iterator[Places]:
    """The rows with each document left out; with each of MOST_LEFT_OUT blocks of many documents.

    A block jackknife has the same acceleration (Shao and Tu 1995, ch. 2.3), and takes no square of
    the rows.
    """
    _, block = np.unique(number_clusters(groups)[rows], return_inverse=True)
    block = block % MOST_LEFT_OUT
    for left_out in range(int(block.max()) + 1):
        yield rows[block != left_out]


def _figure(
    name: str,
    measure: RatedFigure,
    x: Floats,
    rated: Rated,
    rows: Places,
    drawing: Drawing,
    words: str = "",
) -> MetaFigure:
    failed = len(x) - len(rows)
    documents = len({rated.groups[i] or (i,) for i in rows})
    recipe = f"{measure.name}|strop:{VERSION}|at:{measure.at}"
    n = measure.count(rated, rows) if measure.at != "system" or rated.systems else 0
    try:
        if measure.at == "system" and not rated.systems:
            raise UndefinedFigure("systems: none is named.", hint="Name it as 'model'.")
        if not len(rows):
            raise UndefinedFigure("samples: no rated item has this score.")
        value = measure.of(x, rated, rows)
    except UndefinedFigure as error:
        return MetaFigure(
            name, measure.name, measure.at, None, None, None, n, failed, documents, recipe,
            error=str(error),
        )  # fmt: skip
    interval = _interval(measure, x, rated, rows, value, documents, n, drawing)
    note = "; ".join(part for part in (words, interval.note) if part)
    signature = _signed(recipe, interval, drawing)
    return MetaFigure(
        name, measure.name, measure.at, value, interval.low, interval.high, n, failed, documents,
        signature, rough=interval.rough, note=note,
    )  # fmt: skip


def _signed(recipe: str, interval: Interval, drawing: Drawing) -> str:
    drawn = f"|resamples:{drawing.resamples}|seed:{drawing.seed}" * (interval.method != "none")
    return f"{recipe}|{interval.recipe}|level:{drawing.level}{drawn}"


ONE_DOCUMENT = "one document only: no interval can be had"


def _interval(
    measure: RatedFigure,
    x: Floats,
    rated: Rated,
    rows: Places,
    value: float,
    documents: int,
    n: int,
    drawing: Drawing,
) -> Interval:
    if documents < 2:
        return Interval(None, None, "none", True, ONE_DOCUMENT)
    drawn = _values(measure, x, rated, _draws(rated.groups, rows, drawing))
    left_out = _values(measure, x, rated, _without_each(rated.groups, rows))
    found = _bounds(value, drawn, left_out, documents, drawing.level)
    if measure.at != "system" or found.low is None:
        return found
    few = f"of these {n} systems alone: documents are drawn anew, systems are not"
    note = "; ".join(part for part in (found.note, few) if part)
    return Interval(found.low, found.high, found.method, found.rough or n < FEW_SYSTEMS, note)


def _bounds(
    value: float, drawn: Floats, left_out: Floats, documents: int, level: float
) -> Interval:
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < (1 - MOST_UNDEFINED) * len(drawn):
        share = 1 - len(defined) / len(drawn)
        return Interval(None, None, "none", True, f"not defined in {share:.0%} of the resamples")
    if np.ptp(defined) < 1e-12:
        return Interval(None, None, "none", True, "all resamples are alike: no spread is known")
    kept = left_out if np.isfinite(left_out).all() else None
    expanded = expanded_level(level, documents, narrow=True)
    low, high = bca_interval(value, defined, kept, level=expanded)
    return Interval(low, high, "bootstrap-bca", documents < FEW_DOCUMENTS)


def _document_figure(
    name: str, coefficient: str, x: Floats, rated: Rated, rows: Places, drawing: Drawing
) -> MetaFigure:
    """The mean over documents of the coefficient within each."""
    from evaluators.statistics.intervals import mean_interval

    failed = len(x) - len(rows)
    named = sum(rated.groups[i] is not None for i in rows)
    recipe = f"{coefficient}|strop:{VERSION}|at:document"
    values = within_documents(CORRELATIONS[coefficient], x, rated, rows) if named else []
    documents = len({rated.groups[i] or (i,) for i in rows})
    if not values:
        said = "no document has two items that differ in score and in rating"
        error = f"documents: {said if named else 'none is named'}."
        return MetaFigure(
            name, coefficient, "document", None, None, None, 0, failed, documents, recipe,
            error=error,
        )  # fmt: skip
    sums = np.column_stack([values, np.ones(len(values))])
    interval = Interval(None, None, "none", True, ONE_DOCUMENT)
    if len(values) > 1:
        interval = mean_interval(
            sums, scale=None, seed=drawing.seed, resamples=drawing.resamples, level=drawing.level
        )
    out = documents - len(values)
    told = f"{out} document{'s' if out > 1 else ''}"
    left = f"{told} left out, in which all scores or all ratings are alike" if out else ""
    note = "; ".join(part for part in (interval.note, left) if part)
    low, high = (
        None if b is None else float(np.clip(b, -1, 1)) for b in (interval.low, interval.high)
    )
    return MetaFigure(
        name, coefficient, "document", float(np.mean(values)), low, high, len(values), failed,
        documents, _signed(recipe, interval, drawing), rough=interval.rough, note=note,
    )  # fmt: skip


def _accuracy_measure(threshold: Threshold) -> RatedFigure:
    def of(x: Floats, rated: Rated, rows: Places) -> float:
        y = rated.ratings[rows]
        if len(np.unique(y)) < 2:
            raise UndefinedFigure(f"samples: all labels are {y[0]:g}; both are needed.")
        return balanced_accuracy(x[rows], y, threshold)

    return RatedFigure("balanced_accuracy", "sample", of)


def meta_differences(
    rated: Rated,
    *,
    coefficients: Sequence[tuple[str, str]] = (("kendall", "sample"), ("auroc", "sample")),
    turned: Collection[str] = (),
    against: str | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> list[MetaDifference]:
    """Each score against each other, by coefficients that the ratings allow.

    Args:
        coefficients: (name, level) of each; those of labels are left out where ratings are none.
        turned: scores of which a lower one is better; they are compared with their sign changed.
        against: the one score with which each is compared, so that fewer tests are made.

    Raises:
        UndefinedFigure: nothing is rated, or there is no score `against`.
    """
    _check(rated)
    if against is not None and against not in rated.scores:
        raise UndefinedFigure(
            f"There is no score {against!r}; there are {', '.join(rated.scores)}."
        )
    scores = {name: -x if name in turned else x for name, x in rated.scores.items()}
    rated = replace(rated, scores=scores)
    drawing = Drawing(seed, resamples, level)
    names = list(rated.scores)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    if against is not None:
        pairs = [(name, against) for name in names if name != against]
    chosen = [m for m in measures_of(rated) if (m.name, m.at) in coefficients]
    resampled = _Resampled(rated, drawing)
    return [
        _difference(a, b, measure, rated, drawing, resampled)
        for measure in chosen
        for a, b in pairs
    ]


class _Resampled:
    """Figures of the resamples of rows, kept: each score is compared with every other."""

    def __init__(self, rated: Rated, drawing: Drawing) -> None:
        self._rated, self._drawing = rated, drawing
        self._found: dict[tuple[str, str, str, str], tuple[Floats, Floats]] = {}

    def of(self, name: str, measure: RatedFigure, rows: Places) -> tuple[Floats, Floats]:
        """Of a score: its figures of the draws, and with each document left out."""
        key = (name, measure.name, measure.at, hashlib.sha256(rows.tobytes()).hexdigest())
        if key not in self._found:
            rated, x = self._rated, self._rated.scores[name]
            self._found[key] = (
                _values(measure, x, rated, _draws(rated.groups, rows, self._drawing)),
                _values(measure, x, rated, _without_each(rated.groups, rows)),
            )
        return self._found[key]


def _difference(
    name: str,
    other: str,
    measure: RatedFigure,
    rated: Rated,
    drawing: Drawing,
    resampled: _Resampled,
) -> MetaDifference:
    one, two = rated.scores[name], rated.scores[other]
    rows = np.flatnonzero(np.isfinite(one) & np.isfinite(two))
    failed, documents = len(one) - len(rows), len({rated.groups[i] or (i,) for i in rows})
    recipe = f"{measure.name}|strop:{VERSION}|at:{measure.at}|paired"
    try:
        if not len(rows):
            raise UndefinedFigure("samples: no rated item has both scores.")
        value = measure.of(one, rated, rows) - measure.of(two, rated, rows)
    except UndefinedFigure as error:
        return MetaDifference(
            name, other, measure.name, measure.at, None, None, None, None, len(rows), failed,
            documents, recipe, error=str(error),
        )  # fmt: skip
    interval, p = Interval(None, None, "none", True, ONE_DOCUMENT), None
    if documents > 1:
        first, second = (resampled.of(score, measure, rows) for score in (name, other))
        drawn, left_out = first[0] - second[0], first[1] - second[1]
        interval = _bounds(value, drawn, left_out, documents, drawing.level)
        interval, p = _tested(value, interval, drawn, drawing.level)
    return MetaDifference(
        name, other, measure.name, measure.at, value, interval.low, interval.high, p, len(rows),
        failed, documents, _signed(recipe, interval, drawing), rough=interval.rough,
        note=interval.note,
    )  # fmt: skip


def _tested(
    value: float, interval: Interval, drawn: Floats, level: float
) -> tuple[Interval, float | None]:
    """The interval and p, which say the same of 0; an interval of one point is tested by none."""
    low, high = interval.low, interval.high
    if low is None or high is None:
        return interval, None
    if low < value < high:
        return agree_on_zero(value, interval, _p_of(drawn), level=level)
    p = _p_of(drawn)
    return interval, max(p, 1 - level) if low <= 0 <= high else p


def _p_of(drawn: Floats) -> float:
    """Two-sided: the share of draws beyond 0, doubled; one draw is added to both sides."""
    defined = drawn[np.isfinite(drawn)]
    at_most, at_least = np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0)
    return float(min(1.0, 2 * (min(at_most, at_least) + 1) / (len(defined) + 1)))
