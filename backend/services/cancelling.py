"""Cancelling long work: a person says that a run, a scoring or a training is to stop.

The row says so, and who and when; the worker that holds the work looks at the row between two
parts, and ends the trainer of a training (`backend.jobs.train`). What was done stays, and
nothing but a person takes it up again: `queue.resume_job`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from backend.errors import Conflict
from backend.services import queue
from backend.services.queue import KINDS, JobKind
from backend.services.runs import scoring
from backend.tables.accounts import User
from backend.tables.queue import Job

Subject = tuple[JobKind, int]


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Who cancels, when and why.

    Attributes:
        by: None where nobody is named, on the machine's own command line.
        why: in words; may be left out.
    """

    by: User | None
    at: datetime
    why: str | None = None

    def sentence(self, subject: Subject) -> str:
        """What the job keeps as its reason."""
        kind, number = subject
        name = "" if self.by is None else f" by {self.by.name}"
        why = f": {self.why}" if self.why else "."
        return f"{KINDS[kind].title} {number} was cancelled{name}{why}"


def cancel_run(session: Session, run_id: int, cancellation: Cancellation) -> list[Job]:
    """Cancel a generation run, and what is scored of it.

    Raises:
        Conflict: none of it waits or runs.
    """
    scored = [(JobKind.SCORE, run.id) for run in scoring.list_score_runs(session, run_id)]
    return cancel_subjects(session, [(JobKind.GENERATE, run_id), *scored], cancellation)


def cancel_subjects(
    session: Session, subjects: Iterable[Subject], cancellation: Cancellation
) -> list[Job]:
    """Cancel the jobs on these subjects that wait or run; the first subject names them all.

    Raises:
        Conflict: none of them waits or runs.
    """
    asked = list(subjects)
    if cancelled := cancel_unfinished(session, asked, cancellation):
        return cancelled
    kind, number = asked[0]
    job = queue.find_job(session, kind, number)
    state = "was never queued" if job is None else f"is {job.state}"
    raise Conflict(f"{KINDS[kind].title} {number} {state}: there is nothing to cancel.")


def cancel_unfinished(
    session: Session, subjects: Iterable[Subject], cancellation: Cancellation
) -> list[Job]:
    """As `cancel_subjects`; where none of them waits or runs, none is cancelled."""
    found = ((subject, queue.find_job(session, *subject)) for subject in subjects)
    return [
        queue.get_job(session, job.id)
        for subject, job in found
        if job is not None
        and queue.cancel_job(
            session,
            job.id,
            by_id=None if cancellation.by is None else cancellation.by.id,
            error=cancellation.sentence(subject),
            now=cancellation.at,
        )
    ]
