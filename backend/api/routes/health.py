"""Health of data: ask for an examination, read what was found, have experts look at it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, PageDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas.common import Page
from backend.schemas.health import (
    HealthFindingOut,
    HealthIn,
    HealthKindOut,
    HealthQueueOut,
    HealthReportOut,
    HealthReviewIn,
)
from backend.schemas.review.reports import Measured
from backend.services import queue
from backend.services.accounts.users import find_member
from backend.services.checks.flagged import FindingsRequest, confirmed_shares, send_to_review
from backend.services.datasets.health.kinds import check_kinds
from backend.services.datasets.health.outliers import PARTS
from backend.services.datasets.health.reports import (
    HealthRequest,
    ask_report,
    flagged_by_split,
    get_report,
    list_reports,
)
from backend.services.datasets.versions import row_of
from backend.services.metric_specs import allowed_metrics
from backend.services.pages import page_of
from backend.tables.datasets import Example
from backend.tables.health import HealthFinding, HealthReport

router = APIRouter(tags=["health"])


@router.get("/projects/{project_id}/health-reports")
def list_health_reports(project_id: int, session: SessionDep) -> list[HealthReportOut]:
    """The reports of a project, the newest first, each with its kinds and without rows."""
    confirmed = confirmed_shares(session, project_id)
    return [_show(session, report, confirmed) for report in list_reports(session, project_id)]


@router.post("/projects/{project_id}/health-reports", status_code=201)
def ask_health_report(
    project_id: int,
    body: HealthIn,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    once: OnceDep,
) -> HealthReportOut:
    """Have a dataset version examined by a worker."""
    asked = HealthRequest(
        dataset=body.dataset,
        kinds=tuple(body.kinds),
        seed=body.seed,
        task=body.task,
        encoder=body.encoder,
        alike=body.alike,
    )
    allowed = allowed_metrics(serving.settings, project_id)
    report = ask_report(session, project_id, asked, allowed=allowed, created_by_id=user.id)
    queue.enqueue_job(session, queue.JobKind.HEALTH, report.id)
    return once.answer(_show(session, report, {}))


@router.get("/health-reports/{health_report_id}")
def show_health_report(health_report_id: int, session: SessionDep) -> HealthReportOut:
    """A report with its kinds."""
    report = get_report(session, health_report_id)
    return _show(session, report, confirmed_shares(session, report.project_id))


@router.get("/health-reports/{health_report_id}/findings")
def list_health_findings(
    health_report_id: int,
    session: SessionDep,
    page: PageDep,
    kind: Annotated[str | None, Query(max_length=40)] = None,
) -> Page[HealthFindingOut]:
    """What a report flags, of all kinds or of one, in the order in which it was found."""
    if kind is not None:
        check_kinds([kind])
    found = page_of(
        session, HealthFinding, page, newest_first=False, report_id=health_report_id, kind=kind
    )
    return Page[HealthFindingOut](
        items=[_finding(session, one) for one in found.rows], next=found.next
    )


@router.post("/health-reports/{health_report_id}/review", status_code=201)
def review_health_findings(
    health_report_id: int,
    body: HealthReviewIn,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    once: OnceDep,
) -> HealthQueueOut:
    """Open a review queue on flagged examples of one split."""
    project_id = get_report(session, health_report_id).project_id
    asked = FindingsRequest(
        report_id=health_report_id,
        name=body.name,
        kinds=tuple(body.kinds),
        split=body.split,
        n_items=body.n_items,
        reviewer_ids=tuple(find_member(session, project_id, n).id for n in body.reviewers),
        rubric=body.rubric,
        seed=body.seed,
        lease_seconds=serving.settings.lease_seconds,
    )
    allowed = allowed_metrics(serving.settings, project_id)
    sent = send_to_review(session, asked, allowed=allowed, user_id=user.id)
    shown = HealthQueueOut(
        queue_id=sent.queue.id, queue=sent.queue.name, n_items=sent.n_items, notes=list(sent.notes)
    )
    return once.answer(shown)


def _show(
    session: Session, report: HealthReport, confirmed: dict[str, Measured]
) -> HealthReportOut:
    version, content = report.dataset_version, report.content or {}
    job = queue.find_job(session, queue.JobKind.HEALTH, report.id)
    done = report.finished_at is not None
    splits = flagged_by_split(session, report.id) if done else {}
    return HealthReportOut(
        id=report.id,
        dataset=f"{version.dataset.name}@{version.number}",
        dataset_version_id=version.id,
        state="done" if done or job is None else str(job.state),
        error=None if done or job is None else job.error,
        worst=report.worst,
        n=content.get("n", version.n_examples),
        task=content.get("task"),
        digest=content.get("digest"),
        recipe=content.get("recipe", dict(report.asked)),
        kinds=[
            HealthKindOut(
                **one, by_split=splits.get(one["kind"], {}), confirmed=confirmed.get(one["kind"])
            )
            for one in content.get("kinds", [])
        ],
        created_at=report.created_at,
        finished_at=report.finished_at,
    )


def _finding(session: Session, one: HealthFinding) -> HealthFindingOut:
    example = session.get_one(Example, one.example_id)
    return HealthFindingOut.of(
        one,
        external_id=example.external_id,
        split=example.split,
        text=PARTS[one.part](row_of(example)),
    )
