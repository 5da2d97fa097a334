"""Training runs and their loss curves."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, NowDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas.queue import JobCancelled
from backend.schemas.training import LossPoint, TrainingProgress, TrainingRunIn, TrainingRunOut
from backend.services import queue
from backend.services.accounts.access import require_in_project
from backend.services.cancelling import Cancellation, cancel_subjects
from backend.services.queue import JobKind
from backend.services.training import runs as training
from backend.tables.training import TrainingRun
from training.results.card import data_warnings
from training.results.forgetting import forgetting_lines

router = APIRouter(tags=["training"])


def _show(session: Session, run: TrainingRun) -> TrainingRunOut:
    job = queue.find_job(session, JobKind.TRAIN, run.id)
    told = [*data_warnings(run.result), *forgetting_lines(run.result)]
    notes = [*training.serving_notes(run), *training.data_notes(session, run), *told]
    return TrainingRunOut.of(run, job=job, notes=notes)


@router.get("/projects/{project_id}/training-runs")
def list_training_runs(project_id: int, session: SessionDep) -> list[TrainingRunOut]:
    """The training runs of a project, newest first."""
    return [_show(session, run) for run in training.list_training_runs(session, project_id)]


@router.post("/projects/{project_id}/training-runs", status_code=201)
def start_training(
    project_id: int,
    body: TrainingRunIn,
    session: SessionDep,
    user: CurrentUser,
    serving: ServingDep,
    once: OnceDep,
) -> TrainingRunOut:
    """Lay down a training and queue it; refused where no success manifest is set."""
    require_in_project(session, project_id, training_set_id=body.training_set_id)
    training.refuse_reporters(body.config)
    run = training.create_training_run(
        session,
        project_id=project_id,
        training_set_id=body.training_set_id,
        adapter_name=body.adapter_name,
        config=body.config,
        settings=serving.settings,
        start=body.start,
        base=body.base,
        created_by_id=user.id,
    )
    queue.enqueue_job(session, JobKind.TRAIN, run.id)
    return once.answer(_show(session, run))


@router.get("/training-runs/{training_run_id}")
def show_training_run(training_run_id: int, session: SessionDep) -> TrainingRunOut:
    """One training run."""
    return _show(session, training.get_training_run(session, training_run_id))


@router.post("/training-runs/{training_run_id}/cancel")
def cancel_training(
    training_run_id: int, body: JobCancelled, session: SessionDep, user: CurrentUser, now: NowDep
) -> TrainingRunOut:
    """Stop a training; its checkpoints stay, and resuming goes on from the last."""
    run = training.get_training_run(session, training_run_id)
    cancellation = Cancellation(user, now, body.reason)
    cancel_subjects(session, [(JobKind.TRAIN, run.id)], cancellation)
    return _show(session, run)


@router.get("/training-runs/{training_run_id}/progress")
def show_progress(training_run_id: int, session: SessionDep) -> TrainingProgress:
    """The loss curve so far."""
    run = training.get_training_run(session, training_run_id)
    job = queue.find_job(session, JobKind.TRAIN, run.id)
    return TrainingProgress(
        training_run_id=run.id,
        state=job.state if job else None,
        points=[LossPoint.model_validate(point) for point in training.training_progress(run)],
    )
