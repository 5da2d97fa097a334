"""The training job: one trainer process, started or adopted, and the adapter it leaves.

The trainer holds a lock on its output folder for as long as it lives, in a session of its own, so
that it outlives this worker. A worker that finds the lock held waits for that trainer and never
starts a second; one that starts in the same moment ends by itself.

Ending the trainers of trainings that were cancelled, whoever started them.

A trainer outlives the worker that started it, so it is the row and the lock that decide: every
worker looks now and then for cancelled trainings whose lock is held on its machine, asks such a
trainer to end, and kills it if it does not. Its checkpoints stay; a killed trainer loses nothing.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading, utc_now
from backend.errors import StropError
from backend.jobs.checkers import measure_parts
from backend.jobs.running.parts import Parts, Workshop
from backend.services import queue
from backend.services.checks.checkers.checkers import checker_of_run
from backend.services.training import runs as training
from backend.services.training.files import RunFiles, run_files
from backend.settings import Settings, bare_environment
from backend.tables.queue import Job, JobState
from backend.tables.rounds import Round
from training.config import EXIT_ALREADY_TRAINING, EXIT_DONE, RESULT_NAME, lock_file

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


POLL_SECONDS = 0.2
PART_SECONDS = 10.0
LOG_LINES = 3
ADOPTIONS = 3


class TrainingFailed(StropError):
    """The trainer ended without an adapter."""

    slug = "training-failed"


@dataclass(frozen=True, slots=True)
class _TrainingPlan:
    """What the job needs to know of its run."""

    run_id: int
    output_dir: Path
    files: RunFiles
    again: str  # the command that goes on with it: of the round that it is part of, or its own

    @property
    def finished(self) -> bool:
        """Whether the whole result is there."""
        return (self.output_dir / RESULT_NAME).is_file()


def train_parts(shop: Workshop, job: Job) -> Parts:
    """Train, a stretch of waiting in each part; then register the adapter, once.

    Raises:
        TrainingFailed: the trainer ended without a result; the message has its last lines.
    """
    with reading(shop.sessions) as session:
        run = training.get_training_run(session, job.subject_id)
        part_of = session.scalar(select(Round.id).where(Round.training_run_id == run.id))
        again = f"strop train --resume {run.id}" if part_of is None else "strop round resume"
        files = run_files(run, shop.settings)
        plan = _TrainingPlan(run.id, Path(run.output_dir), files, again)
    for _ in range(ADOPTIONS):
        if plan.finished:
            break
        yield from _wait_for_trainer(shop, plan)
    if not plan.finished:
        raise _failure(plan)
    with reading(shop.sessions) as session:
        if not queue.holds_job(session, job.id, job.attempt):
            return  # cancelled meanwhile: nobody asks for what the trainer left
        run = training.get_training_run(session, plan.run_id)
        base_model = training.base_model_of(session, run)
        is_checker = checker_of_run(session, plan.run_id) is not None
    weights = training.read_result(run, base_model)  # hashes gigabytes: no transaction is open
    if is_checker:
        yield from _measured(shop, job, plan, weights)
    with shop.sessions.begin() as session:
        now = utc_now()
        if queue.finish_job(session, job.id, job.attempt, JobState.DONE, now=now, exit_code=0):
            training.finish_training_run(
                session, plan.run_id, settings=shop.settings, now=now, weights=weights
            )


def _measured(
    shop: Workshop, job: Job, plan: _TrainingPlan, weights: training.TrainedWeights
) -> Parts:
    """A checker is registered before it is measured, so that a measurement can be done again."""
    with shop.sessions.begin() as session:
        if not queue.holds_job(session, job.id, job.attempt):
            return
        training.finish_training_run(
            session, plan.run_id, settings=shop.settings, now=utc_now(), weights=weights
        )
    yield from measure_parts(shop, plan.run_id)


def _wait_for_trainer(shop: Workshop, plan: _TrainingPlan) -> Parts:
    """Adopt the living trainer, or start one, and wait for its end."""
    if lock_is_held(lock_file(plan.output_dir)):
        yield from _while(shop, lambda: lock_is_held(lock_file(plan.output_dir)))
        return
    trainer = start_trainer(shop, plan)
    yield from _while(shop, lambda: trainer.poll() is None)
    if trainer.returncode not in (EXIT_DONE, EXIT_ALREADY_TRAINING):
        raise _failure(plan, trainer.returncode)


def _while(shop: Workshop, lives: Callable[[], bool]) -> Parts:
    due = time.monotonic() + PART_SECONDS
    while lives():
        if time.monotonic() >= due or shop.stopping.is_set():
            yield
            due = time.monotonic() + PART_SECONDS
        time.sleep(POLL_SECONDS)


def start_trainer(shop: Workshop, plan: _TrainingPlan) -> subprocess.Popen[bytes]:
    """Start the trainer in a session of its own; it writes to the run's log."""
    import training as package

    root = Path(str(package.__file__)).parents[1]
    plan.output_dir.parent.mkdir(parents=True, exist_ok=True)
    with plan.files.log.open("ab") as log:
        return subprocess.Popen(
            trainer_command(plan.files.config, processes=shop.settings.training_processes),
            cwd=root,
            env=bare_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def trainer_command(config: Path, *, processes: int = 1) -> list[str]:
    """The command line of a trainer; several processes are started by accelerate, one a GPU."""
    trainer = ["-m", "training.sft", "--config", str(config)]
    if processes == 1:
        return [sys.executable, *trainer]
    flags = {
        "--num_processes": str(processes),
        "--num_machines": "1",
        "--mixed_precision": "no",  # the configuration's dtype decides, by the trainer's arguments
        "--dynamo_backend": "no",
        "--main_process_port": "0",
    }
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    return [*launcher, *(part for flag in flags.items() for part in flag), *trainer]


def lock_is_held(path: Path) -> bool:
    """Whether a living trainer holds the lock."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _failure(plan: _TrainingPlan, code: int | None = None) -> TrainingFailed:
    lines = []
    if plan.files.log.is_file():
        text = plan.files.log.read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()][-LOG_LINES:]
    ended = "without an adapter" if code is None else f"with code {code}"
    return TrainingFailed(
        f"The trainer of run {plan.run_id} ended {ended}: "
        f"{' / '.join(lines) or 'it said nothing'}.",
        hint=f"Its log is {plan.files.log}; go on with: {plan.again}",
    )
