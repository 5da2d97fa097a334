"""How far an output is from the answer that a person made of it."""

from __future__ import annotations

from evaluators.metric import Metric
from evaluators.metrics.forms import each
from evaluators.types import Sample, Score


def edit_similarity(prediction: str, reference: str) -> float:
    """1 - edits / length of the longer text, in characters (Levenshtein 1966); 1 if both empty."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(prediction, reference))


def _edits(sample: Sample) -> Score:
    return Score(max(edit_similarity(sample.prediction, r) for r in sample.references))


EDIT_SIMILARITY = Metric(
    "edit_similarity",
    1,
    each(_edits),
    needs=frozenset({"reference"}),
    description="1 - share of characters to be edited to reach the reference",
)
