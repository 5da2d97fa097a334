"""A threshold on a score: where it says yes, how good that is, how it is chosen elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import UndefinedFigure

Floats = NDArray[np.float64]


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
    best = np.maximum(accuracy, 1 - accuracy)
    at = int(np.lexsort((-gaps, -best))[0])
    return Threshold(float(middles[at]), below=bool(accuracy[at] < 0.5))


def is_binary(ratings: Floats) -> bool:
    """Whether all ratings are 0 or 1, so that they are labels."""
    return bool(np.isin(ratings, (0.0, 1.0)).all())
