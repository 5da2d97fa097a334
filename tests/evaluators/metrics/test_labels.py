"""Accuracy and F1 against scikit-learn, and the table of classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from evaluators.aggregate import aggregate
from evaluators.errors import UndefinedFigure
from evaluators.metrics.labels import classification_report
from evaluators.registry import METRICS
from evaluators.types import Sample, Score


def labelled(pairs: list[tuple[str, str]]) -> list[Sample]:
    return [Sample(str(i), p, references=(t,)) for i, (p, t) in enumerate(pairs)]


def random_pairs(seed: int, n: int = 200) -> list[tuple[str, str]]:
    rng = np.random.default_rng(seed)
    true = rng.choice(["a", "b", "c", "rare"], n, p=[0.5, 0.3, 0.18, 0.02])
    noise = rng.choice(["a", "b", "c", "never true"], n)
    keep = rng.random(n) < 0.6
    return [(str(t if k else x), str(t)) for t, x, k in zip(true, noise, keep, strict=True)]


@pytest.mark.parametrize(
    ("name", "average"), [("f1", "macro"), ("f1_micro", "micro"), ("f1_weighted", "weighted")]
)
@pytest.mark.parametrize("seed", range(5))
def test_f1_equals_scikit_learn(name: str, average: str, seed: int) -> None:
    pairs = random_pairs(seed)
    metric = METRICS[name]
    figure = aggregate(metric, metric.score(labelled(pairs)), [None] * len(pairs))
    true, predicted = [t for _, t in pairs], [p for p, _ in pairs]
    assert figure.value == pytest.approx(f1_score(true, predicted, average=average), abs=1e-12)
    assert figure.low < figure.value < figure.high


@pytest.mark.parametrize(
    ("prediction", "references", "value"),
    [
        ("yes", ("yes",), 1.0),
        (" yes\n", ("yes",), 1.0),
        ("Yes", ("yes",), 0.0),
        ("b", ("a", "b"), 1.0),
        ("", ("a",), 0.0),
        ("", ("",), 1.0),
    ],
)
def test_accuracy_of_one(prediction: str, references: tuple[str, ...], value: float) -> None:
    sample = Sample("1", prediction, references=references)
    assert METRICS["accuracy"].score([sample])[0].value == value


def test_two_references_are_no_class_label() -> None:
    [score] = METRICS["f1"].score([Sample("1", "a", references=("a", "b"))])
    assert score.error == "2 references; a class label is one"


def test_report_says_where_a_rate_is_undefined() -> None:
    scores = METRICS["f1"].score(labelled([("a", "a"), ("a", "b"), ("c", "a")]))
    rows = {row.label: row for row in classification_report(scores)}
    assert (rows["a"].precision, rows["a"].recall) == (0.5, 0.5)
    assert rows["b"].precision is None
    assert rows["b"].note == "never predicted: precision is undefined"
    assert rows["c"].note == "never true: recall is undefined"
    assert rows["a"].precision_low is not None
    assert rows["a"].precision_low < 0.5


def test_report_of_nothing_is_an_error() -> None:
    with pytest.raises(UndefinedFigure, match="keeps a pair of labels"):
        classification_report([Score(1.0), Score(None, error="x")])


def test_ten_thousand_classes_are_summarised() -> None:
    pairs = [(f"c{i}", f"c{i if i % 2 else i + 1}") for i in range(10_000)]
    metric = METRICS["f1"]
    figure = aggregate(metric, metric.score(labelled(pairs)), [None] * len(pairs), resamples=20)
    assert 0 < figure.value < 1
