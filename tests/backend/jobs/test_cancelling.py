"""Cancelled work stops within one part, stays stopped, keeps what it made, and can be taken up.

The worker's parts are taken one by one, so that a cancellation falls exactly between two of them,
or into one. Trainers are stand-ins that hold the lock as the real one does.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import utc_now
from backend.engines.base import GenerationRequest
from backend.engines.fake import FakeEngine, echo_last_message
from backend.jobs import generate, score, train
from backend.jobs import train as trainers
from backend.jobs.running.parts import Workshop
from backend.jobs.train import TrainerEnder
from backend.jobs.worker import KINDS
from backend.services import queue
from backend.services.accounts.users import create_user
from backend.services.cancelling import Cancellation, cancel_run, cancel_subjects
from backend.services.queue import JobKind
from backend.services.runs import scoring
from backend.services.training import runs as training
from backend.services.training.files import run_files
from backend.settings import Settings
from backend.tables.accounts import User
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion
from backend.tables.projects import Project, SuccessManifest
from backend.tables.queue import Job, JobState
from backend.tables.runs import Generation, Score
from backend.tables.training import TrainingRun
from tests.fixtures_runs import lay_down_project, lay_down_run
from tests.fixtures_worker import running_worker, wait_for
from training.config import RESULT_NAME, lock_file, partial_dir

EXAMPLES = 12
UNITS = 2 * EXAMPLES
TOLD = "Run 1 was cancelled by eva: wrong split"
TRAINER = """
import fcntl, os, signal, sys, time
if "--deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = open(sys.argv[sys.argv.index("--lock") + 1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
lock.write(f"{os.getpid()}\\n")
lock.flush()
print("ready", flush=True)
time.sleep(600)
"""


@dataclass
class Floor:
    """A workshop whose parts a test takes by hand, and a run of two models that is to be scored."""

    sessions: sessionmaker[Session]
    engine: FakeEngine
    shop: Workshop

    def job(self, kind: str = "generate") -> Job:
        with self.sessions() as session:
            found = queue.find_job(session, kind, 1)
            assert found is not None
            return found

    def part(self, kind: str = "generate") -> bool:
        job = self.job(kind)
        return self.shop.take_part(job.id, job.attempt)

    def cancel(self) -> None:
        with self.sessions.begin() as session:
            eva = session.scalars(select(User).where(User.name == "eva")).one()
            cancel_run(session, 1, Cancellation(eva, utc_now(), "wrong split"))

    def take_up(self) -> None:
        with self.sessions.begin() as session:
            job = queue.find_job(session, "generate", 1)
            assert job is not None
            queue.resume_job(session, job.id)

    def count(self, table: type[Generation] | type[Score]) -> int:
        with self.sessions() as session:
            return session.scalar(select(func.count(table.id))) or 0

    def unfinished(self) -> list[Job]:
        with self.sessions() as session:
            return queue.unfinished_jobs(session, queue.ALL_QUEUES)


@pytest.fixture
def floor(
    sqlite_sessions: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Floor:
    monkeypatch.setattr(generate, "CHUNK", 5)
    monkeypatch.setattr(generate, "SAVE_AFTER_SECONDS", 600.0)
    monkeypatch.setattr(score, "CHUNK", 5)
    with sqlite_sessions.begin() as session:
        run = lay_down_run(session, lay_down_project(session, examples=EXAMPLES))
        scores = scoring.create_score_run(session, generation_run_id=run.id, metrics=["accuracy"])
        create_user(session, "eva", "engineer", project_ids=[run.project_id])
        queue.enqueue_job(session, "generate", run.id, arguments={"then_score": [scores.id]})
    engine = FakeEngine()
    shop = Workshop(
        settings, sqlite_sessions, "w1", lambda *_: engine, lambda *_, **__: None, KINDS
    )
    return Floor(sqlite_sessions, engine, shop)


@pytest.mark.parametrize(
    ("parts", "written"),
    [(0, 0), (1, 0), (2, 0), (3, 5), (4, 10), (7, UNITS)],
    ids=["queued", "models loaded", "models checked", "one chunk", "two chunks", "all written"],
)
def test_a_run_stops_where_it_stands_and_is_taken_up_there(
    floor: Floor, parts: int, written: int
) -> None:
    for _ in range(parts):
        assert floor.part()
    floor.cancel()
    assert not floor.part()
    job = floor.job()
    assert (job.state, job.error, job.exit_code) == (JobState.CANCELLED, TOLD, 1)
    assert job.finished_at is not None
    assert job.cancelled_by_id is not None
    assert (floor.count(Generation), floor.unfinished()) == (written, [])
    floor.take_up()
    again = floor.job()
    assert (again.state, again.error, again.cancelled_by_id) == (JobState.QUEUED, None, None)
    while floor.part():
        pass
    assert floor.job().state == JobState.DONE
    assert (floor.count(Generation), floor.job("score").state) == (UNITS, JobState.QUEUED)
    assert set(Counter(floor.engine.asked[-(UNITS - written) :]).values()) <= {1}


def test_a_run_cancelled_within_a_chunk_keeps_that_chunk_and_begins_no_other(floor: Floor) -> None:
    def answer(request: GenerationRequest) -> str:
        if len(floor.engine.asked) == 7:
            floor.cancel()
        return echo_last_message(request)

    floor.engine.answer = answer
    while floor.part():
        pass
    assert (floor.count(Generation), len(floor.engine.asked)) == (10, 10)
    assert floor.job().error == TOLD


def test_a_run_cancelled_while_it_ends_asks_for_no_scoring(floor: Floor) -> None:
    for _ in range(7):
        assert floor.part()
    job = floor.job()
    floor.cancel()
    generate._finish(floor.shop, job)
    assert floor.job().state == JobState.CANCELLED
    assert floor.unfinished() == []


def test_scoring_stops_within_a_chunk_and_a_run_that_is_written_keeps_its_state(
    floor: Floor,
) -> None:
    while floor.part():
        pass
    assert floor.part("score")
    floor.cancel()
    assert not floor.part("score")
    assert (floor.job().state, floor.count(Score)) == (JobState.DONE, 5)
    told = floor.job("score")
    assert (told.state, told.error) == (
        JobState.CANCELLED,
        "Score run 1 was cancelled by eva: wrong split",
    )


def test_a_worker_that_died_with_a_run_finds_it_cancelled(floor: Floor, settings: Settings) -> None:
    for _ in range(3):
        assert floor.part()
    job = floor.job()
    floor.cancel()
    heir = Workshop(
        settings, floor.sessions, "w1", lambda *_: floor.engine, lambda *_, **__: None, KINDS
    )
    assert not heir.take_part(job.id, job.attempt)  # the job engine recovers what it held
    floor.shop.give_back_jobs()
    assert (floor.job().state, floor.count(Generation)) == (JobState.CANCELLED, 5)


@pytest.fixture
def run(floor: Floor, settings: Settings) -> TrainingRun:
    """A queued training, whose files nobody reads."""
    with floor.sessions.begin() as session:
        project = session.scalars(select(Project)).one().id
        frozen = TrainingSet(project_id=project, name="t", recipe={}, digest="a" * 64, n_rows=1)
        bar = SuccessManifest(
            project_id=project, version=1, digest="b" * 64, content={}, source="-"
        )
        session.add_all([frozen, bar])
        session.flush()
        made = TrainingRun(
            project_id=project,
            training_set_id=frozen.id,
            manifest_id=bar.id,
            adapter_name="v9",
            config={},
            output_dir=str(settings.artifacts / "v9-run-1"),
        )
        session.add(made)
        session.flush()
        queue.enqueue_job(session, "train", made.id)
    run_files(made, settings).folder.mkdir(parents=True)
    checkpoints = partial_dir(Path(made.output_dir)) / "checkpoints"
    (checkpoints / "checkpoint-8").mkdir(parents=True)
    return made


def _cancel_training(floor: Floor) -> None:
    with floor.sessions.begin() as session:
        eva = session.scalars(select(User).where(User.name == "eva")).one()
        cancel_subjects(session, [(JobKind.TRAIN, 1)], Cancellation(eva, utc_now()))


def _command(run: TrainingRun, settings: Settings, *flags: str) -> list[str]:
    """A process that holds the lock of a training until it is told to end."""
    config, lock = run_files(run, settings).config, lock_file(Path(run.output_dir))
    named = ["training.sft", "--config", str(config), "--lock", str(lock)]
    return [sys.executable, "-S", "-c", TRAINER, *named, *flags]


@contextmanager
def _trainer(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, once it holds the lock; gone when the block ends."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_a_trainer_that_no_worker_holds_is_ended_and_its_checkpoint_stays(
    floor: Floor, run: TrainingRun, settings: Settings
) -> None:
    ender = TrainerEnder(floor.sessions, settings)
    with _trainer(_command(run, settings)) as process:
        assert ender.end_cancelled() == 0
        _cancel_training(floor)
        assert ender.end_cancelled() == 1
        assert process.wait(120) == -15
    assert ender.end_cancelled() == 0
    assert not train.lock_is_held(lock_file(Path(run.output_dir)))
    assert (partial_dir(Path(run.output_dir)) / "checkpoints" / "checkpoint-8").is_dir()
    told = floor.job("train")
    assert (told.state, told.error) == ("cancelled", "Training run 1 was cancelled by eva.")


def test_a_trainer_that_does_not_listen_is_killed(
    floor: Floor, run: TrainingRun, settings: Settings
) -> None:
    now = [0.0]
    ender = TrainerEnder(floor.sessions, settings, clock=lambda: now[0])
    _cancel_training(floor)
    with _trainer(_command(run, settings, "--deaf")) as process:
        assert ender.end_cancelled() == 1
        now[0] = trainers.GRACE_SECONDS
        assert ender.end_cancelled() == 1
        assert process.poll() is None
        now[0] += 1.0
        assert ender.end_cancelled() == 1
        assert process.wait(120) == -9


def test_the_process_of_another_machine_and_a_training_taken_up_are_left_alone(
    floor: Floor, run: TrainingRun, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ender = TrainerEnder(floor.sessions, settings)
    _cancel_training(floor)
    elsewhere = [part.replace("training.sft", "other.work") for part in _command(run, settings)]
    with _trainer(elsewhere) as process:
        assert ender.end_cancelled() == 0
        assert process.poll() is None
    known = trainers.trainer_of

    def found_as_it_is_taken_up(output_dir: Path, config: Path) -> int | None:
        with floor.sessions.begin() as session:
            queue.resume_job(session, floor.job("train").id)
        return known(output_dir, config)

    monkeypatch.setattr(trainers, "trainer_of", found_as_it_is_taken_up)
    with _trainer(_command(run, settings)) as process:
        assert ender.end_cancelled() == 0
        assert process.poll() is None


def test_a_worker_at_a_training_lets_go_and_starts_no_other(
    floor: Floor, run: TrainingRun, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []

    def command(config: Path, **_: object) -> list[str]:
        started.append(config)
        return _command(run, settings)

    monkeypatch.setattr(train, "trainer_command", command)
    ender, lock = TrainerEnder(floor.sessions, settings), lock_file(Path(run.output_dir))
    goes_on: list[bool] = []
    worker = threading.Thread(target=lambda: goes_on.append(floor.part("train")))
    worker.start()
    wait_for(lambda: train.lock_is_held(lock) and lock.read_text().endswith("\n"))
    _cancel_training(floor)
    wait_for(lambda: ender.end_cancelled() == 0 and not train.lock_is_held(lock))
    worker.join(120)
    assert (goes_on, len(started)) == ([False], 1)
    assert floor.job("train").error == "Training run 1 was cancelled by eva."
    assert not floor.part("train")
    assert len(started) == 1


def test_an_adapter_that_was_ready_as_it_was_cancelled_is_not_registered(
    floor: Floor, run: TrainingRun
) -> None:
    (Path(run.output_dir)).mkdir(parents=True)
    (Path(run.output_dir) / RESULT_NAME).write_text("{}")
    job = floor.job("train")
    _cancel_training(floor)
    assert list(train.train_parts(floor.shop, job)) == []
    with floor.sessions() as session:
        assert training.trained_model(session, run.id) is None
        assert session.scalar(select(func.count(ModelVersion.id))) == 3
    assert floor.job("train").state == JobState.CANCELLED


def test_the_next_worker_ends_the_trainer_of_a_dead_one_and_trains_no_more(
    floor: Floor, run: TrainingRun, settings: Settings
) -> None:
    floor.cancel()
    _cancel_training(floor)
    with _trainer(_command(run, settings)) as process:
        with running_worker(settings, "--until-idle") as worker:
            assert worker.wait(180) == 0
        assert process.wait(120) == -15
    assert {floor.job().state, floor.job("train").state} == {JobState.CANCELLED}
    assert floor.count(Generation) == 0
