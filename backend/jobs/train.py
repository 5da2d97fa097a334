"""The training job: one trainer process, started or adopted, and the adapter it leaves.

The trainer holds a lock on its output folder for as long as it lives, in a session of its own, so
that it outlives this worker. A worker that finds the lock held waits for that trainer and never
starts a second; one that starts in the same moment ends by itself.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.db import reading, utc_now
from backend.errors import StropError
from backend.jobs.parts import Parts, Workshop
from backend.services import queue
from backend.services.training import runs as training
from backend.services.training.files import RunFiles, run_files
from backend.settings import child_environment
from backend.tables.projects import Project
from backend.tables.queue import Job, JobState
from training.config import EXIT_ALREADY_TRAINING, EXIT_DONE, RESULT_NAME, lock_file

POLL_SECONDS = 0.2
PART_SECONDS = 10.0
LOG_LINES = 3
ADOPTIONS = 3


class TrainingFailed(StropError):
    """The trainer ended without an adapter."""

    slug = "training-failed"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the job needs to know of its run."""

    run_id: int
    output_dir: Path
    files: RunFiles

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
        plan = _Plan(run.id, Path(run.output_dir), run_files(run, shop.settings))
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
        base_model = session.get_one(Project, run.project_id).base_model
    weights = training.read_result(run, base_model)  # hashes gigabytes: no transaction is open
    with shop.sessions.begin() as session:
        now = utc_now()
        if queue.finish_job(session, job.id, job.attempt, JobState.DONE, now=now, exit_code=0):
            training.finish_training_run(
                session, plan.run_id, settings=shop.settings, now=now, weights=weights
            )


def _wait_for_trainer(shop: Workshop, plan: _Plan) -> Parts:
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


def start_trainer(shop: Workshop, plan: _Plan) -> subprocess.Popen[bytes]:
    """Start the trainer in a session of its own; it writes to the run's log."""
    import training as package

    root = Path(str(package.__file__)).parents[1]
    plan.output_dir.parent.mkdir(parents=True, exist_ok=True)
    with plan.files.log.open("ab") as log:
        return subprocess.Popen(
            trainer_command(plan.files.config, processes=shop.settings.training_processes),
            cwd=root,
            env=child_environment(shop.settings),
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


def _failure(plan: _Plan, code: int | None = None) -> TrainingFailed:
    lines = []
    if plan.files.log.is_file():
        text = plan.files.log.read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()][-LOG_LINES:]
    ended = "without an adapter" if code is None else f"with code {code}"
    return TrainingFailed(
        f"The trainer of run {plan.run_id} ended {ended}: "
        f"{' / '.join(lines) or 'it said nothing'}.",
        hint=f"Its log is {plan.files.log}; go on with: strop train --resume {plan.run_id}",
    )
