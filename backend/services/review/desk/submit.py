"""Submitting: the answer to an item, checked, stored once, and fenced.

One transaction releases the slot (by id, owner and version) and adds the review with its ratings,
correction, spans or vote. Sending the same answer again gives the same result, also after the
person revised it; an answer that they never gave is refused then. An answer whose lease had lapsed
and whose item was given to somebody else is kept as an extra: nobody's work is thrown away, and no
item counts twice. The desk knows sides (left, right); a and b are ours.

What follows from an answer, in the transaction that stores it.

In this order: a known answer is judged, a verdict is noted; the audit of what skipped review is
watched; an item whose people agree too little
gets one more reviewer, and when that one differs too, an adjudication; the queue is finished when
nothing is left; webhooks are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Connection, Table, bindparam, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict
from backend.prepared import PreparedStatement
from backend.services.review.answer import Answer, CheckedReview, check_answer, store_parts
from backend.services.review.blind import BLOCK, masked_terms, unmask_text
from backend.services.review.desk.claim import finish_if_done
from backend.services.review.desk.context import SlotContext, count_answer, read_slot
from backend.services.review.desk.history import why_it_stands
from backend.services.review.lease import add_reviewer_slot, lock_item, skill_of_item, why_not_held
from backend.services.review.quality import adjudication, gold
from backend.services.review.quality.adjudication import item_disagreement
from backend.services.review.routing import note_audit
from backend.services.review.statements import REVIEWS, SLOTS, AnyRow, written_out
from backend.services.review.waiting import exhausted_items, somebody_left, take_out_exhausted
from backend.services.webhooks import hooks as webhooks
from backend.tables.checks.triage import AUDIT
from backend.tables.review import Correction, Purpose, ReviewQueue, ReviewState
from backend.tables.review import SlotState as Slot


def follow_up(
    session: Session, slot: SlotContext, review_id: int, *, extra: bool, now: datetime
) -> None:
    """Do what follows from a review that was stored just now."""
    match Purpose(slot.purpose):
        case Purpose.GOLD:
            gold.judge(session, review_id, now)
            return
        case Purpose.ADJUDICATION:
            _note_verdict(session, slot, review_id, now)
            _watch_audit(session, slot, now)
            return
        case Purpose.REVIEW | Purpose.IMPORT:
            if not extra:
                _watch_audit(session, slot, now)
                gone = settle_item(session, slot, now) if slot.shared else 0
                finish_unless_open(session, slot, now, gone=gone)
            tell(session, slot, "review.submitted", f"review:{review_id}", review_id, now)


def _watch_audit(session: Session, slot: SlotContext, now: datetime) -> None:
    if slot.stratum == AUDIT:
        note_audit(session, slot.queue_id, now)


def finish_unless_open(
    session: Session, slot: SlotContext, now: datetime, *, gone: int = 0
) -> None:
    """Finish the queue when this act was the last; most acts know from `slot` that it was not.

    Args:
        gone: open reviews that went out by this act, of which `slot` knows nothing.
    """
    if gone or not slot.more_open:
        finish_if_done(session, slot.queue_id, now)


def settle_item(session: Session, slot: SlotContext, now: datetime) -> int:
    """See to an item after an act on it: reviews that nobody can give go out, more are asked for.

    Returns how many went out.
    """
    lock_item(session.connection(), slot.subject.item_id)
    gone = take_out_exhausted(session, slot.queue_id, slot.subject.item_id)
    rules = slot.rules
    if slot.shared and (rules.extra_below is not None or rules.adjudicate_above is not None):
        _look_at_item(session, slot, now)
    return gone


def settle_queues(session: Session, project_id: int, *, now: datetime) -> int:
    """After somebody left a project: open reviews that nobody can give any more go out.

    Queues of which nothing is left are finished. Returns how many reviews went out.
    """
    queues = select(ReviewQueue.id).where(
        ReviewQueue.project_id == project_id, ReviewQueue.finished_at.is_(None)
    )
    gone: Counter[int] = Counter()
    for queue_id in session.scalars(queues.order_by(ReviewQueue.id)).all():
        for item_id in exhausted_items(session, queue_id):
            lock_item(session.connection(), item_id)
            gone[queue_id] += take_out_exhausted(session, queue_id, item_id)
    for queue_id in +gone:
        finish_if_done(session, queue_id, now)
    return gone.total()


def _look_at_item(session: Session, slot: SlotContext, now: datetime) -> None:
    rules, item_id = slot.rules, slot.subject.item_id
    connection = session.connection()
    if adjudication.is_waited_for(connection, item_id):
        return
    if rules.extra_below is not None:
        found = item_disagreement(session, item_id)
        differ = found is not None and 1 - found.value < rules.extra_below
        skill = skill_of_item(connection, item_id)
        asks = differ and somebody_left(session, slot.queue_id, item_id, skill)
        if asks and add_reviewer_slot(connection, item_id):
            return
    adjudication.open_if_needed(session, item_id, rules, now)


def _note_verdict(session: Session, slot: SlotContext, review_id: int, now: datetime) -> None:
    decided = adjudication.record_verdict(session, review_id, now)
    if decided is not None:
        key = f"adjudication:{decided.id}"
        tell(session, slot, "adjudication.decided", key, review_id, now)


def tell(
    session: Session, slot: SlotContext, event: str, key: str, review_id: int, now: datetime
) -> None:
    """Record the event for the project's webhooks, if it has any."""
    if slot.told:
        queue = session.get_one(ReviewQueue, slot.queue_id)
        payload = {"review_id": review_id, "item_id": slot.subject.item_id}
        webhooks.record(session, queue, event, key, payload, now)


CORRECTIONS = cast(Table, Correction.__table__)
MAX_ACTIVE_SECONDS = 12 * 3600
SAID = (
    "answer_digest",
    "comment",
    "annotator_kind",
    "simulated",
    "active_seconds",
    "seconds_by_criterion",
    "submitted_at",
    "extra",
)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A stored review.

    Attributes:
        repeated: the same answer had been stored before.
        extra: it came after the item had been given to somebody else; kept, and not counted.
        scored: the queue's outputs have scores, so that there may be a risk to tell of.
        why: why the person saw the item, from the part of the design named `stratum`.
    """

    review_id: int
    item_id: int
    submitted_at: datetime
    repeated: bool = False
    extra: bool = False
    purpose: str = Purpose.REVIEW
    queue_id: int = 0
    why: str | None = None
    stratum: str | None = None
    scored: bool = False


class _CheckedAnswer(NamedTuple):
    """A checked answer under the token (slot, version) of its person."""

    version: int
    answer: Answer
    checked: CheckedReview
    simulated: bool
    annotator_kind: str
    now: datetime


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

    A lease that lapsed and was given to nobody else still counts; when somebody else was given the
    item, the answer is kept as an extra.

    Args:
        simulated: the answer comes from a script; always true for a simulated user.

    Raises:
        InvalidInput: the answer does not fit the rubric or the item; the lease stays.
        Conflict: the person gave another answer to this item, or skipped it under this lease; or
            the answer that this one is to replace was settled while it was being changed.
        NotFound: the person never held it under this version.
    """
    connection = session.connection()
    slot = read_slot(connection, slot_id, user_id)
    checked = check_answer(slot.subject, _unmasked(connection, slot, answer))
    by_script = simulated or slot.simulated
    given = _CheckedAnswer(version, answer, checked, by_script, annotator_kind, now)
    if not _release(connection, slot_id, version, user_id):
        return _late(session, connection, slot, given)
    return _store(session, connection, slot, given, extra=False)


def _unmasked(connection: Connection, slot: SlotContext, answer: Answer) -> Answer:
    """The answer with what was masked in the output put back into the correction."""
    if answer.correction is None or BLOCK not in answer.correction:
        return answer
    terms = masked_terms(connection, slot.rules, slot.design)
    if not terms or BLOCK in slot.subject.text:
        return answer
    sources = [*_corrections(connection, slot), slot.subject.text]
    return replace(answer, correction=unmask_text(answer.correction, sources, terms))


def _corrections(connection: Connection, slot: SlotContext) -> list[str]:
    """Corrections of the item that the person was shown masked: their own, or those in dispute."""
    query = (
        select(CORRECTIONS.c.text)
        .join(REVIEWS, REVIEWS.c.id == CORRECTIONS.c.review_id)
        .where(REVIEWS.c.item_id == slot.subject.item_id)
        .order_by(REVIEWS.c.id.desc())
    )
    if slot.purpose != Purpose.ADJUDICATION:
        query = query.where(REVIEWS.c.reviewer_id == slot.user_id)
    return list(connection.scalars(query))


_RELEASE = PreparedStatement(
    update(SLOTS)
    .where(
        SLOTS.c.id == bindparam("slot"),
        SLOTS.c.owner_id == bindparam("person"),
        SLOTS.c.version == bindparam("token"),
        SLOTS.c.state == written_out(Slot.LEASED),
    )
    .values(state=Slot.DONE, lease_until=None)
)


def _release(connection: Connection, slot_id: int, version: int, user_id: int) -> bool:
    """Whether the person still held the slot under this token; it is done then."""
    token = {"slot": slot_id, "token": version, "person": user_id}
    return _RELEASE.count(connection, token) > 0


def _late(
    session: Session, connection: Connection, slot: SlotContext, given: _CheckedAnswer
) -> Submitted:
    """The token is not good any more: a resend, an answer from another tab, or one that is late."""
    own = connection.execute(
        _OWN.where(REVIEWS.c.slot_id == slot.slot_id, REVIEWS.c.slot_version == given.version),
        {"person": slot.user_id},
    ).first()
    if own is None or own.state == ReviewState.SKIPPED:
        raise why_not_held(session, slot.slot_id, given.version, slot.user_id)
    if said := _said_before(connection, slot):
        return _repeated(sorted(said, key=lambda row: bool(row.id != own.id)), slot, given)
    if (held := _held_elsewhere(connection, slot)) is not None:
        current = given._replace(version=held.version)
        _release(connection, held.id, held.version, slot.user_id)
        there = read_slot(connection, held.id, slot.user_id)
        return _store(session, connection, there, current, extra=False)
    return _store(session, connection, slot, given, extra=True)


_OWN = select(REVIEWS).where(REVIEWS.c.reviewer_id == bindparam("person"))


def _said_before(connection: Connection, slot: SlotContext) -> Sequence[AnyRow]:
    """What the person said of the item under any lease: what stands, then what it replaced.

    What was replaced is among it, since its answer may have come under a lease that had lapsed and
    be sent again: under such a lease it is stored nowhere.
    """
    query = _OWN.where(
        REVIEWS.c.item_id == slot.subject.item_id,
        REVIEWS.c.purpose == slot.purpose,
        REVIEWS.c.state == ReviewState.SUBMITTED,
    ).order_by(REVIEWS.c.superseded_at.is_not(None), REVIEWS.c.id.desc())
    return connection.execute(query, {"person": slot.user_id}).all()


def _held_elsewhere(connection: Connection, slot: SlotContext) -> AnyRow | None:
    """The lease under which the person holds the same item now, after the one that they lost."""
    query = select(SLOTS.c.id, SLOTS.c.version).where(
        SLOTS.c.item_id == slot.subject.item_id,
        SLOTS.c.owner_id == slot.user_id,
        SLOTS.c.state == Slot.LEASED,
        SLOTS.c.purpose == slot.purpose,
    )
    return connection.execute(query).first()


def _repeated(said: Sequence[AnyRow], slot: SlotContext, given: _CheckedAnswer) -> Submitted:
    """The first of the person's answers that says the same; Conflict where none does."""
    for row in said:
        if row.answer_digest == given.checked.digest:
            return _submitted(row.id, slot, row.submitted_at, repeated=True, extra=row.extra)
    raise Conflict(
        "Another answer to this item was stored before; it stands.", hint="Ask for the next item."
    )


def _submitted(
    review_id: int, slot: SlotContext, at: datetime, *, repeated: bool = False, extra: bool = False
) -> Submitted:
    return Submitted(
        review_id=review_id,
        item_id=slot.subject.item_id,
        submitted_at=at,
        repeated=repeated,
        extra=extra,
        purpose=slot.purpose,
        queue_id=slot.queue_id,
        why=slot.why,
        stratum=slot.stratum,
        scored=slot.scored,
    )


_SUBMIT = PreparedStatement(
    update(REVIEWS)
    .where(REVIEWS.c.slot_id == bindparam("slot"), REVIEWS.c.slot_version == bindparam("token"))
    .values(state=ReviewState.SUBMITTED, draft={})
    .returning(REVIEWS.c.id),
    keys=SAID,
)
_SUPERSEDE = update(REVIEWS).where(
    REVIEWS.c.item_id == bindparam("item"),
    REVIEWS.c.reviewer_id == bindparam("person"),
    REVIEWS.c.state == ReviewState.SUBMITTED,
    REVIEWS.c.superseded_at.is_(None),
    REVIEWS.c.purpose == Purpose.REVIEW,
)


def _store(
    session: Session,
    connection: Connection,
    slot: SlotContext,
    given: _CheckedAnswer,
    *,
    extra: bool,
) -> Submitted:
    now = given.now
    if slot.revising:
        _refuse_settled(connection, slot)
        who = {"item": slot.subject.item_id, "person": slot.user_id}
        connection.execute(_SUPERSEDE, {**who, "superseded_at": now})
    seconds = min(max(given.answer.active_seconds, 0.0), MAX_ACTIVE_SECONDS)
    stored = _SUBMIT.first(
        connection,
        {
            "slot": slot.slot_id,
            "token": given.version,
            "answer_digest": given.checked.digest,
            "comment": given.checked.comment,
            "annotator_kind": given.annotator_kind,
            "simulated": given.simulated,
            "active_seconds": seconds,
            "seconds_by_criterion": dict(given.answer.seconds_by_criterion),
            "submitted_at": now,
            "extra": extra,
        },
    )
    assert stored is not None  # every lease has its review
    review_id = int(stored.id)
    store_parts(connection, review_id, slot.subject.generation_id, given.checked, now)
    _count(connection, slot, seconds, extra=extra)
    follow_up(session, slot, review_id, extra=extra, now=now)
    return _submitted(review_id, slot, now, extra=extra)


def _refuse_settled(connection: Connection, slot: SlotContext) -> None:
    """Conflict when the answer that was taken back has been settled since, by more than time."""
    said = _said_before(connection, slot)
    stands = next((row.id for row in said if row.superseded_at is None), None)
    if stands is not None and (problem := why_it_stands(connection, stands)) is not None:
        raise Conflict(problem, hint="Leave it as it was.")


def _count(connection: Connection, slot: SlotContext, seconds: float, *, extra: bool) -> None:
    if slot.purpose == Purpose.ADJUDICATION or slot.revising:
        return
    required = slot.purpose == Purpose.REVIEW
    count_answer(
        connection,
        slot.queue_id,
        slot.user_id,
        position=slot.position if required else -1,
        reviews=1 if required and not extra else 0,
        seconds=seconds,
    )
