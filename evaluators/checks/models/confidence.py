"""Confidence of the model itself, from the log probabilities of the tokens that it wrote.

`confidence` is the geometric mean probability of the tokens, `confidence_min` that of the least
likely one; `token_entropy` is the mean of -log p in nats, an estimate of the entropy per token from
the one answer drawn (Malinin and Gales 2021, arXiv:2002.07650). None is calibrated by itself: see
`risk`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from evaluators.metric import Metric, each
from evaluators.types import Sample, Score

NEEDS = frozenset({"logprobs"})


def _scored(sample: Sample, value: Callable[[Sequence[float]], float]) -> Score:
    """The value with its reason, or an error; tokens come without their text, so no span does."""
    if not all(math.isfinite(p) and p <= 1e-6 for p in sample.logprobs):
        return Score(None, error="a token log probability is above 0 or not finite")
    tokens = [min(p, 0.0) for p in sample.logprobs]
    least = min(tokens)
    reason = (
        f"{len(tokens)} tokens; the least likely, token {tokens.index(least) + 1}, had probability "
        f"{math.exp(least):.3g}"
    )
    return Score(value(tokens), explanation=reason)


def _mean_log(tokens: Sequence[float]) -> float:
    return math.fsum(tokens) / len(tokens)


def _mean(sample: Sample) -> Score:
    return _scored(sample, lambda tokens: math.exp(_mean_log(tokens)))


def _least(sample: Sample) -> Score:
    return _scored(sample, lambda tokens: math.exp(min(tokens)))


def _entropy(sample: Sample) -> Score:
    return _scored(sample, lambda tokens: -_mean_log(tokens))


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
