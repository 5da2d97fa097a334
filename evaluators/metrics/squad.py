"""Exact match and token F1 under the rules of SQuAD (Rajpurkar et al. 2016, arXiv:1606.05250).

Text is lower-cased, ASCII punctuation and the articles a, an and the are removed, white space is
folded. With several references the best one counts. In line with SQuAD 2.0, an answer that is
empty after this equals only a reference that is empty too.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from evaluators.metric import Metric
from evaluators.types import Sample, Score

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def token_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of token precision and recall, from 0 to 1."""
    ours, theirs = normalise_answer(prediction).split(), normalise_answer(reference).split()
    if not ours or not theirs:
        return float(ours == theirs)
    common = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * common / (len(ours) + len(theirs))


def score_exact_match(samples: Sequence[Sample]) -> list[Score]:
    """1 where the normalised prediction equals a normalised reference, else 0."""
    return [_exact(s) for s in samples]


def _exact(sample: Sample) -> Score:
    answer = normalise_answer(sample.prediction)
    return Score(float(any(answer == normalise_answer(r) for r in sample.references)))


def score_token_f1(samples: Sequence[Sample]) -> list[Score]:
    """Best token F1 over the references."""
    return [Score(max(token_f1(s.prediction, r) for r in s.references)) for s in samples]


NEEDS = frozenset({"reference"})
EXACT_MATCH = Metric(
    "exact_match",
    1,
    score_exact_match,
    needs=NEEDS,
    recipe=lambda scores: "norm:squad",
    description="share of answers equal to a reference",
)
TOKEN_F1 = Metric(
    "token_f1",
    1,
    score_token_f1,
    needs=NEEDS,
    recipe=lambda scores: "norm:squad",
    description="overlap of answer and reference in words",
)
