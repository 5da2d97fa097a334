"""What estimates are made of: all outputs of a model, answers to some, scores of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.rubrics import CheckedAnswer
from backend.services.metric_specs import metric_specs
from backend.services.review.counted import counts
from backend.services.review.reports.review_rows import cluster_name
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.review import Purpose, QueueKind, Rating, Review, ReviewItem, ReviewQueue
from backend.tables.runs import Generation
from backend.tables.scoring import Score, ScoreRun

MEASURED = [Purpose.REVIEW, Purpose.IMPORT]


class Answered(NamedTuple):
    answer: CheckedAnswer
    simulated: bool


class Output(NamedTuple):
    """An item of the frame. `probability` is None where the design did not take it."""

    id: int
    cluster: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class Population:
    """All outputs of one model, the answers to those that were reviewed, and their scores."""

    model: ModelVersion | None
    outputs: Sequence[Output]
    answers: Mapping[str, Mapping[int, list[Answered]]]  # criterion -> output -> answers
    scores: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


def read_populations(session: Session, queue: ReviewQueue, metric: str | None) -> list[Population]:
    """One population for each model of the queue; for pairs a single one, of the pairs drawn.

    Args:
        metric: read these scores alone.

    Raises:
        NotFound: the run has no scores by that metric.
    """
    answers = _answers(session, queue.id)
    if queue.kind == QueueKind.PAIR:
        return [Population(None, _drawn_pairs(session, queue.id), answers)]
    chances = _chances(session, queue.id)
    score_run = _score_run(session, queue)
    found = []
    for model_id in queue.design["model_ids"]:
        outputs = _outputs(session, queue.generation_run_id, int(model_id), chances)
        scores = _scores(session, score_run, outputs, metric)
        found.append(
            Population(session.get_one(ModelVersion, int(model_id)), outputs, answers, scores)
        )
    return found


def _answers(session: Session, queue_id: int) -> dict[str, dict[int, list[Answered]]]:
    """Counted answers by criterion and by the item's first generation."""
    query = (
        select(
            Rating.criterion,
            ReviewItem.generation_a_id,
            ReviewItem.id,
            ReviewQueue.kind,
            Rating.value,
            Rating.number,
            Review.simulated,
        )
        .join(Review, Review.id == Rating.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .where(ReviewItem.queue_id == queue_id, *counts())
        .order_by(Review.id)
    )
    found: dict[str, dict[int, list[Answered]]] = {}
    for criterion, generation_id, item_id, kind, value, number, simulated in session.execute(query):
        unit = item_id if kind == QueueKind.PAIR else generation_id
        given = Answered(CheckedAnswer(value, number), simulated)
        found.setdefault(criterion, {}).setdefault(unit, []).append(given)
    return found


def _chances(session: Session, queue_id: int) -> dict[int, float]:
    query = select(ReviewItem.generation_a_id, ReviewItem.inclusion_probability).where(
        ReviewItem.queue_id == queue_id, ReviewItem.purpose.in_(MEASURED)
    )
    return {row.generation_a_id: row.inclusion_probability for row in session.execute(query)}


def _drawn_pairs(session: Session, queue_id: int) -> list[Output]:
    """Pairs that the design took; of the others nothing is needed, since pairs have no scores."""
    query = (
        select(ReviewItem.id, Example.group, Example.id, ReviewItem.inclusion_probability)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(Example, Example.id == Generation.example_id)
        .where(ReviewItem.queue_id == queue_id, ReviewItem.purpose.in_(MEASURED))
        .order_by(ReviewItem.position)
    )
    return [
        Output(item_id, cluster_name(group, example_id), chance)
        for item_id, group, example_id, chance in session.execute(query)
    ]


def _outputs(
    session: Session, run_id: int, model_id: int, chances: Mapping[int, float]
) -> list[Output]:
    query = (
        select(Generation.id, Example.group, Example.id)
        .join(Example, Example.id == Generation.example_id)
        .where(
            Generation.run_id == run_id,
            Generation.model_version_id == model_id,
            Generation.text.is_not(None),
        )
        .order_by(Generation.id)
    )
    return [
        Output(generation_id, cluster_name(group, example_id), chances.get(generation_id))
        for generation_id, group, example_id in session.execute(query)
    ]


def _score_run(session: Session, queue: ReviewQueue) -> ScoreRun | None:
    if queue.score_run_id is not None:
        return session.get_one(ScoreRun, queue.score_run_id)
    newest = select(ScoreRun).where(ScoreRun.generation_run_id == queue.generation_run_id)
    return session.scalar(newest.order_by(ScoreRun.id.desc()).limit(1))


def _scores(
    session: Session, run: ScoreRun | None, outputs: Sequence[Output], metric: str | None
) -> dict[str, dict[int, float]]:
    """Scores by metric and output."""
    if run is None:
        if metric is not None:
            raise NotFound(f"This run has no scores by {metric!r}.", hint="Score it first.")
        return {}
    known = [spec.metric for spec in metric_specs(run)]
    if metric is not None and metric not in known:
        raise NotFound(
            f"Score run {run.id} has no {metric!r}.", hint=f"It has: {', '.join(known)}."
        )
    wanted = known if metric is None else [metric]
    query = select(Score.metric, Score.generation_id, Score.value).where(
        Score.score_run_id == run.id, Score.metric.in_(wanted), Score.value.is_not(None)
    )
    ids = {output.id for output in outputs}
    found: dict[str, dict[int, float]] = {}
    for name, generation_id, value in session.execute(query.order_by(Score.metric)):
        if generation_id in ids and value is not None:
            found.setdefault(name, {})[generation_id] = value
    return found
