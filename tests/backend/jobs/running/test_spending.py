"""What jobs take of processors and GPUs, on both databases, by clocks that a test sets."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.fake import FakeEngine
from backend.jobs.running import spending
from backend.jobs.running.parts import Workshop
from backend.jobs.running.spending import Spending
from backend.jobs.worker import HELPERS, KINDS
from backend.services import queue
from backend.services.costs import run_costs
from backend.services.runs import generation, scoring
from backend.settings import Settings
from backend.tables.queue import Job
from evaluators.chunks import ScoreChunk, Timing, this_process
from tests.fixtures_runs import lay_down_project, lay_down_run


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def jobs(sessions: sessionmaker[Session]) -> list[int]:
    with sessions.begin() as session:
        return [queue.enqueue_job(session, "score", n).id for n in (1, 2)]


def spent(sessions: sessionmaker[Session], job_id: int) -> tuple[float | None, float | None]:
    with sessions() as session:
        job = session.get_one(Job, job_id)
        return job.processor_s, job.gpu_s


def test_jobs_that_are_at_work_at_once_share_what_the_process_takes(
    sessions: sessionmaker[Session], jobs: list[int]
) -> None:
    clock, (one, two) = Clock(), jobs
    counted = Spending(sessions, clock=clock)
    clock.now += 100  # nobody's
    with counted.working_on(one):
        clock.now += 4
        with counted.working_on(two):
            clock.now += 6
        clock.now += 1
    clock.now += 100
    counted.note_all()
    assert (spent(sessions, one)[0], spent(sessions, two)[0]) == (8.0, 3.0)


def test_what_is_noted_adds_up_and_says_nothing_of_a_gpu_unasked(
    sessions: sessionmaker[Session], jobs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Spending(sessions)
    for seconds in (1.5, 2.0):
        counted.add_processor(jobs[0], seconds)
        counted.note(jobs[0], ended=False)
        assert spent(sessions, jobs[0])[0] in (None, 1.5)  # ten seconds have not passed
        counted.note(jobs[0], ended=True)
    assert spent(sessions, jobs[0]) == (3.5, None)
    assert spent(sessions, jobs[1]) == (None, None)
    monkeypatch.setattr(spending, "NOTE_AFTER_SECONDS", -1.0)
    counted.add_processor(jobs[0], 1.0)
    counted.note(jobs[0], ended=False)
    assert spent(sessions, jobs[0])[0] == 4.5


@pytest.mark.parametrize(("engine", "on_gpu", "known"), [
    ("local", True, True), ("local", False, True), ("vllm", True, False),
])  # fmt: skip
def test_gpu_seconds_are_those_of_engines_of_this_process(
    sessions: sessionmaker[Session],
    jobs: list[int],
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
    on_gpu: bool,
    known: bool,
) -> None:
    monkeypatch.setattr(spending, "_uses_gpu", lambda: on_gpu)
    ticks = iter((10.0, 17.0))
    monkeypatch.setattr(spending, "time", SimpleNamespace(monotonic=lambda: next(ticks, 17.0)))
    counted = Spending(sessions, clock=Clock())
    with counted.holding_engine(jobs[0], engine):
        counted.add_gpu(jobs[0], 0.0)  # what this process does itself makes no sum of it known
    counted.note_all()
    assert spent(sessions, jobs[0])[1] == ((7.0 if on_gpu else 0.0) if known else None)


def test_what_could_not_be_noted_is_noted_later(
    sessions: sessionmaker[Session], jobs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, add = Spending(sessions), queue.add_spent

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("UPDATE", {}, Exception("away"))

    monkeypatch.setattr(queue, "add_spent", away)
    counted.add_processor(jobs[0], 2.0)
    counted.note_all()
    monkeypatch.setattr(queue, "add_spent", add)
    counted.note_all()
    assert spent(sessions, jobs[0])[0] == 2.0


def _work(session: Session) -> int:
    run = lay_down_run(session, lay_down_project(session, examples=8))
    scored = scoring.create_score_run(session, generation_run_id=run.id, metrics=["rouge1"])
    queue.enqueue_job(session, "generate", run.id, arguments={"then_score": [scored.id]})
    return run.id


def _finish(shop: Workshop, kind: str) -> None:
    with shop.sessions() as session:
        job = queue.find_job(session, kind, 1)
        assert job is not None
    while shop.take_part(job.id, job.attempt):
        pass


@pytest.fixture
def shop(sessions: sessionmaker[Session], settings: Settings) -> Workshop:
    alone = settings.model_copy(update={"processes": 1})
    nothing: Callable[..., None] = lambda *_, **__: None  # noqa: E731
    return Workshop(alone, sessions, "w", lambda *_: FakeEngine(), nothing, KINDS, HELPERS)


def test_a_run_costs_what_its_worker_and_others_took(
    shop: Workshop, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    with sessions.begin() as session:
        run_id = _work(session)
    clock = Clock()
    shop.spending = Spending(sessions, clock=clock)
    save = generation.save_generations

    def slowly(*given: Any) -> int:
        clock.now += 3
        return save(*given)

    monkeypatch.setattr(generation, "save_generations", slowly)
    _finish(shop, "generate")
    with sessions() as session:
        [cost] = run_costs(session, [run_id], price=None)
    assert (cost.processor.value, cost.processor.n, cost.processor.n_all) == (3.0, 1, 2)
    assert cost.processor.at_least  # its scoring waits
    time_chunk = Timing.__call__
    monkeypatch.setattr(
        Timing,
        "__call__",
        lambda self, chunk: time_chunk(self, chunk)._replace(processor_s=5.0, process="another"),
    )
    _finish(shop, "score")
    with sessions() as session:
        [cost] = run_costs(session, [run_id], price=None)
    assert (cost.processor.value, cost.processor.n) == (8.0, 2)
    assert not cost.processor.at_least
    assert cost.gpu.value == 0.0  # both jobs were done here, without a GPU


def test_a_chunk_says_what_it_took_and_where() -> None:
    timed = Timing(lambda _: [{"n": n} for n in range(200_000)])(ScoreChunk(()))
    assert len(timed.rows) == 200_000
    assert timed.processor_s > 0
    assert timed.process == this_process()
