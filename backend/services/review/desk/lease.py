"""Leases: what a person may do with an item while it is theirs, and why no longer.

Every act names the slot, the fencing token (`version`) and the person; the condition `held_by` is
part of the statement that acts, so that nothing can happen between the look and the act.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    String,
    Table,
    and_,
    bindparam,
    case,
    literal_column,
    select,
    update,
)
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, LeaseLost, NotFound, StropError
from backend.services.review.rules import rules_from
from backend.tables.quality import Adjudication
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

SLOTS = cast(Table, ReviewSlot.__table__)
REVIEWS = cast(Table, Review.__table__)
MEMBERS = cast(Table, QueueMember.__table__)
QUEUES = cast(Table, ReviewQueue.__table__)
ITEMS = cast(Table, ReviewItem.__table__)
ADJUDICATIONS = cast(Table, Adjudication.__table__)
AnyRow = Row[*tuple[Any, ...]]
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
    until = now + _life(connection, slot_id, user_id)
    token = {"slot": slot_id, "token": version, "person": user_id, "until": until}
    if connection.execute(_EXTEND, token).first() is None:
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
    session.execute(
        update(REVIEWS)
        .where(REVIEWS.c.slot_id == slot_id, REVIEWS.c.slot_version == version)
        .values(draft=draft)
    )
    return until


def written_out(value: StrEnum) -> ColumnElement[str]:
    """A member of a closed set as SQL text: a bound value would hide the partial indexes."""
    return literal_column(f"'{value.value}'", String)


def in_state(slots: FromClause, state: Slot) -> ColumnElement[bool]:
    """Required reviews in a state, as the partial indexes have it."""
    return and_(slots.c.state == written_out(state), slots.c.purpose == written_out(Purpose.REVIEW))


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
    state = session.scalar(
        select(REVIEWS.c.state).where(
            REVIEWS.c.slot_id == slot_id,
            REVIEWS.c.slot_version == version,
            REVIEWS.c.reviewer_id == user_id,
        )
    )
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


_LIFE = (
    select(QUEUES.c.lease_seconds, QUEUES.c.rules, MEMBERS.c.n_timed, MEMBERS.c.timed_seconds)
    .join(SLOTS, SLOTS.c.queue_id == QUEUES.c.id)
    .join(MEMBERS, MEMBERS.c.queue_id == QUEUES.c.id)
    .where(SLOTS.c.id == bindparam("slot"), MEMBERS.c.user_id == bindparam("person"))
)
# A slot under revision has no end: its first answer stands meanwhile, and it is for nobody else.
_EXTEND = (
    update(SLOTS)
    .where(
        SLOTS.c.id == bindparam("slot"),
        SLOTS.c.owner_id == bindparam("person"),
        SLOTS.c.version == bindparam("token"),
        SLOTS.c.state == Slot.LEASED,
    )
    .values(
        lease_until=case(
            (SLOTS.c.lease_until.is_(None), None),
            else_=bindparam("until", type_=SLOTS.c.lease_until.type),
        )
    )
    .returning(SLOTS.c.id)
)


def _life(connection: Connection, slot_id: int, user_id: int) -> timedelta:
    row = connection.execute(_LIFE, {"slot": slot_id, "person": user_id}).first()
    if row is None:
        raise NotFound("You do not hold this item.", hint="Ask for the next one.")
    return lease_life(
        row.lease_seconds,
        n_timed=row.n_timed,
        timed_seconds=row.timed_seconds,
        adaptive=rules_from(row.rules).adaptive_leases,
    )


def lease_life(
    lease_seconds: int, *, n_timed: int, timed_seconds: float, adaptive: bool
) -> timedelta:
    """How long a lease lasts without a sign of life.

    Three times the person's mean active time, between two minutes and two hours; before three
    timed reviews, and for queues that do not adapt, what the queue says.
    """
    if not adaptive or n_timed < TIMED_REVIEWS_NEEDED:
        return timedelta(seconds=lease_seconds)
    wanted = LEASES_PER_MEAN * timed_seconds / n_timed
    return timedelta(seconds=min(max(wanted, SHORTEST_LEASE_SECONDS), LONGEST_LEASE_SECONDS))
