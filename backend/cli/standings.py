"""How far jobs are, read from the rows, and the progress bars that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID
    from sqlalchemy.orm import Session, sessionmaker

    from backend.tables.queue import Job


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a job is, for the progress bar."""

    title: str
    done: float
    total: float | None
    note: str = ""


def look(
    sessions: sessionmaker[Session], job_ids: Sequence[int]
) -> tuple[list[Job], list[Standing]]:
    """The jobs, followed by the scorings that they ask for, and how far each is."""
    from backend.db import reading
    from backend.services import queue

    with reading(sessions) as session:
        jobs = [queue.get_job(session, job_id) for job_id in job_ids]
        wanted = [i for job in jobs for i in job.arguments.get("then_score", ())]
        later = [queue.find_job(session, "score", score_run_id) for score_run_id in wanted]
        jobs += [job for job in later if job is not None and job.id not in set(job_ids)]
        return jobs, [_STANDINGS[job.kind](session, job) for job in jobs]


def _generation_standing(session: Session, job: Job) -> Standing:
    from backend.services.generation import run_progress

    progress = run_progress(session, job.subject_id)
    starting = job.state == "running" and progress.done == 0
    note = "loading and checking the models" if starting else _failures(progress.failed)
    return Standing(f"run {job.subject_id}: writing", progress.done, progress.total, note)


def _scoring_standing(session: Session, job: Job) -> Standing:
    from backend.services.scoring import score_progress

    progress = score_progress(session, job.subject_id)
    title = f"score run {job.subject_id}: scoring"
    return Standing(title, progress.done, progress.total, _failures(progress.failed))


def _training_standing(session: Session, job: Job) -> Standing:
    from backend.services.training import get_training_run, planned_epochs, training_progress

    run = get_training_run(session, job.subject_id)
    curve = training_progress(run)
    last = curve[-1] if curve else {}
    total = planned_epochs(run)
    done = total if job.state == "done" else last.get("epoch", 0.0)
    title = f"training run {run.id}: {run.adapter_name}"
    return Standing(title, done, total, _losses(curve) or "starting the trainer")


def _losses(curve: Sequence[Mapping[str, float]]) -> str:
    """The newest loss of each kind."""
    newest = {key: line[key] for line in curve for key in ("loss", "eval_loss") if key in line}
    return ", ".join(f"{key.replace('_', ' ')} {value:.3f}" for key, value in newest.items())


_STANDINGS: Mapping[str, Callable[[Session, Job], Standing]] = {
    "generate": _generation_standing,
    "score": _scoring_standing,
    "train": _training_standing,
}


def _failures(failed: int) -> str:
    return f"{failed} failed" if failed else ""


@contextmanager
def show_bars(*, quiet: bool) -> Iterator[Bars | None]:
    """Progress bars on stderr for as long as the block lasts; None where they are not wanted."""
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
    ) as bars:
        yield bars


def update_bars(
    bars: Bars | None, shown: dict[int, TaskID], jobs: Sequence[Job], standings: Sequence[Standing]
) -> None:
    """Bring the bars to where the jobs stand."""
    if bars is None:
        return
    for job, at in zip(jobs, standings, strict=True):
        if job.id not in shown:
            shown[job.id] = bars.add_task(at.title, total=at.total, count="", note="")
        count = f"{at.done:g}/{at.total:g}" if at.total is not None else f"{at.done:g}"
        note = "waiting for a worker" if job.state == "queued" else at.note
        bars.update(shown[job.id], completed=at.done, total=at.total, count=count, note=note)
