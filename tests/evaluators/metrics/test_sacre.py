"""BLEU, chrF and TER against sacrebleu: corpus, sentence, signature and resamples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF, TER

from evaluators.aggregate import aggregate
from evaluators.errors import EvaluatorError
from evaluators.metrics import sacre
from evaluators.metrics.sacre import bleu, statistic_rows
from evaluators.registry import METRICS
from evaluators.types import Sample

WORDS = st.sampled_from(["the", "cat", "sat", "on", "a", "mat", ".", "Über", "29,90", "€"])
LINES = st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=2, max_size=2)
ENGINES: dict[str, Any] = {
    "bleu": lambda: BLEU(),
    "chrf": lambda: CHRF(),
    "chrf++": lambda: CHRF(word_order=2),
    "ter": lambda: TER(),
}


def samples_of(pairs: list[list[str]]) -> list[Sample]:
    return [Sample(str(i), p, references=(r,)) for i, (p, r) in enumerate(pairs)]


@pytest.mark.parametrize("name", ENGINES)
@given(pairs=st.lists(LINES, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_corpus_value_equals_sacrebleu(name: str, pairs: list[list[str]]) -> None:
    scores = METRICS[name].score(samples_of(pairs))
    ours = aggregate(METRICS[name], scores, [None] * len(pairs), resamples=2).value
    theirs = ENGINES[name]().corpus_score([p for p, _ in pairs], [[r for _, r in pairs]])
    assert ours == pytest.approx(theirs.score, abs=1e-9)


@pytest.mark.parametrize("name", ENGINES)
@given(pair=LINES)
@settings(max_examples=60, deadline=None)
def test_sentence_value_equals_sacrebleu(name: str, pair: list[str]) -> None:
    engine = BLEU(effective_order=True) if name == "bleu" else ENGINES[name]()
    [ours] = METRICS[name].score(samples_of([pair]))
    assert ours.value == pytest.approx(engine.sentence_score(pair[0], [pair[1]]).score, abs=1e-9)


def test_resamples_equal_sacrebleu_on_the_same_draws() -> None:
    rng = np.random.default_rng(0)
    words = ["red", "green", "blue", "fox", "dog", "runs", "home", "now"]
    pairs = [[" ".join(rng.choice(words, 8)), " ".join(rng.choice(words, 8))] for _ in range(30)]
    metric, engine = METRICS["bleu"], BLEU()
    rows = statistic_rows(metric.score(samples_of(pairs)))
    draws = rng.integers(0, 30, size=(50, 30))
    ours = metric.summary.figure(rows[draws].sum(axis=1))
    theirs = [engine._compute_score_from_stats(list(rows[d].sum(axis=0))).score for d in draws]
    assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("counts", "nrefs"), [([1, 1], "1"), ([2, 2], "2"), ([1, 2], "var")])
def test_signature_is_that_of_sacrebleu(counts: list[int], nrefs: str) -> None:
    samples = [Sample(str(i), "a b", references=("a b", "c")[:k]) for i, k in enumerate(counts)]
    signature = METRICS["bleu"].signature(METRICS["bleu"].score(samples))
    assert f"nrefs:{nrefs}|case:mixed|eff:no|tok:13a|smooth:exp|version:" in signature


@pytest.mark.parametrize("name", ["bleu", "ter", "bleu_intl"])
def test_no_text_stays_behind_in_a_tokeniser(name: str) -> None:
    METRICS[name].score([Sample("1", "a cat", references=("the cat",))])
    [options] = [METRICS[name].score_samples.keywords]  # type: ignore[attr-defined]
    tokeniser = sacre._engine(options["kind"], options["options"]).tokenizer
    assert vars(type(tokeniser))["__call__"].cache_info().currsize == 0


@given(pair=LINES, other=LINES)
@settings(max_examples=40, deadline=None)
def test_chrf_with_words_equals_sacrebleu_beside_chrf(pair: list[str], other: list[str]) -> None:
    samples = [
        Sample("1", pair[0], references=(pair[1],)),
        Sample("2", pair[0], references=(*other,)),
    ]
    for name in ("chrf", "chrf++"):
        for sample, score in zip(samples, METRICS[name].score(samples), strict=True):
            theirs = ENGINES[name]().sentence_score(sample.prediction, list(sample.references))
            assert score.value == pytest.approx(theirs.score, abs=1e-9)


def test_other_tokenisers_are_named_in_the_signature() -> None:
    metric = bleu("bleu_char", tokenize="char")
    scores = metric.score([Sample("1", "abc", references=("abd",))])
    assert "tok:char" in metric.signature(scores)


def test_every_tokeniser_of_sacrebleu_has_a_metric() -> None:
    assert {f"bleu_{name}" for name in BLEU.TOKENIZERS} <= METRICS.keys()


@pytest.mark.parametrize("name", ["13a", "none", "zh", "intl", "char"])
@given(pairs=st.lists(LINES, min_size=1, max_size=3))
@settings(max_examples=15, deadline=None)
def test_tokenisers_equal_those_of_sacrebleu(name: str, pairs: list[list[str]]) -> None:
    metric = METRICS[f"bleu_{name}"]
    ours = aggregate(metric, metric.score(samples_of(pairs)), [None] * len(pairs), resamples=2)
    theirs = BLEU(tokenize=name).corpus_score([p for p, _ in pairs], [[r for _, r in pairs]])
    assert ours.value == pytest.approx(theirs.score, abs=1e-9)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([["Привет, мир", "Привет, мир"], ["a b", "a b"]], True),
        ([["a b c", "a b c d e"]], True),
        ([["a b", "a b"], ["a b c d", "a b c d"]], False),
    ],
)
def test_that_outputs_too_short_for_bleu_are_said(pairs: list[list[str]], said: bool) -> None:
    metric = METRICS["bleu"]
    found = aggregate(metric, metric.score(samples_of(pairs)), [None] * len(pairs), resamples=2)
    assert ("no output has four words" in found.note) == said
    assert (found.value == 0) == said


@pytest.mark.parametrize("name", ["ja-mecab", "ko-mecab", "spm", "flores200", "spBLEU-1K"])
@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (ImportError("\n\nlong\ninstructions"), "pip install "),
        (OSError("<urlopen error\nunknown host>"), "copy the model's file into "),
    ],
)
def test_what_a_tokeniser_lacks_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, problem: Exception, words: str
) -> None:
    def refuse(**options: Any) -> None:
        raise problem

    monkeypatch.setattr("sacrebleu.metrics.BLEU", refuse)
    metric = bleu(f"bleu_{name}", tokenize=name)
    sacre._engine.cache_clear()
    with pytest.raises(EvaluatorError, match=words) as caught:
        metric.score([Sample("1", "a", references=("a",))])
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)
