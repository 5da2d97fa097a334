"""Claiming: one item for one person under a lease, by one atomic statement.

The hot path of the desk, so it speaks SQLAlchemy Core, in statements built once. What holds,
whatever happens at once:

- a slot has at most one holder, and `version` grows with every holder (the fencing token);
- a person holds at most one item of a queue, and never two slots of one item;
- what a person holds comes back to them, with its draft, until somebody else was given it;
- a claim costs the same in a long queue as in a short one: each person's `cursor` skips what was
  open and not for them, and a search from the start is made only when nothing is left after it;
- where nothing is given, the reason is said: an error is never an empty queue.

A person's claims are queued on their row of `queue_members`; claims of different people never wait
for each other on PostgreSQL, where locked slots are skipped.

A queue is finished when every required review is in, or its slot went out for good. Every way to be
given nothing has a reason here that a page can act on, and a sentence for the person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Update, bindparam, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict
from backend.prepared import PreparedStatement
from backend.services.review.desk.context import MemberState, lock_member
from backend.services.review.lease import add_slot, begin_review
from backend.services.review.quality import gold
from backend.services.review.quality.pauses import GOLD_PAUSE
from backend.services.review.statements import (
    QUEUES,
    RESUME,
    RESUME_VERDICT,
    SLOTS,
    TAKE,
    TAKE_ONE,
    TAKE_VERDICT,
    TAKE_VERDICT_WITH_SKILLS,
    TAKE_WITH_SKILLS,
    ClaimOrder,
    in_state,
)
from backend.services.webhooks import hooks as webhooks
from backend.tables.review import Purpose, ReviewQueue
from backend.tables.review import SlotState as Slot

_OPEN = (
    select(SLOTS.c.id)
    .where(SLOTS.c.queue_id == bindparam("queue"), in_state(SLOTS, Slot.OPEN))
    .limit(1)
)
# What is under revision (a lease without an end) is done: its first answer stands.
_LEASED = (
    select(SLOTS.c.id)
    .where(
        SLOTS.c.queue_id == bindparam("queue"),
        in_state(SLOTS, Slot.LEASED),
        SLOTS.c.lease_until.is_not(None),
    )
    .limit(1)
)
_LOCK = (
    select(QUEUES.c.finished_at)
    .where(QUEUES.c.id == bindparam("queue"))
    .with_for_update(key_share=True)
)
_FINISH = (
    update(QUEUES)
    .where(QUEUES.c.id == bindparam("queue"), QUEUES.c.finished_at.is_(None))
    .values(finished_at=bindparam("now", type_=QUEUES.c.finished_at.type))
    .returning(QUEUES.c.id)
)


def finish_if_done(session: Session, queue_id: int, now: datetime) -> bool:
    """Note when the last required review came in, once; returns whether the queue is finished.

    Two last reviews that come at once wait here for each other, so that one of them sees both.
    """
    connection, named = session.connection(), {"queue": queue_id}
    if connection.execute(_OPEN, named).first() is not None:
        return False
    if connection.execute(_LOCK, named).scalar() is not None:
        return True
    if any(connection.execute(left, named).first() is not None for left in (_OPEN, _LEASED)):
        return False
    connection.execute(_FINISH, {**named, "now": now})
    queue = session.get_one(ReviewQueue, queue_id, populate_existing=True)
    webhooks.record(session, queue, "queue.finished", f"queue:{queue_id}", {}, now)
    return True


class Reason(StrEnum):
    """Why a person is given nothing just now."""

    FINISHED = "finished"
    OTHERS_AT_WORK = "others_at_work"
    SHARE_REACHED = "share_reached"
    PAUSED = "paused"
    CLOSED = "closed"


_MESSAGES: dict[Reason, str] = {
    Reason.FINISHED: "Everything in this queue is done. Thank you.",
    Reason.OTHERS_AT_WORK: (
        "There is nothing for you just now. What is left is with colleagues, or for others; "
        "look in again later."
    ),
    Reason.SHARE_REACHED: (
        "You have given as many reviews as one person may give here, so that several views are "
        "heard. Thank you: nothing more is asked of you in this queue."
    ),
    Reason.PAUSED: (
        "Time for a break: your lead asked you to pause in this queue, and will be in touch. "
        "Nothing that you did is lost."
    ),
    Reason.CLOSED: "This queue is closed. Thank you for your work.",
}


@dataclass(frozen=True, slots=True)
class NoItem:
    """No item for this person: the reason, and the same in a kind sentence."""

    reason: Reason
    message: str

    @classmethod
    def of(cls, reason: Reason, member: MemberState) -> NoItem:
        """The reason in words. What a lead wrote of a pause, and its figures, are not for here."""
        if reason is Reason.PAUSED and (member.pause_reason or "").startswith(GOLD_PAUSE):
            return cls(reason, GOLD_PAUSE)
        return cls(reason, _MESSAGES[reason])


def why_nothing(session: Session, member: MemberState, now: datetime) -> Reason:
    """Whether the queue is finished, or what is left is not for this person now."""
    done = member.finished or finish_if_done(session, member.queue_id, now)
    return Reason.FINISHED if done else Reason.OTHERS_AT_WORK


@dataclass(frozen=True, slots=True)
class Claim:
    """An item that a person holds until `lease_until`.

    Attributes:
        version: the fencing token; every act on the slot has to name it.
        draft: what was saved before, as the desk sent it; empty for a fresh item.
        resumed: the person held this item already (a reload, a new sign-in).
        revising: an answer of theirs stands until this one is submitted.
        life: how long the lease lasts without a sign of life.
        purpose: whether a review is asked for or a verdict; nobody is told of gold beforehand.
    """

    slot_id: int
    version: int
    item_id: int
    queue_id: int
    lease_until: datetime
    draft: dict[str, Any] = field(default_factory=dict)
    resumed: bool = False
    life: timedelta = timedelta(seconds=600)
    purpose: str = Purpose.REVIEW
    revising: bool = False

    @classmethod
    def of_lease(
        cls, member: MemberState, at: datetime, slot: int, version: int, item: int, **more: Any
    ) -> Claim:
        """What a member holds by a lease that begins at `at`."""
        return cls(
            slot_id=slot,
            version=version,
            item_id=item,
            queue_id=member.queue_id,
            lease_until=at + member.life,
            life=member.life,
            **more,
        )

    @property
    def heartbeat_seconds(self) -> float:
        """A sign of life is due at half of the lease's life."""
        return self.life.total_seconds() / 2


def claim_next(session: Session, queue_id: int, user_id: int, *, now: datetime) -> Claim | NoItem:
    """Give a person their next item of a queue, or the one that they hold, or say why not.

    Items with a known answer come when they are due; then open slots in the order of the queue;
    then those whose lease lapsed.

    Raises:
        NotFound: no such queue.
        Forbidden: the person is not a reviewer of the queue.
    """
    connection = session.connection()
    member = lock_member(connection, queue_id, user_id)
    if refusal := _refusal(member):
        return _resume(connection, member, now) or NoItem.of(refusal, member)
    gold_asked = member.rules.has_gold and not member.finished
    if gold_asked and gold.due(member):
        held = _resume(connection, member, now)
        if (claim := held or _take_gold(session, member, now)) is not None:
            return claim
    claim = _search(connection, member, now)
    return claim or NoItem.of(why_nothing(session, member, now), member)


def _resume(connection: Connection, member: MemberState, now: datetime) -> Claim | None:
    return _take(connection, RESUME, member, now, queue=member.queue_id)


def _take_gold(session: Session, member: MemberState, now: datetime) -> Claim | None:
    """A slot of the person's own for an item with a known answer; None when none is left."""
    item_id = gold.next_item(session, member.queue_id, member.user_id, member.seed)
    if item_id is None:
        return None
    connection = session.connection()
    slot_id = add_slot(connection, item_id, purpose=Purpose.GOLD, person_id=member.user_id)
    return _take(connection, TAKE_ONE, member, now, slot=slot_id, now=now)


def claim_review_item(
    session: Session, queue_id: int, user_id: int, *, now: datetime
) -> Claim | None:
    """As `claim_next`; None when nothing is left for this person just now.

    Raises:
        NotFound, Forbidden: as `claim_next`.
        Conflict: the queue is closed and the person holds nothing.
    """
    found = claim_next(session, queue_id, user_id, now=now)
    if isinstance(found, Claim):
        return found
    if found.reason is Reason.CLOSED:
        raise Conflict(found.message)
    return None


def claim_adjudication(
    session: Session, queue_id: int, user_id: int, *, now: datetime
) -> Claim | NoItem:
    """Give a person the next disagreement to decide, or the one that they hold.

    Nobody decides between answers of which one is their own. Errors as `claim_next`.
    """
    connection = session.connection()
    member = lock_member(connection, queue_id, user_id)
    if (held := _take(connection, RESUME_VERDICT, member, now, queue=queue_id)) is not None:
        return held
    if refusal := _refusal(member, shared=False):
        return NoItem.of(refusal, member)
    skills = {"skills": member.skills} if member.skills else {}
    statement = TAKE_VERDICT_WITH_SKILLS if skills else TAKE_VERDICT
    found = _take(connection, statement, member, now, now=now, queue=queue_id, **skills)
    return found or NoItem(Reason.FINISHED, "There is no disagreement for you to decide just now.")


def _search(connection: Connection, member: MemberState, now: datetime) -> Claim | None:
    searches: dict[ClaimOrder, dict[str, Any]] = {
        ClaimOrder.AHEAD: {"cursor": member.cursor},
        ClaimOrder.LAPSED: {"now": now},
        ClaimOrder.BEHIND: {},
    }
    skills = {"skills": member.skills} if member.skills else {}
    for search, named in searches.items():
        statement = (TAKE_WITH_SKILLS if skills else TAKE)[search]
        claim = _take(connection, statement, member, now, queue=member.queue_id, **named, **skills)
        if claim is not None:
            return claim
    return None


def _refusal(member: MemberState, *, shared: bool = True) -> Reason | None:
    """Why this person is given nothing new, whatever the queue holds."""
    if member.paused:
        return Reason.PAUSED
    if member.closed:
        return Reason.CLOSED
    return Reason.SHARE_REACHED if shared and member.share_reached else None


def _take(
    connection: Connection,
    statement: PreparedStatement | Update,
    member: MemberState,
    at: datetime,
    **values: Any,
) -> Claim | None:
    """Run one of the statements that lease a slot; a new lease begins a review."""
    values = {"person": member.user_id, "until": at + member.life, **values}
    if isinstance(statement, PreparedStatement):
        row: Any = statement.first(connection, values)
    else:  # a list of skills has no fixed length
        row = connection.execute(statement, values).first()
    if row is None:
        return None
    draft, known, purpose = dict(row.draft or {}), bool(row.known), row.purpose
    if not known:
        lease = (row.item_id, row.id, row.version, member.user_id, purpose)
        begin_review(connection, *lease, at, draft=draft)
    taken = (row.id, row.version, row.item_id)
    more = {"resumed": known, "purpose": purpose, "revising": row.lease_until is None}
    return Claim.of_lease(member, at, *taken, draft=draft, **more)
