"""Revising: a person takes an answer of their own back to the desk for a while.

The first answer stands until the new one is submitted, which then takes its place; both are kept.
Meanwhile the slot is leased without an end: it is for nobody else, and counts as done. What they
skipped they take back (unskip) under an ordinary lease, as long as nobody else was given it.

Taking back what somebody said: the review stays, and counts for nothing from then on.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.services.review.answer import refuse_unstorable_text
from backend.services.review.desk.claim import Claim
from backend.services.review.desk.context import MemberState, lock_member
from backend.services.review.desk.history import past_review, revisable_until, why_it_stands
from backend.services.review.desk.skip import unskip
from backend.services.review.lease import begin_review
from backend.services.review.statements import ITEMS, REVIEWS, SLOTS, AnyRow
from backend.tables.datasets import Example
from backend.tables.review import Purpose, Review, ReviewItem, ReviewState
from backend.tables.review import SlotState as Slot
from backend.tables.runs import Generation


def revise(session: Session, review_id: int, user_id: int, *, now: datetime) -> Claim:
    """Lease the slot of one's own answer, or of a skip, anew, with what was said as the draft.

    Asked again before the new answer is submitted, it is the same lease.

    Raises:
        NotFound: the person has no such review.
        Conflict: it cannot be revised (any more), with the reason; or another one is under way.
    """
    connection = session.connection()
    queue_id = connection.execute(
        select(ITEMS.c.queue_id)
        .join(REVIEWS, REVIEWS.c.item_id == ITEMS.c.id)
        .where(REVIEWS.c.id == review_id, REVIEWS.c.reviewer_id == user_id)
    ).scalar()
    if queue_id is None:
        raise NotFound("You have no such review.")
    refuse_erased(connection, review_id)
    member = lock_member(connection, queue_id, user_id)
    row = connection.execute(select(REVIEWS).where(REVIEWS.c.id == review_id)).one()
    if row.state == ReviewState.SKIPPED:
        return unskip(session, review_id, member, now)
    if problem := _problem(connection, row, member, now):
        raise Conflict(problem, hint="Ask for the next item.")
    under_way = _under_way(connection, member)
    if under_way is not None and under_way.id != row.slot_id:
        raise Conflict(
            "You are revising another answer already.", hint="Submit that one first; it comes next."
        )
    draft = _as_draft(session, review_id, user_id)
    if under_way is not None:
        version, draft = under_way.version, dict(under_way.draft or {}) or draft
    else:
        version = _lease_anew(connection, row, user_id)
        lease = (row.item_id, row.slot_id, version, user_id, Purpose.REVIEW)
        begin_review(connection, *lease, now, draft=draft)
    taken = (row.slot_id, version, row.item_id)
    resumed = under_way is not None
    return Claim.of_lease(member, now, *taken, draft=draft, resumed=resumed, revising=True)


def refuse_erased(connection: Connection, review_id: int) -> None:
    """Raise Conflict for a review of an example that was erased: nothing is said of it anew."""
    said = connection.execute(
        select(Example.input)
        .join(Generation, Generation.example_id == Example.id)
        .join(ReviewItem, ReviewItem.generation_a_id == Generation.id)
        .join(Review, Review.item_id == ReviewItem.id)
        .where(Review.id == review_id, Example.erasure_id.is_not(None))
    ).scalar()
    if said is not None:
        raise Conflict(f"This item is gone. {said}.", hint="Ask for the next item.")


def _problem(connection: Connection, row: AnyRow, member: MemberState, now: datetime) -> str | None:
    """Why this answer cannot be taken back, as a sentence."""
    if row.state != ReviewState.SUBMITTED or row.purpose != Purpose.REVIEW or row.extra:
        return "Only an answer that counts can be revised."
    if row.withdrawn_at is not None or row.superseded_at is not None:
        return "This answer does not stand any more."
    if (settled := why_it_stands(connection, row.id)) is not None:
        return settled
    until = revisable_until(member.rules, row.submitted_at)
    if until is None:
        return "Answers of this queue are final."
    if now > until:
        return (
            f"An answer can be revised for {member.rules.revise_minutes} minutes; this one stands."
        )
    return None


def _under_way(connection: Connection, member: MemberState) -> AnyRow | None:
    """The slot that the person revises now, with what they have saved of the new answer."""
    this_lease = (REVIEWS.c.slot_id == SLOTS.c.id) & (REVIEWS.c.slot_version == SLOTS.c.version)
    query = (
        select(SLOTS.c.id, SLOTS.c.version, REVIEWS.c.draft)
        .outerjoin(REVIEWS, this_lease)
        .where(
            SLOTS.c.owner_id == member.user_id,
            SLOTS.c.queue_id == member.queue_id,
            SLOTS.c.state == Slot.LEASED,
            SLOTS.c.purpose == Purpose.REVIEW,
            SLOTS.c.lease_until.is_(None),
        )
    )
    return connection.execute(query).first()


def _lease_anew(connection: Connection, row: AnyRow, user_id: int) -> int:
    version = connection.execute(
        update(SLOTS)
        .where(
            SLOTS.c.id == row.slot_id,
            SLOTS.c.owner_id == user_id,
            SLOTS.c.state == Slot.DONE,
            SLOTS.c.version >= row.slot_version,
        )
        .values(state=Slot.LEASED, version=SLOTS.c.version + 1, lease_until=None)
        .returning(SLOTS.c.version)
    ).scalar()
    if version is None:
        raise Conflict("This answer cannot be revised any more.", hint="Ask for the next item.")
    return int(version)


def _as_draft(session: Session, review_id: int, user_id: int) -> dict[str, Any]:
    """The answer as the desk saves drafts; its time is not counted again."""
    given = past_review(session, review_id, user_id).answer
    timed = {"active_seconds", "seconds_by_criterion"}
    return given.model_dump(mode="json", exclude=timed, exclude_defaults=True)


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
