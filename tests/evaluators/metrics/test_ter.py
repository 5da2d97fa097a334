"""The quick count of edits equals sacrebleu's."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.lib_ter import translation_edit_rate

from evaluators.metrics.edits import count_edits
from tests.depth import examples

TEXTS = st.lists(st.sampled_from("abcdefgh"), max_size=24)


@given(TEXTS, TEXTS)
@settings(max_examples=examples(300), deadline=None)
def test_equal_on_generated_texts(hypothesis: list[str], reference: list[str]) -> None:
    assert count_edits(hypothesis, reference) == translation_edit_rate(hypothesis, reference)[0]


def moved_about(words: list[str], rng: random.Random) -> list[str]:
    """The words with a few blocks moved and a few words replaced."""
    out = list(words)
    for _ in range(4):
        start, size = rng.randrange(len(out)), rng.randint(1, 6)
        block, rest = out[start : start + size], out[:start] + out[start + size :]
        at = rng.randint(0, len(rest))
        out = rest[:at] + block + rest[at:]
    out[rng.randrange(len(out))] = "new"
    return out


@pytest.mark.parametrize(("size", "vocabulary"), [(40, 200), (30, 6), (60, 30), (90, 400)])
def test_equal_on_moved_blocks(size: int, vocabulary: int) -> None:
    rng = random.Random(size + vocabulary)
    for _ in range(2):
        words = [f"w{rng.randrange(vocabulary)}" for _ in range(size)]
        changed = moved_about(words, rng)
        assert count_edits(changed, words) == translation_edit_rate(changed, words)[0]


@pytest.mark.parametrize(("ours", "theirs"), [(20, 60), (60, 20), (2, 120), (50, 50), (0, 30)])
def test_equal_where_the_band_cuts(ours: int, theirs: int) -> None:
    rng = random.Random(ours * 1000 + theirs)
    for _ in range(2):
        one = [f"w{rng.randrange(60)}" for _ in range(ours)]
        two = [f"w{rng.randrange(60)}" for _ in range(theirs)]
        assert count_edits(one, two) == translation_edit_rate(one, two)[0]


def test_a_far_text_is_measured_within_the_band() -> None:
    shared = [f"s{i}" for i in range(40)]
    one = shared + [f"a{i}" for i in range(60)]
    two = [f"b{i}" for i in range(60)] + shared
    assert count_edits(one, two) == translation_edit_rate(one, two)[0]
