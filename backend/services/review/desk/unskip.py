"""Taking a skip back: the item returns to the person who skipped it, with what they had written."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict
from backend.services.review.desk.claim import Claim
from backend.services.review.desk.history import revisable_until
from backend.services.review.desk.lease import QUEUES, REVIEWS, SLOTS
from backend.services.review.desk.seats import Seat
from backend.services.review.desk.slots import begin_review, lock_item, note_slots
from backend.tables.review import Purpose, Review, ReviewState
from backend.tables.review import SlotState as Slot


def unskip(session: Session, review_id: int, seat: Seat, now: datetime) -> Claim:
    """Lease the item of a person's own skip to them again; a finished queue is open again.

    What else they hold of the queue goes back to it, and its draft is kept. Asked again while they
    hold the item, it is the same lease.

    Raises:
        Conflict: the skip stands, with the reason.
    """
    skipped = session.get_one(Review, review_id, populate_existing=True)
    connection = session.connection()
    if (held := _held_again(connection, skipped, now, seat)) is not None:
        return held
    if problem := _problem(skipped, seat, now):
        raise Conflict(problem, hint="Ask for the next item.")
    lock_item(connection, skipped.item_id)
    _put_back_what_is_held(connection, seat)
    version = _lease(connection, skipped, seat, now)
    connection.execute(update(REVIEWS).where(REVIEWS.c.id == review_id).values(superseded_at=now))
    lease = (skipped.item_id, skipped.slot_id, version, seat.user_id, Purpose.REVIEW)
    begin_review(connection, *lease, now, draft=dict(skipped.draft))
    session.expire(skipped)
    return _claim(skipped, version, seat, now)


def _problem(skipped: Review, seat: Seat, now: datetime) -> str | None:
    """Why the skip cannot be taken back, as a sentence."""
    if skipped.purpose != Purpose.REVIEW or skipped.superseded_at is not None:
        return "This skip cannot be taken back."
    if seat.closed:
        return "The queue is closed."
    if seat.paused or seat.share_reached:
        return "Nothing more is given to you in this queue just now."
    until = revisable_until(seat.rules, skipped.submitted_at)
    if until is None:
        return "What is skipped in this queue stays skipped."
    if now > until:
        return f"A skip can be taken back for {seat.rules.revise_minutes} minutes; this one stands."
    return None


def _put_back_what_is_held(connection: Connection, seat: Seat) -> None:
    connection.execute(
        update(SLOTS)
        .where(
            SLOTS.c.owner_id == seat.user_id,
            SLOTS.c.queue_id == seat.queue_id,
            SLOTS.c.state == Slot.LEASED,
            SLOTS.c.purpose == Purpose.REVIEW,
            SLOTS.c.lease_until.is_not(None),
        )
        .values(state=Slot.OPEN, owner_id=None, lease_until=None)
    )


def _lease(connection: Connection, skipped: Review, seat: Seat, now: datetime) -> int:
    """The new fencing token. Raises Conflict when the slot went elsewhere."""
    query = select(SLOTS.c.state).where(SLOTS.c.id == skipped.slot_id).with_for_update()
    state = connection.execute(query).scalar_one()
    if state not in (Slot.OPEN, Slot.OUT):
        raise Conflict(
            "A colleague was given this item in the meantime.", hint="Ask for the next item."
        )
    if state == Slot.OUT:
        note_slots(connection, seat.queue_id, out=-1)
        connection.execute(
            update(QUEUES).where(QUEUES.c.id == seat.queue_id).values(finished_at=None)
        )
    leased = (
        update(SLOTS)
        .where(SLOTS.c.id == skipped.slot_id)
        .values(
            state=Slot.LEASED,
            owner_id=seat.user_id,
            version=SLOTS.c.version + 1,
            lease_until=now + seat.life,
        )
        .returning(SLOTS.c.version)
    )
    return int(connection.execute(leased).scalar_one())


def _held_again(connection: Connection, skipped: Review, now: datetime, seat: Seat) -> Claim | None:
    """The lease under which the person holds what they took back before."""
    query = (
        select(SLOTS.c.version, REVIEWS.c.draft)
        .join(
            REVIEWS,
            (REVIEWS.c.slot_id == SLOTS.c.id) & (REVIEWS.c.slot_version == SLOTS.c.version),
        )
        .where(
            SLOTS.c.id == skipped.slot_id,
            SLOTS.c.owner_id == seat.user_id,
            SLOTS.c.state == Slot.LEASED,
            SLOTS.c.lease_until.is_not(None),
            REVIEWS.c.state == ReviewState.DRAFT,
        )
    )
    row = connection.execute(query).first()
    if row is None or skipped.superseded_at is None:
        return None
    return _claim(skipped, row.version, seat, now, draft=dict(row.draft or {}), resumed=True)


def _claim(
    skipped: Review,
    version: int,
    seat: Seat,
    now: datetime,
    *,
    draft: dict[str, object] | None = None,
    resumed: bool = False,
) -> Claim:
    return Claim(
        slot_id=skipped.slot_id,
        version=version,
        item_id=skipped.item_id,
        queue_id=seat.queue_id,
        lease_until=now + seat.life,
        draft=dict(skipped.draft) if draft is None else draft,
        resumed=resumed,
        life=seat.life,
    )
