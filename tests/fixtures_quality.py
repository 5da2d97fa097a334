"""Known answers and disagreements for tests, on top of the small project of `fixtures_review`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services import review
from backend.services.review.quality.gold_items import GoldRow, add_gold
from backend.services.review.rules import QueueRules
from backend.tables.accounts import User
from backend.tables.review import GoldAnswer, Review, ReviewQueue
from backend.tables.runs import Generation
from tests.fixtures_review import NOW, Desk, submit

KNOWN: dict[str, Any] = {"ratings": {"faithful": "no"}}


def open_with(session: Session, desk: Desk, *, name: str = "q", **rules: Any) -> ReviewQueue:
    """A queue over what the first model wrote, under these rules."""
    options = {key: rules.pop(key) for key in list(rules) if key in OPTIONS}
    return desk.open(session, name, rules=QueueRules(**rules), **options)


OPTIONS = {"overlap", "overlap_share", "n_items", "kind", "reviewer_ids", "rubric_version_id"}


def outputs_of(session: Session, desk: Desk, model: int) -> list[Generation]:
    """What one of the desk's models wrote, in the order of the examples."""
    query = select(Generation).where(Generation.model_version_id == desk.models[model].id)
    return list(session.scalars(query.order_by(Generation.example_id)))


def add_known(
    session: Session, queue: ReviewQueue, desk: Desk, n: int, answer: dict[str, Any] | None = None
) -> list[GoldAnswer]:
    """`n` known answers about what the second model wrote; the queue has the first one's."""
    rows = [
        GoldRow(answer=answer or KNOWN, explanation=f"Known {output.id}.", generation=output.id)
        for output in outputs_of(session, desk, 1)[:n]
    ]
    return add_gold(session, queue.id, rows, by=None)


def answer_next(
    session: Session,
    queue: ReviewQueue,
    user: User,
    ratings: dict[str, Any],
    *,
    now: datetime = NOW,
    **answer: Any,
) -> Review:
    """Claim the next item, answer it, and return the review."""
    claim = review.claim_review_item(session, queue.id, user.id, now=now)
    assert claim is not None
    done = submit(session, claim, user, review.Answer(ratings, **answer), now=now)
    return session.get_one(Review, done.review_id, populate_existing=True)


def purposes_of(session: Session, user: User) -> list[str]:
    """What a person was given, in order."""
    query = select(Review.purpose).where(Review.reviewer_id == user.id)
    return list(session.scalars(query.order_by(Review.id)))
