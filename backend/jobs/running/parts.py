"""One job, part by part: what a worker holds while it works, and how every end is recorded.

A kind of work is a generator: each `next` does one part of what the ledger lacks and saves it, and
the generator ends when nothing is missing. It lives in this process between parts, so that an
engine with requests in flight does not run dry; after a crash a new one starts from the ledger.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading, utc_now
from backend.engines.base import Engine, ServedModel
from backend.errors import EngineUnavailable, ExecutorUnavailable, StropError, reason_of
from backend.executors import Executor, open_executor
from backend.jobs.running.spending import Spending
from backend.services import chunks, queue
from backend.services.chunks import LeasedChunk
from backend.settings import Settings
from backend.tables.queue import Job, JobState

log = logging.getLogger(__name__)

Parts = Iterator[None]
JobKey = tuple[int, int]  # id and attempt
NO_JOB: JobKey = (0, 0)
OpenEngine = Callable[[str, Settings], Engine]
Kind = Callable[["Workshop", Job], Parts]
Preflight = Callable[..., None]  # sessions, engine, run id; as `preflight.check_models`


@dataclass(slots=True)
class Workshop:
    """What a worker process works with.

    Attributes:
        open_engine: opens an engine by its name.
        preflight: checks the models of a generation run before anything is generated.
        kinds: kind of job -> generator of its parts.
        helpers: the same for a worker that helps with a job that another one leads; a kind that
            cannot be shared has none.
        stopping: set when the worker is to end; work stops at the next part.
        spending: what the jobs take, noted on their rows.
    """

    settings: Settings
    sessions: sessionmaker[Session]
    executor_id: str
    open_engine: OpenEngine
    preflight: Preflight
    kinds: Mapping[str, Kind]
    helpers: Mapping[str, Kind] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    spending: Spending = field(init=False)
    _open: dict[JobKey, Parts] = field(default_factory=dict)
    _helping: dict[JobKey, Parts] = field(default_factory=dict)
    _no_help: set[JobKey] = field(default_factory=set)
    _leases: dict[int, LeasedChunk] = field(default_factory=dict)
    _engines: dict[tuple[str, str], Engine] = field(default_factory=dict)
    _used: dict[JobKey, tuple[str, str]] = field(default_factory=dict)  # engines, by job
    _at_work: threading.local = field(default_factory=threading.local)
    _executor: Executor | None = None
    _busy: int = 0
    _lock: threading.Condition = field(default_factory=threading.Condition)
    # To open an engine takes a minute, and meanwhile the heartbeat needs the other lock.
    _opening: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.spending = Spending(self.sessions)

    def engine_for(self, name: str, models: Sequence[ServedModel]) -> Engine:
        """The engine, warm from the last job on the same base, with these models loaded.

        One of another base is closed first, unless another job of this worker is at work with it.
        """
        key = (name, models[0].base_model)
        with self._opening:
            with self._lock:
                self._used[getattr(self._at_work, "job", NO_JOB)] = key
                used = set(self._used.values())
            if key not in self._engines:
                for other in self._engines.keys() - used:
                    self._engines.pop(other).close()
                self._engines[key] = self.open_engine(name, self.settings)
            engine = self._engines[key]
        engine.load(models)
        return engine

    def executor(self) -> Executor:
        """Where pure work is done, warm from the last job that needed it."""
        with self._opening:
            if self._executor is None:
                self._executor = open_executor(self.settings)
            return self._executor

    def close_engines(self) -> None:
        """Give back what the engines hold."""
        while self._engines:
            self._engines.popitem()[1].close()

    def close_executor(self) -> None:
        """End the processes that do pure work; what they were at is left."""
        with self._opening:
            if self._executor is not None:
                self._executor.close()
                self._executor = None

    def take_part(self, job_id: int, attempt: int) -> bool:
        """Do one part of a job; True if another is to follow. Every end is recorded on the row.

        A connection to the database that is lost is no fault of the job, which is queued again.
        """
        with self._working(job_id, attempt):
            if self.stopping.is_set():
                self._record(queue.requeue_job, job_id, attempt)
                return False
            return self._take_part(job_id, attempt)

    def take_help(self, job_id: int, attempt: int) -> bool:
        """Do one part of a job that another worker leads; True if another is to follow.

        An error ends the job, whoever leads it, as in `take_part`. But where an engine gives no
        answer this worker leaves, and helps with this attempt no more; and where its connection to
        the database is lost it leaves too.
        """
        key = (job_id, attempt)
        with self._working(job_id, attempt):
            try:
                leads = key in self._open
                if leads or self.stopping.is_set() or not self._holds(job_id, attempt):
                    self._end(self._helping, key)
                    return False
                self._at_work.job = key
                if key not in self._helping:
                    with reading(self.sessions) as session:
                        job = queue.get_job(session, job_id)
                    self._helping[key] = self.helpers[job.kind](self, job)
                next(self._helping[key])
            except StopIteration:
                self._end(self._helping, key)
                return False
            except EngineUnavailable as error:
                log.warning("this worker leaves job %s to the others: %s", job_id, error)
                self._no_help.add(key)
                self._end(self._helping, key)
                return False
            except Exception as error:
                self._end(self._helping, key)
                if _lost_database(error):
                    log.warning("this worker lost the database and leaves job %s", job_id)
                    return False
                self._fail(job_id, attempt, error)
                return False
            return True

    def may_help(self, job: Job) -> bool:
        """Whether this worker can help with a job and is not doing so."""
        key = (job.id, job.attempt)
        return job.kind in self.helpers and key not in self._no_help and key not in self._helping

    @property
    def owner(self) -> str:
        """The name under which this process leases chunks."""
        return f"{self.executor_id}/{os.getpid()}"

    def hold(self, chunk: LeasedChunk) -> None:
        """Have the heartbeat keep the lease of a chunk."""
        with self._lock:
            self._leases[chunk.id] = chunk

    def let_go(self, chunk: LeasedChunk) -> None:
        """Keep it no longer."""
        with self._lock:
            self._leases.pop(chunk.id, None)

    def extend_leases(self, now: datetime) -> None:
        """Keep the chunks that are held for another while."""
        with self._lock:
            held = list(self._leases.values())
        if held:
            with self.sessions.begin() as session:
                chunks.extend_leases(session, held, owner=self.owner, now=now)

    def give_back_jobs(self) -> None:
        """Queue again what is open between two parts, for the next worker."""
        for key in list(self._helping):
            self._end(self._helping, key)
        for job_id, attempt in list(self._open):
            self._record(queue.requeue_job, job_id, attempt)
        self.spending.note_all()

    def wait_idle(self, timeout: float) -> bool:
        """Wait until no part is being worked on; False if that took too long."""
        with self._lock:
            return self._lock.wait_for(lambda: self._busy == 0, timeout)

    @contextmanager
    def _working(self, job_id: int, attempt: int) -> Iterator[None]:
        with self._lock:
            self._busy += 1
        try:
            with self.spending.working_on(job_id):
                yield
            ended = (job_id, attempt) not in {*self._open, *self._helping}
            self.spending.note(job_id, ended=ended)
        finally:
            with self._lock:
                self._busy -= 1
                self._lock.notify_all()

    def _take_part(self, job_id: int, attempt: int) -> bool:
        key = self._at_work.job = (job_id, attempt)
        try:
            if key not in self._open:
                job = self._begin(job_id, attempt)
                if job is None:
                    return False
                self._open[key] = self.kinds[job.kind](self, job)
            elif not self._holds(job_id, attempt):
                self._end(self._open, key)
                return False
            next(self._open[key])
        except StopIteration:
            self._end(self._open, key)
            return False
        except Exception as error:  # the outermost job loop: whatever it was, the row says so
            self._end(self._open, key)
            if _lost_database(error):
                log.warning("job %s is queued again: the database was lost", job_id)
                self._record(queue.requeue_job, job_id, attempt)
                return False
            self._fail(job_id, attempt, error)
            return False
        return True

    def _begin(self, job_id: int, attempt: int) -> Job | None:
        with self.sessions.begin() as session:
            mine = queue.start_job(
                session, job_id, attempt, executor_id=self.executor_id, now=utc_now()
            )
            return queue.get_job(session, job_id) if mine else None

    def _holds(self, job_id: int, attempt: int) -> bool:
        with reading(self.sessions) as session:
            return queue.holds_job(session, job_id, attempt)

    def _end(self, of: dict[JobKey, Parts], key: JobKey) -> None:
        parts = of.pop(key, None)
        if parts is not None and hasattr(parts, "close"):
            parts.close()
        with self._lock:
            self._used.pop(key, None)

    def _record(self, move: Callable[..., bool], job_id: int, attempt: int, **how: object) -> None:
        self._end(self._open, (job_id, attempt))
        with self.sessions.begin() as session:
            move(session, job_id, attempt, **how)

    def _fail(self, job_id: int, attempt: int, error: Exception) -> None:
        stopped = isinstance(error, (EngineUnavailable, ExecutorUnavailable))
        expected = isinstance(error, StropError) or hasattr(error, "hint")
        if not expected:
            log.exception("job %s failed by a defect", job_id)
        self._record(
            queue.finish_job,
            job_id,
            attempt,
            state=JobState.STOPPED if stopped else JobState.FAILED,
            now=utc_now(),
            error=reason_of(error),
            exit_code=int(getattr(error, "exit_code", 1)),
        )


def _lost_database(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and error.connection_invalidated
