"""Leases: what a person may do with an item while it is theirs, and why no longer.

Every act names the slot, the fencing token (`version`) and the person; the condition `held_by` is
part of the statement that acts, so that nothing can happen between the look and the act.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, FromClause, Table, and_, literal_column, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, LeaseLost, NotFound, StropError
from backend.tables.review import Purpose, QueueMember, Review, ReviewQueue, ReviewSlot, ReviewState
from backend.tables.review import SlotState as Slot

SLOTS = cast(Table, ReviewSlot.__table__)
REVIEWS = cast(Table, Review.__table__)
MEMBERS = cast(Table, QueueMember.__table__)
QUEUES = cast(Table, ReviewQueue.__table__)
MAX_DRAFT_CHARACTERS = 2_000_000


def heartbeat(
    session: Session, slot_id: int, version: int, user_id: int, *, now: datetime
) -> datetime:
    """Extend a lease; returns its new end.

    Raises:
        LeaseLost: somebody else was given the item.
        Conflict: it was submitted or skipped already.
        NotFound: the person never held it under this version.
    """
    until = now + timedelta(seconds=_lease_seconds(session, slot_id))
    held = update(SLOTS).where(*held_by(slot_id, version, user_id)).values(lease_until=until)
    if session.execute(held.returning(SLOTS.c.id)).first() is None:
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


def in_state(slots: FromClause, state: Slot) -> ColumnElement[bool]:
    """Required reviews in a state; written out, since bound values would hide the partial index."""
    return and_(
        slots.c.state == literal_column(f"'{state.value}'"),
        slots.c.purpose == literal_column(f"'{Purpose.REVIEW.value}'"),
    )


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
                hint="Ask for the next one; it is yours alone.",
            )


def _lease_seconds(session: Session, slot_id: int) -> int:
    query = select(QUEUES.c.lease_seconds).join(SLOTS, SLOTS.c.queue_id == QUEUES.c.id)
    seconds = session.scalar(query.where(SLOTS.c.id == slot_id))
    if seconds is None:
        raise NotFound("There is no such item.", hint="Ask for the next one.")
    return int(seconds)
