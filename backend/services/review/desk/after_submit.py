"""What follows from an answer, in the transaction that stores it.

In this order: a known answer is judged, a verdict is noted; an item whose people agree too little
gets one more reviewer, and when that one differs too, an adjudication; the queue is finished when
nothing is left; webhooks are told.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from backend.services.review.desk.asked import Asked
from backend.services.review.desk.finish import finish_if_done
from backend.services.review.desk.lease import SLOTS
from backend.services.review.desk.slots import add_reviewer_slot, lock_item, skill_of_item
from backend.services.review.quality import adjudication, gold
from backend.services.review.quality.item_agreement import item_disagreement
from backend.services.review.waiting import somebody_left, take_out_exhausted
from backend.services.webhooks import hooks as webhooks
from backend.tables.review import Purpose, ReviewQueue
from backend.tables.review import SlotState as Slot

_WAITING = (
    select(SLOTS.c.id)
    .where(
        SLOTS.c.item_id == bindparam("item"),
        SLOTS.c.purpose == Purpose.REVIEW,
        SLOTS.c.state.in_([Slot.OPEN, Slot.LEASED]),
    )
    .limit(1)
)


def follow_up(
    session: Session, asked: Asked, review_id: int, *, extra: bool, now: datetime
) -> None:
    """Do what follows from a review that was stored just now."""
    match Purpose(asked.purpose):
        case Purpose.GOLD:
            gold.judge(session, review_id, now)
            return
        case Purpose.ADJUDICATION:
            _note_verdict(session, asked, review_id, now)
            return
        case Purpose.REVIEW | Purpose.IMPORT:
            if not extra:
                gone = settle_item(session, asked, now) if asked.shared else 0
                finish_unless_open(session, asked, now, gone=gone)
            tell(session, asked, "review.submitted", f"review:{review_id}", review_id, now)


def finish_unless_open(session: Session, asked: Asked, now: datetime, *, gone: int = 0) -> None:
    """Finish the queue when this act was the last; most acts know from `asked` that it was not.

    Args:
        gone: open reviews that went out by this act, of which `asked` knows nothing.
    """
    if gone or not asked.more_open:
        finish_if_done(session, asked.queue_id, now)


def settle_item(session: Session, asked: Asked, now: datetime) -> int:
    """See to an item after an act on it: reviews that nobody can give go out, more are asked for.

    Returns how many went out.
    """
    queue_id, item_id = asked.queue_id, asked.subject.item_id
    lock_item(session.connection(), item_id)
    gone = take_out_exhausted(session, queue_id, item_id)
    rules = asked.rules
    if asked.shared and (rules.extra_below is not None or rules.adjudicate_above is not None):
        _look_at_item(session, asked, now)
    return gone


def _look_at_item(session: Session, asked: Asked, now: datetime) -> None:
    rules, item_id = asked.rules, asked.subject.item_id
    connection = session.connection()
    if connection.execute(_WAITING, {"item": item_id}).first() is not None:
        return
    if rules.extra_below is not None:
        found = item_disagreement(session, item_id)
        differ = found is not None and 1 - found.value < rules.extra_below
        skill = skill_of_item(connection, item_id)
        if (
            differ
            and somebody_left(session, asked.queue_id, item_id, skill)
            and add_reviewer_slot(connection, item_id)
        ):
            return
    adjudication.open_if_needed(session, item_id, rules, now)


def _note_verdict(session: Session, asked: Asked, review_id: int, now: datetime) -> None:
    decided = adjudication.record_verdict(session, review_id, now)
    if decided is not None:
        key = f"adjudication:{decided.id}"
        tell(session, asked, "adjudication.decided", key, review_id, now)


def tell(
    session: Session, asked: Asked, event: str, key: str, review_id: int, now: datetime
) -> None:
    """Record the event for the project's webhooks, if it has any."""
    if asked.told:
        queue = session.get_one(ReviewQueue, asked.queue_id)
        payload = {"review_id": review_id, "item_id": asked.subject.item_id}
        webhooks.record(session, queue, event, key, payload, now)
