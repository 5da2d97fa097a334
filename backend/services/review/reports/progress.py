"""How far a queue is, and who did how much of it.

Progress costs the same in a long queue as in a short one: what was asked for stands in the queue's
design, what is done in its members' counters, and leases are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, case, func, select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.services.review.counted import counts, measures
from backend.services.review.desk.lease import MEMBERS, QUEUES, SLOTS, in_state
from backend.tables.accounts import User
from backend.tables.review import Purpose, QueueMember, Review, ReviewItem, ReviewState, SlotState


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
    """What one reviewer of a queue has done.

    `submitted` and `skipped` are of the reviews that the queue asks for and that stand: known
    answers, verdicts, late answers and those that were revised or withdrawn are not among them.
    `active_seconds` is all the time that the person spent on the queue.
    """

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
_STANDING = select(
    QUEUES.c.id,
    QUEUES.c.design,
    _done().label("done"),
    _done(MEMBERS.c.user_id == bindparam("person")).label("mine"),
    _LEASED.label("leased"),
    _GOLD_IN_HAND.label("gold_in_hand"),
)
_PROGRESS = _STANDING.where(QUEUES.c.id == bindparam("queue"))
_PROGRESS_OF_SEVERAL = _STANDING.where(QUEUES.c.id.in_(bindparam("queues", expanding=True)))
NOBODY = -1


def queue_progress(session: Session, queue_id: int, *, user_id: int | None = None) -> QueueProgress:
    """How a queue stands; with `user_id` also how much of it that person did. Raises NotFound."""
    asked = {"queue": queue_id, "person": NOBODY if user_id is None else user_id}
    row = session.connection().execute(_PROGRESS, asked).first()
    if row is None:
        raise NotFound("There is no such review queue.")
    return _as_progress(row)


def progress_of_queues(session: Session, queue_ids: Sequence[int]) -> dict[int, QueueProgress]:
    """How several queues stand, by id, in one question; those that do not exist are left out."""
    asked = {"queues": list(queue_ids), "person": NOBODY}
    rows = session.connection().execute(_PROGRESS_OF_SEVERAL, asked)
    return {row.id: _as_progress(row) for row in rows}


def _as_progress(row: Row[*tuple[Any, ...]]) -> QueueProgress:
    design = row.design
    total = int(design["n_slots"]) + int(design.get("n_extra", 0)) - int(design.get("n_out", 0))
    waiting = total - row.done
    leased = min(row.leased + row.gold_in_hand, waiting)
    return QueueProgress(total, row.done, leased, waiting - leased, row.mine)


def reviewer_progress(session: Session, queue_id: int) -> list[ReviewerProgress]:
    """Every reviewer of a queue with what they did, the most diligent first."""
    return reviewers_of_queues(session, [queue_id])[queue_id]


def reviewers_of_queues(
    session: Session, queue_ids: Sequence[int]
) -> dict[int, list[ReviewerProgress]]:
    """The reviewers of several queues, each as `reviewer_progress` has them, in one question."""
    submitted = func.sum(case((and_(*counts()), 1), else_=0))
    left = and_(Review.state == ReviewState.SKIPPED, *measures())
    skipped = func.sum(case((left, 1), else_=0))
    counted = (
        select(
            ReviewItem.queue_id,
            Review.reviewer_id,
            submitted.label("submitted"),
            skipped.label("skipped"),
            func.sum(Review.active_seconds).label("active_seconds"),
        )
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(ReviewItem.queue_id.in_(queue_ids))
        .group_by(ReviewItem.queue_id, Review.reviewer_id)
        .subquery()
    )
    rows = session.execute(
        select(
            QueueMember.queue_id,
            User,
            counted.c.submitted,
            counted.c.skipped,
            counted.c.active_seconds,
        )
        .join(QueueMember, QueueMember.user_id == User.id)
        .outerjoin(
            counted,
            and_(counted.c.reviewer_id == User.id, counted.c.queue_id == QueueMember.queue_id),
        )
        .where(QueueMember.queue_id.in_(queue_ids))
        .order_by(func.coalesce(counted.c.submitted, 0).desc(), User.id)
    )
    found: dict[int, list[ReviewerProgress]] = {queue_id: [] for queue_id in queue_ids}
    for queue_id, user, done, left, seconds in rows:
        name, simulated = user.pseudonym, user.simulated
        did = int(done or 0), int(left or 0), seconds or 0.0
        found[queue_id].append(ReviewerProgress(user.id, name, simulated, *did))
    return found
