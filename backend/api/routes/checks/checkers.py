"""Checkers: how good they are; `strop check train` makes them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy.orm import Session

from backend.api.deps import SessionDep
from backend.schemas.checks.checkers import CheckerFigure, CheckerKind, CheckerOut
from backend.services.checks.checkers.checkers import Trained, list_checkers, training_run_of
from backend.services.curation import get_training_set

router = APIRouter(tags=["checks"])


@router.get("/projects/{project_id}/checkers")
def list_project_checkers(project_id: int, session: SessionDep) -> list[CheckerOut]:
    """The trained checkers, the newest first."""
    return [_shown(session, one) for one in reversed(list_checkers(session, project_id))]


def _shown(session: Session, one: Trained) -> CheckerOut:
    frozen = get_training_set(session, training_run_of(session, one).training_set_id)
    figures = one.checker.figures or {}
    alarms = figures.get("false_alarms")
    return CheckerOut(
        metric=one.model.check_name,
        model=one.model.label,
        training_run_id=one.checker.training_run_id,
        training_set=frozen.name,
        sentences=frozen.recipe["rows_by_source"],
        source_bytes=one.checker.form["source_bytes"],
        figures=[_figure(found) for found in figures.get("sentences", ())],
        beside=[_figure(found) for found in figures.get("beside", ())],
        texts=[_figure(found) for found in figures.get("texts", ())],
        kinds=[
            CheckerKind(kind=kind, found=_figure(found, "recall"))
            for kind, found in figures.get("found", {}).items()
        ],
        false_alarms=None if alarms is None else _figure(alarms, "false_alarms"),
        groups=figures.get("groups", 0),
        failed=figures.get("failed", 0),
        trained_at=one.model.created_at,
    )


def _figure(found: dict[str, Any], metric: str = "") -> CheckerFigure:
    return CheckerFigure(
        predictor=found.get("predictor", "check"),
        metric=found.get("metric", metric),
        **{key: found[key] for key in ("value", "low", "high", "n")},
    )
