"""The quick ROUGE equals the rouge-score library."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from evaluators.metrics.rouge import VARIANTS, lcs_length
from evaluators.registry import METRICS
from evaluators.types import Sample
from tests.depth import examples

WORDS = st.sampled_from([*"abcde", "running", "runs", "Stone", "stones", "x-y", "Ünï", "7", "\n"])
TEXTS = st.one_of(
    st.lists(WORDS, max_size=40).map(" ".join),
    st.text(max_size=60),
)
THEIRS = {stem: RougeScorer(list(VARIANTS), use_stemmer=stem) for stem in (False, True)}


def assert_equal(prediction: str, references: list[str], *, stem: bool) -> None:
    sample = Sample("1", prediction, references=tuple(references))
    theirs = THEIRS[stem].score_multi(references, prediction)
    for name in VARIANTS:
        [ours] = METRICS[name + ("_stem" if stem else "")].score([sample])
        if ours.error is not None:  # where a text keeps no word rouge-score says 0
            assert "keeps no word" in ours.error
            assert theirs[name].fmeasure == 0.0
            continue
        assert ours.value == pytest.approx(theirs[name].fmeasure, abs=1e-9)
        expected = (theirs[name].precision, theirs[name].recall)
        assert ours.stats[:2] == pytest.approx(expected, abs=1e-9)


@given(TEXTS, TEXTS, st.booleans())
@settings(max_examples=examples(500), deadline=None)
def test_equal_on_generated_pairs(prediction: str, reference: str, stem: bool) -> None:
    assert_equal(prediction, [reference], stem=stem)


@given(TEXTS, st.lists(TEXTS, min_size=2, max_size=3))
@settings(max_examples=examples(100), deadline=None)
def test_equal_with_several_references(prediction: str, references: list[str]) -> None:
    assert_equal(prediction, references, stem=False)


@pytest.mark.parametrize(
    ("prediction", "reference"),
    [
        ("", ""),
        ("", "a"),
        ("a b", ""),
        ("...", "a"),
        ("a\n\nb", "b\na"),
        ("a b c\nb d", "b c\nd b a\nc"),
        ("b \n b a", "b b"),
        ("İstanbul K", "istanbul k"),
    ],
)
def test_equal_at_the_edges(prediction: str, reference: str) -> None:
    assert_equal(prediction, [reference], stem=False)


def test_lcs_of_long_texts() -> None:
    assert lcs_length(list("abc" * 500), list("acb" * 500)) == 1000


def test_signature_names_the_recipe() -> None:
    signature = METRICS["rougeLsum_stem"].signature()
    assert "stem:porter" in signature
    assert "sentences:lines" in signature
