"""Synthetic candidates: ask for drafts, see what became of them, open the queue for experts."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, NowDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas.queue import JobCancelled
from backend.schemas.synthetic import (
    DraftingIn,
    DraftingOut,
    DraftOut,
    DraftQueueIn,
    DraftQueueOut,
    SourceIn,
    StateName,
)
from backend.services import queue
from backend.services.accounts.access import require_in_project
from backend.services.accounts.users import find_member
from backend.services.cancelling import Cancellation, cancel_subjects
from backend.services.models.adapter_files import project_artifacts
from backend.services.queue import JobKind
from backend.services.synthetic import desk, draftings, records
from backend.services.synthetic.asking import DraftAsk, lay_down
from backend.services.synthetic.sifting import Bounds
from backend.services.synthetic.sources.documents import TitledText, check_documents
from backend.services.synthetic.sources.sources import SourceAsk, parse_slice
from backend.tables.synthetic import Drafting, SourceKind

router = APIRouter(tags=["synthetic"])


def _show(session: Session, drafting: Drafting) -> DraftingOut:
    job = queue.find_job(session, JobKind.DRAFT, drafting.id)
    record = records.drafting_record(session, drafting)
    return DraftingOut.model_validate(
        {
            **record,
            "drawn_from": record["from"],
            "job_state": None if job is None else str(job.state),
            "job_error": None if job is None else job.error,
        }
    )


def _source(body: SourceIn) -> SourceAsk:
    documents = [TitledText(one.name, one.text) for one in body.documents]
    return SourceAsk(
        kind=SourceKind(body.kind),
        documents=tuple(check_documents(documents, "documents")) if documents else (),
        run_id=body.generation_run_id,
        worse_than=body.worse_than,
        wrong_when=body.wrong_when,
        slice=None if body.slice is None else parse_slice(body.slice),
        dataset=body.dataset,
    )


@router.get("/projects/{project_id}/draftings")
def list_draftings(project_id: int, session: SessionDep) -> list[DraftingOut]:
    """The draftings of a project, the newest first."""
    return [_show(session, one) for one in draftings.list_draftings(session, project_id)]


@router.post("/projects/{project_id}/draftings", status_code=201)
def ask_for_drafts(
    project_id: int,
    body: DraftingIn,
    session: SessionDep,
    user: CurrentUser,
    serving: ServingDep,
    once: OnceDep,
) -> DraftingOut:
    """Lay a drafting down and queue it; refused where its source is held out."""
    require_in_project(session, project_id, generation_run_id=body.source.generation_run_id)
    ask = DraftAsk(
        source=_source(body.source),
        engine=body.engine or serving.settings.engine,
        bounds=Bounds(least_overlap=body.least_overlap, semantic=body.semantic),
        **body.model_dump(exclude={"source", "engine", "least_overlap", "semantic"}),
    )
    laid = lay_down(
        session,
        project_id,
        ask,
        created_by_id=user.id,
        encoders=project_artifacts(serving.settings, project_id),
    )
    queue.enqueue_job(session, JobKind.DRAFT, laid.drafting.id)
    return once.answer(_show(session, laid.drafting))


@router.get("/draftings/{drafting_id}")
def show_drafting(drafting_id: int, session: SessionDep) -> DraftingOut:
    """One drafting."""
    return _show(session, draftings.get_drafting(session, drafting_id))


@router.get("/draftings/{drafting_id}/drafts")
def list_drafts(
    drafting_id: int, session: SessionDep, state: StateName | None = None
) -> list[DraftOut]:
    """The drafts in the order in which they were written, all or those of one state."""
    drafting = draftings.get_drafting(session, drafting_id)
    found = records.draft_records(session, drafting, state=state)
    return [DraftOut.model_validate(one) for one in found]


@router.post("/draftings/{drafting_id}/queues", status_code=201)
def open_queue(
    drafting_id: int, body: DraftQueueIn, session: SessionDep, serving: ServingDep, once: OnceDep
) -> DraftQueueOut:
    """Open the queue in which experts approve, correct or refuse the kept drafts."""
    drafting = draftings.get_drafting(session, drafting_id)
    reviewers = [find_member(session, drafting.project_id, name).id for name in body.reviewers]
    ask = desk.QueueAsk(
        reviewer_ids=reviewers,
        lease_seconds=serving.settings.lease_seconds,
        **body.model_dump(exclude={"reviewers"}),
    )
    opened = desk.open_queue(session, drafting, ask)
    return once.answer(DraftQueueOut(id=opened.id, name=opened.name, drafting_id=drafting.id))


@router.post("/draftings/{drafting_id}/cancel")
def cancel_drafting(
    drafting_id: int, body: JobCancelled, session: SessionDep, user: CurrentUser, now: NowDep
) -> DraftingOut:
    """Stop a drafting; what was drafted stays, and resuming goes on from there."""
    drafting = draftings.get_drafting(session, drafting_id)
    cancellation = Cancellation(user, now, body.reason)
    cancel_subjects(session, [(JobKind.DRAFT, drafting.id)], cancellation)
    return _show(session, drafting)
