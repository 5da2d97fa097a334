"""Skipping: an item is not answered, with the reason, and goes where the queue's rules say.

To others, never again to this person; back to this person later, with what they had saved; or out
for good. A known answer goes out for this person, a verdict to somebody else, and skipping a
revision leaves the first answer as it was.

Taking a skip back: the item returns to the person who skipped it, with what they had written.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, assert_never

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput
from backend.services.review.answer import refuse_unstorable_text
from backend.services.review.desk.claim import Claim
from backend.services.review.desk.context import MemberState, SlotContext, count_answer, read_slot
from backend.services.review.desk.history import revisable_until
from backend.services.review.desk.submit import finish_unless_open, settle_item
from backend.services.review.lease import begin_review, held_by, lock_item, note_slots, why_not_held
from backend.services.review.rules import SkipPolicy
from backend.services.review.statements import REVIEWS, SLOTS
from backend.tables.review import Purpose, Review, ReviewState
from backend.tables.review import SlotState as Slot

LATER_POSITION = 1_500_000_000  # what somebody skipped for later comes after everything else
_SKIPPED = (
    select(REVIEWS.c.id)
    .where(
        REVIEWS.c.slot_id == bindparam("slot"),
        REVIEWS.c.slot_version == bindparam("token"),
        REVIEWS.c.reviewer_id == bindparam("person"),
        REVIEWS.c.state == ReviewState.SKIPPED,
    )
    .limit(1)
)
_SKIP = (
    update(REVIEWS)
    .where(REVIEWS.c.slot_id == bindparam("slot"), REVIEWS.c.slot_version == bindparam("token"))
    .values(
        state=ReviewState.SKIPPED,
        skip_reason=bindparam("why"),
        submitted_at=bindparam("now", type_=REVIEWS.c.submitted_at.type),
    )
    .returning(REVIEWS.c.id)
)


class SkippedItem(NamedTuple):
    """A skip: the review that says why, by which it can be taken back, and its queue."""

    review_id: int
    queue_id: int


def skip_review(
    session: Session, *, slot_id: int, version: int, user_id: int, reason: str, now: datetime
) -> SkippedItem:
    """Pass over an item that the person holds.

    Skipping again under the same lease changes nothing. What everybody has skipped or answered goes
    out, since a queue has to come to an end.

    Raises:
        InvalidInput: no reason.
        LeaseLost, Conflict, NotFound: as `heartbeat`.
    """
    if not reason.strip():
        raise InvalidInput("Say in a few words why you skip this item.")
    refuse_unstorable_text(reason)
    connection = session.connection()
    slot = read_slot(connection, slot_id, user_id)
    token = {"slot": slot_id, "token": version, "person": user_id}
    if not _release(connection, slot, version):
        known = connection.execute(_SKIPPED, token).scalar()
        if known is None:
            raise why_not_held(session, slot_id, version, user_id)
        return SkippedItem(known, slot.queue_id)
    skipped = connection.execute(_SKIP, {**token, "why": reason.strip(), "now": now}).scalar_one()
    if slot.purpose == Purpose.REVIEW and not slot.revising:
        _settle(session, slot, now)
    return SkippedItem(skipped, slot.queue_id)


def _settle(session: Session, slot: SlotContext, now: datetime) -> None:
    """Count the skip, and finish the queue when it was the last thing to do."""
    connection = session.connection()
    count_answer(connection, slot.queue_id, slot.user_id, position=slot.position)
    policy = _policy(slot)
    if policy is SkipPolicy.ME:
        return
    out = policy is SkipPolicy.OUT
    if out:
        note_slots(connection, slot.queue_id, out=1)
    gone = settle_item(session, slot, now)
    if out or gone:
        finish_unless_open(session, slot, now, gone=gone)


def _policy(slot: SlotContext) -> SkipPolicy:
    match Purpose(slot.purpose):
        case Purpose.GOLD:
            return SkipPolicy.OUT
        case Purpose.ADJUDICATION:
            return SkipPolicy.OTHERS
        case Purpose.REVIEW | Purpose.IMPORT:
            return SkipPolicy(slot.rules.skip_policy)
        case _ as never:
            assert_never(never)


def _release(connection: Connection, slot: SlotContext, version: int) -> bool:
    released = connection.execute(
        update(SLOTS)
        .where(*held_by(slot.slot_id, version, slot.user_id))
        .values(lease_until=None, **_where_it_goes(connection, slot))
        .returning(SLOTS.c.id)
    )
    return released.first() is not None


def _where_it_goes(connection: Connection, slot: SlotContext) -> dict[str, Any]:
    if slot.revising:
        return {"state": Slot.DONE}
    match _policy(slot):
        case SkipPolicy.OTHERS:
            return {"state": Slot.OPEN, "owner_id": None, "assigned_to_id": None}
        case SkipPolicy.ME:
            mine = {"assigned_to_id": slot.user_id, "position": _after_all(connection, slot)}
            return {"state": Slot.OPEN, "owner_id": None, **mine}
        case SkipPolicy.OUT:
            return {"state": Slot.OUT}
        case _ as never:
            assert_never(never)


def _after_all(connection: Connection, slot: SlotContext) -> int:
    """Behind everything, and behind what the person skipped for later before."""
    last = connection.execute(
        select(func.max(SLOTS.c.position)).where(
            SLOTS.c.assigned_to_id == slot.user_id, SLOTS.c.queue_id == slot.queue_id
        )
    ).scalar()
    return max(LATER_POSITION, (last or 0) + 1)


def unskip(session: Session, review_id: int, member: MemberState, now: datetime) -> Claim:
    """Lease the item of a person's own skip to them again; a finished queue is open again.

    What else they hold of the queue goes back to it, and its draft is kept. Asked again while they
    hold the item, it is the same lease.

    Raises:
        Conflict: the skip stands, with the reason.
    """
    skipped = session.get_one(Review, review_id, populate_existing=True)
    connection = session.connection()
    if (held := _held_again(connection, skipped, now, member)) is not None:
        return held
    if problem := _problem(skipped, member, now):
        raise Conflict(problem, hint="Ask for the next item.")
    lock_item(connection, skipped.item_id)
    _put_back_what_is_held(connection, member)
    version = _lease(connection, skipped, member, now)
    connection.execute(update(REVIEWS).where(REVIEWS.c.id == review_id).values(superseded_at=now))
    lease = (skipped.item_id, skipped.slot_id, version, member.user_id, Purpose.REVIEW)
    begin_review(connection, *lease, now, draft=dict(skipped.draft))
    session.expire(skipped)
    taken = (skipped.slot_id, version, skipped.item_id)
    return Claim.of_lease(member, now, *taken, draft=dict(skipped.draft))


def _problem(skipped: Review, member: MemberState, now: datetime) -> str | None:
    """Why the skip cannot be taken back, as a sentence."""
    if skipped.purpose != Purpose.REVIEW or skipped.superseded_at is not None:
        return "This skip cannot be taken back."
    if member.closed:
        return "The queue is closed."
    if member.paused or member.share_reached:
        return "Nothing more is given to you in this queue just now."
    until = revisable_until(member.rules, skipped.submitted_at)
    if until is None:
        return "What is skipped in this queue stays skipped."
    if now > until:
        return (
            f"A skip can be taken back for {member.rules.revise_minutes} minutes; this one stands."
        )
    return None


def _put_back_what_is_held(connection: Connection, member: MemberState) -> None:
    connection.execute(
        update(SLOTS)
        .where(
            SLOTS.c.owner_id == member.user_id,
            SLOTS.c.queue_id == member.queue_id,
            SLOTS.c.state == Slot.LEASED,
            SLOTS.c.purpose == Purpose.REVIEW,
            SLOTS.c.lease_until.is_not(None),
        )
        .values(state=Slot.OPEN, owner_id=None, lease_until=None)
    )


def _lease(connection: Connection, skipped: Review, member: MemberState, now: datetime) -> int:
    """The new fencing token. Raises Conflict when the slot went elsewhere."""
    query = select(SLOTS.c.state).where(SLOTS.c.id == skipped.slot_id).with_for_update()
    state = connection.execute(query).scalar_one()
    if state not in (Slot.OPEN, Slot.OUT):
        raise Conflict(
            "A colleague was given this item in the meantime.", hint="Ask for the next item."
        )
    if state == Slot.OUT:
        note_slots(connection, member.queue_id, out=-1)
    leased = (
        update(SLOTS)
        .where(SLOTS.c.id == skipped.slot_id)
        .values(
            state=Slot.LEASED,
            owner_id=member.user_id,
            version=SLOTS.c.version + 1,
            lease_until=now + member.life,
        )
        .returning(SLOTS.c.version)
    )
    return int(connection.execute(leased).scalar_one())


def _held_again(
    connection: Connection, skipped: Review, now: datetime, member: MemberState
) -> Claim | None:
    """The lease under which the person holds what they took back before."""
    query = (
        select(SLOTS.c.version, REVIEWS.c.draft)
        .join(
            REVIEWS, (REVIEWS.c.slot_id == SLOTS.c.id) & (REVIEWS.c.slot_version == SLOTS.c.version)
        )
        .where(
            SLOTS.c.id == skipped.slot_id,
            SLOTS.c.owner_id == member.user_id,
            SLOTS.c.state == Slot.LEASED,
            SLOTS.c.lease_until.is_not(None),
            REVIEWS.c.state == ReviewState.DRAFT,
        )
    )
    row = connection.execute(query).first()
    if row is None or skipped.superseded_at is None:
        return None
    lease = (skipped.slot_id, row.version, skipped.item_id)
    return Claim.of_lease(member, now, *lease, draft=dict(row.draft or {}), resumed=True)
