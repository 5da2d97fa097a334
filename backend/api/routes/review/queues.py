"""Review queues as engineers see them: opening, progress, votes, what reviewers said."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from sqlalchemy.orm import Session

from backend.api.deps import NowDep, PageDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.errors import InvalidInput
from backend.rubrics import Rubric
from backend.schemas.common import Page
from backend.schemas.review import desk as desk_shapes
from backend.schemas.review import queues as designs
from backend.schemas.review import queues as shapes
from backend.schemas.review.desk import QueueProgress
from backend.schemas.review.queues import ReviewerProgress
from backend.services import overview, review
from backend.services.accounts.access import require_in_project
from backend.services.accounts.users import find_member
from backend.services.checks.triage import SkipRequest, certify
from backend.services.models.versions import find_model
from backend.services.review.opening.assignment import Assignment, members_of_groups
from backend.services.review.opening.checks import (
    default_reviewers,
    opening_defaults,
    requested_rubric,
)
from backend.services.review.opening.design import Allocation, DesignKind, SamplingDesign, Target
from backend.services.review.opening.plan import drawn_examples, warnings_of
from backend.services.review.opening.routing import Routing
from backend.services.review.opening.store import check_rules
from backend.services.review.progress import progress_of_queues
from backend.services.review.reports.progress import reviewers_of_queues
from backend.services.review.rules import rules_from
from backend.services.review.waiting import queue_waits_for
from backend.tables.review import QueueKind, Review, ReviewQueue

router = APIRouter(tags=["review queues"])


def _show(session: Session, queue: ReviewQueue) -> shapes.ReviewQueueOut:
    return _show_all(session, [queue])[0]


def _show_all(session: Session, queues: Sequence[ReviewQueue]) -> list[shapes.ReviewQueueOut]:
    """Queues with their progress, counted for all of them at once."""
    ids = [queue.id for queue in queues]
    progress = progress_of_queues(session, ids)
    people = reviewers_of_queues(session, ids)
    return [_shown(queue, progress[queue.id], people[queue.id]) for queue in queues]


def _shown(
    queue: ReviewQueue, progress: QueueProgress, people: Sequence[ReviewerProgress]
) -> shapes.ReviewQueueOut:
    return shapes.ReviewQueueOut.of(
        queue,
        rubric=review.rubric_of(queue),
        closed=queue.closed_at is not None,
        progress=progress,
        reviewers=list(people),
        waits_for=[],
    )


@router.get("/projects/{project_id}/review-queues")
def list_queues(project_id: int, session: SessionDep) -> list[shapes.ReviewQueueOut]:
    """The queues of a project."""
    return _show_all(session, review.list_queues(session, project_id))


@router.post("/projects/{project_id}/review-queues", status_code=201)
def open_queue(
    project_id: int,
    body: shapes.ReviewQueueIn,
    session: SessionDep,
    serving: ServingDep,
    once: OnceDep,
) -> shapes.ReviewQueueOut:
    """Open a queue over the outputs of a run."""
    opening = _opening(session, project_id, body, serving.settings.lease_seconds)
    plan = review.plan_queue(session, opening)
    rules = rules_from(body.rules)
    return once.answer(_show(session, review.store_queue(session, body.name, plan, rules)))


@router.post("/projects/{project_id}/review-designs")
def preview_design(
    project_id: int, body: shapes.ReviewQueueIn, session: SessionDep, serving: ServingDep
) -> designs.DesignOut:
    """What a queue would draw and about how long it would take; nothing is stored."""
    opening = _opening(session, project_id, body, serving.settings.lease_seconds)
    plan, rules = review.plan_queue(session, opening), rules_from(body.rules)
    check_rules(plan, rules)
    design = {
        **plan.as_design(),
        "warnings": warnings_of(session, plan),
        "examples": drawn_examples(session, plan, rules),
    }
    # The rubric was stored to plan by; without a queue it is taken back.
    session.rollback()
    return designs.DesignOut.model_validate(design, from_attributes=False)


@router.get("/projects/{project_id}/review-defaults")
def show_defaults(
    project_id: int, session: SessionDep, kind: desk_shapes.QueueKindName = "single"
) -> designs.OpeningDefaults:
    """What a new queue of this kind is where a request names nothing."""
    return opening_defaults(session, project_id, QueueKind(kind))


def _opening(
    session: Session, project_id: int, body: shapes.ReviewQueueIn, lease_seconds: int
) -> review.Opening:
    require_in_project(
        session,
        project_id,
        generation_run_id=body.generation_run_id,
        score_run_id=body.score_run_id,
    )
    people = {
        place: find_member(session, project_id, name).id
        for place, name in body.assignment.people.items()
    }
    rubric = requested_rubric(session, project_id, body.rubric, body.kind)
    model_ids = [find_model(session, project_id, label).id for label in body.models]
    return review.Opening(
        project_id=project_id,
        kind=body.kind,
        generation_run_id=body.generation_run_id,
        rubric_version_id=review.save_rubric(session, project_id, rubric).id,
        model_ids=model_ids,
        reviewer_ids=_reviewer_ids(session, project_id, body),
        seed=body.seed,
        n_items=body.n_items,
        overlap_share=body.overlap_share,
        overlap=body.overlap,
        score_run_id=body.score_run_id,
        lease_seconds=body.lease_seconds or lease_seconds,
        design=_design(body.design),
        assignment=Assignment(people, body.assignment.skills, body.assignment.deal),
        routing=None
        if body.skip is None
        else _routing(session, project_id, body, rubric, model_ids),
    )


def _routing(
    session: Session,
    project_id: int,
    body: shapes.ReviewQueueIn,
    rubric: Rubric,
    model_ids: Sequence[int],
) -> Routing | None:
    if body.skip is None:
        return None
    if body.kind != "single":
        raise InvalidInput("Only queues of single outputs can be routed by risk.")
    return certify(
        session,
        project_id,
        SkipRequest(**body.skip.model_dump()),
        run_id=body.generation_run_id,
        model_ids=model_ids,
        rubric=rubric,
        score_run_id=body.score_run_id,
    )


def _reviewer_ids(session: Session, project_id: int, body: shapes.ReviewQueueIn) -> list[int]:
    if not body.reviewers and not body.assignment.groups:
        return default_reviewers(session, project_id)
    named = [find_member(session, project_id, name).id for name in body.reviewers]
    grouped = members_of_groups(session, project_id, body.assignment.groups)
    return list(dict.fromkeys([*named, *grouped]))


def _design(given: designs.DesignIn) -> SamplingDesign:
    return SamplingDesign(
        kind=DesignKind(given.kind),
        by=given.by,
        allocation=Allocation(given.allocation),
        anchor=given.anchor,
        targets=tuple(Target(**target.model_dump()) for target in given.strata),
        minutes=given.minutes,
        minutes_per_review=given.minutes_per_review,
    )


@router.get("/review-queues/{queue_id}")
def show_queue(queue_id: int, session: SessionDep) -> shapes.ReviewQueueOut:
    """A queue with its reviewers' progress, and for whom it waits."""
    shown = _show(session, review.get_queue(session, queue_id))
    return shown.model_copy(update={"waits_for": queue_waits_for(session, queue_id)})


@router.post("/review-queues/{queue_id}/close")
def close_queue(queue_id: int, session: SessionDep, now: NowDep) -> shapes.ReviewQueueOut:
    """Give out no more items; what people hold they may still submit."""
    return _show(session, review.close_queue(session, queue_id, now=now))


@router.get("/review-queues/{queue_id}/preferences")
def show_preferences(queue_id: int, session: SessionDep) -> list[shapes.PreferencesOut]:
    """The votes of a queue of blind pairs, for each two of its models."""
    return review.preference_summary(session, queue_id)


@router.get("/review-queues/{queue_id}/reviews")
def list_reviews(
    queue_id: int, session: SessionDep, page: PageDep, item_id: int | None = None
) -> Page[shapes.ReviewOut]:
    """What reviewers said, newest first, by pseudonym; of one item where it is named."""
    found = overview.finished_reviews(session, queue_id, page, item_id=item_id)
    shown = [_show_review(each, queue_id) for each in found.rows]
    return Page[shapes.ReviewOut](items=shown, next=found.next)


def _show_review(found: Review, queue_id: int) -> shapes.ReviewOut:
    outputs = [found.item.generation_a, found.item.generation_b]
    return shapes.ReviewOut.of(
        found,
        queue_id=queue_id,
        generation_ids=[output.id for output in outputs if output is not None],
        reviewer=found.reviewer.pseudonym,
        models=[output.model_version.label for output in outputs if output is not None],
        ratings={rating.criterion: rating.value for rating in found.ratings},
        correction=found.corrections[0].text if found.corrections else None,
        spans=[
            desk_shapes.MarkedSpan.model_validate(span, from_attributes=True)
            for span in found.spans
        ],
        winner=found.preferences[0].winner if found.preferences else None,
    )
