"""The watch over what skipped review: the audit's state, its withdrawal, and putting it up anew.

An audited output enters once, with what stands of it now: its first review that stands, the
verdict where one was given, the later answer where its reviewer revised it. A withdrawn review was
withdrawn by somebody who may see the state, so that taking it out could steer the watch: the
guarantee falls only when the reviews as they were given and those that stand both refute it. What
was withdrawn stays withdrawn.

What skipped is not put on people's desks by the audit itself: whose minutes it takes is a lead's to
say, and the queue may be closed. `return_skipped` does it, by one command.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, func, insert, or_, select
from sqlalchemy.orm import Session

from backend.errors import Conflict
from backend.rubrics.wrong import parse_wrong
from backend.services.review.counted import judge_reviews, measures
from backend.services.review.lease import note_slots
from backend.services.review.quality.adjudication import overruled
from backend.services.review.queues import get_queue
from backend.services.review.statements import EXTRA_POSITION, ITEMS, SLOTS
from backend.services.webhooks import hooks as webhooks
from backend.tables.checks.triage import (
    AUDIT,
    QueueRouting,
    RoutingEvent,
    RoutingEventKind,
    SkippedOutput,
)
from backend.tables.review import Purpose, Review, ReviewItem, ReviewQueue, ReviewState, SlotState

if TYPE_CHECKING:
    from evaluators.checks.risk.audit import AuditState

RETURNED = "skipped"
WHY_RETURNED = "This answer was not to be reviewed at first; the audit found too many wrong ones."
CHUNK = 500


class Look(NamedTuple):
    """An audited output that was reviewed: when, whether it is wrong, and whether that stands."""

    item_id: int
    at: datetime
    wrong: bool
    stands: bool
    simulated: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """A queue's routing with its audit as it stands.

    Attributes:
        looks: audited outputs that were reviewed, in the order in which that was.
        state: of the looks that stand; None before the first.
    """

    routing: QueueRouting
    looks: tuple[Look, ...]
    state: AuditState | None
    withdrawn: RoutingEvent | None
    returned: RoutingEvent | None


def find_routing(session: Session, queue_id: int) -> QueueRouting:
    """The routing of a queue, or Conflict where nothing of it skipped."""
    found = session.get(QueueRouting, queue_id)
    if found is None:
        raise Conflict(
            "Nothing of this queue skipped review.",
            hint="Open one that routes: strop review open --skip-below .05,.1",
        )
    return found


def watch_routing(session: Session, queue_id: int) -> Watched:
    """How the guarantee of a queue stands. Raises Conflict where nothing skipped."""
    routing = find_routing(session, queue_id)
    looks = audit_looks(session, routing)
    standing = [look for look in looks if look.stands]
    events = select(RoutingEvent).where(RoutingEvent.queue_id == queue_id)
    by_kind = {event.kind: event for event in session.scalars(events)}
    return Watched(
        routing=routing,
        looks=tuple(looks),
        state=_state(routing, standing) if standing else None,
        withdrawn=by_kind.get(RoutingEventKind.WITHDRAWN),
        returned=by_kind.get(RoutingEventKind.RETURNED),
    )


def note_audit(session: Session, queue_id: int, now: datetime) -> RoutingEvent | None:
    """After a review of an audited output: withdraw the guarantee when the audit refutes it.

    Two reviews that come at once wait here for each other, so that one of them sees both.
    """
    lock = select(QueueRouting).where(QueueRouting.queue_id == queue_id)
    routing = session.scalar(lock.with_for_update(key_share=True))
    if routing is None or _event(session, queue_id, RoutingEventKind.WITHDRAWN) is not None:
        return None
    looks = audit_looks(session, routing)
    standing = _state(routing, [look for look in looks if look.stands])
    if not (standing.refuted and _state(routing, looks).refuted):
        return None
    event = RoutingEvent(
        queue_id=queue_id,
        kind=RoutingEventKind.WITHDRAWN,
        at=now,
        n=standing.n,
        errors=standing.errors,
        low=standing.low,
        sentence=_why_withdrawn(routing, standing),
    )
    session.add(event)
    session.flush()
    queue = session.get_one(ReviewQueue, queue_id)
    webhooks.record(session, queue, "routing.withdrawn", f"routing:{queue_id}", {}, now)
    return event


def _why_withdrawn(routing: QueueRouting, state: AuditState) -> str:
    left = routing.n_skipped - routing.n_audited
    return (
        f"The audit found {state.errors} wrong of {state.n} that skipped review, so that at least "
        f"{state.low:.1%} of the {routing.n_skipped} are, above {routing.epsilon:.1%} (confidence "
        f"{1 - routing.delta:.0%}). The guarantee is withdrawn; {left} outputs that nobody looked "
        "at are not to be relied on."
    )


def _state(routing: QueueRouting, looks: Sequence[Look]) -> AuditState:
    from evaluators.checks.risk.audit import audit_state

    return audit_state(
        len(looks),
        sum(look.wrong for look in looks),
        routing.n_skipped,
        epsilon=routing.epsilon,
        delta=routing.delta,
    )


def audit_looks(session: Session, routing: QueueRouting) -> list[Look]:
    """Audited outputs that were reviewed, each once, in the order in which that was."""
    verdict = and_(Review.purpose == Purpose.ADJUDICATION, Review.extra.is_(False))
    query = (
        select(
            Review.id, Review.item_id, Review.submitted_at, Review.withdrawn_at, Review.simulated
        )
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(
            ReviewItem.queue_id == routing.queue_id,
            ReviewItem.stratum == AUDIT,
            Review.state == ReviewState.SUBMITTED,
            Review.superseded_at.is_(None),
            or_(and_(*measures(), ~overruled()), verdict),
        )
        .order_by(Review.submitted_at, Review.id)
    )
    rows = session.execute(query).all()
    said = judge_reviews(session, [row.id for row in rows], parse_wrong(routing.wrong_when))
    looks: dict[int, Look] = {}
    for row in rows:
        there = looks.get(row.item_id)
        if row.id in said and (there is None or not there.stands):
            stands = row.withdrawn_at is None
            if there is None or stands:
                looks[row.item_id] = Look(
                    row.item_id, row.submitted_at, said[row.id], stands, row.simulated
                )
    return list(looks.values())


def _event(session: Session, queue_id: int, kind: RoutingEventKind) -> RoutingEvent | None:
    query = select(RoutingEvent).where(RoutingEvent.queue_id == queue_id, RoutingEvent.kind == kind)
    return session.scalar(query)


def return_skipped(
    session: Session, queue_id: int, *, user_id: int | None, now: datetime
) -> RoutingEvent:
    """Put what skipped review into the queue, in random order after what is there.

    The audited ones are there already. A finished queue is open again until they are done.

    Raises:
        Conflict: nothing skipped, they were put up already, or the queue is closed.
    """
    lock = select(QueueRouting).where(QueueRouting.queue_id == queue_id)
    routing = session.scalar(lock.with_for_update(key_share=True))
    if routing is None:
        routing = find_routing(session, queue_id)
    if _event(session, queue_id, RoutingEventKind.RETURNED) is not None:
        raise Conflict("What skipped review is up for review already.")
    queue = get_queue(session, queue_id)
    if queue.closed_at is not None:
        raise Conflict("The queue is closed.", hint="Open a new one over the run.")
    n = _add_skipped(session, queue)
    standing = [look for look in audit_looks(session, routing) if look.stands]
    state = _state(routing, standing)
    event = RoutingEvent(
        queue_id=queue_id,
        kind=RoutingEventKind.RETURNED,
        at=now,
        n=state.n,
        errors=state.errors,
        low=state.low,
        sentence=f"{n} outputs that had skipped review are up for review.",
        user_id=user_id,
    )
    session.add(event)
    session.flush()
    return event


def _add_skipped(session: Session, queue: ReviewQueue) -> int:
    """Items and slots for what skipped and is not audited; returns how many."""
    query = select(SkippedOutput.generation_id, SkippedOutput.chance).where(
        SkippedOutput.queue_id == queue.id, SkippedOutput.audited.is_(False)
    )
    outputs = [(row.generation_id, row.chance) for row in session.execute(query.order_by("id"))]
    random.Random(queue.seed).shuffle(outputs)
    position = 1 + _last(session, queue.id, ITEMS)
    place = 1 + _last(session, queue.id, SLOTS)
    for start in range(0, len(outputs), CHUNK):
        chunk = outputs[start : start + CHUNK]
        items = [
            {
                "queue_id": queue.id,
                "position": position + start + i,
                "generation_a_id": generation_id,
                "a_is_left": True,
                "required_reviews": 1,
                "inclusion_probability": chance,
                "stratum": RETURNED,
                "why": WHY_RETURNED,
            }
            for i, (generation_id, chance) in enumerate(chunk)
        ]
        stored = insert(ITEMS).returning(ITEMS.c.id, sort_by_parameter_order=True)
        ids = session.scalars(stored, items).all()
        slots = [_slot(queue.id, item_id, place + start + i) for i, item_id in enumerate(ids)]
        session.execute(insert(SLOTS), slots)
    note_slots(session.connection(), queue.id, extra=len(outputs))
    session.expire(queue)
    return len(outputs)


def _slot(queue_id: int, item_id: int, position: int) -> dict[str, object]:
    return {
        "queue_id": queue_id,
        "item_id": item_id,
        "number": 0,
        "state": SlotState.OPEN,
        "version": 0,
        "position": position,
    }


def _last(session: Session, queue_id: int, table: object) -> int:
    columns = table.c  # type: ignore[attr-defined]
    query = select(func.max(columns.position)).where(
        columns.queue_id == queue_id, columns.position < EXTRA_POSITION
    )
    return int(session.scalar(query) or 0)
