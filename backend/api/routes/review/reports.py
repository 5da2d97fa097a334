"""The figures of a review queue for its lead: progress, agreement, estimates, A/B, reviewers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import NowDep, SessionDep
from backend.schemas.review import reports as shapes
from backend.services.review.reports.ab import watch_queue
from backend.services.review.reports.agreement import agreement_report
from backend.services.review.reports.effects import queue_effects
from backend.services.review.reports.estimates import queue_estimates
from backend.services.review.reports.progress import queue_report
from backend.services.review.reports.reviewers import reviewer_quality

router = APIRouter(tags=["review figures"])
WorstParameter = Annotated[int, Query(ge=0, le=500, description="How many items to list.")]
MetricParameter = Annotated[
    str | None, Query(max_length=80, description="Scores to go by; default: what helps most.")
]
MarginParameter = Annotated[
    float, Query(ge=0, lt=0.5, description="By how much the win rate is to exceed one half.")
]
AlphaParameter = Annotated[float, Query(gt=0, lt=1, description="Chance of ever deciding wrongly.")]


@router.get("/review-queues/{queue_id}/report")
def show_report(queue_id: int, session: SessionDep, now: NowDep) -> shapes.QueueReportOut:
    """Progress with a forecast, minutes and cost per verdict."""
    return queue_report(session, queue_id, now=now)


@router.get("/review-queues/{queue_id}/agreement")
def show_agreement(
    queue_id: int, session: SessionDep, worst: WorstParameter = 20
) -> shapes.AgreementReportOut:
    """How far reviewers agree: by criterion, two by two, and on which items least."""
    return agreement_report(session, queue_id, worst=worst)


@router.get("/review-queues/{queue_id}/estimates")
def show_estimates(
    queue_id: int, session: SessionDep, metric: MetricParameter = None
) -> list[shapes.EstimateOut]:
    """Every criterion of every model for all outputs of the run, weighted by the design."""
    return queue_estimates(session, queue_id, metric=metric)


@router.get("/review-queues/{queue_id}/watch")
def show_watch(
    queue_id: int, session: SessionDep, margin: MarginParameter = 0.0, alpha: AlphaParameter = 0.05
) -> list[shapes.WatchOut]:
    """The A/B of each two models, which may be looked at and stopped at any time."""
    return watch_queue(session, queue_id, margin=margin, alpha=alpha)


@router.get("/review-queues/{queue_id}/effects")
def show_effects(queue_id: int, session: SessionDep) -> list[shapes.EffectOut]:
    """Side, length and order effects, and the fatigue check."""
    return queue_effects(session, queue_id)


@router.get("/review-queues/{queue_id}/reviewers")
def show_reviewers(queue_id: int, session: SessionDep) -> list[shapes.ReviewerQualityOut]:
    """Every reviewer's work, time, agreement and warnings, by pseudonym."""
    return reviewer_quality(session, queue_id)
