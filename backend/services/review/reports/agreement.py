"""How far the reviewers of a queue agree, criterion by criterion, on the items that several had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from backend.rubrics import Category, Criterion, Multi, Number, Stars, Text, Verdict, YesNo
from backend.services.review.counted import counts
from backend.services.review.queues import get_queue, rubric_of
from backend.services.review.reports.review_rows import cluster_name
from backend.tables.accounts import User
from backend.tables.datasets import Example
from backend.tables.review import Preference, QueueKind, Rating, Review, ReviewItem, ReviewQueue
from backend.tables.runs import Generation

if TYPE_CHECKING:
    from evaluators.statistics.ratings import Rating as Given
    from evaluators.statistics.ratings import RatingTable, Scale
    from evaluators.types import Figure

COEFFICIENTS = ("percent", "krippendorff_alpha", "gwet_ac1")
WINNER = "winner"


@dataclass(frozen=True, slots=True)
class CriterionAgreement:
    """One coefficient on one criterion, or the reason why there is none. n counts shared items."""

    criterion: str
    coefficient: str
    figure: Figure | None
    error: str | None = None


def queue_agreement(session: Session, queue_id: int) -> list[CriterionAgreement]:
    """Percent agreement, Krippendorff's alpha and Gwet's AC1 of each criterion of a queue.

    Stars and verdicts are ordinal, numbers interval, other scales nominal (several options agree
    when they are the same options); free text has no agreement. For pairs the vote, in terms of
    the models and not of the sides shown, is a criterion of its own. Percent agreement and AC1 are
    exact on every scale. Items of one group of examples are one cluster.
    """
    return [
        _agree(criterion, name, said)
        for criterion, said in what_was_said(session, get_queue(session, queue_id)).items()
        for name in COEFFICIENTS
    ]


@dataclass(frozen=True, slots=True)
class Said:
    """All counted answers to one criterion, its scale, and the values that the scale allows."""

    given: list[Given]
    scale: Scale
    values: list[float | str]

    def table(self) -> RatingTable:
        """As a table of items and reviewers; InvalidValues where there are no answers."""
        from evaluators.statistics.ratings import tabulate

        return tabulate(self.given, categories=self.values or None)


def what_was_said(session: Session, queue: ReviewQueue) -> dict[str, Said]:
    """Counted answers by criterion, the vote on pairs first, free text left out."""
    from evaluators.statistics.ratings import Scale as ScaleName

    scales: dict[str, tuple[Scale, list[float | str]]] = {
        criterion.name: scale
        for criterion in rubric_of(queue).criteria
        if (scale := _scale(criterion)) is not None
    }
    numeric = {name for name, (scale, _) in scales.items() if scale != "nominal"}
    given = _ratings(session, queue.id, numeric)
    if queue.kind == QueueKind.PAIR:
        given[WINNER] = _votes(session, queue.id)
        values = sorted({str(vote.value) for vote in given[WINNER]})
        scales = {WINNER: (ScaleName.NOMINAL, list(values)), **scales}
    return {name: Said(given.get(name, []), *scale) for name, scale in scales.items()}


def _scale(criterion: Criterion) -> tuple[Scale, list[float | str]] | None:
    """The scale and the values that it allows, in order; none when they are what occurs."""
    from evaluators.statistics.ratings import Scale

    match criterion:
        case YesNo():
            return Scale.NOMINAL, ["no", "yes"]
        case Verdict():
            return Scale.ORDINAL, [-1.0, 0.0, 1.0]
        case Stars():
            return Scale.ORDINAL, [float(n) for n in range(1, criterion.n + 1)]
        case Category():
            return Scale.NOMINAL, [option.name for option in criterion.options]
        case Multi():
            return Scale.NOMINAL, []
        case Number():
            return Scale.INTERVAL, []
        case Text():
            return None
        case _:
            assert_never(criterion)


def _ratings(session: Session, queue_id: int, numeric: set[str]) -> dict[str, list[Given]]:
    from evaluators.statistics.ratings import Rating as Given

    query = (
        select(
            Rating.criterion,
            ReviewItem.id,
            User.pseudonym,
            Rating.value,
            Rating.number,
            Example.group,
            Example.id.label("example_id"),
        )
        .join(Review, Review.id == Rating.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(User, User.id == Review.reviewer_id)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(Example, Example.id == Generation.example_id)
        .where(*_counts(queue_id))
        .order_by(ReviewItem.position, Review.id)
    )
    found: dict[str, list[Given]] = {}
    for criterion, item, rater, value, number, group, example in session.execute(query):
        said = number if criterion in numeric and number is not None else value
        given = Given(str(item), rater, said, group=cluster_name(group, example))
        found.setdefault(criterion, []).append(given)
    return found


def _votes(session: Session, queue_id: int) -> list[Given]:
    from evaluators.statistics.ratings import Rating as Given

    query = (
        select(ReviewItem.id, User.pseudonym, Preference.winner, Example.group, Example.id)
        .join(Review, Review.id == Preference.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(User, User.id == Review.reviewer_id)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(Example, Example.id == Generation.example_id)
        .where(*_counts(queue_id))
        .order_by(ReviewItem.position, Review.id)
    )
    return [
        Given(str(item), rater, winner, group=cluster_name(group, example))
        for item, rater, winner, group, example in session.execute(query)
    ]


def _counts(queue_id: int) -> tuple[ColumnElement[bool], ...]:
    return (ReviewItem.queue_id == queue_id, *counts())


def _agree(criterion: str, name: str, said: Said) -> CriterionAgreement:
    from evaluators.errors import EvaluatorError
    from evaluators.statistics.agreement import agreement

    try:
        figure = agreement(name, said.table(), scale=said.scale)
    except EvaluatorError as error:
        return CriterionAgreement(criterion, name, None, error=str(error))
    return CriterionAgreement(criterion, name, figure)
