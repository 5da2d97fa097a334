"""One calibrated probability that an output is a hallucination, learned from experts' labels.

Features are values of other checks, plain and less their mean over the other answers to the same
source (`relative`); a missing value is the feature's mean plus a flag. The model is logistic; where
small boosted trees are asked for too, the one of the lower Brier score out of fold (folds keep
groups together). Its scores are mapped to probabilities by a logistic curve (Platt 1999), which
keeps their order. What is reported is nested: for each fold kind and model are learned on the
others alone, and its scores are less the log-odds of their rate, so that folds are comparable; only
the two numbers of the curve are of all. Isotonic regression loses .02 to .2 of AUROC where labels
are few (tests/benchmarks/risk_coverage.py). Saved as JSON. It refuses where labels are too few, and
where new features have drifted from those it learned on. As a score: see `scores`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluators.checks.risk.drift import Grouped, find_shifts
from evaluators.checks.risk.kinds import MODELS, Floats, Parameters, predict_model
from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.statistics.clusters import number_clusters

Bools = NDArray[np.bool_]
Row = Mapping[str, float | None]

LEAST_LABELS = 60
LEAST_OF_CLASS = 15
LEAST_GROUPS = 10
FOLDS = 5
MOST_SEEN = 2000  # outputs that a saved model keeps, to see drift by
LARGEST = 1e100  # of a feature; its square would be infinite beyond 1e154
LEAST_SLOPE = 1e-3  # a curve that falls, or is flat, would lose the order
VERSION = 2


@dataclass(frozen=True, slots=True)
class RiskModel:
    """A fitted risk, all of it plain numbers and lists.

    Attributes:
        slope, intercept: of the curve from the model's score to the log-odds of the risk.
        values, members: features of the labelled outputs and the group of each, to see drift by.
    """

    features: tuple[str, ...]
    means: tuple[float, ...]
    spreads: tuple[float, ...]
    kind: str
    parameters: Parameters
    slope: float
    intercept: float
    values: tuple[tuple[float | None, ...], ...]
    members: tuple[int, ...]
    n: int
    positives: int
    version: int = VERSION

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RiskModel:
        """From what `as_dict` gave.

        Raises:
            InvalidValues: it is something else, or of another version.
        """
        if data.get("version") == 1:
            raise InvalidValues(
                "This risk model is of version 1, which kept no groups to see drift by.",
                hint="Calibrate again.",
            )
        if data.get("version") != VERSION or set(data) != {f.name for f in fields(cls)}:
            raise InvalidValues(
                f"This is no risk model of version {VERSION}.", hint="Calibrate again."
            )
        lists: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list | tuple) else v for k, v in data.items()
        }
        lists["values"] = tuple(tuple(row) for row in data["values"])
        return cls(**lists)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model and what it said of each labelled output while that was held out."""

    model: RiskModel
    held_out: Floats
    brier_by_kind: Mapping[str, float]  # out of fold; the lower one chose the kind


def _check_labels(labels: Bools, groups: Sequence[str | None]) -> None:
    n, bad = len(labels), int(labels.sum())
    clusters = len(set(number_clusters(groups).tolist()))
    if n >= LEAST_LABELS and clusters < LEAST_GROUPS:
        raise UndefinedFigure(
            f"{n} labels in {clusters} groups are too few for a probability.",
            hint=f"It wants labels of {LEAST_GROUPS - clusters} more groups.",
        )
    lacks = [
        max(0, LEAST_LABELS - n),
        max(0, LEAST_OF_CLASS - bad),
        max(0, LEAST_OF_CLASS - (n - bad)),
    ]
    if any(lacks):
        raise UndefinedFigure(
            f"{n} labels, {bad} of them hallucinations, are too few for a probability.",
            hint=f"It wants {lacks[0]} more labels in all, {lacks[1]} more hallucinations and "
            f"{lacks[2]} more good outputs.",
        )


class RiskFrame(NamedTuple):
    """All outputs that labelled ones were drawn from: what new ones are held against."""

    rows: Sequence[Row]
    groups: Sequence[str | None]


class _Labelled(NamedTuple):
    """Standard scores, labels, weights (of mean 1) and folds."""

    x: Floats
    bad: Bools
    weights: Floats
    folds: NDArray[np.int64]

    def only(self, kept: Bools) -> _Labelled:
        return _Labelled(self.x[kept], self.bad[kept], self.weights[kept], self.folds[kept])


def fit_risk(
    rows: Sequence[Row],
    labels: Sequence[bool],
    groups: Sequence[str | None],
    *,
    seed: int = 0,
    kinds: Sequence[str] = ("logistic",),
    weights: Sequence[float] | None = None,
    frame: RiskFrame | None = None,
) -> Fitted:
    """Fit on labelled outputs.

    Args:
        rows: feature values of each output by name; None or absent where there is none.
        labels: whether the expert found a hallucination.
        kinds: of MODELS; of several the better one out of fold.
        weights: how many outputs each stands for, where they were drawn with unequal chances.
        frame: what the labelled ones were drawn from, where it is known; else they are it.

    Raises:
        UndefinedFigure: too few labels (the hint says how many more), or no feature varies.
        InvalidValues: the lengths differ, a weight is not above 0, or a kind is unknown.
    """
    bad = np.asarray(labels, dtype=bool)
    if not len(rows) == len(bad) == len(groups):
        raise InvalidValues(f"{len(rows)} rows, {len(bad)} labels and {len(groups)} groups.")
    _check_kinds(kinds)
    share = _mean_one(weights, len(bad))
    _check_labels(bad, groups)
    raw, names = _matrix(rows)
    means, spreads = _moments(raw, share)
    data = _Labelled(_standardise(raw, means, spreads), bad, share, _folds(groups, seed))
    scores = {kind: _out_of_fold(kind, data) for kind in kinds}
    kind, brier = _better(scores, data)
    curve = _curve(scores[kind], data)
    seen = RiskFrame(rows, groups) if frame is None else _drawn(frame, seed)
    model = RiskModel(
        features=names,
        means=_listed(means),
        spreads=_listed(spreads),
        kind=kind,
        parameters=MODELS[kind](data.x, bad, share),
        slope=curve.slope,
        intercept=curve.intercept - curve.slope * _log_odds_of(data),
        values=tuple(
            tuple(None if np.isnan(v) else float(v) for v in row)
            for row in _values(seen.rows, names)
        ),
        members=tuple(number_clusters(seen.groups).tolist()),
        n=len(bad),
        positives=int(bad.sum()),
    )
    held = _nested(data, scores)
    return Fitted(model, _curve(held, data)(held), brier)


def _check_kinds(kinds: Sequence[str]) -> None:
    unknown = [kind for kind in kinds if kind not in MODELS]
    if unknown or not kinds:
        raise InvalidValues(
            f"There is no risk of kind {', '.join(unknown) or 'none'}.",
            hint=f"There are: {', '.join(MODELS)}.",
        )


def _mean_one(weights: Sequence[float] | None, n: int) -> Floats:
    """Weights of mean 1, so that the penalty weighs as without them."""
    if weights is None:
        return np.ones(n)
    given = np.asarray(weights, dtype=np.float64)
    if len(given) != n or not np.isfinite(given).all() or not (given > 0).all():
        raise InvalidValues(f"{len(given)} weights for {n} outputs; each is a number above 0.")
    found: Floats = given / given.mean() if n else given
    return found


def _moments(raw: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and spread of each column over the values that there are."""
    share = np.where(np.isnan(raw), 0.0, weights[:, None])
    total = share.sum(axis=0)
    means = (share * np.nan_to_num(raw)).sum(axis=0) / total
    spreads = np.sqrt((share * np.nan_to_num(raw - means) ** 2).sum(axis=0) / total)
    return means, spreads


def _drawn(frame: RiskFrame, seed: int) -> RiskFrame:
    """At most MOST_SEEN outputs of a frame, so that a saved model stays small."""
    n = len(frame.rows)
    if n <= MOST_SEEN:
        return frame
    kept = np.sort(np.random.default_rng(seed).choice(n, MOST_SEEN, replace=False))
    return RiskFrame([frame.rows[i] for i in kept], [frame.groups[i] for i in kept])


def _listed(values: Floats) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def _matrix(rows: Sequence[Row]) -> tuple[Floats, tuple[str, ...]]:
    """Values of shape (n, features), NaN where missing, and the names of those that vary."""
    names = sorted({name for row in rows for name in row})
    raw = _values(rows, names)
    varies = [j for j in range(len(names)) if np.unique(raw[~np.isnan(raw[:, j]), j]).size > 1]
    if not varies:
        raise UndefinedFigure("No feature varies, so nothing can be learned.", hint="Add checks.")
    return raw[:, varies], tuple(names[j] for j in varies)


def _values(rows: Sequence[Row], names: Sequence[str]) -> Floats:
    found = [[row.get(name) for name in names] for row in rows]
    raw = np.array([[np.nan if v is None else v for v in row] for row in found], dtype=np.float64)
    beyond = np.abs(raw) > LARGEST
    if beyond.any():
        i, j = np.argwhere(beyond)[0]
        raise InvalidValues(
            f"The feature {names[j]!r} is {raw[i, j]:g}, which is beyond {LARGEST:g}.",
            hint="Leave it out or mend it.",
        )
    return raw


def _standardise(raw: Floats, means: Floats, spreads: Floats) -> Floats:
    """Standard scores with 0 where missing, then a flag per feature for missing."""
    gone = np.isnan(raw)
    scores = np.where(gone, 0.0, (raw - means) / spreads)
    return np.hstack([scores, gone.astype(np.float64)])


def _folds(groups: Sequence[str | None], seed: int) -> NDArray[np.int64]:
    """Fold of each row; rows of one group share it."""
    members = number_clusters(groups)
    order = np.random.default_rng(seed).permutation(int(members.max()) + 1)
    folds: NDArray[np.int64] = order[members] % FOLDS
    return folds


def _out_of_fold(kind: str, data: _Labelled) -> Floats:
    """Scores by models of the other folds, less the log-odds of the rate they were fitted on."""
    scores = np.zeros(len(data.bad))
    for fold in np.unique(data.folds):
        kept = data.folds != fold
        rest = data.only(kept)
        if rest.bad.all() or not rest.bad.any():
            raise UndefinedFigure("A fold lacks a class.", hint="Label more groups.")
        parameters = MODELS[kind](rest.x, rest.bad, rest.weights)
        scores[~kept] = predict_model(kind, parameters, data.x[~kept]) - _log_odds_of(rest)
    return scores


class _Curve(NamedTuple):
    slope: float
    intercept: float

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities that rise with the scores."""
        from scipy.special import expit

        found: Floats = expit(self.slope * scores + self.intercept)
        return found


def _curve(scores: Floats, data: _Labelled) -> _Curve:
    """Platt's: a logistic regression on the score alone."""
    from sklearn.linear_model import LogisticRegression

    spread = float(scores.std())
    level = _Curve(LEAST_SLOPE, _log_odds_of(data) - LEAST_SLOPE * float(scores.mean()))
    if spread == 0:
        return level
    fitted = LogisticRegression(C=1e4).fit(scores[:, None] / spread, data.bad, data.weights)
    slope = float(fitted.coef_[0, 0]) / spread
    return level if slope < LEAST_SLOPE else _Curve(slope, float(fitted.intercept_[0]))


def _log_odds_of(data: _Labelled) -> float:
    """Log-odds of the rate."""
    rate = float(np.average(data.bad, weights=data.weights))
    return math.log(rate / (1 - rate))


def _better(scores: Mapping[str, Floats], data: _Labelled) -> tuple[str, dict[str, float]]:
    """The kind of the lower Brier score, and those of all."""
    brier = {
        kind: float(np.average((_curve(s, data)(s) - data.bad) ** 2, weights=data.weights))
        for kind, s in scores.items()
    }
    return min(brier, key=lambda name: brier[name]), brier


def _nested(data: _Labelled, scores: Mapping[str, Floats]) -> Floats:
    """Scores of each fold by the kind that is the better one on the other folds alone."""
    if len(scores) == 1:
        return next(iter(scores.values()))
    held = np.zeros(len(data.bad))
    for fold in np.unique(data.folds):
        kept = data.folds != fold
        rest = data.only(kept)
        kind, _ = _better({kind: _out_of_fold(kind, rest) for kind in scores}, rest)
        held[~kept] = scores[kind][~kept]
    return held


def find_drift(
    model: RiskModel, rows: Sequence[Row], groups: Sequence[str | None] | None = None
) -> list[str]:
    """Sentences on the features that no longer look as they did when the model was fitted.

    Args:
        groups: of each output; None, or a None among them, for an output of its own.
    """
    before = np.array([[np.nan if v is None else v for v in row] for row in model.values])
    members = number_clusters(groups if groups is not None else [None] * len(rows))
    return find_shifts(
        model.features,
        Grouped(before, np.array(model.members, dtype=np.int64)),
        Grouped(_values(rows, model.features), members),
    )


def risk_of(model: RiskModel, rows: Sequence[Row]) -> Floats:
    """Probability of a hallucination for each row, whether or not the features have drifted."""
    return _Curve(model.slope, model.intercept)(log_odds(model, rows))


def log_odds(model: RiskModel, rows: Sequence[Row]) -> Floats:
    """What the model says of each row before it is calibrated."""
    raw = _values(rows, model.features)
    x = _standardise(raw, np.array(model.means), np.array(model.spreads))
    return predict_model(model.kind, model.parameters, x)
