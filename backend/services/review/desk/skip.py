"""Skipping: an item is not answered, with the reason, and goes where the queue's rules say.

To others, never again to this person; back to this person later, with what they had saved; or out
for good. A known answer goes out for this person, a verdict to somebody else, and skipping a
revision leaves the first answer as it was.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, assert_never

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.services.review.desk.after_submit import finish_unless_open, settle_item
from backend.services.review.desk.answer_rules import refuse_unstorable_text
from backend.services.review.desk.asked import Asked, read_asked
from backend.services.review.desk.lease import REVIEWS, SLOTS, held_by, why_not_held
from backend.services.review.desk.seats import count_answer
from backend.services.review.desk.slots import note_slots
from backend.services.review.rules import SkipPolicy
from backend.tables.review import Purpose, ReviewState
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


class Skipped(NamedTuple):
    """A skip: the review that says why, by which it can be taken back, and its queue."""

    review_id: int
    queue_id: int


def skip_review(
    session: Session, *, slot_id: int, version: int, user_id: int, reason: str, now: datetime
) -> Skipped:
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
    asked = read_asked(connection, slot_id, user_id)
    token = {"slot": slot_id, "token": version, "person": user_id}
    if not _release(connection, asked, version):
        known = connection.execute(_SKIPPED, token).scalar()
        if known is None:
            raise why_not_held(session, slot_id, version, user_id)
        return Skipped(known, asked.queue_id)
    skipped = connection.execute(_SKIP, {**token, "why": reason.strip(), "now": now}).scalar_one()
    if asked.purpose == Purpose.REVIEW and not asked.revising:
        _settle(session, asked, now)
    return Skipped(skipped, asked.queue_id)


def _settle(session: Session, asked: Asked, now: datetime) -> None:
    """Count the skip, and finish the queue when it was the last thing to do."""
    connection = session.connection()
    count_answer(connection, asked.queue_id, asked.user_id, position=asked.position)
    policy = _policy(asked)
    if policy is SkipPolicy.ME:
        return
    out = policy is SkipPolicy.OUT
    if out:
        note_slots(connection, asked.queue_id, out=1)
    gone = settle_item(session, asked, now)
    if out or gone:
        finish_unless_open(session, asked, now, gone=gone)


def _policy(asked: Asked) -> SkipPolicy:
    match Purpose(asked.purpose):
        case Purpose.GOLD:
            return SkipPolicy.OUT
        case Purpose.ADJUDICATION:
            return SkipPolicy.OTHERS
        case Purpose.REVIEW | Purpose.IMPORT:
            return SkipPolicy(asked.rules.skip_policy)
        case _ as never:
            assert_never(never)


def _release(connection: Connection, asked: Asked, version: int) -> bool:
    released = connection.execute(
        update(SLOTS)
        .where(*held_by(asked.slot_id, version, asked.user_id))
        .values(lease_until=None, **_where_it_goes(connection, asked))
        .returning(SLOTS.c.id)
    )
    return released.first() is not None


def _where_it_goes(connection: Connection, asked: Asked) -> dict[str, Any]:
    if asked.revising:
        return {"state": Slot.DONE}
    match _policy(asked):
        case SkipPolicy.OTHERS:
            return {"state": Slot.OPEN, "owner_id": None, "assigned_to_id": None}
        case SkipPolicy.ME:
            mine = {"assigned_to_id": asked.user_id, "position": _after_all(connection, asked)}
            return {"state": Slot.OPEN, "owner_id": None, **mine}
        case SkipPolicy.OUT:
            return {"state": Slot.OUT}
        case _ as never:
            assert_never(never)


def _after_all(connection: Connection, asked: Asked) -> int:
    """Behind everything, and behind what the person skipped for later before."""
    last = connection.execute(
        select(func.max(SLOTS.c.position)).where(
            SLOTS.c.assigned_to_id == asked.user_id, SLOTS.c.queue_id == asked.queue_id
        )
    ).scalar()
    return max(LATER_POSITION, (last or 0) + 1)
