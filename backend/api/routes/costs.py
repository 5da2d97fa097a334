"""What runs, trainings, rounds and reviewed items took; no texts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import ServingDep, SessionDep
from backend.schemas.costs import CostReport
from backend.services.costs import project_costs

router = APIRouter(tags=["costs"])
Limit = Annotated[int, Query(ge=1, le=200, description="So many of each kind, the newest first.")]


@router.get("/projects/{project_id}/costs")
def show_costs(
    project_id: int, session: SessionDep, serving: ServingDep, limit: Limit = 20
) -> CostReport:
    """What the newest runs, trainings, rounds and queues took, in seconds, tokens, minutes, money.

    What is not recorded is unknown, and says so; a figure of money needs a stated price.
    """
    hour = serving.settings.price_per_hour
    return project_costs(session, project_id, training_hour=hour, limit=limit)
