"""Generation runs and what the models wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, NowDep, PageDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.engines import ENGINES
from backend.engines.base import SamplingParams
from backend.errors import UnknownName
from backend.schemas.common import Page
from backend.schemas.datasets import ExampleOut
from backend.schemas.queue import JobCancelled
from backend.schemas.runs import (
    GenerationDetail,
    GenerationOut,
    GenerationRunIn,
    GenerationRunOut,
    OutputsImported,
    OutputsIn,
)
from backend.schemas.turns import turns_of
from backend.services import cancelling, overview, queue
from backend.services.cancelling import Cancellation
from backend.services.datasets.leaks import acceptance
from backend.services.datasets.masking.keys import keys_of
from backend.services.datasets.versions import get_dataset_version
from backend.services.metric_specs import allowed_metrics
from backend.services.models.versions import find_model
from backend.services.pages import page_of
from backend.services.queue import JobKind
from backend.services.runs import generation, scoring
from backend.services.runs.importing import imported
from backend.services.runs.importing.masked_outputs import mask_outputs
from backend.services.runs.importing.output_rows import ImportedOutputs, read_outputs
from backend.tables.runs import Generation, GenerationRun
from evaluators.files.mapping import Notes
from evaluators.files.readers import FileTable

router = APIRouter(tags=["generation"])


def _show_run(session: Session, run: GenerationRun) -> GenerationRunOut:
    job = queue.find_job(session, JobKind.GENERATE, run.id)
    preflights = overview.preflights_of_run(session, run.id)
    return GenerationRunOut.of(
        run,
        dataset=run.dataset_version.dataset.name,
        dataset_version=run.dataset_version.number,
        provenance=imported.provenance(session, run),
        progress=generation.run_progress(session, run.id),
        job=job,
        preflight=preflights[-1] if preflights else None,
        preflights=preflights,
        score_run_ids=[scored.id for scored in scoring.list_score_runs(session, run.id)],
    )


@router.get("/projects/{project_id}/generation-runs")
def list_runs(project_id: int, session: SessionDep, page: PageDep) -> Page[GenerationRunOut]:
    """The runs of a project, newest first."""
    found = page_of(session, GenerationRun, page, project_id=project_id)
    shown = [_show_run(session, run) for run in found.rows]
    return Page[GenerationRunOut](items=shown, next=found.next)


@router.post("/projects/{project_id}/generation-runs", status_code=201)
def make_run(
    project_id: int,
    body: GenerationRunIn,
    session: SessionDep,
    user: CurrentUser,
    serving: ServingDep,
    once: OnceDep,
    now: NowDep,
) -> GenerationRunOut:
    """Lay down a run and queue it; a worker does the rest."""
    if body.engine is not None and body.engine not in ENGINES:
        raise UnknownName("engine", body.engine, ENGINES)
    version = get_dataset_version(session, project_id, body.dataset, body.dataset_version)
    run = generation.create_run(
        session,
        project_id=project_id,
        dataset_version_id=version.id,
        split=body.split,
        model_ids=[find_model(session, project_id, label).id for label in body.models],
        engine=body.engine or serving.settings.engine,
        params=SamplingParams(
            max_tokens=body.max_tokens,
            temperature=body.temperature,
            top_p=body.top_p,
            seed=body.seed,
            truncate_prompt=body.truncate_prompt,
        ),
        samples=body.samples,
        created_by_id=user.id,
        accept_leaks=acceptance(body.accept_leaks, user.id, now),
    )
    if body.metrics:
        scored = scoring.create_score_run(
            session,
            generation_run_id=run.id,
            metrics=body.metrics,
            allowed=allowed_metrics(serving.settings, project_id),
        )
        arguments = {"then_score": [scored.id]}
    else:
        arguments = {}
    queue.enqueue_job(session, JobKind.GENERATE, run.id, arguments=arguments)
    return once.answer(_show_run(session, run))


@dataclass(frozen=True, slots=True)
class SentOutputs:
    """Outputs as they were sent, and what was read of them."""

    body: OutputsIn
    outputs: ImportedOutputs
    notes: Notes


def read_rows(project_id: int, body: OutputsIn, serving: ServingDep) -> SentOutputs:
    """Done before the route has its session: the one writer of SQLite is not held meanwhile."""
    notes = Notes()
    table = FileTable.of_rows(body.source, body.rows)
    given = read_outputs(table, model=body.model, notes=notes)
    with serving.reading() as session:
        masked = mask_outputs(
            session,
            project_id,
            given,
            keys_of(serving.settings.masking_keys),
            dataset=body.dataset,
            dataset_version=body.dataset_version,
            split=body.split,
            with_run=body.with_run,
        )
    return SentOutputs(body, masked, notes)


@router.post("/projects/{project_id}/generation-runs/import", status_code=201)
def import_outputs(
    project_id: int,
    sent: Annotated[SentOutputs, Depends(read_rows)],
    session: SessionDep,
    user: CurrentUser,
    serving: ServingDep,
    once: OnceDep,
) -> OutputsImported:
    """Take outputs made elsewhere as a run and queue its scoring; the same again is taken once."""
    body = sent.body
    found = imported.import_outputs(
        session,
        project_id,
        sent.outputs,
        dataset=body.dataset,
        dataset_version=body.dataset_version,
        split=body.split,
        with_run=body.with_run,
        created_by_id=user.id,
    )
    allowed = allowed_metrics(serving.settings, project_id)
    imported.queue_scoring(session, found, body.metrics, allowed=allowed)
    return once.answer(
        OutputsImported(
            run=_show_run(session, found.run),
            repeated=found.repeated,
            outputs=found.outputs,
            notes=[*sent.notes.sentences(), *found.notes],
        )
    )


@router.get("/generation-runs/{generation_run_id}")
def show_run(generation_run_id: int, session: SessionDep) -> GenerationRunOut:
    """A run and how far it is."""
    return _show_run(session, generation.get_run(session, generation_run_id))


@router.post("/generation-runs/{generation_run_id}/resume")
def resume_run(generation_run_id: int, session: SessionDep) -> GenerationRunOut:
    """Queue a stopped run again; what it wrote stays."""
    run = generation.get_run(session, generation_run_id)
    generation.require_resumable(run)
    job = queue.enqueue_job(session, JobKind.GENERATE, run.id)
    queue.resume_job(session, job.id)
    return _show_run(session, run)


@router.post("/generation-runs/{generation_run_id}/cancel")
def cancel_run(
    generation_run_id: int, body: JobCancelled, session: SessionDep, user: CurrentUser, now: NowDep
) -> GenerationRunOut:
    """Stop a run and its scoring; what was written stays, and resuming goes on from there."""
    run = generation.get_run(session, generation_run_id)
    cancelling.cancel_run(session, run.id, Cancellation(user, now, body.reason))
    return _show_run(session, run)


@router.get("/generation-runs/{generation_run_id}/generations")
def list_generations(
    generation_run_id: int,
    session: SessionDep,
    page: PageDep,
    model_version_id: int | None = None,
    example_id: int | None = None,
) -> Page[GenerationOut]:
    """What the models wrote, oldest first; of one model or on one example if asked."""
    found = page_of(
        session,
        Generation,
        page,
        newest_first=False,
        run_id=generation_run_id,
        model_version_id=model_version_id,
        example_id=example_id,
    )
    shown = [GenerationOut.of(one, model=one.model_version.label) for one in found.rows]
    return Page[GenerationOut](items=shown, next=found.next)


@router.get("/generations/{generation_id}")
def show_generation(generation_id: int, session: SessionDep) -> GenerationDetail:
    """One output with its example and every score of it."""
    [written] = scoring.load_generations(session, [generation_id])
    return GenerationDetail.of(
        written,
        model=written.model_version.label,
        example=ExampleOut.of(written.example, turns=turns_of(written.example.messages)),
        scores=overview.scores_of_generation(session, generation_id),
    )
