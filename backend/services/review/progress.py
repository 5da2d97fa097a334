"""How a queue stands: what was asked for, what is done, what is held. It costs the same in a long
queue as in a short one: what was asked for stands in the queue's design, what is done in its
members' counters, and leases are few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, bindparam, exists, func, select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.prepared import PreparedStatement
from backend.schemas.review.desk import QueueProgress
from backend.services.review.rules import kept_design
from backend.services.review.statements import DESIGN, MEMBERS, QUEUES, SLOTS, in_state
from backend.tables.checks.triage import RoutingEvent, RoutingEventKind
from backend.tables.review import Purpose, SlotState

EVENTS = cast(Table, RoutingEvent.__table__)


def _done(*conditions: ColumnElement[bool]) -> Any:
    counted = select(func.coalesce(func.sum(MEMBERS.c.n_submitted), 0)).where(
        MEMBERS.c.queue_id == QUEUES.c.id, *conditions
    )
    return counted.correlate(QUEUES).scalar_subquery()


def _event(kind: RoutingEventKind) -> Any:
    there = EVENTS.c.queue_id == QUEUES.c.id, EVENTS.c.kind == kind.value
    return exists(select(EVENTS.c.id).where(*there).correlate(QUEUES))


def _slots(*conditions: ColumnElement[bool]) -> Any:
    counted = select(func.count()).where(SLOTS.c.queue_id == QUEUES.c.id, *conditions)
    return counted.correlate(QUEUES).scalar_subquery()


_LEASED = _slots(in_state(SLOTS, SlotState.LEASED), SLOTS.c.lease_until.is_not(None))
_GOLD_IN_HAND = _slots(
    SLOTS.c.owner_id == bindparam("person"),
    SLOTS.c.state == SlotState.LEASED,
    SLOTS.c.purpose == Purpose.GOLD,
)
# Of the queue, and the `person`, of the statement that has these columns; `as_progress` reads them.
STANDING = (
    DESIGN,
    _done().label("done"),
    _done(MEMBERS.c.user_id == bindparam("person")).label("mine"),
    _LEASED.label("leased"),
    _GOLD_IN_HAND.label("gold_in_hand"),
    _event(RoutingEventKind.WITHDRAWN).label("withdrawn"),
    _event(RoutingEventKind.RETURNED).label("returned"),
)
_STANDING = select(QUEUES.c.id, *STANDING)
_PROGRESS = PreparedStatement(_STANDING.where(QUEUES.c.id == bindparam("queue")))
_PROGRESS_OF_SEVERAL = _STANDING.where(QUEUES.c.id.in_(bindparam("queues", expanding=True)))
NOBODY = -1


def queue_progress(session: Session, queue_id: int, *, user_id: int | None = None) -> QueueProgress:
    """How a queue stands; with `user_id` also how much of it that person did. Raises NotFound."""
    asked = {"queue": queue_id, "person": NOBODY if user_id is None else user_id}
    row = _PROGRESS.first(session.connection(), asked)
    if row is None:
        raise NotFound("There is no such review queue.")
    return as_progress(row)


def progress_of_queues(session: Session, queue_ids: Sequence[int]) -> dict[int, QueueProgress]:
    """How several queues stand, by id, in one question; those that do not exist are left out."""
    asked = {"queues": list(queue_ids), "person": NOBODY}
    rows = session.connection().execute(_PROGRESS_OF_SEVERAL, asked)
    return {row.id: as_progress(row) for row in rows}


def as_progress(row: Any) -> QueueProgress:
    """The progress that a row with the columns of STANDING tells."""
    design = kept_design(row.design)
    total = int(design["n_slots"]) + int(design.get("n_extra", 0)) - int(design.get("n_out", 0))
    waiting = total - row.done
    leased = min(row.leased + row.gold_in_hand, waiting)
    routing = design.get("routing") or {"n_skipped": 0, "n_audited": 0}
    return QueueProgress(
        total=total,
        done=row.done,
        leased=leased,
        open=waiting - leased,
        mine=row.mine,
        skipped=routing["n_skipped"],
        audited=routing["n_audited"],
        skipping=_skipping(routing, withdrawn=row.withdrawn, returned=row.returned),
    )


def _skipping(routing: Mapping[str, Any], *, withdrawn: bool, returned: bool) -> str:
    """What of the queue skipped review, as a sentence; nothing where nothing did."""
    if not routing["n_skipped"]:
        return ""
    said = f"{routing['n_skipped']} skipped by risk, {routing['n_audited']} of them audited."
    if withdrawn:
        said += " The audit found too many wrong ones: the guarantee is withdrawn."
    return f"{said} What skipped is up for review." if returned else said
