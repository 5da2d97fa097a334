"""Self-consistency: what a model says once and not again when asked the same again.

Manakul, Liusie and Gales 2023, "SelfCheckGPT" (arXiv:2303.08896), two variants. `self_consistency`
is the n-gram one: a sentence is as well supported as its words are, on average, by the other
answers. `self_consistency:MODEL` is the entailment one: the mean over the other answers of the
probability that the answer entails the sentence, by any model that `entailment` takes (its best
window of the answer, since answers may be long). The other answers come with the sample, or from a
`generate` callable through `draw_samples`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from evaluators.checks.models.entailment import entailed, source_windows
from evaluators.checks.text.claims import split_sentences
from evaluators.errors import InvalidValues
from evaluators.metric import Metric, each
from evaluators.types import Sample, Score, Span

Entail = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
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
    reason = "its words are in {:.0%} of the other answers"
    return _summarise(rated, answers=len(answers), reason=reason)


Rated = Sequence[tuple[tuple[int, int], float]]  # a sentence's place, and its support


def _summarise(rated: Rated, *, answers: int, reason: str) -> Score:
    if not rated:
        return Score(None, not_applicable=True, explanation="the output has no words")
    spans = tuple(
        Span(*place, reason.format(support), "inconsistent")
        for place, support in rated
        if support < WEAK
    )
    mean = sum(support for _, support in rated) / len(rated)
    return Score(
        mean,
        explanation=f"{len(spans)} of {len(rated)} sentences have little support by {answers} "
        f"other answer{'s' * (answers != 1)}",
        spans=spans,
        stats=(float(len(rated)), float(answers)),
    )


def _by_entailment(samples: Sequence[Sample], *, entail: Entail) -> list[Score]:
    found = []
    for sample in samples:
        text = sample.prediction
        windows = [source_windows(answer) for answer in sample.samples]
        rated = []
        for a, b in split_sentences(text):
            pairs = [(window, text[a:b]) for part in windows for window in part]
            shares = iter(entail(pairs))
            support = [max((next(shares) for _ in part), default=0.0) for part in windows]
            rated.append(((a, b), sum(support) / len(support)))
        reason = "the other answers entail it with probability {:.2f}"
        found.append(_summarise(rated, answers=len(windows), reason=reason))
    return found


def consistency_by(entail: Entail, *, name: str) -> Metric:
    """Self-consistency with any scorer of entailment.

    Args:
        entail: (premise, hypothesis) pairs -> probability that each premise entails the other.
        name: of the scorer, for the signature.
    """
    return Metric(
        f"self_consistency:{name}",
        1,
        partial(_by_entailment, entail=entail),
        needs=frozenset({"samples"}),
        recipe=lambda scores: "entailment|max-over-windows|mean-over-answers",
        description="entailment of each sentence by other answers to the same input",
    )


def entailment_consistency(model: str) -> Metric:
    """Self-consistency by a model that `entailment` takes."""
    return consistency_by(partial(entailed, model=model), name=model)


SELF_CONSISTENCY = Metric(
    "self_consistency",
    1,
    each(_self_consistency),
    needs=frozenset({"samples"}),
    recipe=lambda scores: "ngram:1",
    description="support of each sentence by other answers to the same input",
)
