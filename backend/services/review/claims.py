"""Claiming: one item for one person under a lease, by one atomic statement.

The hot path of the desk, so it speaks SQLAlchemy Core. What holds, whatever happens at once:

- a slot has at most one holder, and `version` grows with every holder (the fencing token);
- a person holds at most one slot of a queue, and never two slots of one item;
- what a person holds comes back to them, with its draft, until somebody else was given it;
- a claim costs the same in a long queue as in a short one: each person's `cursor` skips what was
  open and not for them, and a search from the start is made only when nothing is left after it.

A person's claims are queued on their row of `queue_members`; claims of different people never wait
for each other on PostgreSQL, where locked slots are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, exists, insert, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import NamedFromClause

from backend.errors import Conflict, Forbidden, NotFound
from backend.services.review.leases import MEMBERS, QUEUES, REVIEWS, SLOTS, in_state
from backend.tables.review import ReviewState
from backend.tables.review import SlotState as Slot


@dataclass(frozen=True, slots=True)
class Claim:
    """An item that a person holds until `lease_until`.

    Attributes:
        version: the fencing token; every act on the slot has to name it.
        draft: what was saved before, as the desk sent it; empty for a fresh item.
        resumed: the person held this item already (a reload, a new sign-in).
    """

    slot_id: int
    version: int
    item_id: int
    queue_id: int
    lease_until: datetime
    draft: dict[str, Any] = field(default_factory=dict)
    resumed: bool = False


class _Desk(NamedTuple):
    queue_id: int
    user_id: int
    cursor: int
    closed: bool
    lease_until: datetime


class _Lease(NamedTuple):
    slot_id: int
    version: int
    item_id: int
    position: int


def claim_review_item(
    session: Session, queue_id: int, user_id: int, *, now: datetime
) -> Claim | None:
    """Give a person their next item of a queue, or the one that they hold.

    Open slots come first, in the order of the queue; then those whose lease lapsed. None when
    nothing is left for this person (others may still be at work).

    Raises:
        NotFound: no such queue.
        Forbidden: the person is not a reviewer of the queue.
        Conflict: the queue is closed and the person holds nothing.
    """
    desk = _sit_down(session, queue_id, user_id, now)
    lease = _resume(session, desk)
    resumed = lease is not None
    if lease is None:
        if desk.closed:
            raise Conflict("This queue is closed. Thank you for your work.")
        lease = _take_next(session, desk, now)
    if lease is None:
        return None
    draft = _saved_draft(session, lease.slot_id, user_id)
    if not resumed:
        _begin_review(session, lease, user_id, draft, now)
    return Claim(
        slot_id=lease.slot_id,
        version=lease.version,
        item_id=lease.item_id,
        queue_id=queue_id,
        lease_until=desk.lease_until,
        draft=draft,
        resumed=resumed,
    )


def _sit_down(session: Session, queue_id: int, user_id: int, now: datetime) -> _Desk:
    """Lock the person's membership, so that their claims in two tabs come one after the other."""
    row = session.execute(
        select(QUEUES.c.lease_seconds, QUEUES.c.closed_at, MEMBERS.c.cursor)
        .join(MEMBERS, MEMBERS.c.queue_id == QUEUES.c.id)
        .where(QUEUES.c.id == queue_id, MEMBERS.c.user_id == user_id)
        .with_for_update(of=MEMBERS)
    ).first()
    if row is None:
        if session.scalar(select(QUEUES.c.id).where(QUEUES.c.id == queue_id)) is None:
            raise NotFound("There is no such review queue.")
        raise Forbidden("You are not a reviewer of this queue.", hint="Ask its lead to add you.")
    until = now + timedelta(seconds=row.lease_seconds)
    return _Desk(queue_id, user_id, row.cursor, row.closed_at is not None, until)


def _resume(session: Session, desk: _Desk) -> _Lease | None:
    """The slot that the person holds, lapsed or not, as long as nobody else was given it."""
    held = SLOTS.alias("held")
    mine = (
        select(held.c.id)
        .where(
            held.c.owner_id == desk.user_id,
            held.c.queue_id == desk.queue_id,
            held.c.state == Slot.LEASED,
        )
        .limit(1)
        .with_for_update()
    )
    return _lease(
        session,
        update(SLOTS)
        .where(
            SLOTS.c.id == mine.scalar_subquery(),
            SLOTS.c.owner_id == desk.user_id,
            SLOTS.c.state == Slot.LEASED,
        )
        .values(lease_until=desk.lease_until),
    )


def _take_next(session: Session, desk: _Desk, now: datetime) -> _Lease | None:
    free = SLOTS.alias("free")
    openly, leased = in_state(free, Slot.OPEN), in_state(free, Slot.LEASED)
    searches = [
        ((openly, free.c.position > desk.cursor), free.c.position),
        ((leased, free.c.lease_until <= now), free.c.lease_until),
        ((openly,), free.c.position),
    ]
    for conditions, order in searches:
        chosen = select(free.c.id).where(
            free.c.queue_id == desk.queue_id, *conditions, *_not_seen_by(desk.user_id, free)
        )
        lease = _take(session, chosen.order_by(order).limit(1), desk)
        if lease is not None:
            _move_cursor(session, desk, lease.position)
            return lease
    return None


def _not_seen_by(user_id: int, free: NamedFromClause) -> tuple[ColumnElement[bool], ...]:
    other = SLOTS.alias("other")
    return (
        ~exists(
            select(other.c.id).where(
                other.c.item_id == free.c.item_id,
                other.c.owner_id == user_id,
                other.c.id != free.c.id,
            )
        ),
        ~exists(
            select(REVIEWS.c.id).where(
                REVIEWS.c.item_id == free.c.item_id,
                REVIEWS.c.reviewer_id == user_id,
                REVIEWS.c.state.in_([ReviewState.SUBMITTED, ReviewState.SKIPPED]),
            )
        ),
    )


def _take(session: Session, chosen: Select[int], desk: _Desk) -> _Lease | None:
    """The atomic statement. SQLite, which has one writer at a time, is sent no row lock."""
    return _lease(
        session,
        update(SLOTS)
        .where(SLOTS.c.id == chosen.with_for_update(skip_locked=True).scalar_subquery())
        .values(
            state=Slot.LEASED,
            owner_id=desk.user_id,
            lease_until=desk.lease_until,
            version=SLOTS.c.version + 1,
        ),
    )


def _lease(session: Session, statement: Any) -> _Lease | None:
    row = session.execute(
        statement.returning(SLOTS.c.id, SLOTS.c.version, SLOTS.c.item_id, SLOTS.c.position)
    ).first()
    return None if row is None else _Lease(*row)


def _move_cursor(session: Session, desk: _Desk, position: int) -> None:
    if position > desk.cursor:
        session.execute(
            update(MEMBERS)
            .where(MEMBERS.c.queue_id == desk.queue_id, MEMBERS.c.user_id == desk.user_id)
            .values(cursor=position)
        )


def _saved_draft(session: Session, slot_id: int, user_id: int) -> dict[str, Any]:
    query = (
        select(REVIEWS.c.draft)
        .where(
            REVIEWS.c.slot_id == slot_id,
            REVIEWS.c.reviewer_id == user_id,
            REVIEWS.c.state == ReviewState.DRAFT,
        )
        .order_by(REVIEWS.c.slot_version.desc())
        .limit(1)
    )
    return dict(session.scalar(query) or {})


def _begin_review(
    session: Session, lease: _Lease, user_id: int, draft: dict[str, Any], now: datetime
) -> None:
    session.execute(
        insert(REVIEWS).values(
            item_id=lease.item_id,
            slot_id=lease.slot_id,
            slot_version=lease.version,
            reviewer_id=user_id,
            state=ReviewState.DRAFT,
            draft=draft,
            started_at=now,
        )
    )
