"""Deciding where reviews differ: opened above a bound, claimed by somebody new, a verdict beside.

An adjudication is one more slot of its item, of its own purpose. Its verdict is a review like any
other and never touches the originals; who trains on the item takes the verdict, what is estimated
stays with the reviews that the design asked for. Nobody decides on an item that they reviewed.

How far the reviewers of one item differ: what opens an adjudication, or asks for one more.

    nominal (yes or no, category, vote)     0 when equal, else 1
    ordinal (stars, verdict)                |rank - rank| / (ranks - 1)
    number                                  |a - b| / (max - min)
    several options                         1 - shared / named by either (Jaccard)
    text                                    not compared

The mean over pairs of people for each criterion, then over the criteria that two people answered.
These are distances of single items, not corrected for chance; `reports.agreement` has the
coefficients.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations
from statistics import fmean

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from backend.errors import NotFound
from backend.rubrics import CheckedAnswer, Criterion, Rubric, rubric_from_content, value_in_words
from backend.schemas.review.desk import AdjudicationView, AnonymousAnswer
from backend.schemas.review.quality import AdjudicationProgressOut
from backend.services import audit
from backend.services.pages import PageAsk, RowPage, page_of
from backend.services.review.answer import Answer
from backend.services.review.blind import (
    WITH_PARTS,
    mask_answer,
    mask_text,
    masked_terms_of,
    said_by,
)
from backend.services.review.counted import counts, ratings_of
from backend.services.review.lease import add_slot, lock_item
from backend.services.review.rules import QueueRules
from backend.tables.review import (
    Adjudication,
    Preference,
    Purpose,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
    ReviewState,
    RubricVersion,
    SlotState,
)

WINNER = "winner"
Answers = Mapping[str, CheckedAnswer]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far an item's reviews are apart: 0 all alike, 1 as far as can be; `reason` in words."""

    value: float
    reason: str


def item_disagreement(session: Session, item_id: int) -> Disagreement | None:
    """The disagreement of the reviews of an item that count; None when no two can be compared.

    Raises:
        NotFound: no such item.
    """
    counted = select(Review.id).where(Review.item_id == item_id, *counts()).order_by(Review.id)
    given = answers_of(session, session.scalars(counted).all())
    return compare_answers(_rubric(session, item_id), list(given.values()))


def compare_answers(rubric: Rubric, given: Sequence[Answers]) -> Disagreement | None:
    """The disagreement of some people's answers, each by criterion; a vote is under `winner`."""
    scales: dict[str, Criterion | None] = {WINNER: None, **{c.name: c for c in rubric.criteria}}
    apart: dict[str, float] = {}
    for name, criterion in scales.items():
        said = [answers[name] for answers in given if name in answers]
        found = [distance(criterion, a, b) for a, b in combinations(said, 2)]
        known = [value for value in found if value is not None]
        if known:
            apart[name] = fmean(known)
    if not apart:
        return None
    return Disagreement(fmean(apart.values()), _reason(apart, given))


def distance(criterion: Criterion | None, a: CheckedAnswer, b: CheckedAnswer) -> float | None:
    """How far two answers are apart, 0 to 1; None for a scale that is not compared.

    A vote has no criterion.
    """
    return float(a.value != b.value) if criterion is None else criterion.distance(a, b)


def _reason(apart: Mapping[str, float], given: Sequence[Answers]) -> str:
    """Which answers differ, the widest apart first; by value, so that nobody can be told."""
    differing = sorted((name for name in apart if apart[name] > 0), key=lambda n: -apart[n])
    if not differing:
        return "The answers agree."
    said = {
        name: sorted(value_in_words(answers[name].value) for answers in given if name in answers)
        for name in differing
    }
    return "; ".join(f"{name}: {' / '.join(values)}" for name, values in said.items())


def _rubric(session: Session, item_id: int) -> Rubric:
    content = session.scalar(
        select(RubricVersion.content)
        .join(ReviewQueue, ReviewQueue.rubric_version_id == RubricVersion.id)
        .join(ReviewItem, ReviewItem.queue_id == ReviewQueue.id)
        .where(ReviewItem.id == item_id)
    )
    if content is None:
        raise NotFound("There is no such item.")
    return rubric_from_content(content)


def answers_of(session: Session, review_ids: Sequence[int]) -> dict[int, dict[str, CheckedAnswer]]:
    """What reviews say by criterion, a vote under `winner`; by the id of the review."""
    given = ratings_of(session, review_ids)
    votes = select(Preference.review_id, Preference.winner)
    for review_id, winner in session.execute(votes.where(Preference.review_id.in_(review_ids))):
        given[review_id][WINNER] = CheckedAnswer(winner, None)
    return given


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
    opened_before = select(Adjudication.id).where(Adjudication.item_id == item_id)
    if is_waited_for(connection, item_id) or session.scalar(opened_before) is not None:
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


def is_waited_for(connection: Connection, item_id: int) -> bool:
    """Whether a required review of the item is still to come."""
    waiting = select(ReviewSlot.id).where(
        ReviewSlot.item_id == item_id,
        ReviewSlot.purpose == Purpose.REVIEW,
        ReviewSlot.state.in_([SlotState.OPEN, SlotState.LEASED]),
    )
    return connection.execute(waiting.limit(1)).first() is not None


def record_verdict(session: Session, review_id: int, now: datetime) -> Adjudication | None:
    """Note a submitted verdict as the decision; None when it came late and another one stands.

    Who holds the slot under its fencing token decides; an extra review, whose lease had gone to
    somebody else, never does. Safe to call twice.
    """
    review = session.get_one(Review, review_id, populate_existing=True)
    if review.extra:
        return None
    decided = session.execute(
        update(Adjudication)
        .where(Adjudication.slot_id == review.slot_id, Adjudication.decided_at.is_(None))
        .values(decided_at=now, review_id=review_id)
        .returning(Adjudication.id, Adjudication.queue_id)
        .execution_options(synchronize_session=False)
    ).first()
    if decided is not None:
        audit.record(
            session,
            "adjudication.decided",
            subject=f"adjudication:{decided.id}",
            project_id=session.get_one(ReviewQueue, decided.queue_id).project_id,
            detail={"review": review_id},
        )
    return session.scalar(
        select(Adjudication)
        .where(Adjudication.review_id == review_id)
        .execution_options(populate_existing=True)
    )


def dispute_of(session: Session, slot_id: int) -> AdjudicationView | None:
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
        AnonymousAnswer(
            label=f"Reviewer {n}", answer=_unsigned(review, found.item, terms).as_given()
        )
        for n, review in enumerate(reviews, start=1)
    ]
    return AdjudicationView(answers=answers, reason=mask_text(found.reason, terms))


def _originals(session: Session, item_ids: Sequence[int]) -> list[Review]:
    query = (
        select(Review)
        .where(Review.item_id.in_(item_ids), *counts())
        .order_by(Review.id)
        .options(*WITH_PARTS)
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(query))


def _unsigned(review: Review, item: ReviewItem, terms: Sequence[str]) -> Answer:
    """The answer without how long it took."""
    said = replace(said_by(review, item), active_seconds=0.0, seconds_by_criterion={})
    return mask_answer(said, terms)


def adjudication_progress(session: Session, queue_id: int) -> AdjudicationProgressOut:
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
    return AdjudicationProgressOut(opened=int(row[0]), decided=int(row[1]), held=int(row[2]))


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
