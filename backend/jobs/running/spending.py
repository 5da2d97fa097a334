"""What jobs take of processors and GPUs, noted on their rows while they are worked on.

Of this process it is all processor time from the begin of a part to its end, whatever thread used
it; where two jobs are at work at once they share it equally. Processes of a pool and of a cluster
say for themselves what each chunk took; what starting them takes is in no figure. Every attempt
and every helper adds to the same row; whoever is killed loses what it took in the last seconds.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from backend.engines import FAKE
from backend.services import queue

log = logging.getLogger(__name__)

NOTE_AFTER_SECONDS = 10.0
IN_THIS_PROCESS = frozenset({"local", FAKE})


@dataclass(slots=True)
class _Used:
    """Seconds that are not on the row yet; `gpu` is None where nothing was said of a GPU."""

    processor: float = 0.0
    gpu: float | None = None
    since: float = field(default_factory=time.monotonic)


class Spending:
    """The seconds of the jobs that a worker process works on.

    Args:
        clock: processor seconds of this process so far.
    """

    def __init__(
        self, sessions: sessionmaker[Session], *, clock: Callable[[], float] = time.process_time
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._last = 0.0
        self._at_work: list[int] = []
        self._used: dict[int, _Used] = defaultdict(_Used)
        self._unknown: set[int] = set()  # jobs some of whose GPU seconds are a server's
        self._lock = threading.Lock()

    @contextmanager
    def working_on(self, job_id: int) -> Iterator[None]:
        """Count what this process takes for a job."""
        with self._lock:
            self._share_out()
            self._at_work.append(job_id)
        try:
            yield
        finally:
            with self._lock:
                self._share_out()
                self._at_work.remove(job_id)

    def add_processor(self, job_id: int, seconds: float) -> None:
        """Count what another process took for a job."""
        with self._lock:
            self._used[job_id].processor += seconds

    @contextmanager
    def holding_engine(self, job_id: int, engine: str) -> Iterator[None]:
        """Count, by the clock, how long an engine of this process has a GPU for a job.

        Of an engine on servers nothing is known: their GPUs are not ours.
        """
        begun = time.monotonic()
        if engine not in IN_THIS_PROCESS:
            self._unknown.add(job_id)
        try:
            yield
        finally:
            self.add_gpu(job_id, time.monotonic() - begun)

    def add_gpu(self, job_id: int, seconds: float) -> None:
        """Count seconds by the clock, as those of a GPU if this process uses one."""
        with self._lock:
            used = self._used[job_id]
            used.gpu = (used.gpu or 0.0) + (seconds if _uses_gpu() else 0.0)

    def note(self, job_id: int, *, ended: bool) -> None:
        """Write what was counted to the job's row: at once where it ended here, else now and then.

        Where the database is away it is kept for the next time.
        """
        with self._lock:
            used = self._used.get(job_id)
            if used is None or not (ended or time.monotonic() > used.since + NOTE_AFTER_SECONDS):
                return
            del self._used[job_id]
        try:
            with self._sessions.begin() as session:
                queue.add_spent(
                    session,
                    job_id,
                    processor_s=used.processor,
                    gpu_s=used.gpu,
                    gpu_unknown=job_id in self._unknown,
                )
        except DBAPIError as error:
            log.warning("what job %s took could not be noted: %s", job_id, error)
            with self._lock:
                later = self._used[job_id]
                later.processor += used.processor
                if used.gpu is not None:
                    later.gpu = (later.gpu or 0.0) + used.gpu

    def note_all(self) -> None:
        """Write down what is left of every job."""
        for job_id in list(self._used):
            self.note(job_id, ended=True)

    def _share_out(self) -> None:
        now = self._clock()
        for job_id in self._at_work:
            self._used[job_id].processor += (now - self._last) / len(self._at_work)
        self._last = now


def _uses_gpu() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())
