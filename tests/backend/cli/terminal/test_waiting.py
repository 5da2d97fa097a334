"""What a person sees while they wait, and what the waiting costs."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from backend.cli.terminal import waiting
from backend.cli.terminal.progress import LINE_SECONDS, JobProgress, Lines
from backend.cli.terminal.waiting import LONGEST_POLL_SECONDS, POLL_SECONDS, pause_after
from backend.db import utc_now
from backend.services import queue
from backend.services.runs import scoring
from backend.settings import Settings
from backend.tables.queue import Job
from tests.fixtures_review import build_desk


@pytest.mark.parametrize(
    ("waited", "pause"),
    [(0.0, POLL_SECONDS), (5.0, POLL_SECONDS), (100.0, 2.0), (3600.0, LONGEST_POLL_SECONDS)],
)
def test_the_longer_one_waits_the_less_often_one_looks(waited: float, pause: float) -> None:
    assert pause_after(waited) == pause


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_a_line_comes_every_half_minute_and_at_the_end() -> None:
    out, clock = io.StringIO(), Clock()
    lines = Lines(out, clock=clock)
    job = Job(id=1, kind="train", subject_id=3, queue="gpu", state="queued", attempt=1)
    standing = JobProgress("training run 3: v1", 0.0, 3.0, "loss 0.5")
    for second in range(0, 91, 5):
        clock.now = 1000.0 + second
        if second == 10:
            job.state = "running"
        lines.update([job], [standing])
    job.state = "done"
    lines.update([job], [standing])
    lines.update([job], [standing])
    assert out.getvalue().splitlines() == [
        "training run 3: v1 0/3, waiting for a worker",
        *["training run 3: v1 0/3, loss 0.5"] * int(90 // LINE_SECONDS),
        "training run 3: v1 0/3, done",
    ]


def test_progress_of_a_scoring_loads_no_example(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        desk = build_desk(session, splits={"test": 6})
        desk.run.split = "test"
        session.add(desk.run)
        for example in desk.examples[:2]:
            example.slices = {"task": "intent"}
        session.add_all(desk.examples)
        session.flush()
        metrics = ["rouge1", "f1@task=intent"]
        run = scoring.create_score_run(session, generation_run_id=desk.run.id, metrics=metrics)
    seen: list[str] = []
    event.listen(
        sessions.kw["bind"], "before_cursor_execute", lambda *arguments: seen.append(arguments[2])
    )
    with sessions() as session:
        progress = scoring.score_progress(session, run.id)
    assert (progress.done, progress.total) == (0, 2 * 6 + 2 * 2)
    assert not [statement for statement in seen if "examples.input" in statement]


def test_between_two_looks_at_how_far_jobs_are_only_their_states_are_asked_for(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look costs some milliseconds, and states are asked for ten times a second."""
    clock, looks = Clock(), []
    with sessions.begin() as session:
        job_id = queue.enqueue_job(session, "train", 1).id
    monkeypatch.setattr("backend.cli.terminal.waiting.time.monotonic", clock)
    monkeypatch.setattr(
        "backend.cli.terminal.waiting.time.sleep",
        lambda pause: _pass(sessions, clock, pause, job_id),
    )

    def looked(*asked: Any) -> tuple[list[Job], list[Any]]:
        looks.append(clock.now)
        return _jobs_of(*asked)

    monkeypatch.setattr(waiting, "look", looked)
    ended = waiting._watch(sessions, [job_id], Workers(), None)
    assert [job.state for job in ended] == ["done"]
    assert looks[:4] == pytest.approx([1000.0, 1002.0, 1004.0, 1006.0], abs=0.21)
    assert looks[-1] == pytest.approx(1009.2, abs=0.2)  # told as soon as its state is seen


class Workers(waiting._Workers):
    def __init__(self) -> None:
        pass

    def keep(self, jobs: Sequence[Job]) -> None:
        assert jobs


def _jobs_of(sessions: sessionmaker[Session], ids: Sequence[int]) -> tuple[list[Job], list[Any]]:
    with sessions() as session:
        return [queue.get_job(session, job_id) for job_id in ids], []


def _pass(sessions: sessionmaker[Session], clock: Clock, pause: float, job_id: int) -> None:
    clock.now += pause
    if clock.now >= 1009.0 + pause:
        with sessions.begin() as session:
            session.get_one(Job, job_id).state = "done"


def test_a_worker_of_ours_that_finds_its_name_taken_leaves_the_work_to_the_other(
    sqlite_sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    """Somebody started `strop worker` in the moment before this command started its own."""
    log = tmp_path / "worker.log"
    log.write_text("A worker named 'worker-1' is alive already.")
    ended = subprocess.Popen(["false"])
    ended.wait()
    with ExitStack() as stack:
        workers = waiting._Workers(sqlite_sessions, Settings(home=tmp_path), stack, begun=True)
        workers.own = waiting.OwnWorker(ended, log, 0)
        _claim_name(sqlite_sessions, ended.pid)  # its own row, which nobody took away
        with pytest.raises(waiting.WorkerDied, match="alive already"):
            workers.keep([])
        _claim_name(sqlite_sessions, os.getpid())
        workers.keep([])
        assert workers.own is None


def _claim_name(sessions: sessionmaker[Session], pid: int) -> None:
    with sessions.begin() as session:
        queue.claim_worker_name(
            session, f"w{pid}", queues=list(queue.ALL_QUEUES), pid=pid, now=utc_now()
        )
