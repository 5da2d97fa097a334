"""Workers that are killed with -9 in the middle of their work: all is completed, nothing is twice.

Real worker processes on real databases; the engine has canned answers and is slow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import open_database, reading, session_factory, utc_now
from backend.engines.base import GenerationResult
from backend.services import queue
from backend.services.runs import generation, scoring
from backend.settings import Settings
from backend.tables.queue import Job, JobState
from backend.tables.runs import Generation, Score
from tests.fixtures_runs import lay_down_project, lay_down_run
from tests.fixtures_worker import GO_ON, end, kill, running_worker, wait_for

both = pytest.mark.parametrize(
    "database_url", ["postgresql", pytest.param("sqlite", marks=pytest.mark.deep)], indirect=True
)
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
EXAMPLES = 120
UNITS = 3 * EXAMPLES
STUCK = ("--quick", "40", "--delay", "1.1")  # minutes from its end when it is killed, till GO_ON


@pytest.fixture
def installation(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a worker on a database of the test's own, once on each backend."""
    return Settings(home=tmp_path / "home", database_url=database_url, worker_poll_seconds=0.1)


@pytest.fixture
def rows(installation: Settings) -> Iterator[sessionmaker[Session]]:
    """Sessions on that database."""
    engine = open_database(installation.url)
    yield session_factory(engine)
    engine.dispose()


def _lay_down(rows: sessionmaker[Session], *metrics: str) -> tuple[int, int]:
    """A queued run that is to be scored after; returns run and score run."""
    with rows.begin() as session:
        run = lay_down_run(session, lay_down_project(session, examples=EXAMPLES), models=3)
        scores = scoring.create_score_run(
            session, generation_run_id=run.id, metrics=list(metrics) or ["accuracy"]
        )
        queue.enqueue_job(session, "generate", run.id, arguments={"then_score": [scores.id]})
        return run.id, scores.id


def _count(rows: sessionmaker[Session], table: type[Generation] | type[Score]) -> int:
    with reading(rows) as session:
        return session.scalar(select(func.count(table.id))) or 0


def _asked(installation: Settings) -> list[str]:
    """The key of every answer that any worker asked its engine for."""
    files = sorted(installation.home.glob("asked-*"))
    return [key for file in files for key in file.read_text(encoding="utf-8").splitlines()]


def _states(rows: sessionmaker[Session]) -> dict[str, str]:
    with reading(rows) as session:
        return {job.kind: job.state for job in session.scalars(select(Job))}


def _require_all_once(rows: sessionmaker[Session], score_run_id: int) -> None:
    with reading(rows) as session:
        units = Counter(
            tuple(unit)
            for unit in session.execute(
                select(Generation.model_version_id, Generation.example_id, Generation.sample)
            )
        )
        scored = Counter(
            tuple(unit) for unit in session.execute(select(Score.generation_id, Score.metric))
        )
        assert scoring.pending_units(session, score_run_id) == []
    assert len(units) == UNITS
    assert set(units.values()) == {1}
    assert set(scored.values()) == {1}


@both
def test_killed_in_generation(installation: Settings, rows: sessionmaker[Session]) -> None:
    _, score_run_id = _lay_down(rows)
    with running_worker(installation, *STUCK) as worker:
        wait_for(lambda: _count(rows, Generation) > 20)
        kill(worker)
    half, asked = _count(rows, Generation), len(_asked(installation))
    assert 0 < half < UNITS
    with running_worker(installation, "--until-idle") as again:
        assert again.wait(180) == 0
    assert len(_asked(installation)) - asked == UNITS - half
    assert _states(rows) == {"generate": JobState.DONE, "score": JobState.DONE}
    _require_all_once(rows, score_run_id)


@sqlite_only
def test_killed_in_scoring(installation: Settings, rows: sessionmaker[Session]) -> None:
    run_id, score_run_id = _lay_down(rows, "accuracy", "bleu")
    with rows.begin() as session:
        requests = generation.pending_requests(session, run_id)
        texts = [GenerationResult(r.key, text="say 1") for r in requests]
        generation.save_generations(session, run_id, texts)
    with running_worker(installation, "--part-delay", "600") as worker:
        wait_for(lambda: _count(rows, Score) > 0)
        kill(worker)
    assert 0 < _count(rows, Score) < 2 * UNITS
    with running_worker(installation, "--until-idle") as again:
        assert again.wait(180) == 0
    assert _states(rows) == {"generate": JobState.DONE, "score": JobState.DONE}
    _require_all_once(rows, score_run_id)
    assert _count(rows, Score) == 2 * UNITS


@sqlite_only
def test_another_worker_takes_over_what_a_dead_one_held(
    installation: Settings, rows: sessionmaker[Session]
) -> None:
    _, score_run_id = _lay_down(rows)
    with running_worker(installation, *STUCK, name="first") as worker:
        wait_for(lambda: _count(rows, Generation) > 20)
        kill(worker)
    with running_worker(installation, "--until-idle", name="second") as again:
        assert again.wait(180) == 0
    _require_all_once(rows, score_run_id)
    with reading(rows) as session:
        job = queue.find_job(session, "generate", 1)
        assert job is not None
        assert (job.executor_id, job.attempt) == ("second", 2)


def _asked_by(installation: Settings, name: str) -> list[str]:
    file = installation.home / f"asked-{name}"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _wait_until_both_answer(installation: Settings) -> None:
    wait_for(lambda: all(_asked_by(installation, name) for name in ("one", "two")))


@both
def test_two_workers_share_a_run_and_do_none_of_it_twice(
    installation: Settings, rows: sessionmaker[Session]
) -> None:
    _, score_run_id = _lay_down(rows)
    with (
        running_worker(installation, *STUCK, name="one"),
        running_worker(installation, *STUCK, name="two"),
    ):
        _wait_until_both_answer(installation)
        (installation.home / GO_ON).touch()
        wait_for(lambda: _states(rows).get("score") == JobState.DONE)
    _require_all_once(rows, score_run_id)
    assert len(_asked(installation)) == UNITS
    assert min(len(_asked_by(installation, name)) for name in ("one", "two")) > 30


@pytest.mark.parametrize(
    ("database_url", "leads"),
    [
        ("postgresql", True),
        pytest.param("postgresql", False, marks=pytest.mark.deep),
        pytest.param("sqlite", True, marks=pytest.mark.deep),
        pytest.param("sqlite", False, marks=pytest.mark.deep),
    ],
    indirect=["database_url"],
)
def test_one_of_two_workers_is_killed_and_the_other_completes_the_run(
    installation: Settings, rows: sessionmaker[Session], leads: bool
) -> None:
    _, score_run_id = _lay_down(rows)
    with (
        running_worker(installation, *STUCK, name="one") as one,
        running_worker(installation, *STUCK, name="two") as two,
    ):
        _wait_until_both_answer(installation)
        with reading(rows) as session:
            job = queue.get_job(session, 1)
        assert job.state == JobState.RUNNING
        dies, stays = (one, "two") if (job.executor_id == "one") == leads else (two, "one")
        kill(dies)
        (installation.home / GO_ON).touch()
        wait_for(lambda: _states(rows).get("score") == JobState.DONE)
    _require_all_once(rows, score_run_id)
    again = Counter(_asked(installation))
    assert len(again) == UNITS
    assert sum(again.values()) - UNITS < 2 * 64, "no more than it held is done again"
    with reading(rows) as session:
        job = queue.get_job(session, 1)
        assert (job.executor_id, job.attempt) == (stays, 2 if leads else 1)


@sqlite_only
def test_dead_server_stops_the_run_and_resuming_completes_it(
    installation: Settings, rows: sessionmaker[Session]
) -> None:
    run_id, score_run_id = _lay_down(rows)
    with running_worker(installation, "--dies-after", "40", "--until-idle") as worker:
        assert worker.wait(180) == 0
    with rows.begin() as session:
        job = queue.find_job(session, "generate", run_id)
        assert job is not None
        assert (job.state, job.exit_code) == (JobState.STOPPED, 1)
        assert f"strop run --resume {run_id}" in str(job.error)
        assert generation.run_progress(session, run_id).done == 40
        queue.resume_job(session, job.id)
    with running_worker(installation, "--until-idle") as again:
        assert again.wait(180) == 0
    assert _states(rows) == {"generate": JobState.DONE, "score": JobState.DONE}
    _require_all_once(rows, score_run_id)


@sqlite_only
def test_worker_that_is_told_to_end_gives_its_job_back(
    installation: Settings, rows: sessionmaker[Session]
) -> None:
    _lay_down(rows)
    with running_worker(installation, *STUCK) as worker:
        wait_for(lambda: _count(rows, Generation) > 20)
        assert end(worker) == 0
    with reading(rows) as session:
        job = queue.find_job(session, "generate", 1)
        assert job is not None
        assert (job.state, job.attempt) == (JobState.QUEUED, 2)
        assert queue.live_workers(session, now=utc_now()) == []
