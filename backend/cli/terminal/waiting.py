"""Waiting for jobs: a worker if there is none, a progress bar read from the rows, the job's error.

`run_jobs` is what `strop run`, `strop train` and `strop demo` share. A job belongs to the database
and not to this command: when the command is interrupted, what is done is kept.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.cli.terminal.progress import has_moved, look, show_bars
from backend.errors import StropError

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session, sessionmaker

    from backend.cli.terminal.progress import Progress
    from backend.settings import Settings
    from backend.tables.queue import Job

POLL_SECONDS = 0.1
UNSEEN_SECONDS = 1.0  # where a commit is seen at once, without which no job has moved
LOOK_SECONDS = 2.0  # between two looks at how far jobs are; how they stand is asked more often
LONGEST_POLL_SECONDS = 5.0
QUICK_POLL_SECONDS = 0.1  # it lives only while somebody waits
STOP_SECONDS = 15.0
PATIENCE_SECONDS = 5.0
LOG_LINES = 5


class JobEnded(StropError, slug="job-ended"):
    """A job stopped, failed or was cancelled; carries the job's own error and exit code."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.error or f"The job {job.kind} {job.subject_id} is {job.state}.")
        self.exit_code = job.exit_code or 1


class WorkerDied(StropError, slug="worker-died"):
    """The worker that this command had started ended before the work was done."""


class Interrupted(StropError, slug="interrupted"):
    """The person stopped waiting."""


@dataclass(frozen=True, slots=True)
class OwnWorker:
    """A worker process that this command has started."""

    process: subprocess.Popen[bytes]
    log: Path
    log_offset: int

    def require_life(self) -> None:
        """Raise if it has ended; the message has the end of its log."""
        code = self.process.poll()
        if code is not None:
            text = self.log.read_bytes()[self.log_offset :].decode("utf-8", "replace").strip()
            raise WorkerDied(
                f"The worker ended with code {code}: "
                + " / ".join(text.splitlines()[-LOG_LINES:] or ["it said nothing"]),
                hint=f"Its log is {self.log}; what was done is kept.",
            )

    def stop(self) -> None:
        """Ask it to end; its jobs go back to the queue."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def run_jobs(
    sessions: sessionmaker[Session],
    settings: Settings,
    job_ids: Sequence[int],
    *,
    quiet: bool = False,
) -> list[Job]:
    """Wait until the jobs, and those they ask for, are done; start a worker if none is alive.

    Args:
        quiet: show no progress bar.

    Raises:
        JobEnded: a job stopped, failed or was cancelled; its exit code is that of the command.
        WorkerDied: the worker started here ended with an error.
    """
    try:
        with ExitStack() as stack:
            workers = _Workers(sessions, settings, stack)
            return _watch(sessions, job_ids, workers, stack.enter_context(show_bars(quiet=quiet)))
    except KeyboardInterrupt:
        raise Interrupted(
            "Interrupted; what was done is kept.",
            hint="It goes on when a worker runs: strop worker, or --resume. "
            "To stop it: strop job cancel",
        ) from None


def _watch(
    sessions: sessionmaker[Session],
    job_ids: Sequence[int],
    workers: _Workers,
    progress: Progress | None,
) -> list[Job]:
    from backend.db import Commits

    begun = time.monotonic()
    with closing(Commits(sessions.kw["bind"])) as commits:
        least = UNSEEN_SECONDS if commits.are_seen else POLL_SECONDS
        while True:
            looked = time.monotonic()
            jobs, standings = look(sessions, job_ids)
            if progress is not None:
                progress.update(jobs, standings)
            if ended := [job for job in jobs if job.state in ("failed", "stopped", "cancelled")]:
                raise JobEnded(ended[0])
            if all(job.state == "done" for job in jobs):
                return jobs
            workers.keep(jobs)
            while True:
                commits.wait(max(least, pause_after(time.monotonic() - begun)), time.sleep)
                if time.monotonic() >= looked + LOOK_SECONDS or has_moved(sessions, jobs):
                    break


def pause_after(waited: float) -> float:
    """Seconds until the next look: 2% of the wait so far, so that the end is told soon enough."""
    return min(max(POLL_SECONDS, waited / 50), LONGEST_POLL_SECONDS)


@dataclass(slots=True)
class _Workers:
    """Sees to it that somebody does the work: a worker that lives, else one started here."""

    sessions: sessionmaker[Session]
    settings: Settings
    stack: ExitStack
    begun: bool = False
    own: OwnWorker | None = None
    alone_since: float | None = None

    def require(self, jobs: Sequence[Job]) -> None:
        """Start a worker if none is alive."""
        self.begun = True
        self.own = self.stack.enter_context(worker_for(self.sessions, self.settings, jobs))

    def keep(self, jobs: Sequence[Job]) -> None:
        """Raise if our own worker failed; replace one of others that has gone for a while.

        One that somebody started at the same moment may bear the name of ours, which then ends:
        as long as theirs lives, nothing has failed.
        """
        if not self.begun:
            self.require(jobs)
        if self.own is not None and self.own.process.poll() is None:
            return
        if _has_workers(self.sessions, jobs):
            self.own = self.alone_since = None
        elif self.own is not None:
            self.own.require_life()
        elif self.alone_since is None:
            self.alone_since = time.monotonic()
        elif time.monotonic() - self.alone_since > PATIENCE_SECONDS:
            self.require(jobs)


@contextmanager
def worker_for(
    sessions: sessionmaker[Session], settings: Settings, jobs: Sequence[Job] = ()
) -> Iterator[OwnWorker | None]:
    """A worker for as long as the block lasts: one that lives already (None), else one of our own.

    A command with several jobs one after another holds this around them all, so that the models
    stay loaded in between.
    """
    if _has_workers(sessions, jobs):
        yield None
        return
    worker = start_worker(sessions, settings)
    sys.stderr.write(
        f"No worker is running: started one (process {worker.process.pid}, log {worker.log}).\n"
    )
    try:
        _await_first_beat(sessions, worker)
        yield worker
    finally:
        worker.stop()


def _await_first_beat(sessions: sessionmaker[Session], worker: OwnWorker) -> None:
    """Until the worker is seen to live; else the next look would start a second one."""
    while not _has_workers(sessions, []):
        worker.require_life()
        time.sleep(POLL_SECONDS)


def _has_workers(sessions: sessionmaker[Session], jobs: Sequence[Job]) -> bool:
    """Whether a living worker listens to every queue that the jobs need, or to all."""
    from backend.db import reading
    from backend.services import queue

    needed = {job.queue for job in jobs if job.state in queue.UNFINISHED}
    with reading(sessions) as session:
        return all(queue.has_worker(session, name) for name in needed or queue.ALL_QUEUES)


def start_worker(sessions: sessionmaker[Session], settings: Settings) -> OwnWorker:
    """Start `strop worker` as a process that ends with this one, logging to HOME/worker.log."""
    from backend.cli.operations.worker_process import end_with_parent
    from backend.settings import child_environment

    settings.home.mkdir(parents=True, exist_ok=True)
    log = settings.home.absolute() / "worker.log"
    poll = min(QUICK_POLL_SECONDS, settings.worker_poll_seconds)
    with log.open("ab") as stream:
        offset = stream.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "backend.cli", "worker"],
            env=child_environment(
                settings,
                STROP_EXECUTOR_ID=_free_name(sessions, settings),
                STROP_WORKER_POLL_SECONDS=str(poll),
            ),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            preexec_fn=end_with_parent(),
        )
    return OwnWorker(process, log, log_offset=offset)


def _free_name(sessions: sessionmaker[Session], settings: Settings) -> str:
    """The configured name, or one of this process if a worker elsewhere has that."""
    from backend.db import reading, utc_now
    from backend.services import queue

    with reading(sessions) as session:
        taken = {worker.executor_id for worker in queue.live_workers(session, now=utc_now())}
    name = settings.executor_id
    return f"{name}-{os.getpid()}" if name in taken else name
