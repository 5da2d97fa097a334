"""One calibrated probability that an output is a hallucination, learned from experts' labels.

Features are values of other checks; a missing value is the feature's mean plus a flag. The model is
logistic or of small boosted trees, whichever has the lower Brier score out of fold (folds keep
groups together), and its scores are mapped to probabilities by a logistic curve (Platt 1999), which
keeps their order. What is reported is nested: for each fold kind and model are learned on the
others alone, and its scores are less the log-odds of their rate, so that folds are comparable; only
the two numbers of the curve are of all. Isotonic regression loses .02 to .2 of AUROC where labels
are few (tests/benchmarks/risk_coverage.py). Saved as JSON. It refuses where labels are too few, and
where new features have drifted from those it learned on.

The two models that a risk may be: logistic regression, and small boosted trees; as plain lists.

Fitted by scikit-learn, kept as numbers, and evaluated here, so that no pickle is ever needed.

The risk of each output as a score: a probability, why it is what it is, and where to look.

The reason names the features that raise the log-odds most above those of an average output (each
put back to its average in turn); the spans are those that the checks behind the features marked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluators.checks.drift import Grouped, find_shifts
from evaluators.errors import CannotCompute, InvalidValues
from evaluators.statistics.clusters import number_clusters
from evaluators.types import Score

Floats = NDArray[np.float64]
Parameters = Mapping[str, Any]


def _fit_logistic(x: Floats, bad: NDArray[np.bool_]) -> Parameters:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1.0, max_iter=1000).fit(x, bad)
    return {
        "weights": [float(w) for w in fitted.coef_[0]],
        "intercept": float(fitted.intercept_[0]),
    }


def _fit_trees(x: Floats, bad: NDArray[np.bool_]) -> Parameters:
    from sklearn.ensemble import GradientBoostingClassifier

    fitted = GradientBoostingClassifier(
        n_estimators=40, max_depth=2, learning_rate=0.1, min_samples_leaf=8, random_state=0
    ).fit(x, bad)
    rate = float(bad.mean())
    trees = [
        {
            "left": stage[0].tree_.children_left.tolist(),
            "right": stage[0].tree_.children_right.tolist(),
            "feature": stage[0].tree_.feature.tolist(),
            "threshold": [float(t) for t in stage[0].tree_.threshold],
            "value": [0.1 * float(v) for v in stage[0].tree_.value[:, 0, 0]],
        }
        for stage in fitted.estimators_
    ]
    return {"start": float(np.log(rate / (1 - rate))), "trees": trees}


MODELS: dict[str, Callable[[Floats, NDArray[np.bool_]], Parameters]] = {
    "logistic": _fit_logistic,
    "trees": _fit_trees,
}


def predict_model(kind: str, parameters: Parameters, x: Floats) -> Floats:
    """Log-odds of each row."""
    if kind == "logistic":
        scores: Floats = x @ np.array(parameters["weights"]) + parameters["intercept"]
        return scores
    total = np.full(len(x), float(parameters["start"]))
    for tree in parameters["trees"]:
        total += _walk(tree, x)
    return total


def _walk(tree: Mapping[str, Any], x: Floats) -> Floats:
    """Value of the leaf that each row falls into; features are compared as 32-bit floats."""
    left, right = np.array(tree["left"]), np.array(tree["right"])
    feature, threshold = np.array(tree["feature"]), np.array(tree["threshold"])
    node, narrow = np.zeros(len(x), dtype=np.int64), x.astype(np.float32)
    for _ in range(len(left)):
        inner = left[node] >= 0
        if not inner.any():
            break
        value = narrow[np.arange(len(x)), np.maximum(feature[node], 0)]
        node = np.where(inner, np.where(value <= threshold[node], left[node], right[node]), node)
    leaf: Floats = np.array(tree["value"])[node]
    return leaf


NAMED = 2
DRIFTED = "the outputs no longer look like those labelled"


def score_risk(
    model: RiskModel,
    checked: Sequence[Mapping[str, Score]],
    groups: Sequence[str | None] | None = None,
) -> list[Score]:
    """One score per output, lower is better; an error for all where the features have drifted.

    Args:
        checked: the scores of each output by the name of the metric, as the model's features are.
        groups: of each output; None, or a None among them, for an output of its own.
    """
    rows = [{name: score.value for name, score in scores.items()} for scores in checked]
    if not rows:
        return []
    drift = find_drift(model, rows, groups)
    if drift:
        return [Score(None, error=f"{DRIFTED}: {'; '.join(drift)}")] * len(rows)
    return [
        _score(model, scores, row, float(risk))
        for scores, row, risk in zip(checked, rows, risk_of(model, rows), strict=True)
    ]


def _score(
    model: RiskModel, scores: Mapping[str, Score], row: Mapping[str, float | None], risk: float
) -> Score:
    if all(row.get(name) is None for name in model.features):
        return Score(None, not_applicable=True, explanation="no check says anything of this output")
    spans = tuple(span for name in model.features if name in scores for span in scores[name].spans)
    return Score(risk, explanation=explain_risk(model, row), spans=spans, stats=(risk,))


def explain_risk(model: RiskModel, row: Mapping[str, float | None]) -> str:
    """The features that raise the risk of an output most, with their values."""
    usual = dict(zip(model.features, model.means, strict=True))
    present = [name for name in model.features if row.get(name) is not None]
    variants = [dict(row), *({**row, name: usual[name]} for name in present)]
    odds = log_odds(model, variants)
    raised = sorted(zip(odds[0] - odds[1:], present, strict=True), reverse=True)[:NAMED]
    named = [
        f"{name} is {row[name]:.3g} (usually {usual[name]:.3g})"
        for gain, name in raised
        if gain > np.finfo(np.float32).eps
    ]
    return "raised by " + " and ".join(named) if named else "nothing raises it above the average"


LEAST_LABELS = 60
LEAST_OF_CLASS = 15
LEAST_GROUPS = 10
FOLDS = 5
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
    parameters: Mapping[str, Any]
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


def _check_labels(labels: NDArray[np.bool_], groups: Sequence[str | None]) -> None:
    n, bad = len(labels), int(labels.sum())
    clusters = len(set(number_clusters(groups).tolist()))
    if n >= LEAST_LABELS and clusters < LEAST_GROUPS:
        raise CannotCompute(
            f"{n} labels in {clusters} groups are too few for a probability.",
            hint=f"It wants labels of {LEAST_GROUPS - clusters} more groups.",
        )
    lacks = [
        max(0, LEAST_LABELS - n),
        max(0, LEAST_OF_CLASS - bad),
        max(0, LEAST_OF_CLASS - (n - bad)),
    ]
    if any(lacks):
        raise CannotCompute(
            f"{n} labels, {bad} of them hallucinations, are too few for a probability.",
            hint=f"It wants {lacks[0]} more labels in all, {lacks[1]} more hallucinations and "
            f"{lacks[2]} more good outputs.",
        )


def fit_risk(
    rows: Sequence[Mapping[str, float | None]],
    labels: Sequence[bool],
    groups: Sequence[str | None],
    *,
    seed: int = 0,
) -> Fitted:
    """Fit on labelled outputs.

    Args:
        rows: feature values of each output by name; None or absent where there is none.
        labels: whether the expert found a hallucination.

    Raises:
        CannotCompute: too few labels (the hint says how many more), or no feature varies.
        InvalidValues: the lengths differ.
    """
    bad = np.asarray(labels, dtype=bool)
    if not len(rows) == len(bad) == len(groups):
        raise InvalidValues(f"{len(rows)} rows, {len(bad)} labels and {len(groups)} groups.")
    _check_labels(bad, groups)
    raw, names = _matrix(rows)
    means, spreads = np.nanmean(raw, axis=0), np.nanstd(raw, axis=0)
    x = _standardise(raw, means, spreads)
    folds = _folds(groups, seed)
    scores = {kind: _out_of_fold(kind, x, bad, folds) for kind in MODELS}
    kind, brier = _better(scores, bad)
    curve = _curve(scores[kind], bad)
    model = RiskModel(
        features=names,
        means=_listed(means),
        spreads=_listed(spreads),
        kind=kind,
        parameters=MODELS[kind](x, bad),
        slope=curve.slope,
        intercept=curve.intercept - curve.slope * _log_odds_of(bad),
        values=tuple(tuple(None if np.isnan(v) else float(v) for v in row) for row in raw),
        members=tuple(number_clusters(groups).tolist()),
        n=len(bad),
        positives=int(bad.sum()),
    )
    held = _nested(x, bad, folds, scores)
    return Fitted(model, _curve(held, bad)(held), brier)


def _listed(values: Floats) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def _matrix(rows: Sequence[Mapping[str, float | None]]) -> tuple[Floats, tuple[str, ...]]:
    """Values of shape (n, features), NaN where missing, and the names of those that vary."""
    names = sorted({name for row in rows for name in row})
    raw = _values(rows, names)
    varies = [j for j in range(len(names)) if np.unique(raw[~np.isnan(raw[:, j]), j]).size > 1]
    if not varies:
        raise CannotCompute("No feature varies, so nothing can be learned.", hint="Add checks.")
    return raw[:, varies], tuple(names[j] for j in varies)


def _values(rows: Sequence[Mapping[str, float | None]], names: Sequence[str]) -> Floats:
    found = [[row.get(name) for name in names] for row in rows]
    raw = np.array([[np.nan if v is None else v for v in row] for row in found], dtype=np.float64)
    if np.isinf(raw).any():
        name = names[int(np.argwhere(np.isinf(raw))[0, 1])]
        raise InvalidValues(f"The feature {name!r} is infinite.", hint="Leave it out or mend it.")
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


def _out_of_fold(kind: str, x: Floats, bad: NDArray[np.bool_], folds: NDArray[np.int64]) -> Floats:
    """Scores by models of the other folds, less the log-odds of the rate they were fitted on."""
    scores = np.zeros(len(bad))
    for fold in np.unique(folds):
        kept = folds != fold
        if bad[kept].all() or not bad[kept].any():
            raise CannotCompute("A fold lacks a class.", hint="Label more groups.")
        parameters = MODELS[kind](x[kept], bad[kept])
        scores[~kept] = predict_model(kind, parameters, x[~kept]) - _log_odds_of(bad[kept])
    return scores


class _Curve(NamedTuple):
    slope: float
    intercept: float

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities that rise with the scores."""
        from scipy.special import expit

        found: Floats = expit(self.slope * scores + self.intercept)
        return found


def _curve(scores: Floats, bad: NDArray[np.bool_]) -> _Curve:
    """Platt's: a logistic regression on the score alone."""
    from sklearn.linear_model import LogisticRegression

    spread = float(scores.std())
    if spread == 0:
        return _Curve(LEAST_SLOPE, _log_odds_of(bad) - LEAST_SLOPE * float(scores.mean()))
    fitted = LogisticRegression(C=1e4).fit(scores[:, None] / spread, bad)
    slope = float(fitted.coef_[0, 0]) / spread
    if slope < LEAST_SLOPE:
        return _Curve(LEAST_SLOPE, _log_odds_of(bad) - LEAST_SLOPE * float(scores.mean()))
    return _Curve(slope, float(fitted.intercept_[0]))


def _log_odds_of(bad: NDArray[np.bool_]) -> float:
    """Log-odds of the rate."""
    rate = float(bad.mean())
    return math.log(rate / (1 - rate))


def _better(scores: Mapping[str, Floats], bad: NDArray[np.bool_]) -> tuple[str, dict[str, float]]:
    """The kind of the lower Brier score, and those of all."""
    brier = {kind: float(((_curve(s, bad)(s) - bad) ** 2).mean()) for kind, s in scores.items()}
    return min(brier, key=lambda name: brier[name]), brier


def _nested(
    x: Floats, bad: NDArray[np.bool_], folds: NDArray[np.int64], scores: Mapping[str, Floats]
) -> Floats:
    """Scores of each fold by the kind that is the better one on the other folds alone."""
    held = np.zeros(len(bad))
    for fold in np.unique(folds):
        kept = folds != fold
        inner = {kind: _out_of_fold(kind, x[kept], bad[kept], folds[kept]) for kind in MODELS}
        kind, _ = _better(inner, bad[kept])
        held[~kept] = scores[kind][~kept]
    return held


def find_drift(
    model: RiskModel,
    rows: Sequence[Mapping[str, float | None]],
    groups: Sequence[str | None] | None = None,
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


def predict_risk(
    model: RiskModel,
    rows: Sequence[Mapping[str, float | None]],
    groups: Sequence[str | None] | None = None,
) -> Floats:
    """Probability of a hallucination for each row.

    Args:
        groups: of each row; None, or a None among them, for a row of its own.

    Raises:
        CannotCompute: the features have drifted.
    """
    drift = find_drift(model, rows, groups)
    if drift:
        raise CannotCompute(
            f"The outputs no longer look like those labelled: {'; '.join(drift)}.",
            hint=f"Label {LEAST_LABELS} of the new ones and calibrate again.",
        )
    return risk_of(model, rows)


def risk_of(model: RiskModel, rows: Sequence[Mapping[str, float | None]]) -> Floats:
    """Probability of a hallucination for each row, whether or not the features have drifted."""
    return _Curve(model.slope, model.intercept)(log_odds(model, rows))


def log_odds(model: RiskModel, rows: Sequence[Mapping[str, float | None]]) -> Floats:
    """What the model says of each row before it is calibrated."""
    raw = _values(rows, model.features)
    x = _standardise(raw, np.array(model.means), np.array(model.spreads))
    return predict_model(model.kind, model.parameters, x)
