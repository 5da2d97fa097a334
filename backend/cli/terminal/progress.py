"""How far jobs are, read from the rows, and the bars or lines that tell it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID
    from sqlalchemy.orm import Session, sessionmaker

    from backend.tables.queue import Job


LINE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is, for the progress bar."""

    title: str
    done: float
    total: float | None
    note: str = ""

    @property
    def count(self) -> str:
        """How much is done, of how much if that is known."""
        return f"{self.done:g}/{self.total:g}" if self.total is not None else f"{self.done:g}"


def has_moved(sessions: sessionmaker[Session], jobs: Sequence[Job]) -> bool:
    """Whether a job is in another state than it was when it was looked at."""
    from backend.db import alone
    from backend.services import queue

    with alone(sessions.kw["bind"]).connect() as connection:
        now = queue.states_of_unfinished(connection)
    unfinished = {job.id: job.state for job in jobs if job.state in queue.UNFINISHED}
    return any(now.get(job_id) != state for job_id, state in unfinished.items())


def look(
    sessions: sessionmaker[Session], job_ids: Sequence[int]
) -> tuple[list[Job], list[JobProgress]]:
    """The jobs, followed by the scorings that they ask for, and how far each is."""
    from backend.db import reading
    from backend.services import queue

    with reading(sessions) as session:
        jobs = [queue.get_job(session, job_id) for job_id in job_ids]
        wanted = [i for job in jobs for i in job.arguments.get("then_score", ())]
        later = [queue.find_job(session, "score", score_run_id) for score_run_id in wanted]
        jobs += [job for job in later if job is not None and job.id not in set(job_ids)]
        return jobs, [_STANDINGS[job.kind](session, job) for job in jobs]


def _generation_standing(session: Session, job: Job) -> JobProgress:
    from backend.services.runs.generation import run_progress

    progress = run_progress(session, job.subject_id)
    starting = job.state == "running" and progress.done == 0
    note = "loading and checking the models" if starting else _failures(progress.failed)
    return JobProgress(f"run {job.subject_id}: writing", progress.done, progress.total, note)


def _scoring_standing(session: Session, job: Job) -> JobProgress:
    from backend.services.runs.scoring import score_progress

    progress = score_progress(session, job.subject_id)
    title = f"score run {job.subject_id}: scoring"
    return JobProgress(title, progress.done, progress.total, _failures(progress.failed))


def _training_standing(session: Session, job: Job) -> JobProgress:
    from backend.services.training.runs import get_training_run, planned_epochs, training_progress

    run = get_training_run(session, job.subject_id)
    curve = training_progress(run)
    last = curve[-1] if curve else {}
    total = planned_epochs(run)
    done = total if job.state == "done" else last.get("epoch", 0.0)
    title = f"training run {run.id}: {run.adapter_name}"
    return JobProgress(title, done, total, _losses(curve) or "starting the trainer")


def _health_standing(session: Session, job: Job) -> JobProgress:
    from backend.services.datasets.health.reports import get_report, requested_kinds

    report = get_report(session, job.subject_id)
    total = len(requested_kinds(report))
    done = total if report.finished_at is not None else 0
    return JobProgress(f"health report {report.id}: kinds of findings", done, total)


def _drafting_standing(session: Session, job: Job) -> JobProgress:
    from backend.services.synthetic.batches import drafting_progress

    kept, drafted, wanted = drafting_progress(session, job.subject_id)
    starting = job.state == "running" and drafted == 0
    note = "loading and checking the model" if starting else f"of {drafted} drafts"
    return JobProgress(f"drafting {job.subject_id}: kept", kept, wanted, note)


def _losses(curve: Sequence[Mapping[str, float]]) -> str:
    """The newest loss of each kind."""
    newest = {key: line[key] for line in curve for key in ("loss", "eval_loss") if key in line}
    return ", ".join(f"{key.replace('_', ' ')} {value:.3f}" for key, value in newest.items())


_STANDINGS: Mapping[str, Callable[[Session, Job], JobProgress]] = {
    "generate": _generation_standing,
    "score": _scoring_standing,
    "train": _training_standing,
    "health": _health_standing,
    "draft": _drafting_standing,
}


def _failures(failed: int) -> str:
    return f"{failed} failed" if failed else ""


@contextmanager
def show_bars(*, quiet: bool) -> Iterator[Progress | None]:
    """What tells on stderr how far the work is, for as long as the block lasts; None if quiet.

    Bars on a terminal; elsewhere, where bars would show nothing until the end, lines.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        yield None
    elif console.is_terminal:
        with Bars(console) as bars:
            yield bars
    else:
        yield Lines(console.file)


class Progress(Protocol):
    """Tells how far jobs are; `update` may be called as often as one looks."""

    def update(self, jobs: Sequence[Job], standings: Sequence[JobProgress]) -> None: ...


class Bars:
    """A progress bar a job."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._shown: dict[int, TaskID] = {}
        self._bars = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            refresh_per_second=1,  # more often costs more than all the looking
        )

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def update(self, jobs: Sequence[Job], standings: Sequence[JobProgress]) -> None:
        """Bring the bars to where the jobs stand."""
        for job, at in zip(jobs, standings, strict=True):
            if job.id not in self._shown:
                self._shown[job.id] = self._bars.add_task(
                    at.title, total=at.total, count="", note=""
                )
            self._bars.update(
                self._shown[job.id],
                completed=at.done,
                total=at.total,
                count=at.count,
                note=_note(job, at),
            )


@dataclass(slots=True)
class Lines:
    """A line a job when it ends and every LINE_SECONDS before."""

    stream: IO[str]
    clock: Callable[[], float] = time.monotonic
    _due: float = 0.0
    _ended: set[int] = field(default_factory=set)

    def update(self, jobs: Sequence[Job], standings: Sequence[JobProgress]) -> None:
        """Write what is due."""
        now = self.clock()
        due = now >= self._due
        for job, at in zip(jobs, standings, strict=True):
            ended = job.state not in ("queued", "running")
            if job.id not in self._ended and (due or ended):
                note = job.state if ended else _note(job, at)
                said = f"{at.title} {at.count}"
                self.stream.write(f"{said}, {note}\n" if note else f"{said}\n")
            if ended:
                self._ended.add(job.id)
        self.stream.flush()
        if due:
            self._due = now + LINE_SECONDS


def _note(job: Job, at: JobProgress) -> str:
    return "waiting for a worker" if job.state == "queued" else at.note
