"""The scoring job: every score that the ledger of a score run lacks."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.db import reading, utc_now
from backend.errors import Conflict
from backend.jobs.parts import Parts, Workshop
from backend.services import queue
from backend.services.runs import generation, scoring
from backend.tables.queue import Job, JobState

CHUNK = 250


def score_parts(shop: Workshop, job: Job) -> Parts:
    """Score what the run lacks, a chunk of generations in each part.

    Raises:
        Conflict: the generation run is not finished.
        Forbidden: a metric that the project may not use, whoever named it.
    """
    score_run_id = job.subject_id
    with reading(shop.sessions) as session:
        project_id = _require_generations(session, score_run_id)
        units = scoring.pending_units(session, score_run_id)
    allowed = scoring.allowed_metrics(shop.settings, project_id)
    for start in range(0, len(units), CHUNK):
        some = units[start : start + CHUNK]
        with reading(shop.sessions) as session:
            written = scoring.load_generations(session, [unit.generation_id for unit in some])
        rows = scoring.score_units(some, written, allowed=allowed)
        with shop.sessions.begin() as session:
            scoring.save_scores(session, score_run_id, rows)
        yield
    _finish(shop, job)


def _require_generations(session: Session, score_run_id: int) -> int:
    """The project of a score run whose generations are all there. Raises Conflict."""
    run = scoring.get_score_run(session, score_run_id).generation_run
    run_id = run.id
    progress = generation.run_progress(session, run_id)
    if progress.missing:
        raise Conflict(
            f"Run {run_id} lacks {progress.missing} of {progress.total} generations, "
            "so it cannot be scored.",
            hint=f"Finish it first: strop run --resume {run_id}",
        )
    return run.project_id


def _finish(shop: Workshop, job: Job) -> None:
    """Check that nothing is missing and mark the job done."""
    with shop.sessions.begin() as session:
        missing = scoring.pending_units(session, job.subject_id)
        if missing:
            raise Conflict(
                f"{len(missing)} generations of score run {job.subject_id} came in meanwhile.",
                hint="Score it again.",
            )
        queue.finish_job(session, job.id, job.attempt, JobState.DONE, now=utc_now(), exit_code=0)
