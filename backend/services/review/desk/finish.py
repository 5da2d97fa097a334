"""When a queue is finished: every required review is in, or its slot went out for good."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from backend.services.review.desk.lease import QUEUES, SLOTS, in_state
from backend.services.webhooks import hooks as webhooks
from backend.tables.review import ReviewQueue
from backend.tables.review import SlotState as Slot

_OPEN = (
    select(SLOTS.c.id)
    .where(SLOTS.c.queue_id == bindparam("queue"), in_state(SLOTS, Slot.OPEN))
    .limit(1)
)
# What is under revision (a lease without an end) is done: its first answer stands.
_LEASED = (
    select(SLOTS.c.id)
    .where(
        SLOTS.c.queue_id == bindparam("queue"),
        in_state(SLOTS, Slot.LEASED),
        SLOTS.c.lease_until.is_not(None),
    )
    .limit(1)
)
_LOCK = (
    select(QUEUES.c.finished_at)
    .where(QUEUES.c.id == bindparam("queue"))
    .with_for_update(key_share=True)
)
_FINISH = (
    update(QUEUES)
    .where(QUEUES.c.id == bindparam("queue"), QUEUES.c.finished_at.is_(None))
    .values(finished_at=bindparam("now", type_=QUEUES.c.finished_at.type))
    .returning(QUEUES.c.id)
)


def finish_if_done(session: Session, queue_id: int, now: datetime) -> bool:
    """Note when the last required review came in, once; returns whether the queue is finished.

    Two last reviews that come at once wait here for each other, so that one of them sees both.
    """
    connection, asked = session.connection(), {"queue": queue_id}
    if connection.execute(_OPEN, asked).first() is not None:
        return False
    if connection.execute(_LOCK, asked).scalar() is not None:
        return True
    if any(connection.execute(left, asked).first() is not None for left in (_OPEN, _LEASED)):
        return False
    connection.execute(_FINISH, {**asked, "now": now})
    queue = session.get_one(ReviewQueue, queue_id, populate_existing=True)
    webhooks.record(session, queue, "queue.finished", f"queue:{queue_id}", {}, now)
    return True
