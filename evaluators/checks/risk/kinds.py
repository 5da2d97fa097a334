"""The two models that a risk may be: logistic regression, and small boosted trees; as plain lists.

The penalty is strong: with a few hundred labels and some twenty features a weaker one learns noise.
On the training halves of four public sets (`tests.benchmarks.check_proof`) C of 1, .1 and .05 have
a mean AUROC out of fold of .688, .693 and .695; of the last two, which chance tells apart no more,
the weaker one.

Fitted by scikit-learn, kept as numbers, and evaluated here, so that no pickle is ever needed. A
kind is one entry of MODELS: features in standard scores, labels, weights (None: all alike).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Parameters = Mapping[str, Any]
PENALTY = 0.1  # scikit-learn's C: the inverse of the strength


def _fit_logistic(x: Floats, bad: NDArray[np.bool_], weights: Floats | None) -> Parameters:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=PENALTY, max_iter=1000).fit(x, bad, weights)
    return {
        "weights": [float(w) for w in fitted.coef_[0]],
        "intercept": float(fitted.intercept_[0]),
    }


def _fit_trees(x: Floats, bad: NDArray[np.bool_], weights: Floats | None) -> Parameters:
    from sklearn.ensemble import GradientBoostingClassifier

    fitted = GradientBoostingClassifier(
        n_estimators=40, max_depth=2, learning_rate=0.1, min_samples_leaf=8, random_state=0
    ).fit(x, bad, sample_weight=weights)
    rate = float(np.average(bad, weights=weights))
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


Fit = Callable[[Floats, NDArray[np.bool_], Floats | None], Parameters]
MODELS: dict[str, Fit] = {"logistic": _fit_logistic, "trees": _fit_trees}


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
