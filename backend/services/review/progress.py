"""How far a queue is, and who did how much of it.

Progress costs the same in a long queue as in a short one: what was asked for stands in the queue's
design, what is done in its members' counters, and leases are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.services.review.leases import MEMBERS, QUEUES, SLOTS, in_state
from backend.tables.review import Purpose, QueueMember, Review, ReviewItem, ReviewState, SlotState
from backend.tables.users import User


@dataclass(frozen=True, slots=True)
class QueueProgress:
    """Required reviews of a queue by state; `mine` are those that one person submitted.

    Reviewers who were asked further count in the total, and slots that went out do not. Lapsed
    leases count as leased until somebody takes them; what is under revision is done. In a person's
    own progress a gold item that they hold counts as leased, since nothing may set it apart.
    """

    total: int
    done: int
    leased: int
    open: int
    mine: int = 0


@dataclass(frozen=True, slots=True)
class ReviewerProgress:
    """What one reviewer of a queue has done."""

    user_id: int
    pseudonym: str
    simulated: bool
    submitted: int
    skipped: int
    active_seconds: float


def _done(*conditions: ColumnElement[bool]) -> Any:
    counted = select(func.coalesce(func.sum(MEMBERS.c.n_submitted), 0)).where(
        MEMBERS.c.queue_id == QUEUES.c.id, *conditions
    )
    return counted.scalar_subquery()


_LEASED = (
    select(func.count())
    .where(
        SLOTS.c.queue_id == QUEUES.c.id,
        in_state(SLOTS, SlotState.LEASED),
        SLOTS.c.lease_until.is_not(None),
    )
    .scalar_subquery()
)
_GOLD_IN_HAND = (
    select(func.count())
    .where(
        SLOTS.c.queue_id == QUEUES.c.id,
        SLOTS.c.owner_id == bindparam("person"),
        SLOTS.c.state == SlotState.LEASED,
        SLOTS.c.purpose == Purpose.GOLD,
    )
    .scalar_subquery()
)
_PROGRESS = select(
    QUEUES.c.design,
    _done().label("done"),
    _done(MEMBERS.c.user_id == bindparam("person")).label("mine"),
    _LEASED.label("leased"),
    _GOLD_IN_HAND.label("gold_in_hand"),
).where(QUEUES.c.id == bindparam("queue"))


def queue_progress(session: Session, queue_id: int, *, user_id: int | None = None) -> QueueProgress:
    """How a queue stands; with `user_id` also how much of it that person did. Raises NotFound."""
    asked = {"queue": queue_id, "person": -1 if user_id is None else user_id}
    row = session.connection().execute(_PROGRESS, asked).first()
    if row is None:
        raise NotFound("There is no such review queue.")
    design = row.design
    total = int(design["n_slots"]) + int(design.get("n_extra", 0)) - int(design.get("n_out", 0))
    waiting = total - row.done
    leased = min(row.leased + row.gold_in_hand, waiting)
    return QueueProgress(total, row.done, leased, waiting - leased, row.mine)


def reviewer_progress(session: Session, queue_id: int) -> list[ReviewerProgress]:
    """Every reviewer of a queue with what they did, the most diligent first."""
    submitted = func.sum(case((Review.state == ReviewState.SUBMITTED, 1), else_=0))
    skipped = func.sum(case((Review.state == ReviewState.SKIPPED, 1), else_=0))
    counted = (
        select(
            Review.reviewer_id,
            submitted.label("submitted"),
            skipped.label("skipped"),
            func.sum(Review.active_seconds).label("active_seconds"),
        )
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(ReviewItem.queue_id == queue_id)
        .group_by(Review.reviewer_id)
        .subquery()
    )
    rows = session.execute(
        select(User, counted.c.submitted, counted.c.skipped, counted.c.active_seconds)
        .join(QueueMember, QueueMember.user_id == User.id)
        .outerjoin(counted, counted.c.reviewer_id == User.id)
        .where(QueueMember.queue_id == queue_id)
        .order_by(func.coalesce(counted.c.submitted, 0).desc(), User.id)
    )
    return [
        ReviewerProgress(
            user.id, user.pseudonym, user.simulated, int(done or 0), int(left or 0), seconds or 0.0
        )
        for user, done, left, seconds in rows
    ]
