"""Exact match and token F1, by hand from the rules of SQuAD."""

from __future__ import annotations

import pytest

from evaluators.registry import METRICS
from evaluators.types import Sample


@pytest.mark.parametrize(
    ("prediction", "references", "exact", "f1"),
    [
        ("The cat.", ("cat",), 1.0, 1.0),
        ("a cat, the dog", ("Cat dog",), 1.0, 1.0),
        ("cat dog", ("cat",), 0.0, 2 / 3),
        ("cat", ("bird", "cat sat"), 0.0, 2 / 3),
        ("", ("",), 1.0, 1.0),
        ("the", ("",), 1.0, 1.0),
        ("", ("cat",), 0.0, 0.0),
        ("cat cat", ("cat",), 0.0, 2 / 3),
        ("theory", ("ory",), 0.0, 0.0),
        ("naïve 🙂", ("Naïve 🙂!",), 1.0, 1.0),
    ],
)
def test_values(prediction: str, references: tuple[str, ...], exact: float, f1: float) -> None:
    sample = [Sample("1", prediction, references=references)]
    assert METRICS["exact_match"].score(sample)[0].value == exact
    assert METRICS["token_f1"].score(sample)[0].value == pytest.approx(f1)
