"""A worker that is killed with -9 while a trainer lives: the next adopts it; one adapter is made.

The trainer is the real one, on a base model that is made in a second.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import open_database, reading, session_factory, utc_now
from backend.jobs.train import lock_is_held, trainer_command
from backend.services import queue
from backend.services.models.versions import register_base
from backend.services.training import runs as training
from backend.services.training.files import run_files
from backend.settings import Settings
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion
from backend.tables.projects import Project, SuccessManifest
from backend.tables.queue import JobState
from backend.tables.rounds import Round
from backend.tables.training import TrainingRun
from tests.fixtures_models import write_chat_rows
from tests.fixtures_worker import kill, running_worker, wait_for
from training.config import dump_config, lock_file, partial_dir, progress_file


@pytest.fixture
def installation(sqlite_url: str, tmp_path: Path) -> Settings:
    """Settings of a worker on SQLite."""
    return Settings(
        home=tmp_path / "home", database_url=sqlite_url, worker_poll_seconds=0.1, torch_threads=1
    )


@pytest.fixture
def rows(installation: Settings) -> Iterator[sessionmaker[Session]]:
    """Sessions on that database."""
    engine = open_database(installation.url)
    yield session_factory(engine)
    engine.dispose()


def _lay_down(rows: sessionmaker[Session], installation: Settings, base: Path) -> TrainingRun:
    """A queued training run on rows of its own, without a dataset behind them."""
    with rows.begin() as session:
        project = Project(name="desk", base_model=str(base))
        session.add(project)
        session.flush()
        register_base(session, project.id)
        frozen = TrainingSet(project_id=project.id, name="t", recipe={}, digest="a" * 64, n_rows=24)
        bar = SuccessManifest(
            project_id=project.id, version=1, digest="b" * 64, content={}, source="-"
        )
        session.add_all([frozen, bar])
        session.flush()
        run = TrainingRun(
            project_id=project.id,
            training_set_id=frozen.id,
            manifest_id=bar.id,
            adapter_name="v1",
            config={"epochs": 12, "batch_size": 4, "log_every": 1},
            output_dir=str(installation.artifacts / "v1-run-1"),
        )
        session.add(run)
        session.flush()
        files = run_files(run, installation)
        files.folder.mkdir(parents=True)
        write_chat_rows(files.train, 24)
        files.config.write_text(
            dump_config(training.resolve_config(session, run, installation)), encoding="utf-8"
        )
        queue.enqueue_job(session, "train", run.id)
        return run


def _steps(run: TrainingRun) -> list[int]:
    file = progress_file(Path(run.output_dir))
    lines = file.read_text().splitlines(keepends=True) if file.is_file() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("\n")]


def _trainer_pid(run: TrainingRun) -> int:
    return int(lock_file(Path(run.output_dir)).read_text())


def _require_one_adapter(rows: sessionmaker[Session], run: TrainingRun) -> None:
    with reading(rows) as session:
        job = queue.find_job(session, "train", run.id)
        assert job is not None
        assert (job.state, job.error) == (JobState.DONE, None)
        adapters = select(func.count(ModelVersion.id)).where(ModelVersion.adapter_path.is_not(None))
        assert session.scalar(adapters) == 1
        model = training.trained_model(session, run.id)
        assert model is not None
        assert model.label == "base:v1@1"
        done = training.get_training_run(session, run.id)
        assert done.finished_at is not None
        assert done.result["adapter_sha256"] == model.adapter_sha256
    assert not partial_dir(Path(run.output_dir)).exists()
    assert len(_steps(run)) == len(set(_steps(run)))


def _hold_trainer(run: TrainingRun) -> int:
    """Stop the trainer's process in the middle, as it is: it cannot end before it is let go on."""
    trainer = _trainer_pid(run)
    os.kill(trainer, signal.SIGSTOP)
    assert not Path(run.output_dir).exists()
    return trainer


def _worker_pids(rows: sessionmaker[Session]) -> list[int]:
    with reading(rows) as session:
        return [worker.pid for worker in queue.live_workers(session, now=utc_now())]


def test_next_worker_adopts_the_living_trainer(
    installation: Settings, rows: sessionmaker[Session], tiny_base: Path
) -> None:
    run = _lay_down(rows, installation, tiny_base)
    with running_worker(installation) as worker:
        wait_for(lambda: len(_steps(run)) > 2, seconds=300)
        trainer = _hold_trainer(run)
        kill(worker)
    assert lock_is_held(lock_file(Path(run.output_dir)))
    with running_worker(installation, "--until-idle") as again:
        wait_for(lambda: again.pid in _worker_pids(rows))
        os.kill(trainer, signal.SIGCONT)
        assert again.wait(300) == 0
    _require_one_adapter(rows, run)
    assert _ledger(rows, run)["starts"] == 1


@pytest.mark.deep  # the trainer alone, killed: tests/training/test_methods.py
def test_killed_worker_and_trainer_go_on_from_the_checkpoint(
    installation: Settings, rows: sessionmaker[Session], tiny_base: Path
) -> None:
    run = _lay_down(rows, installation, tiny_base)
    with running_worker(installation) as worker:
        wait_for(lambda: any(_checkpoints(run)) and len(_steps(run)) > 8, seconds=300)
        trainer = _hold_trainer(run)
        kill(worker)
    os.kill(trainer, signal.SIGKILL)
    wait_for(lambda: not lock_is_held(lock_file(Path(run.output_dir))))
    assert not Path(run.output_dir).exists()
    with running_worker(installation, "--until-idle") as again:
        assert again.wait(300) == 0
    _require_one_adapter(rows, run)
    assert _ledger(rows, run)["starts"] == 2


def _ledger(rows: sessionmaker[Session], run: TrainingRun) -> dict[str, Any]:
    with reading(rows) as session:
        return dict(training.get_training_run(session, run.id).result["ledger"])


def _checkpoints(run: TrainingRun) -> Iterator[Path]:
    return (partial_dir(Path(run.output_dir)) / "checkpoints").glob("checkpoint-*")


@pytest.mark.parametrize(
    ("of_a_round", "again"), [(False, "strop train --resume 1"), (True, "strop round resume")]
)
def test_trainer_that_cannot_run_fails_the_job_with_its_words(
    installation: Settings,
    rows: sessionmaker[Session],
    tiny_base: Path,
    of_a_round: bool,
    again: str,
) -> None:
    run = _lay_down(rows, installation, tiny_base)
    if of_a_round:
        with rows.begin() as session:
            session.add(Round(project_id=run.project_id, number=1, plan={}, training_run_id=run.id))
    run_files(run, installation).train.write_text("not json\n", encoding="utf-8")
    with running_worker(installation, "--until-idle") as worker:
        assert worker.wait(300) == 0
    with reading(rows) as session:
        job = queue.find_job(session, "train", run.id)
        assert job is not None
        assert (job.state, job.exit_code) == (JobState.FAILED, 1)
        assert "train.jsonl" in str(job.error)
        assert again in str(job.error)
        assert training.trained_model(session, run.id) is None


def test_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "v1.lock"
    assert not lock_is_held(path)
    path.write_text(f"{os.getpid()}\n")
    assert not lock_is_held(path)


def test_several_processes_are_started_by_accelerate_with_the_same_configuration() -> None:
    config = Path("/runs/config.yaml")
    trainer = ["-m", "training.sft", "--config", "/runs/config.yaml"]
    assert trainer_command(config)[1:] == trainer
    command = trainer_command(config, processes=4)
    assert command[1:4] == ["-m", "accelerate.commands.launch", "--multi_gpu"]
    assert command[command.index("--num_processes") + 1] == "4"
    assert command[-4:] == trainer
