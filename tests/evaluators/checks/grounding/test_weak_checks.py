"""Checks that give a share and reasons: overlap, self-consistency and confidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from evaluators.checks.grounding.overlap import content_stems
from evaluators.checks.models.self_consistency import consistency_by
from evaluators.registry import METRICS
from evaluators.types import Sample


def by_equality(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """A scorer of entailment: a text entails what it holds word for word."""
    return [0.9 if said in told else 0.1 for told, said in pairs]


CONSISTENT = consistency_by(by_equality, name="words")


def test_self_consistency_by_entailment_marks_what_the_others_do_not_entail() -> None:
    sample = Sample("1", "It sat. It flew.", samples=("It sat.", "It sat. It ran. It hid. It lay."))
    [score] = CONSISTENT.score([sample])
    assert [sample.prediction[s.start : s.end] for s in score.spans] == ["It flew."]
    assert score.value == pytest.approx((0.9 + 0.1) / 2)
    assert score.explanation == "1 of 2 sentences have little support by 2 other answers"


def test_each_answer_counts_once_however_long_it_is() -> None:
    long = "It sat. " + "It ran. " * 30
    [score] = CONSISTENT.score([Sample("1", "It sat.", samples=(long, "No.", "No."))])
    assert score.value == pytest.approx((0.9 + 0.1 + 0.1) / 3)


def test_an_empty_answer_supports_nothing() -> None:
    [score] = CONSISTENT.score([Sample("1", "It sat.", samples=("It sat.", "  "))])
    assert score.value == pytest.approx(0.45)


@pytest.mark.parametrize("text", ["", " \n", "?!"])
def test_without_words_self_consistency_does_not_apply(text: str) -> None:
    sample = Sample("1", text, samples=("It sat.",))
    assert METRICS["self_consistency"].score([sample])[0].not_applicable


@pytest.mark.parametrize(
    ("metric", "output", "value"),
    [
        ("overlap", "The cats sat.", 1.0),
        ("overlap", "The dogs sat.", 0.5),
        ("overlap_pairs", "The cats sat.", 1.0),
        ("overlap_pairs", "Sat the cats.", 0.0),
        ("source_rouge", "the cat", 1.0),
        ("source_rouge", "the dog", 0.5),
        ("novel_words", "The cats sat.", 0.0),
        ("novel_words", "The dogs barked, the cat sat.", 2.0),
        ("novel_stretch", "The cats sat.", 0.0),
        ("novel_stretch", "The dogs barked, the cat sat.", 2.0),
        ("novel_stretch", "Dogs sat and dogs barked.", 2.0),
    ],
)
def test_overlap_with_the_source(metric: str, output: str, value: float) -> None:
    [score] = METRICS[metric].score([Sample("1", output, context="A cat; the cat sat down.")])
    assert score.value == pytest.approx(value)


def test_overlap_marks_sentences_that_are_worded_otherwise() -> None:
    sample = Sample("1", "The cat sat. Dragons breathe fire.", context="The cat sat.")
    [score] = METRICS["overlap"].score([sample])
    assert [sample.prediction[s.start : s.end] for s in score.spans] == ["Dragons breathe fire."]
    [nothing] = METRICS["overlap"].score([Sample("1", "of the", context="The cat sat.")])
    assert nothing.not_applicable


def test_input_overlap_asks_whether_the_source_speaks_of_the_question() -> None:
    sample = Sample("1", "x", context="Cats sleep.", input="Do cats dream?")
    assert METRICS["input_overlap"].score([sample])[0].value == pytest.approx(0.5)


def test_content_stems_leave_function_words_out() -> None:
    assert content_stems("The cats were running") == ["cat", "run"]


@pytest.mark.parametrize("name", ["confidence", "confidence_min", "token_entropy"])
def test_confidence_names_the_least_likely_token(name: str) -> None:
    [score] = METRICS[name].score([Sample("1", "x", logprobs=(-0.1, -3.0, -0.2))])
    assert "token 2, had probability 0.0498" in (score.explanation or "")


@pytest.mark.parametrize("bad", [float("nan"), float("-inf"), 0.5])
def test_confidence_of_a_broken_log_probability_is_an_error(bad: float) -> None:
    [score] = METRICS["confidence"].score([Sample("1", "x", logprobs=(-0.1, bad))])
    assert score.error == "a token log probability is above 0 or not finite"


BAD_INPUT: list[Callable[[], Sample]] = [
    lambda: Sample("1", "\u202eשלום\u202c 🙂", context="x", input="y", samples=("z",)),
    lambda: Sample("1", "a" * 1_000_000, context="b" * 1_000_000, input="y", samples=("z",)),
    lambda: Sample("1", "a " * 100_000, context="\x00", input="\ud7ff", samples=("",)),
    lambda: Sample("1", "", context="e\u0301", input=" ", samples=(" ",), sources={"": ""}),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("make", BAD_INPUT)
@pytest.mark.parametrize(
    "name",
    [
        "grounding",
        "invented",
        "overlap",
        "overlap_pairs",
        "input_overlap",
        "source_rouge",
        "novel_words",
        "novel_stretch",
        "citations",
        "self_consistency",
        "confidence",
    ],
)
def test_bad_input_is_a_value_or_a_sentence(name: str, make: Callable[[], Sample]) -> None:
    [score] = METRICS[name].score([make()])
    assert score.value is not None or score.error or (score.not_applicable and score.explanation)
