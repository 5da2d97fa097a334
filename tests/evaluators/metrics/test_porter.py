"""Stems equal NLTK's, which rouge-score takes."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer

from evaluators.metrics import porter
from evaluators.metrics.porter import stem
from tests.depth import examples

THEIRS = PorterStemmer()
HEADS = (
    *("", "s", "t", "y", "us", "sky", "tr", "th", "hopp", "fil", "fall", "fizz", "conflat", "siz"),
    *("troubl", "plast", "toy", "syzyg", "geo", "archaeo", "relat", "condit", "valen", "operat"),
    *("sensi", "form", "electr", "adopt", "dis", "controll", "bl", "ag", "fe", "m0tor", "ab12"),
)
ENDINGS = (
    *("", "s", "es", "ies", "sses", "ss", "ied", "eed", "ed", "ing", "y", "ye", "e", "ee", "ll"),
    *("ion", "logi", "ology", "ally", "fully", "ly", "alities", "ational", "w", "xing", "yed"),
    *porter._DOUBLE,
    *porter._SINGLE,
    *porter._BARE,
)


def test_every_pair_of_endings_is_stripped_as_nltk_does() -> None:
    words = {"".join(parts) for parts in product(HEADS, ENDINGS[::16], ENDINGS)}
    assert {w: stem(w) for w in words} == {w: THEIRS.stem(w) for w in words}


def test_the_irregular_words_are_those_of_nltk() -> None:
    assert THEIRS.pool == porter.IRREGULAR


@given(word=st.text("aeioyubdglnrstz4", max_size=14))
@settings(max_examples=examples(200), deadline=None)
def test_any_word_has_the_stem_that_nltk_gives_it(word: str) -> None:
    assert stem(word) == THEIRS.stem(word)


@pytest.mark.parametrize("word", ["y" * 5000, "ab" * 5000, "alli" * 3000])
def test_a_word_without_end_is_stemmed_too(word: str) -> None:
    assert stem(word)
