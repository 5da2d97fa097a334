"""How far the reviewers of a queue agree, criterion by criterion, on the items that several had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from backend.rubrics import Category, Stars, Text, YesNo
from backend.services.review.counted import counts
from backend.services.review.queues import get_queue, rubric_of
from backend.tables.review import Preference, QueueKind, Rating, Review, ReviewItem
from backend.tables.users import User

if TYPE_CHECKING:
    from evaluators.statistics.ratings import Rating as Given
    from evaluators.statistics.ratings import Scale
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

    Stars are ordinal, other scales nominal; free text has no agreement. For pairs the vote, in
    terms of the models and not of the sides shown, is a criterion of its own.
    """
    queue = get_queue(session, queue_id)
    given = _ratings(session, queue_id)
    scales: dict[str, tuple[Scale, list[float | str]]] = {
        criterion.name: scale
        for criterion in rubric_of(queue).criteria
        if (scale := _scale(criterion)) is not None
    }
    if queue.kind == QueueKind.PAIR:
        from evaluators.statistics.ratings import Scale as ScaleName

        given[WINNER] = _votes(session, queue_id)
        values = sorted({str(vote.value) for vote in given[WINNER]})
        scales = {WINNER: (ScaleName.NOMINAL, list(values)), **scales}
    return [
        _agree(criterion, name, given.get(criterion, []), scale, values)
        for criterion, (scale, values) in scales.items()
        for name in COEFFICIENTS
    ]


def _scale(criterion: YesNo | Stars | Category | Text) -> tuple[Scale, list[float | str]] | None:
    from evaluators.statistics.ratings import Scale

    match criterion:
        case YesNo():
            return Scale.NOMINAL, ["no", "yes"]
        case Stars():
            return Scale.ORDINAL, [float(n) for n in range(1, criterion.n + 1)]
        case Category():
            return Scale.NOMINAL, [option.name for option in criterion.options]
        case Text():
            return None
        case _:
            assert_never(criterion)


def _ratings(session: Session, queue_id: int) -> dict[str, list[Given]]:
    from evaluators.statistics.ratings import Rating as Given

    query = (
        select(Rating.criterion, ReviewItem.id, User.pseudonym, Rating.value, Rating.number)
        .join(Review, Review.id == Rating.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(User, User.id == Review.reviewer_id)
        .where(*_counts(queue_id))
        .order_by(ReviewItem.position, Review.id)
    )
    found: dict[str, list[Given]] = {}
    for criterion, item, rater, value, number in session.execute(query):
        stands = value if number is None or not value.replace(".", "", 1).isdigit() else number
        found.setdefault(criterion, []).append(Given(str(item), rater, stands))
    return found


def _votes(session: Session, queue_id: int) -> list[Given]:
    from evaluators.statistics.ratings import Rating as Given

    query = (
        select(ReviewItem.id, User.pseudonym, Preference.winner)
        .join(Review, Review.id == Preference.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(User, User.id == Review.reviewer_id)
        .where(*_counts(queue_id))
        .order_by(ReviewItem.position, Review.id)
    )
    return [Given(str(item), rater, winner) for item, rater, winner in session.execute(query)]


def _counts(queue_id: int) -> tuple[ColumnElement[bool], ...]:
    return (ReviewItem.queue_id == queue_id, *counts())


def _agree(
    criterion: str, name: str, given: list[Given], scale: Scale, values: list[float | str]
) -> CriterionAgreement:
    from evaluators.errors import EvaluatorError
    from evaluators.statistics.agreement import agreement
    from evaluators.statistics.ratings import tabulate

    try:
        figure = agreement(name, tabulate(given, categories=values), scale=scale)
    except EvaluatorError as error:
        return CriterionAgreement(criterion, name, None, error=str(error))
    return CriterionAgreement(criterion, name, figure)
