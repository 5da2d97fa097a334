"""Self-consistency: what a model says once and not again when asked the same again.

Manakul, Liusie and Gales 2023, "SelfCheckGPT" (arXiv:2303.08896), n-gram variant: a sentence is as
well supported as its words are, on average, by the other answers. The answers come with the sample,
or from a `generate` callable through `draw_samples`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from evaluators.checks.sentences import split_sentences
from evaluators.errors import InvalidValues
from evaluators.metric import Metric
from evaluators.metrics.forms import each
from evaluators.types import Sample, Score, Span

_WORD = re.compile(r"\w+")
WEAK = 0.5


def draw_samples(
    samples: Sequence[Sample], generate: Callable[[str], Sequence[str]]
) -> list[Sample]:
    """Samples with further answers: `generate` takes the input and gives some answers.

    Raises:
        InvalidValues: a sample has no input.
    """
    if any(not sample.input for sample in samples):
        raise InvalidValues("A sample has no input to ask again.", hint="Give its prompt as input.")
    return [replace(s, samples=tuple(generate(s.input or ""))) for s in samples]


def word_support(sentence: str, answers: Sequence[frozenset[str]]) -> float | None:
    """Mean over the words of a sentence of the share of answers that hold them."""
    words = _WORD.findall(sentence.casefold())
    if not words:
        return None
    return sum(sum(w in a for a in answers) / len(answers) for w in words) / len(words)


def _self_consistency(sample: Sample) -> Score:
    answers = [frozenset(_WORD.findall(text.casefold())) for text in sample.samples]
    text = sample.prediction
    found = [((a, b), word_support(text[a:b], answers)) for a, b in split_sentences(text)]
    rated = [(place, support) for place, support in found if support is not None]
    if not rated:
        return Score(None, not_applicable=True, explanation="the output has no words")
    spans = tuple(
        Span(a, b, f"its words are in {support:.0%} of the other answers", "inconsistent")
        for (a, b), support in rated
        if support < WEAK
    )
    mean = sum(support for _, support in rated) / len(rated)
    return Score(mean, spans=spans, stats=(float(len(rated)), float(len(answers))))


SELF_CONSISTENCY = Metric(
    "self_consistency",
    1,
    each(_self_consistency),
    needs=frozenset({"samples"}),
    recipe=lambda scores: "ngram:1",
    description="support of each sentence by other answers to the same input",
)
