"""One calibrated probability that an output is a hallucination, learned from experts' labels.

Features are values of other checks; a missing value is the feature's mean plus a flag. A logistic
model or small boosted trees, whichever has the lower Brier score, is fitted out of fold (folds keep
groups together), and its scores are mapped to probabilities by isotonic regression (Zadrozny and
Elkan 2002), itself cross-fitted for the report. Saved as JSON. It refuses where labels are too few,
and where new features have drifted from those it learned on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.checks.risk_models import MODELS, predict_model
from evaluators.errors import CannotCompute, InvalidValues
from evaluators.statistics.clusters import number_clusters

Floats = NDArray[np.float64]
LEAST_LABELS = 60
LEAST_OF_CLASS = 15
LEAST_GROUPS = 10
FOLDS = 5
QUANTILES = 101
DRIFT_LEVEL = 0.001
DRIFT_LEAST = 0.15


@dataclass(frozen=True, slots=True)
class RiskModel:
    """A fitted risk, all of it plain numbers and lists."""

    features: tuple[str, ...]
    means: tuple[float, ...]
    spreads: tuple[float, ...]
    kind: str
    parameters: Mapping[str, Any]
    steps_from: tuple[float, ...]
    steps_to: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]
    missing: tuple[float, ...]
    n: int
    positives: int
    version: int = 1

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RiskModel:
        """From what `as_dict` gave.

        Raises:
            InvalidValues: it is something else, or of another version.
        """
        if data.get("version") != 1:
            raise InvalidValues("This is no risk model of version 1.", hint="Calibrate again.")
        lists: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list | tuple) else v for k, v in data.items()
        }
        lists["quantiles"] = tuple(tuple(row) for row in data["quantiles"])
        return cls(**lists)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model and what it said of each labelled output while that was held out."""

    model: RiskModel
    held_out: Floats
    brier_by_kind: Mapping[str, float]


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
    held = {kind: _cross_isotonic(score, bad, folds) for kind, score in scores.items()}
    brier = {kind: float(((p - bad) ** 2).mean()) for kind, p in held.items()}
    kind = min(brier, key=lambda name: brier[name])
    at, to = _isotonic(scores[kind], bad)
    model = RiskModel(
        features=names,
        means=_listed(means),
        spreads=_listed(spreads),
        kind=kind,
        parameters=MODELS[kind](x, bad),
        steps_from=_listed(at),
        steps_to=_listed(to),
        quantiles=tuple(
            _listed(np.nanquantile(column, np.linspace(0, 1, QUANTILES))) for column in raw.T
        ),
        missing=_listed(np.isnan(raw).mean(axis=0)),
        n=len(bad),
        positives=int(bad.sum()),
    )
    return Fitted(model, held[kind], brier)


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
    scores = np.zeros(len(bad))
    for fold in np.unique(folds):
        kept = folds != fold
        if bad[kept].all() or not bad[kept].any():
            raise CannotCompute("A fold lacks a class.", hint="Label more groups.")
        scores[~kept] = predict_model(kind, MODELS[kind](x[kept], bad[kept]), x[~kept])
    return scores


def _isotonic(scores: Floats, bad: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, bad)
    return fitted.X_thresholds_, fitted.y_thresholds_


def _cross_isotonic(scores: Floats, bad: NDArray[np.bool_], folds: NDArray[np.int64]) -> Floats:
    held = np.zeros(len(bad))
    for fold in np.unique(folds):
        kept = folds != fold
        held[~kept] = np.interp(scores[~kept], *_isotonic(scores[kept], bad[kept]))
    return held


def find_drift(model: RiskModel, rows: Sequence[Mapping[str, float | None]]) -> list[str]:
    """Sentences on the features that no longer look as they did when the model was fitted.

    Two-sample Kolmogorov-Smirnov (Smirnov 1948) against the kept quantiles, Bonferroni over
    features, from 20 values on; a shift must also be large, so that many rows alone do not alarm.
    """
    from scipy.stats import kstwobign

    raw = _values(rows, model.features)
    found = []
    for name, column, quantiles, gone in zip(
        model.features, raw.T, model.quantiles, model.missing, strict=True
    ):
        present = np.sort(column[~np.isnan(column)])
        lost = 1 - len(present) / max(len(column), 1)
        if abs(lost - gone) > 0.3 and _is_surprising(len(column) - len(present), len(column), gone):
            found.append(f"{name} is missing in {lost:.0%}, was in {gone:.0%}")
        if len(present) < 20:
            continue
        far = _distance(np.array(quantiles), present)
        size = len(present) * model.n / (len(present) + model.n)
        p = float(kstwobign.sf(far * np.sqrt(size))) * len(model.features)
        if far > DRIFT_LEAST and p < DRIFT_LEVEL:
            found.append(f"{name} has shifted (distance {far:.2f})")
    return found


def _is_surprising(missing: int, n: int, usual: float) -> bool:
    """Whether so many of n are missing by an exact binomial test; one output alone tells little."""
    from scipy.stats import binomtest

    return bool(binomtest(missing, n, usual).pvalue < DRIFT_LEVEL)


def _distance(quantiles: Floats, present: Floats) -> float:
    """Largest gap of the two distribution functions, less what the kept quantiles cannot tell."""
    points = np.unique(quantiles)
    before = np.searchsorted(quantiles, points, side="right") / QUANTILES
    now = np.searchsorted(present, points, side="right") / len(present)
    return max(0.0, float(np.abs(before - now).max()) - 1 / QUANTILES)


def predict_risk(model: RiskModel, rows: Sequence[Mapping[str, float | None]]) -> Floats:
    """Probability of a hallucination for each row.

    Raises:
        CannotCompute: the features have drifted.
    """
    drift = find_drift(model, rows)
    if drift:
        raise CannotCompute(
            f"The outputs no longer look like those labelled: {'; '.join(drift)}.",
            hint=f"Label {LEAST_LABELS} of the new ones and calibrate again.",
        )
    found: Floats = np.interp(log_odds(model, rows), model.steps_from, model.steps_to)
    return found


def log_odds(model: RiskModel, rows: Sequence[Mapping[str, float | None]]) -> Floats:
    """What the model says of each row before it is calibrated."""
    raw = _values(rows, model.features)
    x = _standardise(raw, np.array(model.means), np.array(model.spreads))
    return predict_model(model.kind, model.parameters, x)
