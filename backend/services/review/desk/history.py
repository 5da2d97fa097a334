"""What people find again: their queues, and past answers with the items as they were shown.

What is left for a person: how much of a queue, and which of their queues has work for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, Select, Table, bindparam, distinct, exists, func, or_, select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.schemas.review.desk import ItemView, OwnReview
from backend.services.review.blind import own_answer
from backend.services.review.desk.context import read_member
from backend.services.review.desk.item_view import show_item
from backend.services.review.rules import QueueRules, most_of_one_person, rules_from
from backend.services.review.statements import (
    ADJUDICATIONS,
    DESK_PURPOSES,
    ITEMS,
    QUEUES,
    REVIEWS,
    SLOTS,
    for_person,
    open_or_lapsed,
    written_out,
)
from backend.tables.curation import HeldBackRow, TrainingSetRow
from backend.tables.review import (
    Purpose,
    QueueMember,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
    ReviewState,
)
from backend.tables.review import SlotState as Slot

FINISHED = (ReviewState.SUBMITTED, ReviewState.SKIPPED)
ROWS = cast(Table, TrainingSetRow.__table__)
HELD_BACK = cast(Table, HeldBackRow.__table__)


def my_queues(
    session: Session, user_id: int, *, project_id: int | None = None
) -> list[ReviewQueue]:
    """The queues that a person may claim from: open ones first, newest first."""
    query = (
        select(ReviewQueue)
        .join(QueueMember, QueueMember.queue_id == ReviewQueue.id)
        .where(QueueMember.user_id == user_id)
        .order_by(ReviewQueue.closed_at.is_not(None), ReviewQueue.id.desc())
    )
    if project_id is not None:
        query = query.where(ReviewQueue.project_id == project_id)
    return list(session.scalars(query))


def my_reviews(
    session: Session, queue_id: int, user_id: int, *, limit: int = 20, before_id: int | None = None
) -> list[OwnReview]:
    """A person's own finished reviews in a queue, the last one first.

    Args:
        before_id: only those before this review, to page on.
    """
    query = (
        select(Review)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(
            ReviewItem.queue_id == queue_id,
            Review.reviewer_id == user_id,
            Review.state.in_(FINISHED),
            or_(Review.state == ReviewState.SUBMITTED, Review.superseded_at.is_(None)),
        )
        .order_by(Review.submitted_at.desc(), Review.id.desc())
    )
    if before_id is not None:
        before = _own(session, before_id, user_id)
        query = query.where(
            (Review.submitted_at < before.submitted_at)
            | ((Review.submitted_at == before.submitted_at) & (Review.id < before.id))
        )
    reviews: Sequence[Review] = session.scalars(query.limit(limit)).all()
    return [_past(session, review) for review in reviews]


def lapsed_item(
    session: Session, queue_id: int, slot_id: int, version: int, user_id: int
) -> tuple[ItemView, dict[str, Any]]:
    """An item that went to somebody else before its person had answered, and their draft of it.

    Raises:
        NotFound: the person never held it under this version, has finished it, or holds it still;
            or it is of another queue.
    """
    query = (
        select(Review)
        .join(ReviewSlot, ReviewSlot.id == Review.slot_id)
        .where(
            ReviewSlot.queue_id == queue_id,
            Review.slot_id == slot_id,
            Review.slot_version == version,
            Review.reviewer_id == user_id,
            Review.state == ReviewState.DRAFT,
            or_(ReviewSlot.owner_id.is_distinct_from(user_id), ReviewSlot.version != version),
        )
        .execution_options(populate_existing=True)
    )
    review = session.scalars(query).first()
    if review is None:
        raise NotFound("No such item of yours has lapsed.", hint="Ask for the next one.")
    return show_item(session, review.item), dict(review.draft or {})


def past_review(session: Session, review_id: int, user_id: int) -> OwnReview:
    """One of a person's own finished reviews; NotFound for anybody else's."""
    return _past(session, _own(session, review_id, user_id))


def _own(session: Session, review_id: int, user_id: int) -> Review:
    review = session.get(Review, review_id, populate_existing=True)
    if review is None or review.reviewer_id != user_id or review.state not in FINISHED:
        raise NotFound("You have no such review.")
    return review


def _past(session: Session, review: Review) -> OwnReview:
    if review.submitted_at is None:
        raise NotFound("You have no such review.")
    item = review.item
    return OwnReview.of(
        review,
        review_id=review.id,
        item=show_item(session, item, answered=review.state == ReviewState.SUBMITTED),
        revisable_until=_revisable_until(review),
        why=item.why,
        answer=own_answer(review, item).as_given(),
    )


def _revisable_until(review: Review) -> datetime | None:
    """What can be seen of it here; `revise.revise` has the last word."""
    queue = review.item.queue
    counts = review.purpose == Purpose.REVIEW and not review.extra
    stands = review.withdrawn_at is None and review.superseded_at is None
    if review.state not in FINISHED or not (counts and stands) or queue.closed_at:
        return None
    return revisable_until(rules_from(queue.rules), review.submitted_at)


def revisable_until(rules: QueueRules, submitted_at: datetime | None) -> datetime | None:
    """Until when an answer can be revised; None in a queue without revisions."""
    if rules.revise_minutes == 0 or submitted_at is None:
        return None
    return submitted_at + timedelta(minutes=rules.revise_minutes)


def left_for(session: Session, queue_id: int, user_id: int, *, now: datetime) -> int:
    """How many items a person could still be given in a queue now, with the one that they hold.

    Items that colleagues hold are not among them, nor what known answers may come between.
    """
    member = read_member(session.connection(), queue_id, user_id)
    held = session.scalar(_HELD, {"queue": queue_id, "person": user_id}) or 0
    if member.closed or member.paused or member.finished:
        return held
    named: dict[str, Any] = {"queue": queue_id, "person": user_id, "now": now}
    if member.skills:
        named["skills"] = list(member.skills)
    free = session.scalar(_FREE[bool(member.skills)], named) or 0
    may_give, share = member.n_slots, member.rules.max_share
    if share is not None:
        may_give = max(0, most_of_one_person(share, member.n_slots) - member.n_submitted)
    return held + min(free, may_give - held)


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
    return select(func.count(distinct(free.c.item_id))).where(
        free.c.queue_id == bindparam("queue"),
        free.c.purpose == written_out(Purpose.REVIEW),
        open_or_lapsed(free),
        free.c.owner_id.is_distinct_from(bindparam("person")),
        *for_person(free, with_skills=with_skills),
    )


_FREE = {skilled: _free(with_skills=skilled) for skilled in (False, True)}


def why_it_stands(connection: Connection, review_id: int) -> str | None:
    """Why an answer cannot be taken back though its time has not run out; None where it can."""
    decided = exists(
        select(ADJUDICATIONS.c.id).where(
            ADJUDICATIONS.c.item_id == REVIEWS.c.item_id, ADJUDICATIONS.c.decided_at.is_not(None)
        )
    )
    trained_on = or_(
        exists(select(ROWS.c.id).where(ROWS.c.review_id == REVIEWS.c.id)),
        exists(select(HELD_BACK.c.id).where(HELD_BACK.c.review_id == REVIEWS.c.id)),
    )
    row = connection.execute(
        select(QUEUES.c.closed_at, trained_on.label("trained_on"), decided.label("decided"))
        .join(ITEMS, ITEMS.c.queue_id == QUEUES.c.id)
        .join(REVIEWS, REVIEWS.c.item_id == ITEMS.c.id)
        .where(REVIEWS.c.id == review_id)
    ).one()
    if row.closed_at is not None:
        return "The queue is closed; its answers stand as they are."
    if row.trained_on:
        return "A training set was frozen with this answer; it stands."
    if row.decided:
        return "This item has a verdict already; your answer stands beside it."
    return None
