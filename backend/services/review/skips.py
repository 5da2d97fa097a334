"""Skipping: an item is not answered, with the reason, and goes where the queue's rules say.

To others, never again to this person; back to this person later, with what they had saved; or out
for good. A known answer goes out for this person, a verdict to somebody else, and skipping a
revision leaves the first answer as it was.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.services.review.after_submit import finish_unless_open
from backend.services.review.answer_rules import refuse_unstorable_text
from backend.services.review.asked import Asked, read_asked
from backend.services.review.leases import REVIEWS, SLOTS, held_by, why_not_held
from backend.services.review.rules import SkipPolicy
from backend.services.review.seats import count_answer
from backend.services.review.slots import note_slots
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


def skip_review(
    session: Session, *, slot_id: int, version: int, user_id: int, reason: str, now: datetime
) -> int:
    """Pass over an item that the person holds; returns the id of its queue.

    Skipping again under the same lease changes nothing.

    Raises:
        InvalidInput: no reason.
        LeaseLost, Conflict, NotFound: as `heartbeat`.
    """
    if not reason.strip():
        raise InvalidInput("Say in a few words why you skip this item.")
    refuse_unstorable_text(reason)
    connection = session.connection()
    asked = read_asked(connection, slot_id, user_id)
    if not _release(connection, asked, version):
        token = {"slot": slot_id, "token": version, "person": user_id}
        if connection.execute(_SKIPPED, token).first() is None:
            raise why_not_held(session, slot_id, version, user_id)
        return asked.queue_id
    connection.execute(
        update(REVIEWS)
        .where(REVIEWS.c.slot_id == slot_id, REVIEWS.c.slot_version == version)
        .values(state=ReviewState.SKIPPED, skip_reason=reason.strip(), submitted_at=now)
    )
    if asked.purpose == Purpose.REVIEW and not asked.revising:
        count_answer(connection, asked.queue_id, user_id, position=asked.position)
        if _policy(asked) is SkipPolicy.OUT:
            note_slots(connection, asked.queue_id, out=1)
            finish_unless_open(session, asked, now)
    return asked.queue_id


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
