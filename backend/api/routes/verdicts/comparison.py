"""Comparisons: a candidate against a baseline by the manifest."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from backend.api.deps import ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas import verdicts as shapes
from backend.services import overview, projects, review
from backend.services.accounts.access import require_in_project
from backend.services.metric_specs import get_score_run
from backend.services.models.versions import find_model
from backend.services.runs.slices import find_flips, sliced_figures
from backend.services.verdicts import comparison, promotion
from backend.services.verdicts.detail import describe_comparison
from backend.tables.projects import SuccessManifest
from backend.tables.verdicts import Comparison

router = APIRouter(tags=["comparison"])


def _show(session: Session, row: Comparison) -> shapes.ComparisonOut:
    labels = overview.labels_of_models(session, row.project_id)
    return shapes.ComparisonOut.of(
        row, baseline=labels[row.baseline_id], candidate=labels[row.candidate_id]
    )


@router.get("/projects/{project_id}/comparisons")
def list_comparisons(project_id: int, session: SessionDep) -> list[shapes.ComparisonOut]:
    """The comparisons of a project, newest first."""
    found = comparison.list_comparisons(session, project_id)
    return [_show(session, row) for row in reversed(found)]


@router.post("/projects/{project_id}/comparisons", status_code=201)
def compare(
    project_id: int, body: shapes.ComparisonIn, session: SessionDep, once: OnceDep
) -> shapes.ComparisonOut:
    """Judge a candidate; without named evidence, by the newest scores and votes of both models."""
    require_in_project(
        session, project_id, score_run_id=body.score_run_id, queue_id=body.review_queue_id
    )
    baseline = find_model(session, project_id, body.baseline)
    candidate = find_model(session, project_id, body.candidate)
    if body.score_run_id is None:
        scores = comparison.newest_scores_of_both(session, project_id, baseline, candidate)
    else:
        scores = get_score_run(session, body.score_run_id)
    if body.review_queue_id is None:
        votes = comparison.newest_pair_queue(
            session, project_id, baseline, candidate, scores=scores
        )
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
def show_comparison(
    comparison_id: int, session: SessionDep, serving: ServingDep
) -> shapes.ComparisonDetail:
    """A comparison in full: differences to base and champion, cost, and whether the bar moved."""
    row = promotion.get_comparison(session, comparison_id)
    found = describe_comparison(session, row, kept=serving.kept)
    return shapes.ComparisonDetail.of(
        _show(session, row),
        bar=found.bar,
        champion=found.champion,
        figures=[figure.shown() for figure in found.figures],
        differences=[pair.shown(found.labels) for pair in found.differences],
        usage=[pair.shown(found.labels) for pair in found.usage],
        currency=found.currency,
        payoff=found.payoff,
        absent=found.absent,
    )


@router.get("/comparisons/{comparison_id}/slices")
def list_slices(
    comparison_id: int, session: SessionDep, serving: ServingDep
) -> list[shapes.SliceOut]:
    """The manifest's metrics on every slice; to be read, not judged by."""
    row = promotion.get_comparison(session, comparison_id)
    labels = overview.labels_of_models(session, row.project_id)
    bar = projects.manifest_of(session.get_one(SuccessManifest, row.manifest_id))
    slices = sliced_figures(
        session, row.score_run_id, row.baseline_id, row.candidate_id, bar=bar, kept=serving.kept
    )
    return [
        shapes.SliceOut.of(found.figure.shown(labels), named=found.named, p_holm=found.p_holm)
        for found in slices
    ]


@router.get("/comparisons/{comparison_id}/flips")
def list_flips(
    comparison_id: int,
    session: SessionDep,
    metric: Annotated[
        str | None, Query(max_length=200, description="As scored, for example f1@task=intent.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=50, description="Examples of each kind.")] = 5,
) -> shapes.FlipsOut:
    """Examples on which the candidate is better or worse than the baseline, to be read."""
    row = promotion.get_comparison(session, comparison_id)
    return find_flips(
        session, row.score_run_id, row.baseline_id, row.candidate_id, metric=metric, limit=limit
    )
