"""Classification: accuracy and F1 over labels, and the table of classes.

A label is the text of the prediction or reference with white space stripped at both ends; case
counts. The classes are those that occur as prediction or reference, as in scikit-learn's
`f1_score`, to which the figures are equal (tests/evaluators/metrics/test_labels.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evaluators.errors import UndefinedFigure
from evaluators.metric import Metric, Summary
from evaluators.results import ClassRow
from evaluators.statistics.intervals import wilson
from evaluators.types import Sample, Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

REFERENCE = frozenset({"reference"})


def score_accuracy(samples: Sequence[Sample]) -> list[Score]:
    """1 where the label is one of the references, else 0."""
    return [_hit(s.prediction.strip(), [r.strip() for r in s.references]) for s in samples]


def _hit(label: str, accepted: Sequence[str]) -> Score:
    return Score(float(label in accepted), label=label)


def score_label_pair(samples: Sequence[Sample]) -> list[Score]:
    """1 or 0 as in accuracy, with the pair (predicted, true) kept; needs exactly one reference."""
    return [_pair(s) for s in samples]


def _pair(sample: Sample) -> Score:
    if len(sample.references) != 1:
        return Score(None, error=f"{len(sample.references)} references; a class label is one")
    label, truth = sample.prediction.strip(), sample.references[0].strip()
    return Score(float(label == truth), label=label, stats=(label, truth))


def confusion_rows(scores: Sequence[Score]) -> Any:
    """Scores with label pairs -> sparse (n, 3c): hit, predicted and true, for each of c classes."""
    import numpy as np
    from scipy.sparse import csr_array

    predicted = [str(score.stats[0]) for score in scores]
    true = [str(score.stats[1]) for score in scores]
    index = {label: i for i, label in enumerate(sorted({*predicted, *true}))}
    c, n = len(index), len(scores)
    p = np.array([index[label] for label in predicted], dtype=np.int64)
    t = np.array([index[label] for label in true], dtype=np.int64)
    hit = np.flatnonzero(p == t)
    rows = np.concatenate([hit, np.arange(n), np.arange(n)])
    columns = np.concatenate([p[hit], c + p, 2 * c + t])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, 3 * c))


def _class_f1(sums: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Sums (..., 3c) -> F1 per class, whether the class occurs at all, its true count."""
    import numpy as np

    hit, predicted, true = np.split(sums, 3, axis=-1)
    size = predicted + true
    return 2 * hit / np.where(size > 0, size, 1), size > 0, true


def macro_f1(sums: NDArray[Any]) -> NDArray[Any]:
    """Unweighted mean of F1 over the classes that occur."""
    f1, occurs, _ = _class_f1(sums)
    macro: NDArray[Any] = f1.sum(axis=-1) / occurs.sum(axis=-1)
    return macro


def weighted_f1(sums: NDArray[Any]) -> NDArray[Any]:
    """Mean of F1 over classes, weighted by how often each is the true one."""
    f1, _, true = _class_f1(sums)
    weighted: NDArray[Any] = (f1 * true).sum(axis=-1) / true.sum(axis=-1)
    return weighted


def micro_f1(sums: NDArray[Any]) -> NDArray[Any]:
    """F1 of the pooled counts; for one label per sample it equals accuracy."""
    import numpy as np

    hit, predicted, true = (part.sum(axis=-1) for part in np.split(sums, 3, axis=-1))
    micro: NDArray[Any] = 2 * hit / (predicted + true)
    return micro


def balanced_accuracy(sums: NDArray[Any]) -> NDArray[Any]:
    """Mean recall over the classes that are true somewhere (Brodersen et al. 2010)."""
    return _macro_rate(sums, 2)


def macro_precision(sums: NDArray[Any]) -> NDArray[Any]:
    """Mean precision over the classes that occur; never predicted counts 0, as in scikit-learn."""
    return _macro_rate(sums, 1, over_all=True)


def macro_recall(sums: NDArray[Any]) -> NDArray[Any]:
    """Mean recall over the classes that occur; never true counts 0, as in scikit-learn."""
    return _macro_rate(sums, 2, over_all=True)


def _macro_rate(sums: NDArray[Any], part: int, *, over_all: bool = False) -> NDArray[Any]:
    import numpy as np

    counts = np.split(sums, 3, axis=-1)
    size = counts[part]
    classes = (counts[1] + counts[2] > 0) if over_all else size > 0
    rates = counts[0] / np.where(size > 0, size, 1)
    mean: NDArray[Any] = rates.sum(axis=-1) / classes.sum(axis=-1)
    return mean


def classification_report(scores: Sequence[Score], *, level: float = 0.95) -> list[ClassRow]:
    """Precision, recall and F1 of every class, from scores that keep label pairs (f1 and kin).

    Raises:
        UndefinedFigure: no score has a pair of labels.
    """
    import numpy as np

    paired = [score for score in scores if score.value is not None and len(score.stats) == 2]
    if not paired:
        raise UndefinedFigure("No score keeps a pair of labels.", hint="Score with the metric f1.")
    labels = sorted({str(label) for score in paired for label in score.stats})
    sums = np.asarray(confusion_rows(paired).sum(axis=0)).reshape(3, -1)
    return [
        _class_row(label, *map(float, column), level=level)
        for label, column in zip(labels, sums.T, strict=True)
    ]


def _class_row(label: str, hit: float, predicted: float, true: float, *, level: float) -> ClassRow:
    precision = wilson(hit, predicted, level=level) if predicted else None
    recall = wilson(hit, true, level=level) if true else None
    notes = [] if predicted else ["never predicted: precision is undefined"]
    notes += [] if true else ["never true: recall is undefined"]
    return ClassRow(
        label=label,
        support=int(true),
        predicted=int(predicted),
        precision=hit / predicted if predicted else None,
        precision_low=precision[0] if precision else None,
        precision_high=precision[1] if precision else None,
        recall=hit / true if true else None,
        recall_low=recall[0] if recall else None,
        recall_high=recall[1] if recall else None,
        f1=2 * hit / (predicted + true),
        note="; ".join(notes),
    )


ACCURACY = Metric(
    "accuracy", 1, score_accuracy, needs=REFERENCE, description="share of right labels"
)


def _f1(name: str, summary: Summary, description: str) -> Metric:
    return Metric(name, 1, score_label_pair, summary, REFERENCE, description=description)


F1 = _f1("f1", Summary(confusion_rows, macro_f1), "macro F1 over labels")
F1_MICRO = _f1("f1_micro", Summary(confusion_rows, micro_f1), "micro F1 over labels")
F1_WEIGHTED = _f1("f1_weighted", Summary(confusion_rows, weighted_f1), "F1 weighted by support")
BALANCED_ACCURACY = _f1(
    "balanced_accuracy", Summary(confusion_rows, balanced_accuracy), "mean recall of true classes"
)
PRECISION = _f1("precision", Summary(confusion_rows, macro_precision), "macro precision")
RECALL = _f1("recall", Summary(confusion_rows, macro_recall), "macro recall")
