"""Confidence of the model itself, from the log probabilities of the tokens that it wrote.

`confidence` is the geometric mean probability of the tokens, `confidence_min` that of the least
likely one; `token_entropy` is the mean of -log p in nats, an estimate of the entropy per token from
the one answer drawn (Malinin and Gales 2021, arXiv:2002.07650). None is calibrated by itself: see
`risk`.
"""

from __future__ import annotations

import math

from evaluators.metric import Metric
from evaluators.metrics.forms import each
from evaluators.types import Sample, Score

NEEDS = frozenset({"logprobs"})


def _usable(sample: Sample) -> str | None:
    if all(math.isfinite(p) and p <= 1e-6 for p in sample.logprobs):
        return None
    return "a token log probability is above 0 or not finite"


def _mean(sample: Sample) -> Score:
    problem = _usable(sample)
    if problem is not None:
        return Score(None, error=problem)
    return Score(math.exp(min(0.0, sum(sample.logprobs) / len(sample.logprobs))))


def _least(sample: Sample) -> Score:
    problem = _usable(sample)
    return Score(None, error=problem) if problem else Score(math.exp(min(0.0, *sample.logprobs, 0)))


def _entropy(sample: Sample) -> Score:
    problem = _usable(sample)
    if problem is not None:
        return Score(None, error=problem)
    return Score(max(0.0, -sum(sample.logprobs) / len(sample.logprobs)))


CONFIDENCE = Metric("confidence", 1, each(_mean), needs=NEEDS, description="mean token probability")
CONFIDENCE_MIN = Metric(
    "confidence_min", 1, each(_least), needs=NEEDS, description="least token probability"
)
TOKEN_ENTROPY = Metric(
    "token_entropy",
    1,
    each(_entropy),
    needs=NEEDS,
    higher_is_better=False,
    scale=None,
    description="mean of -log p, nats per token",
)
