"""What spans stages: jobs of a project, jobs by state."""

from __future__ import annotations

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from backend.tables.generation import GenerationRun
from backend.tables.queue import Job
from backend.tables.scoring import ScoreRun
from backend.tables.training import TrainingRun


def count_jobs(session: Session) -> dict[str, int]:
    """Number of jobs by state; a state without jobs is not there."""
    query = select(Job.state, func.count().label("n")).group_by(Job.state)
    return {row.state: row.n for row in session.execute(query)}


def jobs_of_project(session: Session, project_id: int, *, limit: int = 50) -> list[Job]:
    """The newest jobs on the project's runs."""
    generations = select(GenerationRun.id).where(GenerationRun.project_id == project_id)
    scores = select(ScoreRun.id).where(ScoreRun.generation_run_id.in_(generations))
    trainings = select(TrainingRun.id).where(TrainingRun.project_id == project_id)
    subjects = {"generate": generations, "score": scores, "train": trainings}
    mine = or_(*((Job.kind == kind) & Job.subject_id.in_(ids) for kind, ids in subjects.items()))
    return list(session.scalars(select(Job).where(mine).order_by(Job.id.desc()).limit(limit)))
