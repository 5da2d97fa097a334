"""What people are shown: an item as its expert sees it, their own past answers, their progress.

An expert sees the source and one output, or a blind left and right. No model name, no score, and
nobody else's answer passes through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.services.review.answer_rules import Answer, SpanMark, to_choice
from backend.tables.generation import Generation
from backend.tables.review import (
    QueueKind,
    QueueMember,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
    ReviewState,
)
from backend.tables.scoring import Score

FINISHED = (ReviewState.SUBMITTED, ReviewState.SKIPPED)


@dataclass(frozen=True, slots=True)
class FlaggedSpan:
    """A stretch of an output that a check does not find supported; code points."""

    start: int
    end: int
    reason: str
    kind: str


@dataclass(frozen=True, slots=True)
class ShownOutput:
    """A text to judge, by whichever model."""

    text: str
    flagged: tuple[FlaggedSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item as its expert sees it: `output` for a single one, `left` and `right` for a pair."""

    item_id: int
    queue_id: int
    kind: str
    position: int
    input: str
    context: str | None
    output: ShownOutput | None = None
    left: ShownOutput | None = None
    right: ShownOutput | None = None


@dataclass(frozen=True, slots=True)
class PastReview:
    """A finished review with the item as it was shown and the answer as it was given."""

    review_id: int
    state: str
    submitted_at: datetime
    simulated: bool
    skip_reason: str | None
    item: ItemView
    answer: Answer = field(default_factory=Answer)


def item_view(session: Session, slot_id: int, user_id: int) -> ItemView:
    """The item of a slot that this person holds or has done; NotFound for anybody else."""
    slot = session.get(ReviewSlot, slot_id, populate_existing=True)
    if slot is None or slot.owner_id != user_id:
        raise NotFound("You do not hold this item.", hint="Ask for the next one.")
    return show_item(session, slot.item)


def show_item(session: Session, item: ReviewItem) -> ItemView:
    """An item as an expert sees it."""
    a, b, queue = item.generation_a, item.generation_b, item.queue
    output = left = right = None
    if b is None:
        output = ShownOutput(a.text or "", _flags(session, queue.score_run_id, a))
    else:
        left, right = (
            ShownOutput(side.text or "") for side in ((a, b) if item.a_is_left else (b, a))
        )
    return ItemView(
        item_id=item.id,
        queue_id=queue.id,
        kind=queue.kind,
        position=item.position,
        input=a.example.input,
        context=a.example.context,
        output=output,
        left=left,
        right=right,
    )


def _flags(
    session: Session, score_run_id: int | None, generation: Generation
) -> tuple[FlaggedSpan, ...]:
    if score_run_id is None:
        return ()
    spans = session.scalars(
        select(Score.spans).where(
            Score.score_run_id == score_run_id, Score.generation_id == generation.id
        )
    )
    flags = {
        FlaggedSpan(span["start"], span["end"], span["reason"], span["kind"])
        for found in spans
        for span in found
    }
    return tuple(sorted(flags, key=lambda flag: (flag.start, flag.end, flag.reason)))


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


def may_review(session: Session, queue_id: int, user_id: int) -> bool:
    """Whether this person is a reviewer of the queue."""
    return session.get(QueueMember, (queue_id, user_id)) is not None


def my_reviews(
    session: Session, queue_id: int, user_id: int, *, limit: int = 20, before_id: int | None = None
) -> list[PastReview]:
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


def past_review(session: Session, review_id: int, user_id: int) -> PastReview:
    """One of a person's own finished reviews; NotFound for anybody else's."""
    return _past(session, _own(session, review_id, user_id))


def _own(session: Session, review_id: int, user_id: int) -> Review:
    review = session.get(Review, review_id, populate_existing=True)
    if review is None or review.reviewer_id != user_id or review.state not in FINISHED:
        raise NotFound("You have no such review.")
    return review


def _past(session: Session, review: Review) -> PastReview:
    if review.submitted_at is None:
        raise NotFound("You have no such review.")
    item = review.item
    winner = None
    if item.queue.kind == QueueKind.PAIR and review.preferences:
        winner = to_choice(review.preferences[0].winner, a_is_left=item.a_is_left)
    correction = review.corrections[0] if review.corrections else None
    return PastReview(
        review_id=review.id,
        state=review.state,
        submitted_at=review.submitted_at,
        simulated=review.simulated,
        skip_reason=review.skip_reason,
        item=show_item(session, item),
        answer=Answer(
            ratings={rating.criterion: rating.value for rating in review.ratings},
            correction=correction.text if correction else None,
            correction_reason=correction.reason if correction else None,
            spans=tuple(SpanMark(s.start, s.end, s.kind, s.severity, s.note) for s in review.spans),
            winner=winner,
            comment=review.comment,
            active_seconds=review.active_seconds,
        ),
    )
