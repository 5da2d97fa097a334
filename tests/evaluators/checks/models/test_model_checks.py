"""Checks that ask a model: entailment and encoders with tiny ones made here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evaluators.checks.models.entailment import source_windows
from evaluators.errors import EvaluatorError
from evaluators.registry import resolve_metrics
from evaluators.types import Sample

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "dog", "ran", "a", "."]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A function that saves a tiny random BERT with the labels asked for and gives its folder."""
    import torch
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        BertTokenizer,
    )

    def make(labels: str) -> str:
        folder = tmp_path_factory.mktemp("model")
        (folder / "vocab.txt").write_text("\n".join(WORDS))
        names = labels.split()
        config = BertConfig(
            vocab_size=len(WORDS),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=64,
            id2label=dict(enumerate(names)),
            label2id={name: i for i, name in enumerate(names)},
        )
        torch.manual_seed(0)
        BertForSequenceClassification(config).save_pretrained(folder)
        BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
        return str(folder)

    return make


@pytest.mark.parametrize("labels", ["contradiction entailment neutral", "score"])
def test_entailment(tiny_model: Callable[[str], str], labels: str) -> None:
    [metric] = resolve_metrics([f"entailment:{tiny_model(labels)}"])
    context = "The cat sat. The dog ran. A cat ran. A dog sat."
    samples = [
        Sample("1", "The cat sat. A dog ran.", context=context),
        Sample("2", "", context=context),
        Sample("3", "The cat sat."),
    ]
    first, empty, lacking = metric.score(samples)
    assert first.value is not None
    assert 0 < first.value < 1
    assert all(span.kind == "not entailed" for span in first.spans)
    assert empty.not_applicable
    assert lacking.error == "no source to check against"


def test_a_model_without_the_label_is_refused(tiny_model: Callable[[str], str]) -> None:
    [metric] = resolve_metrics([f"entailment:{tiny_model('yes no')}"])
    with pytest.raises(EvaluatorError, match="has the labels yes, no, and which"):
        metric.score([Sample("1", "The cat.", context="The cat.")])


@pytest.mark.parametrize("kind", ["entailment", "embedding", "bertscore"])
def test_a_model_that_is_not_there(kind: str, tmp_path: Path) -> None:
    [metric] = resolve_metrics([f"{kind}:{tmp_path}"])
    with pytest.raises(EvaluatorError, match="cannot be loaded"):
        metric.score([Sample("1", "a", references=("a",), context="a")])


def test_windows_overlap() -> None:
    assert source_windows("A a. B b. C c. D d.", size=2) == ["A a. B b.", "B b. C c.", "C c. D d."]
    assert source_windows("A a.", size=3) == ["A a."]


@pytest.mark.parametrize("kind", ["embedding", "bertscore"])
def test_encoders(tiny_model: Callable[[str], str], kind: str) -> None:
    [metric] = resolve_metrics([f"{kind}:{tiny_model('x y')}"])
    same, other, empty = metric.score(
        [
            Sample("1", "the cat sat", references=("a dog", "the cat sat")),
            Sample("2", "the cat sat", references=("a dog ran",)),
            Sample("3", "", references=("a dog ran",)),
        ]
    )
    assert same.value == pytest.approx(1.0, abs=1e-4)
    assert other.value is not None
    assert other.value < 0.9999
    assert empty.error == "the output has no token"


def test_self_consistency_by_a_model(tiny_model: Callable[[str], str]) -> None:
    folder = tiny_model("contradiction entailment neutral")
    by_source, by_answers = resolve_metrics([f"entailment:{folder}", f"self_consistency:{folder}"])
    told = "The cat sat."
    sample = Sample("1", "A dog ran.", context=told, samples=(told, told, "A cat ran. The dog."))
    [alone] = by_source.score([Sample("1", "A dog ran.", context=told)])
    [third] = by_source.score([Sample("1", "A dog ran.", context="A cat ran. The dog.")])
    [score] = by_answers.score([sample])
    assert alone.value is not None
    assert third.value is not None
    assert score.value == pytest.approx((2 * alone.value + third.value) / 3, abs=1e-5)
    assert "entailment" in by_answers.signature()


def test_a_sentence_that_the_model_cannot_read_whole_is_an_error(
    tiny_model: Callable[[str], str],
) -> None:
    [metric] = resolve_metrics([f"entailment:{tiny_model('contradiction entailment')}"])
    samples = [
        Sample("1", "the cat sat " * 30, context="The cat sat."),
        Sample("2", "A dog ran.", context="the cat sat " * 300),
    ]
    long, short = metric.score(samples)
    assert long.error == "a sentence of 90 tokens is too long for the model, which reads 32"
    assert short.value is not None
