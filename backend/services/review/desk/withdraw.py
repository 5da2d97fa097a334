"""Taking back what somebody said: the review stays, and counts for nothing from then on."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.services.review.desk.answer_rules import refuse_unstorable_text
from backend.tables.review import Review, ReviewState


def withdraw_review(
    session: Session, review_id: int, *, user_id: int, reason: str, now: datetime
) -> Review:
    """Withdraw a submitted review; withdrawing it again changes nothing.

    Estimates, votes and agreement leave it out at once, and so does the next training set. Frozen
    sets and the adapters made from them keep its row and are marked (see `lineage`).

    Raises:
        NotFound: no such review.
        Conflict: it was never submitted.
        InvalidInput: no reason.
    """
    review = session.get(Review, review_id)
    if review is None:
        raise NotFound(f"There is no review {review_id}.")
    if review.state != ReviewState.SUBMITTED:
        raise Conflict(f"Review {review_id} was not submitted.", hint="There is nothing to undo.")
    if not reason.strip():
        raise InvalidInput("Say why this review is withdrawn.")
    refuse_unstorable_text(reason)
    if review.withdrawn_at is None:
        review.withdrawn_at = now
        review.withdrawn_reason = reason.strip()
        review.withdrawn_by_id = user_id
        session.flush()
    return review
