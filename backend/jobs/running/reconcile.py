"""Rows and job engine brought into line: what is queued is handed over, what is orphaned taken on,
and what another worker leads is offered help.

The rows are the truth. A row that is queued or running and that the engine does not know, or knows
only as held by a worker that is dead, becomes a new workflow; the attempt in its name, fenced on
the row, sees to it that the old one can write nothing more to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.errors import reason_of
from backend.jobs.running import transact
from backend.services import chunks, queue
from backend.tables.queue import Job, JobState

log = logging.getLogger(__name__)


class Repair(StrEnum):
    """What is to be done about a row that is not finished."""

    WAIT = "wait"
    ENQUEUE = "enqueue"
    SUPERSEDE = "supersede"
    GIVE_UP = "give_up"


def decide(known: transact.WorkflowState | None, living: Collection[str]) -> Repair:
    """What to do about an unfinished row, from what the engine knows of its present attempt."""
    if known is None:
        return Repair.ENQUEUE
    match known.status:
        case "ENQUEUED" | "DELAYED":
            return Repair.WAIT
        case "PENDING":
            return Repair.WAIT if known.executor_id in living else Repair.SUPERSEDE
        case "SUCCESS" | "CANCELLED":  # it ended, and the row does not say how
            return Repair.SUPERSEDE
        case _:  # ERROR, MAX_RECOVERY_ATTEMPTS_EXCEEDED
            return Repair.GIVE_UP


def reconcile(
    sessions: sessionmaker[Session], queues: Collection[str], *, executor_id: str, now: datetime
) -> int:
    """Bring the rows of these queues into line; returns how many are not finished."""
    with reading(sessions) as session:
        jobs = queue.unfinished_jobs(session, queues)
        living = {worker.executor_id for worker in queue.live_workers(session, now=now)}
    known = transact.find_workflows(queue.workflow_id(job) for job in jobs)
    for job in jobs:
        action = decide(known.get(queue.workflow_id(job)), living | {executor_id})
        try:
            _act(sessions, job, action, now)
        except OperationalError:  # the database is away, and no fault of the job
            raise
        except Exception as error:  # one row that cannot be handed over holds up no other
            log.exception("job %s could not be handed over", job.id)
            _give_up(sessions, job, reason_of(error), now)
    return len(jobs)


def offer_help(
    sessions: sessionmaker[Session],
    queues: Collection[str],
    *,
    executor_id: str,
    may_help: Callable[[Job], bool],
) -> None:
    """Offer this worker's help with what others lead, where chunks wait and no job does.

    One chunk is done by whoever leads before a helper has begun.
    """
    with reading(sessions) as session:
        jobs = queue.unfinished_jobs(session, queues)
        waited_for = {job.queue for job in jobs if job.state == JobState.QUEUED}
        led = [
            job
            for job in jobs
            if job.state == JobState.RUNNING
            and job.executor_id != executor_id
            and job.queue not in waited_for
            and may_help(job)
            and chunks.chunk_progress(session, job.id, job.attempt).open > 1
        ]
    for job in led[:1]:  # one at a time is what a worker can do
        transact.enqueue_help(executor_id, queue=job.queue, job_id=job.id, attempt=job.attempt)


def _act(sessions: sessionmaker[Session], job: Job, action: Repair, now: datetime) -> None:
    match action:
        case Repair.WAIT:
            return
        case Repair.ENQUEUE:
            named = queue.workflow_id(job)
            transact.enqueue(named, queue=job.queue, job_id=job.id, attempt=job.attempt)
        case Repair.SUPERSEDE:
            with sessions.begin() as session:
                queue.requeue_job(session, job.id, job.attempt)
            transact.cancel(queue.workflow_id(job))
        case Repair.GIVE_UP:
            said = "The job engine gave this job up; the worker's log says why."
            _give_up(sessions, job, said, now)
        case _:
            assert_never(action)


def _give_up(sessions: sessionmaker[Session], job: Job, why: str, now: datetime) -> None:
    with sessions.begin() as session:
        queue.finish_job(
            session, job.id, job.attempt, JobState.FAILED, now=now, error=why, exit_code=1
        )
