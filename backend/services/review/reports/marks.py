"""Marked errors as a score: penalties by kind and severity, for each 100 words of output (MQM).

    penalty per 100 words = 100 * sum of the marks' weights / words of the output

Weights of errors are the rubric's. With those of the library's translation rubric this is the MQM
score of Freitag et al. 2021 (TACL 9:1460), for each 100 words instead of each segment; lower is
better, 0 is without error. In the score of a model, outputs weigh by the inverse of the chance with
which the design drew them. Words are what white space parts, and every Han or kana character, as
Unicode's word boundaries have it (UAX #29). An output without words, or in a script whose words
only a dictionary parts (Thai, Lao, Khmer, Burmese, Tibetan), has no length to weigh errors by: it
is left out of its model's score and counted there, with the reason.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from backend.errors import CannotCompute
from backend.rubrics import Rubric
from backend.services.review.answer import SpanMark
from backend.services.review.counted import counts
from backend.services.review.queues import get_queue, rubric_of
from backend.services.review.reports.votes import cluster_name
from backend.tables.review import QueueKind, Review, ReviewItem, Span
from backend.tables.runs import Generation
from evaluators.statistics import RESAMPLES

if TYPE_CHECKING:
    from evaluators.statistics.intervals import Interval

VERSION = 2
LEAST_CLUSTERS = 3


@dataclass(frozen=True, slots=True)
class ModelMarkScore:
    """The score of a model in a queue: total penalty by total words, with its 95% interval.

    Attributes:
        value, low, high: None where `error` says why there is no figure.
        rough: the interval may miss its level; `note` says why.
        left_out: outputs that have no length, by reason; they are not in n.
        n: outputs; where several people reviewed one, it counts once, with their mean penalty.
        n_marks: errors marked by all reviewers.
        n_simulated: reviews that a script wrote.
        by_kind: mean penalty per 100 words of each kind of error; they add up to the value.
    """

    model: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    left_out: dict[str, int]
    n_marks: int
    n_simulated: int
    by_kind: dict[str, float]
    error: str | None
    rough: bool
    note: str
    signature: str


def penalty_of(rubric: Rubric, marks: Iterable[Span | SpanMark]) -> float:
    """The weights of an output's marks together.

    Raises:
        CannotCompute: the rubric weighs no errors, or a mark has no severity of its.
    """
    if not rubric.severities:
        raise CannotCompute(f"The rubric {rubric.name} weighs no errors.", hint="Add severities.")
    known, found = {severity.name for severity in rubric.severities}, list(marks)
    if any(mark.severity not in known for mark in found):
        raise CannotCompute("A mark has no severity of the rubric.")
    return sum(rubric.weight(mark.kind, mark.severity) for mark in found)


OWN_WORDS = ("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "HIRAGANA", "KATAKANA")
UNSPACED = ("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")


def count_words(text: str) -> int:
    """Stretches between white space that hold a letter or digit; Han and kana one by one.

    Raises:
        CannotCompute: there is none, or a script has no spaces between words.
    """
    words = 0
    for stretch in text.split():
        inside = False
        for character in filter(str.isalnum, stretch):
            script = "" if character.isascii() else unicodedata.name(character, "")
            if script.startswith(UNSPACED):
                raise CannotCompute("The output is in a script without spaces between words.")
            alone = script.startswith(OWN_WORDS)
            words += alone or not inside
            inside = not alone
    if not words:
        raise CannotCompute("The output has no words.")
    return words


def queue_mark_scores(session: Session, queue_id: int) -> list[ModelMarkScore]:
    """The score of every model of a queue of single outputs, the best first.

    Raises:
        CannotCompute: the queue shows pairs, or its rubric weighs no errors.
    """
    queue = get_queue(session, queue_id)
    rubric = rubric_of(queue)
    if queue.kind != QueueKind.SINGLE or not rubric.severities:
        raise CannotCompute("Errors are weighed in single outputs, under a rubric with severities.")
    by_model: dict[str, list[Review]] = defaultdict(list)
    for review in _reviews(session, queue_id):
        by_model[review.item.generation_a.model_version.label].append(review)
    scores = [_score_model(rubric, model, reviews) for model, reviews in by_model.items()]
    return sorted(scores, key=lambda score: (score.value is None, score.value or 0.0, score.model))


def _reviews(session: Session, queue_id: int) -> Sequence[Review]:
    output = selectinload(Review.item).selectinload(ReviewItem.generation_a)
    return session.scalars(
        select(Review)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(ReviewItem.queue_id == queue_id, *counts())
        .order_by(Review.id)
        .options(
            selectinload(Review.spans),
            output.selectinload(Generation.example),
            output.selectinload(Generation.model_version),
        )
        .execution_options(populate_existing=True)
    ).all()


def _score_model(rubric: Rubric, model: str, reviews: Sequence[Review]) -> ModelMarkScore:
    outputs, left_out = _measured(reviews)
    value, found, error = None, None, None
    kinds: dict[str, float] = {}
    try:
        clusters, kinds = _clusters(rubric, outputs)
        value, found = _ratio(clusters)
    except CannotCompute as undefined:
        error = str(undefined)
    used = [review for output in outputs for review in output.reviews]
    bounds = None if found is None or found.low is None or found.high is None else found
    return ModelMarkScore(
        model=model,
        value=value,
        low=None if bounds is None else max(0.0, 100 * (bounds.low or 0.0)),
        high=None if bounds is None else 100 * (bounds.high or 0.0),
        n=len(outputs),
        left_out=dict(left_out),
        n_marks=sum(len(review.spans) for review in used),
        n_simulated=sum(review.simulated for review in used),
        by_kind=kinds,
        error=error,
        rough=found is not None and found.rough,
        note="" if found is None else found.note,
        signature=f"mark_penalty|v{VERSION}|per:100words|rubric:{rubric.digest[:12]}",
    )


@dataclass(frozen=True, slots=True)
class _Output:
    """A reviewed output and its length."""

    reviews: Sequence[Review]
    n_words: int


def _measured(reviews: Sequence[Review]) -> tuple[list[_Output], Counter[str]]:
    """Outputs that have a length, and the reasons of those that have none."""
    by_item: dict[int, list[Review]] = defaultdict(list)
    for review in reviews:
        by_item[review.item_id].append(review)
    outputs, left_out = [], Counter[str]()
    for of_item in by_item.values():
        try:
            n_words = count_words(of_item[0].item.generation_a.text or "")
        except CannotCompute as undefined:
            left_out[str(undefined)] += 1
        else:
            outputs.append(_Output(of_item, n_words))
    return outputs, left_out


def _clusters(
    rubric: Rubric, outputs: Sequence[_Output]
) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
    """Weighted penalty and words by group of examples; and the penalty of each kind."""
    clusters: dict[str, tuple[float, float]] = {}
    kinds: dict[str, float] = defaultdict(float)
    words = 0.0
    # Relative to the least likely output, so that equal chances weigh 1 to the last digit.
    least = min((o.reviews[0].item.inclusion_probability for o in outputs), default=1.0)
    for output in outputs:
        item, reviews = output.reviews[0].item, output.reviews
        example = item.generation_a.example
        weight = least / item.inclusion_probability
        group = cluster_name(example.group, example.id)
        penalty, n = clusters.get(group, (0.0, 0.0))
        mean_penalty = fmean(penalty_of(rubric, review.spans) for review in reviews)
        clusters[group] = (penalty + weight * mean_penalty, n + weight * output.n_words)
        words += weight * output.n_words
        for mark in (mark for review in reviews for mark in review.spans):
            each = rubric.weight(mark.kind, mark.severity) / len(reviews)
            kinds[mark.kind] += weight * each
    return clusters, {kind: 100 * kinds[kind] / words for kind in sorted(kinds)}


def _ratio(clusters: dict[str, tuple[float, float]]) -> tuple[float, Interval]:
    """Total penalty by total words, times 100; and the interval of their ratio, over groups."""
    import numpy as np

    from evaluators.statistics.intervals import mean_interval

    if len(clusters) < LEAST_CLUSTERS:
        raise CannotCompute(
            f"{len(clusters)} independent outputs are too few for an interval.",
            hint=f"At least {LEAST_CLUSTERS}.",
        )
    sums = np.array(list(clusters.values()), dtype=np.float64)
    found = mean_interval(sums, scale=None, seed=0, resamples=RESAMPLES)
    return 100 * float(sums[:, 0].sum() / sums[:, 1].sum()), found
