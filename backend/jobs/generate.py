"""The generation job: preflight, then every answer that the ledger of the run lacks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from backend.db import reading, utc_now
from backend.engines.base import GenerationRequest, GenerationResult, SamplingParams
from backend.errors import EngineError, EngineUnavailable, InvalidInput
from backend.jobs.parts import Parts, Workshop
from backend.jobs.preflight import refuse_models
from backend.services import queue
from backend.services.models.versions import register_base, served_model, serving_groups
from backend.services.runs import generation
from backend.tables.models import ModelVersion
from backend.tables.queue import Job, JobState
from backend.tables.runs import GenerationRun

CHUNK = 256
SAVE_AFTER_SECONDS = 1.0


def generate_parts(shop: Workshop, job: Job) -> Parts:
    """Write what the run lacks, a chunk of answers in each part; then ask for its scoring.

    Raises:
        EngineUnavailable: the engine gave no answer; what was saved stays.
        PreflightFailed: a model that is served is not the model meant; nothing was generated.
    """
    try:
        yield from _write_missing(shop, job.subject_id)
    except EngineUnavailable as error:
        raise EngineUnavailable(
            f"Run {job.subject_id} stopped. {error}",
            hint=f"What was written is kept; go on with: strop run --resume {job.subject_id}",
        ) from error
    _finish(shop, job)


def _write_missing(shop: Workshop, run_id: int) -> Parts:
    with reading(shop.sessions) as session:
        run = generation.get_run(session, run_id)
        groups = serving_groups(register_base(session, run.project_id), run.models)
        requests, params = generation.pending_requests(session, run_id), generation.run_params(run)
    for group in groups:
        names = {model.serving_name for model in group}
        if asked := [request for request in requests if request.model in names]:
            yield from _write_group(shop, run, group, asked, params)


def _write_group(
    shop: Workshop,
    run: GenerationRun,
    group: Sequence[ModelVersion],
    requests: Sequence[GenerationRequest],
    params: SamplingParams,
) -> Parts:
    """Check the models that one engine holds, then have it answer."""
    run_id = run.id
    try:
        engine = shop.engine_for(run.engine, [served_model(model) for model in group])
    except EngineUnavailable:
        raise
    except (EngineError, InvalidInput) as error:  # not taken: a finding that the run keeps
        raise refuse_models(shop.sessions, run.engine, group, error, run_id=run_id) from error
    yield  # loading takes minutes, in which a person may have cancelled
    if group[0].is_own_base:
        shop.preflight(shop.sessions, engine, run_id, alone=group[0].id)
    else:
        shop.preflight(shop.sessions, engine, run_id)
    yield
    answers = engine.generate(requests, params)
    try:
        for chunk in chunks_of(answers, size=CHUNK, seconds=SAVE_AFTER_SECONDS):
            with shop.sessions.begin() as session:
                generation.save_generations(session, run_id, chunk)
            yield
    finally:
        if hasattr(answers, "close"):
            answers.close()


def chunks_of(
    answers: Iterable[GenerationResult], *, size: int, seconds: float
) -> Iterator[list[GenerationResult]]:
    """Answers in lists of up to `size`, handed on after `seconds` even if shorter.

    When the engine fails, what had arrived is handed on before the error.
    """
    chunk: list[GenerationResult] = []
    due = time.monotonic() + seconds
    try:
        for answer in answers:
            chunk.append(answer)
            if len(chunk) >= size or time.monotonic() >= due:
                yield chunk
                chunk, due = [], time.monotonic() + seconds
    except EngineError:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _finish(shop: Workshop, job: Job) -> None:
    """Check that nothing is missing, mark the job done and queue its scoring, all or nothing."""
    with shop.sessions.begin() as session:
        missing = generation.run_progress(session, job.subject_id).missing
        if missing:
            raise EngineError(
                f"The engine left out {missing} answers of run {job.subject_id}.",
                hint=f"Try again: strop run --resume {job.subject_id}",
            )
        if not queue.finish_job(
            session, job.id, job.attempt, JobState.DONE, now=utc_now(), exit_code=0
        ):
            return  # cancelled, or taken over: the scoring is not ours to ask for
        for score_run_id in queue.get_job(session, job.id).arguments.get("then_score", ()):
            asked = queue.enqueue_job(session, queue.JobKind.SCORE, score_run_id)
            queue.resume_job(session, asked.id)
