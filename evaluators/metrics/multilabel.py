"""Several labels per sample: micro F1 and its mean over samples.

Labels are separated by commas or line breaks, or written as a JSON list; order and repetition do
not count. Equal to scikit-learn's `f1_score` on indicator rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evaluators.metric import Metric, Summary, each
from evaluators.types import Sample, Score

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_set(text: str) -> frozenset[str]:
    """The labels that a text names."""
    stripped = text.strip()
    if stripped.startswith("["):
        try:
            return frozenset(str(label).strip() for label in json.loads(stripped))
        except (ValueError, TypeError):
            pass
    parts = (part.strip() for part in stripped.replace("\n", ",").split(","))
    return frozenset(part for part in parts if part)


def _is_empty_list(text: str) -> bool:
    """Nothing, or `[]`: that there is no label is said, and not a matter of commas."""
    return not text.strip() or "".join(text.split()) == "[]"


def _overlap(sample: Sample) -> Score:
    predicted = label_set(sample.prediction)
    true = frozenset().union(*(label_set(r) for r in sample.references))
    if not true and not any(_is_empty_list(r) for r in sample.references):
        return Score(None, error="the reference names no label")
    hits, size = len(predicted & true), len(predicted) + len(true)
    value = 2 * hits / size if size else 1.0
    label = ", ".join(sorted(predicted))
    return Score(value, label=label, stats=(float(hits), float(size)))


def _rows(scores: Sequence[Score]) -> NDArray[Any]:
    import numpy as np

    return np.array([score.stats for score in scores], dtype=np.float64)


def _micro(sums: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    figure: NDArray[Any] = np.where(
        sums[..., 1] > 0, 2 * sums[..., 0] / np.maximum(sums[..., 1], 1), 1.0
    )
    return figure


MULTILABEL_F1 = Metric(
    "multilabel_f1",
    1,
    each(_overlap),
    Summary(_rows, _micro),
    frozenset({"reference"}),
    description="micro F1 over sets of labels",
)
MULTILABEL_SAMPLES = Metric(
    "multilabel_f1_samples",
    1,
    each(_overlap),
    needs=frozenset({"reference"}),
    description="mean over samples of the F1 of their label sets",
)
