"""What a metric is: a named, versioned way to score samples and to summarise the scores.

A corpus figure is a function of *sums* of per-example rows of numbers (sacrebleu's idea for BLEU,
here for every metric). Means, corpus BLEU and macro-F1 alike are then resampled by one matrix
product, and computed again from scores that were stored long ago.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from evaluators.types import Sample, Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = Any  # NDArray[float64] of shape (n, k), or a scipy sparse array of that shape
    Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Summary:
    """How a corpus figure comes from scores.

    Attributes:
        rows: scores that have values -> numbers of shape (n, k), dense or scipy-sparse.
        figure: sums of rows, shape (..., k) -> figures, shape (...).
        is_mean: the figure is the plain mean of the values.
    """

    rows: Callable[[Sequence[Score]], Rows]
    figure: Callable[[Values], Values]
    is_mean: bool = False


def _value_rows(scores: Sequence[Score]) -> Values:
    import numpy as np

    values = np.array([score.value for score in scores], dtype=np.float64)
    return np.column_stack([values, np.ones(len(values))])


def _mean_of_sums(sums: Values) -> Values:
    mean: Values = sums[..., 0] / sums[..., 1]
    return mean


MEAN = Summary(_value_rows, _mean_of_sums, is_mean=True)


def each(score_one: Callable[[Sample], Score]) -> Callable[[Sequence[Sample]], list[Score]]:
    """A scorer of one sample as a scorer of many."""
    return partial(_score_each, score_one)


def _score_each(score_one: Callable[[Sample], Score], samples: Sequence[Sample]) -> list[Score]:
    return [score_one(sample) for sample in samples]


def no_note(scores: Sequence[Score]) -> str:
    """Nothing to say of any scores."""
    return ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A named, versioned way to score samples and to summarise many scores.

    Attributes:
        version: raised whenever any score could change.
        score_samples: samples that have what the metric needs -> one score each, same order.
        needs: fields that a sample must have: "reference", "context", "logprobs", ...
        scale: largest value of the unit, 1 or 100; None where there is no bound.
        reads_others: it looks at the other answers to the source, which the caller puts in
            (`evaluators.checks.grounding.others.with_others`).
        notes: what a reader of the figure should know of the scores that it is made of, or "".
        recipe: parameters that go into the signature, given the scores (for BLEU, sacrebleu's).
    """

    name: str
    version: int
    score_samples: Callable[[Sequence[Sample]], list[Score]]
    summary: Summary = field(default=MEAN)
    needs: frozenset[str] = frozenset()
    higher_is_better: bool = True
    scale: float | None = 1.0
    recipe: Callable[[Sequence[Score]], str] = no_note
    description: str = ""
    notes: Callable[[Sequence[Score]], str] = no_note
    reads_others: bool = False

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """One score per sample, in order; a sample that lacks what is needed gets an error."""
        checks = [_ASKED[need] for need in sorted(self.needs)]
        if all(has(sample) for has, _ in checks for sample in samples):
            return self.score_samples(samples) if samples else []
        lacks = [_lack(sample, checks) for sample in samples]
        given = [s for s, lack in zip(samples, lacks, strict=True) if lack is None]
        scored = iter(self.score_samples(given) if given else [])
        return [next(scored) if lack is None else Score(None, error=lack) for lack in lacks]

    def signature(self, scores: Sequence[Score] = (), **extra: str | int | float) -> str:
        """Everything needed to compute the number again, as `name|key:value|...`."""
        parts = [self.name, f"strop:{self.version}", self.recipe(scores)]
        parts += [f"{key}:{value}" for key, value in extra.items()]
        return "|".join(part for part in parts if part)


Check = tuple[Callable[[Sample], bool], str]


def _has_reference(sample: Sample) -> bool:
    """White space alone is none; an empty text is one only where somebody gave it as a list."""
    return any(not text or not text.isspace() for text in sample.references)


_ASKED: dict[str, Check] = {
    "reference": (_has_reference, "no reference to compare with"),
    "context": (lambda s: bool(s.context and s.context.strip()), "no source to check against"),
    "input": (lambda s: bool(s.input), "no input given"),
    "logprobs": (lambda s: bool(s.logprobs), "no token log probabilities given"),
    "sources": (lambda s: bool(s.sources), "no list of citable sources given"),
    "samples": (lambda s: bool(s.samples), "no further samples of the same input given"),
    "seconds": (lambda s: s.seconds is not None, "no time given"),
    "tokens": (lambda s: s.tokens is not None, "no token count given"),
    "cost": (lambda s: s.cost is not None, "no cost given"),
}


def _lack(sample: Sample, checks: Sequence[Check]) -> str | None:
    """The reason why the sample cannot be scored, or None."""
    for has, reason in checks:
        if not has(sample):
            return reason
    return None
