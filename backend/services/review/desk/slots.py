"""Slots beyond those that a queue was opened with, and the review that each lease begins."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from backend.services.review.desk.lease import ITEMS, QUEUES, REVIEWS, SLOTS
from backend.services.review.desk.prepared import Prepared
from backend.services.review.desk.seats import EXTRA_POSITION
from backend.tables.review import Purpose, ReviewState, SlotState

_BEGIN = Prepared(
    insert(REVIEWS),
    keys=(
        "item_id",
        "slot_id",
        "slot_version",
        "reviewer_id",
        "state",
        "draft",
        "annotator_kind",
        "simulated",
        "active_seconds",
        "purpose",
        "extra",
        "seconds_by_criterion",
        "source",
        "started_at",
    ),
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
            "state": ReviewState.DRAFT.value,
            "draft": draft or {},
            "annotator_kind": "human",
            "simulated": False,
            "active_seconds": 0.0,
            "purpose": purpose,
            "extra": False,
            "seconds_by_criterion": {},
            "source": "desk",
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
        "state": SlotState.OPEN,
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
    progress knows its total without counting slots.
    """
    query = select(QUEUES.c.design).where(QUEUES.c.id == queue_id).with_for_update(key_share=True)
    design = dict(connection.execute(query).scalar_one())
    design["n_extra"] = int(design.get("n_extra", 0)) + extra
    design["n_out"] = int(design.get("n_out", 0)) + out
    connection.execute(update(QUEUES).where(QUEUES.c.id == queue_id).values(design=design))
