"""How the guarantee of what skipped review stands, for its lead."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.schemas.checks.triage import AuditPoint, RoutingOut, State
from backend.services.review.queues import get_queue
from backend.services.review.routing import Look, Watched, watch_routing
from backend.tables.checks.triage import QueueRouting
from backend.tables.review import ReviewQueue


def routings_of_project(session: Session, project_id: int) -> list[RoutingOut]:
    """Every queue of the project of which something skipped, newest first."""
    query = (
        select(QueueRouting.queue_id)
        .join(ReviewQueue, ReviewQueue.id == QueueRouting.queue_id)
        .where(ReviewQueue.project_id == project_id)
        .order_by(QueueRouting.queue_id.desc())
    )
    return [show_routing(session, queue_id) for queue_id in session.scalars(query).all()]


def show_routing(session: Session, queue_id: int) -> RoutingOut:
    """The routing of a queue. Raises Conflict where nothing skipped."""
    watched = watch_routing(session, queue_id)
    routing = watched.routing
    standing = [look for look in watched.looks if look.stands]
    path = _path(routing, standing)
    return RoutingOut.of(
        routing,
        queue=get_queue(session, queue_id).name,
        n_looked=len(standing),
        errors=sum(look.wrong for look in standing),
        n_taken_back=len(watched.looks) - len(standing),
        n_simulated=sum(look.simulated for look in standing),
        low=path[-1].low if path else None,
        state=_state(watched),
        sentence=_sentence(watched),
        path=path,
        signature="" if watched.state is None else watched.state.signature,
        opened_at=routing.created_at,
        withdrawn_at=None if watched.withdrawn is None else watched.withdrawn.at,
        returned_at=None if watched.returned is None else watched.returned.at,
    )


def _state(watched: Watched) -> State:
    if watched.returned is not None:
        return "returned"
    return "watched" if watched.withdrawn is None else "withdrawn"


def _sentence(watched: Watched) -> str:
    said = [event.sentence for event in (watched.withdrawn, watched.returned) if event is not None]
    if said:
        return " ".join(said)
    routing, state = watched.routing, watched.state
    if not routing.n_skipped:
        return "Nothing lay under the threshold, so nothing skipped."
    if state is None:
        return f"None of the {routing.n_audited} audited outputs is reviewed yet."
    return (
        f"{state.errors} wrong of {state.n} audited; the audit does not refute that at most "
        f"{routing.epsilon:.1%} of the {routing.n_skipped} are (confidence "
        f"{1 - routing.delta:.0%})."
    )


def _path(routing: QueueRouting, looks: Sequence[Look]) -> list[AuditPoint]:
    """The bound where it may have moved: at wrong outputs, and at the last of all."""
    from evaluators.checks.risk.audit import audit_state

    points: list[AuditPoint] = []
    errors, low = 0, 0.0
    for n, look in enumerate(looks, start=1):
        errors += look.wrong
        if look.wrong:
            state = audit_state(
                n, errors, routing.n_skipped, epsilon=routing.epsilon, delta=routing.delta
            )
            low = max(low, state.low)
        if look.wrong or n in (1, len(looks)):
            points.append(AuditPoint(n=n, errors=errors, low=low, at=look.at))
    return points
