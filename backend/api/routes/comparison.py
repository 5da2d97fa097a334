"""Comparisons: a candidate against a baseline by the manifest."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy.orm import Session

from backend.api.deps import SessionDep
from backend.api.once import OnceDep
from backend.schemas.comparison import ComparisonGiven, ComparisonShown
from backend.services import comparison, overview, projects, promotion, review, scoring
from backend.services.access import require_in_project
from backend.services.model_versions import find_model
from backend.tables.comparison import Comparison

router = APIRouter(tags=["comparison"])
SHOWN = ComparisonShown.model_fields.keys() - {"baseline", "candidate"}


def _show(session: Session, row: Comparison) -> ComparisonShown:
    labels = overview.labels_of_models(session, row.project_id)
    values = {name: getattr(row, name) for name in SHOWN}
    return ComparisonShown(
        baseline=labels[row.baseline_id], candidate=labels[row.candidate_id], **values
    )


@router.get("/projects/{project_id}/comparisons")
def list_comparisons(project_id: int, session: SessionDep) -> list[ComparisonShown]:
    """The comparisons of a project, newest first."""
    found = comparison.list_comparisons(session, project_id)
    return [_show(session, row) for row in reversed(found)]


@router.post("/projects/{project_id}/comparisons", status_code=201)
def compare(
    project_id: int, body: ComparisonGiven, session: SessionDep, once: OnceDep
) -> ComparisonShown:
    """Judge a candidate; without named evidence, by the newest scores and votes of both models."""
    require_in_project(
        session, project_id, score_run_id=body.score_run_id, queue_id=body.review_queue_id
    )
    baseline = find_model(session, project_id, body.baseline)
    candidate = find_model(session, project_id, body.candidate)
    if body.score_run_id is None:
        scores = comparison.newest_scores_of_both(session, project_id, baseline, candidate)
    else:
        scores = scoring.get_score_run(session, body.score_run_id)
    if body.review_queue_id is None:
        votes = comparison.newest_pair_queue(session, project_id, baseline, candidate)
    else:
        votes = review.get_queue(session, body.review_queue_id)
    row = comparison.compare_models(
        session,
        manifest_row=projects.current_manifest(session, project_id),
        score_run=scores,
        baseline=baseline,
        candidate=candidate,
        queue=votes,
    )
    return once.answer(_show(session, row))


@router.get("/comparisons/{comparison_id}")
def show_comparison(comparison_id: int, session: SessionDep) -> ComparisonShown:
    """One comparison."""
    return _show(session, promotion.get_comparison(session, comparison_id))
