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

from backend.db import open_database, reading, session_factory
from backend.services import queue, scoring
from backend.settings import Settings
from backend.tables.generation import Generation
from backend.tables.queue import Job, JobState
from backend.tables.scoring import Score
from tests.fixtures_runs import lay_down_project, lay_down_run
from tests.fixtures_worker import kill, running_worker, wait_for

EXAMPLES = 120
UNITS = 3 * EXAMPLES


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


def test_killed_in_generation(installation: Settings, rows: sessionmaker[Session]) -> None:
    _, score_run_id = _lay_down(rows)
    with running_worker(installation, "--delay", "0.02") as worker:
        wait_for(lambda: _count(rows, Generation) > 20)
        kill(worker)
    half = _count(rows, Generation)
    assert 0 < half < UNITS
    with running_worker(installation, "--until-idle") as again:
        assert again.wait(60) == 0
    assert _states(rows) == {"generate": JobState.DONE, "score": JobState.DONE}
    _require_all_once(rows, score_run_id)
