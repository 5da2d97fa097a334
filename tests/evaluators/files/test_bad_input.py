"""Whatever the text, a metric gives a stated value or a sentence: no traceback, no silent zero."""

from __future__ import annotations

import math
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.metrics.sacre import PACKAGES
from evaluators.registry import METRICS
from evaluators.types import Sample, Score
from tests.depth import examples

ODD = [
    "🙂🙃",
    "\u202eשלום\u202c",
    "مرحبا بالعالم",
    "e\u0301te\u0301",
    "\x00",
    "İ K ẞ ﬁ",
    "\n\n",
    " ",
    "",
]
TEXTS = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(ODD), max_size=4).map(" ".join))
NEED_DOWNLOADS = {f"bleu_{name}" for name in PACKAGES}
NAMES = [name for name in METRICS if name not in NEED_DOWNLOADS]


def score(name: str, prediction: str, reference: str) -> Score:
    sample = Sample("1", prediction, references=(reference,), context=reference)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [found] = METRICS[name].score([sample])
    return found


@pytest.mark.parametrize("name", NAMES)
@given(prediction=TEXTS, reference=TEXTS)
@settings(max_examples=examples(50), deadline=None)
def test_any_text_gives_a_value_or_a_sentence(name: str, prediction: str, reference: str) -> None:
    found = score(name, prediction, reference)
    if found.value is None:
        assert found.error or found.not_applicable
    else:
        assert math.isfinite(found.value)


@pytest.mark.parametrize("name", ["rouge1", "rougeLsum", "token_f1", "f1"])
def test_a_megabyte_in_one_cell(name: str) -> None:
    long = "word " * 200_000
    assert score(name, long, "a word").value is not None


def test_a_text_too_long_for_ter_is_said() -> None:
    found = score("ter", "word " * 200_000, "a word")
    assert found.error == "a text of more than 2,000 words is too long for TER"
    short, long = (Sample(str(i), "a b " * k, references=("a b",)) for i, k in ((1, 1), (2, 2000)))
    assert [s.value for s in METRICS["ter"].score([long, short])] == [None, 0.0]
