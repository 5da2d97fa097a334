"""What skipped review in a project's queues, and putting it up for review."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import CurrentUser, NowDep, SessionDep
from backend.schemas.checks.triage import RoutingOut
from backend.services.review.reports.skipped import routings_of_project, show_routing
from backend.services.review.routing import return_skipped

router = APIRouter(tags=["checks"])


@router.get("/projects/{project_id}/routings")
def list_routings(project_id: int, session: SessionDep) -> list[RoutingOut]:
    """Every queue of which something skipped review, newest first."""
    return routings_of_project(session, project_id)


@router.get("/review-queues/{queue_id}/skipped")
def show_skipped(queue_id: int, session: SessionDep) -> RoutingOut:
    """What of a queue skipped review, and how its guarantee stands."""
    return show_routing(session, queue_id)


@router.post("/review-queues/{queue_id}/skipped/return")
def return_to_review(
    queue_id: int, session: SessionDep, user: CurrentUser, now: NowDep
) -> RoutingOut:
    """Put what skipped into the queue, after what is there."""
    return_skipped(session, queue_id, user_id=user.id, now=now)
    return show_routing(session, queue_id)
