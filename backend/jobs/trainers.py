"""Ending the trainers of trainings that were cancelled, whoever started them.

A trainer outlives the worker that started it, so it is the row and the lock that decide: every
worker looks now and then for cancelled trainings whose lock is held on its machine, asks such a
trainer to end, and kills it if it does not. Its checkpoints stay; a killed trainer loses nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.jobs.train import lock_is_held
from backend.services import queue
from backend.services.training import runs as training
from backend.services.training.files import run_files
from backend.settings import Settings
from training.config import lock_file

GRACE_SECONDS = 10.0
PROCESSES = Path("/proc")


@dataclass(slots=True)
class TrainerEnder:
    """Ends trainers of cancelled trainings; remembers which it has asked, and since when.

    Attributes:
        clock: seconds, growing.
    """

    sessions: sessionmaker[Session]
    settings: Settings
    clock: Callable[[], float] = time.monotonic
    _asked: dict[int, float] = field(default_factory=dict)

    def end_cancelled(self) -> int:
        """Ask the trainers of cancelled trainings to end; returns how many live still."""
        living = [pid for job_id, pid in self._candidates() if self._is_cancelled(job_id)]
        self._asked = {pid: since for pid, since in self._asked.items() if pid in living}
        for pid in living:
            since = self._asked.setdefault(pid, self.clock())
            late = self.clock() - since > GRACE_SECONDS
            _signal(pid, signal.SIGKILL if late else signal.SIGTERM)
        return len(living)

    def _candidates(self) -> list[tuple[int, int]]:
        """Job and process of each cancelled training that a process of this machine trains."""
        with reading(self.sessions) as session:
            runs = [
                (job.id, training.get_training_run(session, job.subject_id))
                for job in queue.cancelled_jobs(session, queue.JobKind.TRAIN)
            ]
        found = (
            (job_id, trainer_of(Path(run.output_dir), run_files(run, self.settings).config))
            for job_id, run in runs
        )
        return [(job_id, pid) for job_id, pid in found if pid is not None]

    def _is_cancelled(self, job_id: int) -> bool:
        """Asked once more when the process is known: whoever takes a training up, starts its
        trainer after that."""
        with reading(self.sessions) as session:
            return queue.is_cancelled(session, job_id)


def trainer_of(output_dir: Path, config: Path) -> int | None:
    """The process that holds the lock of a training, if it is one of this machine.

    The lock names a process by its number, which elsewhere (on another machine, in another
    container) is another process: its command line must be that of this training.
    """
    lock = lock_file(output_dir)
    if not lock_is_held(lock):
        return None
    try:
        pid = int(lock.read_text())
    except ValueError:  # the trainer has locked the file and not yet written its number
        return None
    command = command_line(pid)
    return pid if "training.sft" in command and str(config) in command else None


def command_line(pid: int) -> str:
    """With what a process was started; empty when there is none of that number."""
    if not PROCESSES.is_dir():  # macOS
        asked = ["ps", "-o", "command=", "-p", str(pid)]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    try:
        return (PROCESSES / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def _signal(pid: int, number: signal.Signals) -> None:
    """Tell a process, and with it its group where it has one of its own."""
    try:
        if os.getpgid(pid) == os.getsid(pid):
            os.killpg(os.getpgid(pid), number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        pass
