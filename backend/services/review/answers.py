"""Submitting and skipping: the answer to an item, checked, stored once, and fenced.

One transaction releases the slot (by id, owner and version) and adds the review with its ratings,
correction, spans or vote. Sending the same answer again gives the same result; another answer
under the same lease is refused. The desk knows sides (left, right); a and b are ours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, assert_never

from sqlalchemy import Table, insert, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.rubrics import CheckedAnswer, Rubric, rubric_from_content, validate_answers
from backend.services.review.claims import REVIEWS, SLOTS, held_by, why_not_held
from backend.tables.generation import Generation
from backend.tables.review import (
    Correction,
    Preference,
    QueueKind,
    Rating,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
    ReviewState,
    RubricVersion,
    SlotState,
    Span,
    Winner,
)
from backend.tables.users import User

MAX_ACTIVE_SECONDS = 12 * 3600


class Choice(StrEnum):
    """The answer to a blind pair as the desk knows it."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    BOTH_BAD = "both_bad"
    CANNOT_JUDGE = "cannot_judge"


@dataclass(frozen=True, slots=True)
class SpanMark:
    """A marked error: `text[start:end]` of the output, in Unicode code points."""

    start: int
    end: int
    kind: str
    severity: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer says of one item.

    Attributes:
        ratings: by criterion name, each on the scale of its criterion.
        correction: the output as it should have been; None where nothing is to be changed.
        winner: a `Choice`, for pairs only.
        active_seconds: time of attention, as the desk measured it.
    """

    ratings: Mapping[str, object] = field(default_factory=dict)
    correction: str | None = None
    correction_reason: str | None = None
    spans: tuple[SpanMark, ...] = ()
    winner: str | None = None
    comment: str | None = None
    active_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Submitted:
    """A stored review. `repeated` says that the same answer had been stored before."""

    review_id: int
    item_id: int
    submitted_at: datetime
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class _Checked:
    """An answer in the form in which it is stored."""

    ratings: dict[str, CheckedAnswer]
    correction: str | None
    correction_reason: str | None
    spans: tuple[SpanMark, ...]
    winner: Winner | None
    comment: str | None

    @property
    def digest(self) -> str:
        parts = [
            sorted((name, answer.value) for name, answer in self.ratings.items()),
            self.correction,
            self.correction_reason,
            [[s.start, s.end, s.kind, s.severity, s.note] for s in self.spans],
            self.winner,
            self.comment,
        ]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a slot asks about."""

    item_id: int
    generation_id: int
    text: str
    a_is_left: bool
    kind: str
    rubric: Rubric


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
    checked = _check(subject, answer)
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


def _subject(session: Session, slot_id: int) -> _Subject:
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
    return _Subject(item_id, generation_id, text or "", a_is_left, kind, rubric)


def _check(subject: _Subject, answer: Answer) -> _Checked:
    ratings = validate_answers(subject.rubric, answer.ratings)
    comment = _or_none(answer.comment)
    match QueueKind(subject.kind):
        case QueueKind.SINGLE:
            if answer.winner is not None:
                raise InvalidInput("A single output takes no vote.", hint="Rate it.")
            correction = _checked_correction(subject.text, answer.correction)
            reason = _or_none(answer.correction_reason) if correction is not None else None
            spans = tuple(_checked_span(subject, mark) for mark in answer.spans)
            return _Checked(ratings, correction, reason, spans, None, comment)
        case QueueKind.PAIR:
            if answer.correction is not None or answer.spans:
                raise InvalidInput("A pair takes a vote, no correction and no marks.")
            winner = _to_winner(answer.winner, a_is_left=subject.a_is_left)
            return _Checked(ratings, None, None, (), winner, comment)
        case _ as never:
            assert_never(never)


def _or_none(text: str | None) -> str | None:
    return (text.strip() or None) if text is not None else None


def _checked_correction(output: str, correction: str | None) -> str | None:
    """The correction with plain line ends; None when it says what the output says."""
    if correction is None:
        return None
    written = _plain(correction)
    if not written:
        raise InvalidInput(
            "The correction is empty.",
            hint="Write the text as it should have been, or leave the output as it is.",
        )
    return None if written == _plain(output) else written


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _checked_span(subject: _Subject, mark: SpanMark) -> SpanMark:
    if not 0 <= mark.start < mark.end <= len(subject.text):
        raise InvalidInput(
            f"The mark {mark.start} to {mark.end} lies outside the output, "
            f"which has {len(subject.text)} characters."
        )
    kinds = subject.rubric.span_kinds
    if kinds and mark.kind not in kinds:
        raise InvalidInput(f"{mark.kind!r} is no kind of mark.", hint=f"Use: {', '.join(kinds)}.")
    return mark


def _to_winner(choice: str | None, *, a_is_left: bool) -> Winner:
    if choice is None or choice not in set(Choice):
        raise InvalidInput(
            "The pair needs a vote.", hint="Choose left, right, tie, both_bad or cannot_judge."
        )
    match Choice(choice):
        case Choice.LEFT:
            return Winner.A if a_is_left else Winner.B
        case Choice.RIGHT:
            return Winner.B if a_is_left else Winner.A
        case Choice.TIE:
            return Winner.TIE
        case Choice.BOTH_BAD:
            return Winner.BOTH_BAD
        case Choice.CANNOT_JUDGE:
            return Winner.CANNOT_JUDGE
        case _ as never:
            assert_never(never)


def to_choice(winner: str, *, a_is_left: bool) -> Choice:
    """The stored winner as the person saw it."""
    match Winner(winner):
        case Winner.A:
            return Choice.LEFT if a_is_left else Choice.RIGHT
        case Winner.B:
            return Choice.RIGHT if a_is_left else Choice.LEFT
        case Winner.TIE:
            return Choice.TIE
        case Winner.BOTH_BAD:
            return Choice.BOTH_BAD
        case Winner.CANNOT_JUDGE:
            return Choice.CANNOT_JUDGE
        case _ as never:
            assert_never(never)


def _store_answer(
    session: Session, review_id: int, subject: _Subject, checked: _Checked, now: datetime
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
