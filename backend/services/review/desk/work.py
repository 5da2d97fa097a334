"""What is left for a person: how much of a queue, and which of their queues has work for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, distinct, func, or_, select
from sqlalchemy.orm import Session

from backend.services.review.desk.history import my_queues
from backend.services.review.desk.lease import SLOTS, written_out
from backend.services.review.desk.seats import Seat, look_at_seat, most_of_one_person
from backend.services.review.desk.slot_search import DESK_PURPOSES, for_person
from backend.tables.review import Purpose, ReviewQueue
from backend.tables.review import SlotState as Slot


def left_for(session: Session, queue_id: int, user_id: int, *, now: datetime) -> int:
    """How many items a person could still be given in a queue now, with the one that they hold.

    Items that colleagues hold are not among them, nor what known answers may come between.
    """
    seat = look_at_seat(session.connection(), queue_id, user_id)
    held = session.scalar(_HELD, {"queue": queue_id, "person": user_id}) or 0
    if seat.closed or seat.paused or seat.finished:
        return held
    asked = {"queue": queue_id, "person": user_id, "now": now}
    skills = {"skills": list(seat.skills)} if seat.skills else {}
    free = session.scalar(_FREE[bool(skills)], {**asked, **skills}) or 0
    return held + min(free, _may_give(seat) - held)


def _may_give(seat: Seat) -> int:
    share = seat.rules.max_share
    if share is None:
        return seat.n_slots
    return max(0, most_of_one_person(share, seat.n_slots) - seat.n_submitted)


def next_queue_for(
    session: Session, user_id: int, *, now: datetime, but: int | None = None
) -> ReviewQueue | None:
    """The queue that has waited longest among those that have work for the person; None if none.

    Args:
        but: a queue that is not meant.
    """
    waiting = [queue for queue in my_queues(session, user_id) if queue.id != but]
    for queue in sorted(waiting, key=lambda queue: queue.id):
        if left_for(session, queue.id, user_id, now=now):
            return queue
    return None


_HELD = select(func.count()).where(
    SLOTS.c.queue_id == bindparam("queue"),
    SLOTS.c.owner_id == bindparam("person"),
    SLOTS.c.state == written_out(Slot.LEASED),
    SLOTS.c.purpose.in_([written_out(purpose) for purpose in DESK_PURPOSES]),
    SLOTS.c.lease_until.is_not(None),
)


def _free(*, with_skills: bool) -> Select[Any]:
    free = SLOTS.alias("free")
    lapsed = and_(free.c.state == written_out(Slot.LEASED), free.c.lease_until <= bindparam("now"))
    return select(func.count(distinct(free.c.item_id))).where(
        free.c.queue_id == bindparam("queue"),
        free.c.purpose == written_out(Purpose.REVIEW),
        or_(free.c.state == written_out(Slot.OPEN), lapsed),
        free.c.owner_id.is_distinct_from(bindparam("person")),
        *for_person(free, with_skills=with_skills),
    )


_FREE = {skilled: _free(with_skills=skilled) for skilled in (False, True)}
