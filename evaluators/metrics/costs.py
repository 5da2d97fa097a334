"""What an output took: time, tokens, money. Means per output, lower is better."""

from __future__ import annotations

from evaluators.metric import Metric
from evaluators.metrics.forms import each
from evaluators.types import Sample, Score


def _seconds(sample: Sample) -> Score:
    return Score(sample.seconds)


def _tokens(sample: Sample) -> Score:
    return Score(None if sample.tokens is None else float(sample.tokens))


def _cost(sample: Sample) -> Score:
    return Score(sample.cost)


LATENCY = Metric(
    "latency", 1, each(_seconds), needs=frozenset({"seconds"}), higher_is_better=False, scale=None
)
TOKENS = Metric(
    "tokens", 1, each(_tokens), needs=frozenset({"tokens"}), higher_is_better=False, scale=None
)
COST = Metric("cost", 1, each(_cost), needs=frozenset({"cost"}), higher_is_better=False, scale=None)
