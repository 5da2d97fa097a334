"""Sentences of an output held against the source by a model that the user names.

`entailment:MODEL` is the mean over the sentences (SummaC-ZS, Laban et al. 2022, arXiv:2111.09525),
`checker:MODEL` the least supported sentence, as one wrong sentence makes an output wrong. MODEL is
any of `evaluators.checks.named.forms`: a path or hub name, with `?label=NAME` where its labels do
not tell which one is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from evaluators.checks.named.forms import load_checker, parse_name
from evaluators.checks.named.rating import CheckerRating, OutputPart, SourcedOutput
from evaluators.checks.named.sentences import WINDOW
from evaluators.checks.named.windows import windows_of
from evaluators.metric import Metric
from evaluators.types import Sample, Score, Span


def entailed(pairs: Sequence[tuple[str, str]], model: str) -> list[float]:
    """Probability that the first text of each pair entails the second.

    A pair that is too long for the model loses the end of its longer text.
    """
    return load_checker(model).supported(pairs)


def source_windows(text: str, *, size: int = WINDOW) -> list[str]:
    """Overlapping runs of some sentences, each moved on by one; none of an empty text."""
    return [text[a:b] for a, b in windows_of(text, (), limit=1, size=size)]


class _Way(NamedTuple):
    """How sentences make a value: of their supports, its words, and what a span is called."""

    value: Callable[[Sequence[float]], float]
    says: str
    recipe: str
    kind: str


def _mean(supports: Sequence[float]) -> float:
    return sum(supports) / len(supports)


_MEAN = _Way(_mean, "entailed by the source", "mean-over-sentences", "not entailed")
_LEAST = _Way(min, "supported by the source", "min-over-sentences", "not supported")


def _score(samples: Sequence[Sample], *, model: str, way: _Way) -> list[Score]:
    asked = [_ask(sample) for sample in samples]
    return [_summarise(rating, way) for rating in load_checker(model).rate(asked)]


def _ask(sample: Sample) -> SourcedOutput:
    """The input is what was asked where there is a context, else the source itself."""
    if sample.context:
        return SourcedOutput(sample.context, sample.prediction, sample.input or "")
    return SourcedOutput(sample.input or "", sample.prediction)


def _summarise(rating: CheckerRating, way: _Way) -> Score:
    if rating.error is not None:
        return Score(None, error=rating.error)
    if not rating.sentences:
        return Score(None, not_applicable=True, explanation="the output has no sentence")
    supports = [part.support for part in rating.sentences]
    weak = sum(any(_overlap(s, mark) for mark in rating.marks) for s in rating.sentences)
    return Score(
        way.value(supports),
        explanation=f"{weak} of {len(supports)} sentences are not {way.says}",
        spans=tuple(
            Span(mark.start, mark.end, f"supported with probability {mark.support:.2f}", way.kind)
            for mark in rating.marks
        ),
        stats=(float(len(supports)),),
    )


def _overlap(sentence: OutputPart, mark: OutputPart) -> bool:
    return mark.start < sentence.end and sentence.start < mark.end


def entailment(model: str) -> Metric:
    """The mean support of the sentences, by a named model."""
    return _metric("entailment", model, _MEAN, "mean entailment of the sentences by the source")


def checker(model: str) -> Metric:
    """The least support of a sentence, by a named model."""
    return _metric("checker", model, _LEAST, "support of the least supported sentence")


def _metric(kind: str, model: str, way: _Way, description: str) -> Metric:
    parse_name(model)  # a wrong option is said before anything is loaded
    return Metric(
        f"{kind}:{model}",
        2 if way is _MEAN else 1,
        partial(_score, model=model, way=way),
        needs=frozenset({"context"}),
        recipe=lambda scores: f"max-over-windows|{way.recipe}",
        description=description,
    )
