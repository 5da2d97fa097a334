"""When an answer counts as right: equality after normalisation, or a metric with a bound.

The accepted texts of a prompt are what experts wrote or approved for it. The rule is frozen with
the training set, before training, and its signature stands on every figure that comes of it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.services.curation import FixedRule
from backend.services.curation.fixed import fixed_metric
from backend.tables.datasets import Example

if TYPE_CHECKING:
    from evaluators.types import Sample

EQUALITY = "equal|strop:1|nfkc,casefold,space,stop"


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer to judge, with the texts that are accepted for its prompt."""

    example: Example
    answer: str
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether an answer is right, or the reason why that cannot be told."""

    right: bool | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Answers judged by one rule, in the order in which they were asked."""

    judged: tuple[Judged, ...]
    signature: str


def normalise(text: str) -> str:
    """NFKC, case folded, runs of white space as one space, a last full stop left out."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).removesuffix(".")


def judge_answers(rule: FixedRule, asked: Sequence[Asked]) -> Judgement:
    """Judge answers by a rule.

    Raises:
        InvalidInput: there is no metric of the rule's name.
    """
    metric = fixed_metric(rule)
    if metric is None:
        return Judgement(tuple(_equal(one) for one in asked), EQUALITY)
    scores = metric.score([_sample(one) for one in asked])
    judged = tuple(
        Judged(None, score.error or f"{rule.metric} does not apply to it")
        if score.value is None
        else Judged(_within(rule, score.value))
        for score in scores
    )
    return Judgement(judged, f"{metric.signature(scores)}|right:{rule}")


def _equal(one: Asked) -> Judged:
    return Judged(normalise(one.answer) in {normalise(text) for text in one.accepted})


def _within(rule: FixedRule, value: float) -> bool:
    if rule.at_least is not None:
        return value >= rule.at_least - 1e-9
    return rule.at_most is not None and value <= rule.at_most + 1e-9


def _sample(one: Asked) -> Sample:
    from evaluators.types import Sample

    return Sample(
        id=one.example.external_id,
        prediction=one.answer,
        references=one.accepted,
        context=one.example.context,
        input=one.example.input,
        group=one.example.group,
    )
