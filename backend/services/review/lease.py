"""Leases: what a person may do with an item while it is theirs, and why no longer.

Every act names the slot, the fencing token (`version`) and the person; the condition `held_by` is
part of the statement that acts, so that nothing can happen between the look and the act.

Slots beyond those that a queue was opened with, and the review that each lease begins.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, insert, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, LeaseLost, NotFound, StropError
from backend.prepared import PreparedStatement
from backend.services.datasets.erased import PREFIX
from backend.services.review.rules import QueueRules, kept_rules
from backend.services.review.statements import (
    EXTRA_POSITION,
    ITEMS,
    MEMBERS,
    QUEUES,
    REVIEWS,
    RULES,
    SLOTS,
    AnyRow,
    written_out,
)
from backend.tables.review import Purpose, ReviewState
from backend.tables.review import SlotState as Slot

MAX_DRAFT_CHARACTERS = 2_000_000
LEASES_PER_MEAN = 3.0
SHORTEST_LEASE_SECONDS = 120.0
LONGEST_LEASE_SECONDS = 7200.0
TIMED_REVIEWS_NEEDED = 3


def heartbeat(
    session: Session, slot_id: int, version: int, user_id: int, *, now: datetime
) -> datetime:
    """Extend a lease; returns its new end.

    Raises:
        LeaseLost: somebody else was given the item.
        Conflict: it was submitted or skipped already.
        NotFound: the person never held it under this version.
    """
    connection = session.connection()
    row = _LIFE.first(connection, {"slot": slot_id, "person": user_id})
    if row is None:
        raise NotFound("You do not hold this item.", hint="Ask for the next one.")
    until = now + lease_life(row, kept_rules(row.rules))
    token = {"slot": slot_id, "token": version, "person": user_id, "until": until}
    if not _EXTEND.count(connection, token):
        raise why_not_held(session, slot_id, version, user_id)
    return until


def save_draft(
    session: Session,
    slot_id: int,
    version: int,
    user_id: int,
    draft: dict[str, Any],
    *,
    now: datetime,
) -> datetime:
    """Keep an unfinished answer on the server and extend the lease; returns the lease's end.

    The draft is the desk's own JSON and is not judged. Errors as `heartbeat`, and InvalidInput for
    a draft of more than MAX_DRAFT_CHARACTERS.
    """
    if sum(len(str(value)) for value in draft.values()) > MAX_DRAFT_CHARACTERS:
        raise InvalidInput("The draft is too long to be saved.", hint="Shorten the correction.")
    until = heartbeat(session, slot_id, version, user_id, now=now)
    kept = {"slot": slot_id, "token": version, "kept": draft}
    _KEEP.run(session.connection(), kept)
    return until


def held_by(slot_id: int, version: int, user_id: int) -> tuple[ColumnElement[bool], ...]:
    """The condition under which this person still holds the slot under this fencing token."""
    return (
        SLOTS.c.id == slot_id,
        SLOTS.c.owner_id == user_id,
        SLOTS.c.version == version,
        SLOTS.c.state == Slot.LEASED,
    )


def why_not_held(session: Session, slot_id: int, version: int, user_id: int) -> StropError:
    """The error that says why an act on a slot was refused."""
    found = session.execute(
        select(REVIEWS.c.state, REVIEWS.c.skip_reason).where(
            REVIEWS.c.slot_id == slot_id,
            REVIEWS.c.slot_version == version,
            REVIEWS.c.reviewer_id == user_id,
        )
    ).first()
    state, reason = (None, None) if found is None else found
    if state == ReviewState.SKIPPED and (reason or "").startswith(PREFIX):
        return Conflict(f"This item is gone. {reason}.", hint="Ask for the next one.")
    match state:
        case None:
            return NotFound("You do not hold this item.", hint="Ask for the next one.")
        case ReviewState.SUBMITTED:
            return Conflict("You have submitted this item already.", hint="Ask for the next one.")
        case ReviewState.SKIPPED:
            return Conflict("You have skipped this item already.", hint="Ask for the next one.")
        case _:
            return LeaseLost(
                "This item was given to a colleague, because its time ran out. "
                "What you saved is kept.",
                hint="Submit what you have, and it is kept as a further answer; "
                "or ask for the next item, which is yours alone.",
            )


_LIFE = PreparedStatement(
    select(QUEUES.c.lease_seconds, RULES, MEMBERS.c.n_timed, MEMBERS.c.timed_seconds)
    .join(SLOTS, SLOTS.c.queue_id == QUEUES.c.id)
    .join(MEMBERS, MEMBERS.c.queue_id == QUEUES.c.id)
    .where(SLOTS.c.id == bindparam("slot"), MEMBERS.c.user_id == bindparam("person"))
)
_KEEP = PreparedStatement(
    update(REVIEWS)
    .where(REVIEWS.c.slot_id == bindparam("slot"), REVIEWS.c.slot_version == bindparam("token"))
    .values(draft=bindparam("kept", type_=REVIEWS.c.draft.type))
)
# A slot under revision has no end: its first answer stands meanwhile, and it is for nobody else.
_EXTEND = PreparedStatement(
    update(SLOTS)
    .where(
        SLOTS.c.id == bindparam("slot"),
        SLOTS.c.owner_id == bindparam("person"),
        SLOTS.c.version == bindparam("token"),
        SLOTS.c.state == written_out(Slot.LEASED),
    )
    .values(
        lease_until=case(
            (SLOTS.c.lease_until.is_(None), None),
            else_=bindparam("until", type_=SLOTS.c.lease_until.type),
        )
    )
)


def lease_life(row: AnyRow, rules: QueueRules) -> timedelta:
    """How long a lease of this member lasts without a sign of life.

    Three times the person's mean active time, between two minutes and two hours; before three
    timed reviews, and for queues that do not adapt, what the queue says.

    Args:
        row: `lease_seconds` of the queue, `n_timed` and `timed_seconds` of the member.
    """
    if not rules.adaptive_leases or row.n_timed < TIMED_REVIEWS_NEEDED:
        return timedelta(seconds=row.lease_seconds)
    wanted = LEASES_PER_MEAN * row.timed_seconds / row.n_timed
    return timedelta(seconds=min(max(wanted, SHORTEST_LEASE_SECONDS), LONGEST_LEASE_SECONDS))


_BEGIN = PreparedStatement(
    insert(REVIEWS)
    .inline()
    .values(
        state=ReviewState.DRAFT,
        annotator_kind="human",
        simulated=False,
        active_seconds=0.0,
        extra=False,
        seconds_by_criterion={},
        source="desk",
    ),
    keys=("item_id", "slot_id", "slot_version", "reviewer_id", "draft", "purpose", "started_at"),
)
_LOCK_ITEM = (
    select(ITEMS.c.queue_id, ITEMS.c.position, ITEMS.c.required_reviews)
    .where(ITEMS.c.id == bindparam("item"))
    .with_for_update(key_share=True)
)
_LAST_NUMBER = select(func.max(SLOTS.c.number)).where(SLOTS.c.item_id == bindparam("item"))
_SKILL = select(func.max(SLOTS.c.required_skill)).where(
    SLOTS.c.item_id == bindparam("item"), SLOTS.c.purpose == Purpose.REVIEW
)
_REQUIRED_NOW = select(func.count()).where(
    SLOTS.c.item_id == bindparam("item"), SLOTS.c.purpose == Purpose.REVIEW
)


def begin_review(
    connection: Connection,
    item_id: int,
    slot_id: int,
    version: int,
    user_id: int,
    purpose: str,
    now: datetime,
    *,
    draft: dict[str, Any] | None = None,
) -> None:
    """The unfinished review of a new lease, with what the person had saved under earlier ones."""
    _BEGIN.run(
        connection,
        {
            "item_id": item_id,
            "slot_id": slot_id,
            "slot_version": version,
            "reviewer_id": user_id,
            "draft": draft or {},
            "purpose": purpose,
            "started_at": now,
        },
    )


def lock_item(connection: Connection, item_id: int) -> None:
    """Let the acts on one item come one after the other: the last two reviews may come at once.

    NO KEY UPDATE on PostgreSQL, since every review that is begun holds a share of the item's key.
    """
    connection.execute(_LOCK_ITEM, {"item": item_id})


def add_slot(
    connection: Connection,
    item_id: int,
    *,
    purpose: Purpose,
    person_id: int | None = None,
    position: int | None = None,
) -> int:
    """One more slot of an item, open, with the next free number; returns its id.

    Args:
        person_id: whom it is for; anybody who may when None.
        position: its place in the queue; that of the item when None.

    What is asked of an item beyond its known answers asks for the skill that its reviews ask for.
    """
    item = connection.execute(_LOCK_ITEM, {"item": item_id}).one()
    last = connection.execute(_LAST_NUMBER, {"item": item_id}).scalar()
    values = {
        "queue_id": item.queue_id,
        "item_id": item_id,
        "number": 0 if last is None else last + 1,
        "position": item.position if position is None else position,
        "state": Slot.OPEN,
        "version": 0,
        "purpose": purpose,
        "assigned_to_id": person_id,
        "required_skill": None if purpose == Purpose.GOLD else skill_of_item(connection, item_id),
    }
    added = insert(SLOTS).values(values).returning(SLOTS.c.id)
    return int(connection.execute(added).scalar_one())


def skill_of_item(connection: Connection, item_id: int) -> str | None:
    """The skill that the reviews of an item ask for, if any."""
    found: str | None = connection.execute(_SKILL, {"item": item_id}).scalar()
    return found


def add_reviewer_slot(connection: Connection, item_id: int) -> bool:
    """Ask one more person about an item, after all that the design asked for; at most once.

    Returns False when the item has a further reviewer already.
    """
    item = connection.execute(_LOCK_ITEM, {"item": item_id}).one()
    there = connection.execute(_REQUIRED_NOW, {"item": item_id}).scalar_one()
    if there > item.required_reviews:
        return False
    add_slot(connection, item_id, purpose=Purpose.REVIEW, position=EXTRA_POSITION + item.position)
    note_slots(connection, item.queue_id, extra=1)
    return True


def note_slots(connection: Connection, queue_id: int, *, extra: int = 0, out: int = 0) -> None:
    """Keep count, in the queue's design, of slots that came after the opening and went out.

    What the design asked for stays as it was; `n_extra` and `n_out` stand beside it, so that
    progress knows its total without counting slots. Where more is asked for than before, a queue
    that was finished is open again: a revised answer may ask for one more reviewer then.
    """
    query = select(QUEUES.c.design).where(QUEUES.c.id == queue_id).with_for_update(key_share=True)
    design = dict(connection.execute(query).scalar_one())
    design["n_extra"] = int(design.get("n_extra", 0)) + extra
    design["n_out"] = int(design.get("n_out", 0)) + out
    reopened = {"finished_at": None} if extra > out else {}
    noted = update(QUEUES).where(QUEUES.c.id == queue_id).values(design=design, **reopened)
    connection.execute(noted)
