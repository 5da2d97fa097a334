"""Benches of checks: what was measured; `strop check bench` makes them, in minutes."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import SessionDep
from backend.schemas.checks.benches import CheckBenchOut
from backend.services.checks.bench import list_benches
from backend.tables.checks.benches import CheckBench

router = APIRouter(tags=["checks"])


@router.get("/projects/{project_id}/check-benches")
def list_check_benches(project_id: int, session: SessionDep) -> list[CheckBenchOut]:
    """What the project's checks find of planted errors, the newest bench first."""
    return [_shown(row) for row in list_benches(session, project_id)]


def _shown(row: CheckBench) -> CheckBenchOut:
    version = row.dataset_version
    return CheckBenchOut.of(row, dataset=f"{version.dataset.name}@{version.number}")
