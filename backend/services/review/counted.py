"""Which reviews count: one rule for all that is estimated, compared or trained on.

And what they say: their ratings, and whether their outputs are wrong by a stated criterion.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from backend.rubrics import CheckedAnswer
from backend.rubrics.wrong import WrongWhen
from backend.tables.review import Correction, Purpose, Rating, Review, ReviewState, Span
from evaluators.spread import cut

CHUNK = 500


def stands() -> tuple[ColumnElement[bool], ...]:
    """Submitted, not withdrawn, and not answered anew by the same person."""
    return (
        Review.state == ReviewState.SUBMITTED,
        Review.withdrawn_at.is_(None),
        Review.superseded_at.is_(None),
    )


def measures() -> tuple[ColumnElement[bool], ...]:
    """Asked for by the design, whether they stand or not.

    Gold items measure people, verdicts stand beside the reviews that they decide between, and
    extra answers would give an item more weight than the design gave it.
    """
    measured = Review.purpose.in_([Purpose.REVIEW, Purpose.IMPORT])
    return (measured, Review.extra.is_(False))


def counts() -> tuple[ColumnElement[bool], ...]:
    """What a queue measures: required reviews that stand."""
    return (*stands(), *measures())


def judge_reviews(session: Session, review_ids: Sequence[int], when: WrongWhen) -> dict[int, bool]:
    """By review, whether it says that its output is wrong; those that do not say are left out."""
    found: dict[int, bool] = {}
    for chunk in cut(review_ids, CHUNK):
        ratings, marked = ratings_of(session, chunk), _marked(session, chunk)
        for review_id in chunk:
            wrong = when.judge(ratings[review_id], marked=review_id in marked)
            if wrong is not None:
                found[review_id] = wrong
    return found


def ratings_of(session: Session, ids: Sequence[int]) -> dict[int, dict[str, CheckedAnswer]]:
    """What each of these reviews says by criterion."""
    query = select(Rating.review_id, Rating.criterion, Rating.value, Rating.number)
    found: dict[int, dict[str, CheckedAnswer]] = {id_: {} for id_ in ids}
    for review_id, name, value, number in session.execute(query.where(Rating.review_id.in_(ids))):
        found[review_id][name] = CheckedAnswer(value, number)
    return found


def _marked(session: Session, ids: Sequence[int]) -> set[int]:
    spans = select(Span.review_id).where(Span.review_id.in_(ids))
    texts = select(Correction.review_id).where(Correction.review_id.in_(ids))
    return {*session.scalars(spans), *session.scalars(texts)}
