"""The queue of long work: rows that a worker takes up, and the workers that are alive.

API and command line only write a row here, in their own transaction; a worker's reconciler hands
it to the job engine (backend/jobs). `attempt` is a fencing token: whoever works on a job under an
older attempt has been superseded and writes nothing more to the row.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.db import utc_now
from backend.errors import Conflict, NotFound, UnknownName
from backend.prepared import PreparedStatement
from backend.tables.health import HealthReport
from backend.tables.queue import Job, JobState, Worker
from backend.tables.runs import GenerationRun, ScoreRun
from backend.tables.synthetic import Drafting
from backend.tables.training import TrainingRun

HEARTBEAT_SECONDS = 5.0
SILENT_AFTER = timedelta(seconds=60)
UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


class JobKind(StrEnum):
    """What a job does; its subject is a GenerationRun, a ScoreRun, a TrainingRun, ..."""

    GENERATE = "generate"
    SCORE = "score"
    TRAIN = "train"
    HEALTH = "health"
    DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class KindEntry:
    """What is said and asked of one kind of job; what it does stands in `backend.jobs.worker`.

    Attributes:
        queue: the workers' queue on which it runs.
        word: what people call its subject in commands.
        title: the subject at the head of a sentence.
        subject: the name of the subject's id, as in `access.require_in_project`.
        again: the command that goes on with it, `{id}` being the subject's number.
        of_project: the ids of a project's subjects.
    """

    queue: str
    word: str
    title: str
    subject: str
    again: str
    of_project: Callable[[int], Select[int]]


def _of(table: Any) -> Callable[[int], Select[int]]:
    return lambda project_id: select(table.id).where(table.project_id == project_id)


def _score_runs(project_id: int) -> Select[int]:
    runs = _of(GenerationRun)(project_id)
    return select(ScoreRun.id).where(ScoreRun.generation_run_id.in_(runs))


KINDS: dict[JobKind, KindEntry] = {
    JobKind.GENERATE: KindEntry(
        "gen", "run", "Run", "generation_run_id", "strop run --resume {id}", _of(GenerationRun)
    ),
    JobKind.SCORE: KindEntry(
        "score", "score", "Score run", "score_run_id", "strop run --resume RUN", _score_runs
    ),
    JobKind.TRAIN: KindEntry(
        "gpu",
        "training",
        "Training run",
        "training_run_id",
        "strop train --resume {id}",
        _of(TrainingRun),
    ),
    JobKind.HEALTH: KindEntry(
        "score",
        "health",
        "Health report",
        "health_report_id",
        "strop dataset health NAME",
        _of(HealthReport),
    ),
    JobKind.DRAFT: KindEntry(
        "gen",
        "drafting",
        "Drafting",
        "drafting_id",
        "strop synthetic draft --resume {id}",
        _of(Drafting),
    ),
}


def about_project(project_id: int) -> ColumnElement[bool]:
    """The condition that a job's subject is one of a project's."""
    return or_(
        *(
            (Job.kind == kind) & Job.subject_id.in_(entry.of_project(project_id))
            for kind, entry in KINDS.items()
        )
    )


ALL_QUEUES = tuple(dict.fromkeys(entry.queue for entry in KINDS.values()))


def find_kind(name: str) -> KindEntry:
    """The entry of a kind; UnknownName, with the nearest ones, where there is none."""
    if name not in KINDS:
        raise UnknownName("kind of job", name, KINDS)
    return KINDS[JobKind(name)]


def workflow_id(job: Job) -> str:
    """The fixed name under which the job engine knows this attempt, for example `generate-7-1`."""
    return f"{job.kind}-{job.subject_id}-{job.attempt}"


def enqueue_job(
    session: Session, kind: str, subject_id: int, *, arguments: Mapping[str, Any] | None = None
) -> Job:
    """Ask for long work on a subject; asking again gives the same job.

    Raises:
        UnknownName: there is no such kind of job.
    """
    entry = find_kind(kind)
    if found := find_job(session, kind, subject_id):
        return found
    job = Job(
        kind=str(kind),
        subject_id=subject_id,
        queue=entry.queue,
        state=JobState.QUEUED,
        attempt=1,
        arguments=dict(arguments or {}),
    )
    try:
        with session.begin_nested():
            session.add(job)
    except IntegrityError:  # somebody else asked in the same moment
        if found := find_job(session, kind, subject_id):
            return found
        raise
    return job


def find_job(session: Session, kind: str, subject_id: int) -> Job | None:
    """The job on a subject, if one was asked for."""
    return session.scalar(select(Job).where(Job.kind == kind, Job.subject_id == subject_id))


def get_job(session: Session, job_id: int, *, locked: bool = False) -> Job:
    """A job by its id; `locked` to this transaction.

    Raises:
        NotFound: there is none.
    """
    job = session.get(Job, job_id, populate_existing=True, with_for_update=locked)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def list_jobs(session: Session, *, states: Collection[str] = (), limit: int = 100) -> list[Job]:
    """The newest jobs first, of all states unless some are named."""
    query = select(Job).order_by(Job.id.desc()).limit(limit)
    return list(session.scalars(query.where(Job.state.in_(states)) if states else query))


def resume_job(session: Session, job_id: int, *, arguments: Mapping[str, Any] | None = None) -> Job:
    """Queue a stopped, failed, cancelled or finished job again; what it saved stays.

    A job that waits or runs only gets the new arguments, which it reads when it ends.
    """
    job = get_job(session, job_id, locked=True)
    job.arguments = {**job.arguments, **(arguments or {})}
    if job.state in UNFINISHED:
        session.flush()
        return job
    job.state = JobState.QUEUED
    job.attempt += 1
    job.error = job.exit_code = job.executor_id = job.finished_at = job.cancelled_by_id = None
    session.flush()
    return job


_WAITING_OR_RUNNING: Any = select(Job.id, Job.state).where(
    or_(Job.state == JobState.QUEUED.value, Job.state == JobState.RUNNING.value)
)
_STATES = PreparedStatement(_WAITING_OR_RUNNING)


def states_of_unfinished(connection: Connection) -> dict[int, str]:
    """By id, the state of every job that waits or runs; whoever waits asks it all the time."""
    return dict(_STATES.each(connection, {}))


def unfinished_jobs(session: Session, queues: Collection[str]) -> list[Job]:
    """What waits or runs on these queues, oldest first."""
    found = select(Job).where(Job.state.in_(UNFINISHED), Job.queue.in_(queues)).order_by(Job.id)
    return list(session.scalars(found))


class JobMark(NamedTuple):
    """What of a job changes as it moves."""

    id: int
    attempt: int
    state: str
    queue: str
    executor_id: str | None


_MARKS = select(Job.id, Job.attempt, Job.state, Job.queue, Job.executor_id).order_by(Job.id)


def unfinished_marks(session: Session, queues: Collection[str]) -> list[JobMark]:
    """Of what waits or runs on these queues; workers ask it all the time."""
    wanted = _MARKS.where(Job.state.in_(UNFINISHED), Job.queue.in_(queues))
    return [JobMark(*row) for row in session.connection().execute(wanted)]


def has_queued(session: Session, queue: str) -> bool:
    """Whether a job waits on a queue that nobody has begun."""
    query = select(Job.id).where(Job.state == JobState.QUEUED, Job.queue == queue).limit(1)
    return session.scalar(query) is not None


def start_job(
    session: Session, job_id: int, attempt: int, *, executor_id: str, now: datetime
) -> bool:
    """Mark this attempt as running here; False if the attempt is no longer the present one."""
    running = {"state": JobState.RUNNING, "executor_id": executor_id, "started_at": now}
    return _move(session, job_id, attempt, **running)


def holds_job(session: Session, job_id: int, attempt: int) -> bool:
    """Whether this attempt is still the one that may work."""
    query = select(Job.attempt).where(Job.id == job_id, Job.state.in_(UNFINISHED))
    return session.scalar(query) == attempt


def finish_job(
    session: Session,
    job_id: int,
    attempt: int,
    state: JobState,
    *,
    now: datetime,
    error: str | None = None,
    exit_code: int | None = None,
) -> bool:
    """Record how this attempt ended; False, and nothing changed, if it was superseded."""
    ended = {"state": state, "error": error, "exit_code": exit_code, "finished_at": now}
    return _move(session, job_id, attempt, **ended)


def cancel_job(
    session: Session, job_id: int, *, by_id: int | None, error: str, now: datetime
) -> bool:
    """Take a job that waits or runs out of the queue for good; False if it does neither.

    Whoever works on it finds out between two parts and saves no more.

    Args:
        by_id: the person who cancels.
        error: that in words.
    """
    cancelled = {"state": JobState.CANCELLED, "cancelled_by_id": by_id, "error": error}
    return _move(session, job_id, None, **cancelled, exit_code=1, finished_at=now)


def is_cancelled(session: Session, job_id: int) -> bool:
    """Whether a job is cancelled at this moment."""
    query = select(Job.id).where(Job.id == job_id, Job.state == JobState.CANCELLED)
    return session.scalar(query) is not None


def cancelled_jobs(session: Session, kind: JobKind) -> list[Job]:
    """The jobs of a kind that were cancelled and not taken up again."""
    query = select(Job).where(Job.state == JobState.CANCELLED, Job.queue == find_kind(kind).queue)
    return list(session.scalars(query.where(Job.kind == kind)))


def requeue_job(session: Session, job_id: int, attempt: int) -> bool:
    """Give an attempt back, to be done by whoever comes: the next attempt supersedes it."""
    anew = {"state": JobState.QUEUED, "attempt": attempt + 1, "executor_id": None}
    return _move(session, job_id, attempt, **anew)


def add_spent(
    session: Session,
    job_id: int,
    *,
    processor_s: float,
    gpu_s: float | None,
    gpu_unknown: bool = False,
) -> None:
    """Add seconds that a job took, of whichever attempt.

    Args:
        gpu_s: None where there is nothing to say of a GPU.
        gpu_unknown: some of its GPU seconds cannot be known, and so not their sum.
    """
    more: dict[str, Any] = {"processor_s": func.coalesce(Job.processor_s, 0.0) + processor_s}
    if gpu_unknown:
        more["gpu_s"] = None
    elif gpu_s is not None:
        more["gpu_s"] = func.coalesce(Job.gpu_s, 0.0) + gpu_s
    added = update(Job).where(Job.id == job_id).values(**more)
    session.execute(added.execution_options(synchronize_session=False))


def _move(session: Session, job_id: int, held: int | None, **values: Any) -> bool:
    """Change a job that waits or runs, under the attempt that is held, or under any."""
    moved = update(Job).where(Job.id == job_id, Job.state.in_(UNFINISHED))
    if held is not None:
        moved = moved.where(Job.attempt == held)
    return session.execute(moved.values(**values).returning(Job.id)).first() is not None


def is_alive(worker: Worker, *, now: datetime, host: str | None = None) -> bool:
    """Whether a worker can be believed to live: heard of lately, and not a dead process here."""
    if now - worker.seen_at > SILENT_AFTER:
        return False
    here = worker.host == (host or platform.node())
    return not here or _process_exists(worker.pid)


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def live_workers(session: Session, *, now: datetime) -> list[Worker]:
    """Workers that live at this moment."""
    return [worker for worker in session.scalars(select(Worker)) if is_alive(worker, now=now)]


def claim_worker_name(
    session: Session, executor_id: str, *, queues: Sequence[str], pid: int, now: datetime
) -> Worker:
    """Register this process under its name, after a dead one of that name if there was one.

    A process is its number and its host: in containers every worker has the same number.

    Raises:
        Conflict: a living worker has the name.
    """
    held = session.get(Worker, executor_id, with_for_update=True, populate_existing=True)
    itself = held is not None and (held.pid, held.host) == (pid, platform.node())
    if held is not None and not itself and is_alive(held, now=now):
        raise Conflict(
            f"A worker named {executor_id!r} is alive already (process {held.pid} on {held.host}).",
            hint="Give this one another name with STROP_EXECUTOR_ID.",
        )
    values = {"queues": list(queues), "pid": pid, "host": platform.node()}
    worker = held or Worker(executor_id=executor_id)
    for name, value in {**values, "started_at": now, "seen_at": now}.items():
        setattr(worker, name, value)
    session.add(worker)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(f"A worker named {executor_id!r} started in the same moment.") from error
    return worker


def beat_heart(session: Session, executor_id: str, *, pid: int, now: datetime) -> bool:
    """Say that the worker lives; False if its name has passed to another process."""
    itself = Worker.pid == pid, Worker.host == platform.node()
    beaten = session.execute(
        update(Worker)
        .where(Worker.executor_id == executor_id, *itself)
        .values(seen_at=now)
        .returning(Worker.executor_id)
    )
    return beaten.first() is not None


def leave_worker(session: Session, executor_id: str, *, pid: int) -> None:
    """Remove a worker that stops."""
    worker = session.get(Worker, executor_id)
    if worker is not None and (worker.pid, worker.host) == (pid, platform.node()):
        session.delete(worker)
        session.flush()


def has_worker(session: Session, queue: str, *, now: datetime | None = None) -> bool:
    """Whether a living worker listens to a queue."""
    return any(queue in worker.queues for worker in live_workers(session, now=now or utc_now()))
