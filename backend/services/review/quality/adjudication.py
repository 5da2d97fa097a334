"""Deciding where reviews differ: opened above a bound, claimed by somebody new, a verdict beside.

An adjudication is one more slot of its item, of its own purpose. Its verdict is a review like any
other and never touches the originals; who trains on the item takes the verdict, what is estimated
stays with the reviews that the design asked for. Nobody decides on an item that they reviewed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, exists, func, select, update
from sqlalchemy.orm import Session, aliased, selectinload

from backend.errors import NotFound
from backend.services.pages import PageAsk, RowPage, page_of
from backend.services.review.blind import mask_answer, masked_terms_of, said_by
from backend.services.review.counted import counts
from backend.services.review.desk.answer_rules import Answer
from backend.services.review.desk.masks import mask_text
from backend.services.review.desk.slots import add_slot, lock_item
from backend.services.review.quality.item_agreement import item_disagreement
from backend.services.review.rules import QueueRules
from backend.tables.quality import Adjudication
from backend.tables.review import (
    Purpose,
    Review,
    ReviewItem,
    ReviewSlot,
    ReviewState,
    SlotState,
)


@dataclass(frozen=True, slots=True)
class AnonymousAnswer:
    """What one of the item's reviewers said, under a name that says nothing."""

    label: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Dispute:
    """What an adjudicator sees of the reviews: the answers, shuffled, and where they differ."""

    answers: tuple[AnonymousAnswer, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class AdjudicationProgress:
    """Adjudications of a queue: opened, of them decided, and held by somebody now."""

    opened: int
    decided: int
    held: int


def open_if_needed(
    session: Session, item_id: int, rules: QueueRules, now: datetime
) -> Adjudication | None:
    """Open an adjudication for an item whose required reviews are all in and too far apart.

    None when the queue has no bound, a review is missing, the item has one already, or the
    disagreement is within the bound. Safe to call twice.
    """
    if rules.adjudicate_above is None:
        return None
    item = session.get(ReviewItem, item_id)
    if item is None:
        raise NotFound("There is no such item.")
    connection = session.connection()
    lock_item(connection, item_id)  # its last two reviews may come at once, blind to each other
    if _is_open(session, item_id) or _exists(session, item_id):
        return None
    found = item_disagreement(session, item_id)
    if found is None or found.value <= rules.adjudicate_above:
        return None
    opened = Adjudication(
        queue_id=item.queue_id,
        item_id=item_id,
        slot_id=add_slot(connection, item_id, purpose=Purpose.ADJUDICATION),
        disagreement=found.value,
        reason=found.reason,
        opened_at=now,
    )
    session.add(opened)
    session.flush()
    return opened


def _is_open(session: Session, item_id: int) -> bool:
    waiting = select(ReviewSlot.id).where(
        ReviewSlot.item_id == item_id,
        ReviewSlot.purpose == Purpose.REVIEW,
        ReviewSlot.state.in_([SlotState.OPEN, SlotState.LEASED]),
    )
    return session.scalar(waiting.limit(1)) is not None


def _exists(session: Session, item_id: int) -> bool:
    query = select(Adjudication.id).where(Adjudication.item_id == item_id)
    return session.scalar(query) is not None


def record_verdict(session: Session, review_id: int, now: datetime) -> Adjudication | None:
    """Note a submitted verdict as the decision; None when it came late and another one stands.

    Who holds the slot under its fencing token decides; an extra review, whose lease had gone to
    somebody else, never does. Safe to call twice.
    """
    review = session.get_one(Review, review_id, populate_existing=True)
    if review.extra:
        return None
    session.execute(
        update(Adjudication)
        .where(Adjudication.slot_id == review.slot_id, Adjudication.decided_at.is_(None))
        .values(decided_at=now, review_id=review_id)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(
        select(Adjudication)
        .where(Adjudication.review_id == review_id)
        .execution_options(populate_existing=True)
    )


def dispute_of(session: Session, slot_id: int) -> Dispute | None:
    """What the holder of an adjudication's slot sees; None for any other slot.

    The answers are in an order drawn by the queue's seed, so that "Reviewer 1" is not always the
    same person; times, names and who was simulated stay out.
    """
    found = session.scalar(select(Adjudication).where(Adjudication.slot_id == slot_id))
    if found is None:
        return None
    reviews = _originals(session, [found.item_id])
    random.Random(f"dispute:{found.item.queue.seed}:{found.item_id}").shuffle(reviews)
    terms = masked_terms_of(found.item.queue)
    answers = [
        AnonymousAnswer(f"Reviewer {n}", _unsigned(review, found.item, terms))
        for n, review in enumerate(reviews, start=1)
    ]
    return Dispute(tuple(answers), mask_text(found.reason, terms))


def _originals(session: Session, item_ids: Sequence[int]) -> list[Review]:
    query = (
        select(Review)
        .where(Review.item_id.in_(item_ids), *counts())
        .order_by(Review.id)
        .options(
            selectinload(Review.ratings),
            selectinload(Review.corrections),
            selectinload(Review.spans),
            selectinload(Review.preferences),
        )
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(query))


def _unsigned(review: Review, item: ReviewItem, terms: Sequence[str]) -> Answer:
    """The answer without how long it took."""
    said = replace(said_by(review, item), active_seconds=0.0, seconds_by_criterion={})
    return mask_answer(said, terms)


def adjudication_progress(session: Session, queue_id: int) -> AdjudicationProgress:
    """How far the adjudications of a queue have come."""
    held = and_(ReviewSlot.state == SlotState.LEASED, Adjudication.decided_at.is_(None))
    row = session.execute(
        select(
            func.count(),
            func.count(Adjudication.decided_at),
            func.coalesce(func.sum(case((held, 1), else_=0)), 0),
        )
        .select_from(Adjudication)
        .join(ReviewSlot, ReviewSlot.id == Adjudication.slot_id)
        .where(Adjudication.queue_id == queue_id)
    ).one()
    return AdjudicationProgress(int(row[0]), int(row[1]), int(row[2]))


def list_adjudications(session: Session, queue_id: int, ask: PageAsk) -> RowPage[Adjudication]:
    """The adjudications of a queue, the newest first."""
    return page_of(session, Adjudication, ask, queue_id=queue_id)


def disputed_answers(session: Session, found: Sequence[Adjudication]) -> dict[int, list[Review]]:
    """The reviews between which adjudications decide, by the id of their item."""
    by_item: dict[int, list[Review]] = {one.item_id: [] for one in found}
    for review in _originals(session, list(by_item)):
        by_item[review.item_id].append(review)
    return by_item


def overruled() -> ColumnElement[bool]:
    """Reviews whose item has a verdict that stands; the verdict itself is none of them."""
    verdict = aliased(Review)
    decided = exists(
        select(verdict.id)
        .join(Adjudication, Adjudication.review_id == verdict.id)
        .where(
            Adjudication.item_id == Review.item_id,
            verdict.state == ReviewState.SUBMITTED,
            verdict.withdrawn_at.is_(None),
            verdict.superseded_at.is_(None),
        )
    )
    return and_(Review.purpose != Purpose.ADJUDICATION, decided)
