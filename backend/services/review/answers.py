"""Submitting and skipping: the answer to an item, checked, stored once, and fenced.

One transaction releases the slot (by id, owner and version) and adds the review with its ratings,
correction, spans or vote. Sending the same answer again gives the same result; another answer
under the same lease is refused. The desk knows sides (left, right); a and b are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, insert, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.rubrics import rubric_from_content
from backend.services.review.answer_rules import (
    Answer,
    CheckedReview,
    Subject,
    check_answer,
    refuse_unstorable_text,
)
from backend.services.review.leases import REVIEWS, SLOTS, held_by, why_not_held
from backend.tables.generation import Generation
from backend.tables.review import (
    Correction,
    Preference,
    Rating,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
    ReviewState,
    RubricVersion,
    SlotState,
    Span,
)
from backend.tables.users import User

MAX_ACTIVE_SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class Submitted:
    """A stored review. `repeated` says that the same answer had been stored before."""

    review_id: int
    item_id: int
    submitted_at: datetime
    repeated: bool = False


def submit_review(
    session: Session,
    *,
    slot_id: int,
    version: int,
    user_id: int,
    answer: Answer,
    now: datetime,
    simulated: bool = False,
    annotator_kind: str = "human",
) -> Submitted:
    """Store the answer to an item that the person holds, and release the slot.

    A lease that lapsed and was given to nobody else still counts.

    Args:
        simulated: the answer comes from a script; always true for a simulated user.

    Raises:
        InvalidInput: the answer does not fit the rubric or the item; the lease stays.
        Conflict: another answer was stored under this lease.
        LeaseLost: somebody else was given the item.
        NotFound: the person never held it under this version.
    """
    subject = _subject(session, slot_id)
    checked = check_answer(subject, answer)
    if not _release(session, slot_id, version, user_id, SlotState.DONE):
        return _repeated(session, slot_id, version, user_id, checked.digest)
    user = session.get_one(User, user_id)
    review_id = session.execute(
        update(REVIEWS)
        .where(REVIEWS.c.slot_id == slot_id, REVIEWS.c.slot_version == version)
        .values(
            state=ReviewState.SUBMITTED,
            draft={},
            answer_digest=checked.digest,
            comment=checked.comment,
            annotator_kind=annotator_kind,
            simulated=simulated or user.simulated,
            active_seconds=min(max(answer.active_seconds, 0.0), MAX_ACTIVE_SECONDS),
            submitted_at=now,
        )
        .returning(REVIEWS.c.id)
    ).scalar_one()
    _store_answer(session, review_id, subject, checked, now)
    return Submitted(review_id, subject.item_id, now)


def skip_review(
    session: Session, *, slot_id: int, version: int, user_id: int, reason: str, now: datetime
) -> None:
    """Hand an item back with a reason: it reopens for others, never again for this person.

    Skipping again under the same lease changes nothing. Errors as `submit_review`, and
    InvalidInput for an empty reason.
    """
    if not reason.strip():
        raise InvalidInput("Say in a few words why you skip this item.")
    refuse_unstorable_text(reason)
    if not _release(session, slot_id, version, user_id, SlotState.OPEN):
        if _stored_state(session, slot_id, version, user_id) == ReviewState.SKIPPED:
            return
        raise why_not_held(session, slot_id, version, user_id)
    session.execute(
        update(REVIEWS)
        .where(REVIEWS.c.slot_id == slot_id, REVIEWS.c.slot_version == version)
        .values(state=ReviewState.SKIPPED, skip_reason=reason.strip(), submitted_at=now)
    )


def _release(session: Session, slot_id: int, version: int, user_id: int, state: SlotState) -> bool:
    owner = {"owner_id": None} if state is SlotState.OPEN else {}
    released = session.execute(
        update(SLOTS)
        .where(*held_by(slot_id, version, user_id))
        .values(state=state, lease_until=None, **owner)
        .returning(SLOTS.c.id)
    )
    return released.first() is not None


def _repeated(session: Session, slot_id: int, version: int, user_id: int, digest: str) -> Submitted:
    stored = session.execute(
        select(REVIEWS.c.id, REVIEWS.c.item_id, REVIEWS.c.submitted_at, REVIEWS.c.answer_digest)
        .where(REVIEWS.c.slot_id == slot_id, REVIEWS.c.slot_version == version)
        .where(REVIEWS.c.reviewer_id == user_id, REVIEWS.c.state == ReviewState.SUBMITTED)
    ).first()
    if stored is None:
        raise why_not_held(session, slot_id, version, user_id)
    if stored.answer_digest != digest:
        raise Conflict(
            "Another answer to this item was stored before; it stands.",
            hint="Ask for the next item.",
        )
    return Submitted(stored.id, stored.item_id, stored.submitted_at, repeated=True)


def _stored_state(session: Session, slot_id: int, version: int, user_id: int) -> str | None:
    query = select(REVIEWS.c.state).where(
        REVIEWS.c.slot_id == slot_id,
        REVIEWS.c.slot_version == version,
        REVIEWS.c.reviewer_id == user_id,
    )
    return session.scalar(query)


def _subject(session: Session, slot_id: int) -> Subject:
    row = session.execute(
        select(
            ReviewItem.id,
            Generation.id,
            Generation.text,
            ReviewItem.a_is_left,
            ReviewQueue.kind,
            RubricVersion.content,
        )
        .select_from(ReviewSlot)
        .join(ReviewItem, ReviewItem.id == ReviewSlot.item_id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .join(RubricVersion, RubricVersion.id == ReviewQueue.rubric_version_id)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .where(ReviewSlot.id == slot_id)
    ).first()
    if row is None:
        raise NotFound("There is no such item.", hint="Ask for the next one.")
    item_id, generation_id, text, a_is_left, kind, content = row
    rubric = rubric_from_content(content)
    return Subject(item_id, generation_id, text or "", a_is_left, kind, rubric)


def _store_answer(
    session: Session, review_id: int, subject: Subject, checked: CheckedReview, now: datetime
) -> None:
    rows: list[tuple[type, dict[str, Any]]] = [
        (Rating, {"criterion": name, "value": given.value, "number": given.number})
        for name, given in checked.ratings.items()
    ]
    if checked.correction is not None:
        correction = {
            "generation_id": subject.generation_id,
            "text": checked.correction,
            "reason": checked.correction_reason,
            "created_at": now,
        }
        rows.append((Correction, correction))
    for mark in checked.spans:
        span = {"start": mark.start, "end": mark.end, "kind": mark.kind}
        rows.append((Span, {**span, "severity": mark.severity, "note": mark.note}))
    if checked.winner is not None:
        rows.append((Preference, {"winner": checked.winner}))
    for table, values in rows:
        session.execute(insert(_core(table)).values(review_id=review_id, **values))


def _core(table: Any) -> Table:
    found = table.__table__
    assert isinstance(found, Table)
    return found
