"""A server is kept busy while a run is saved and while PEFT computes, by counts and no clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import GenerationResult
from backend.engines.remote import engine as remote
from backend.engines.vllm.engine import VllmEngine
from backend.errors import PreflightFailed
from backend.jobs import generate
from backend.jobs.running.parts import Workshop
from backend.services import queue
from backend.services.runs import generation
from backend.settings import Settings
from backend.tables.queue import ChunkState, Job, JobChunk
from backend.tables.runs import Generation
from tests.backend.engines.scripted_server import ScriptedServer
from tests.fixtures_runs import lay_down_project, lay_down_run

EXAMPLES = 48
IN_FLIGHT = 4
PATIENCE_S = 10.0  # for what comes at once


class Counting(VllmEngine):
    """Counts the answers that were taken of it."""

    taken = 0

    def generate(self, *asked: Any) -> Iterator[GenerationResult]:
        return Counted(self, super().generate(*asked))


@dataclass
class Counted:
    engine: Counting
    answers: Iterator[GenerationResult]

    def __iter__(self) -> Iterator[GenerationResult]:
        return self

    def __next__(self) -> GenerationResult:
        answer = next(self.answers)
        self.engine.taken += 1
        return answer

    def close(self) -> None:
        self.answers.close()  # type: ignore[attr-defined]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(base="tiny") as started:
        yield started


@pytest.fixture
def engine(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    """Reads some chunks ahead, as the real one does of larger ones."""
    monkeypatch.setattr(generate, "CHUNK", 8)
    monkeypatch.setattr(remote, "_READ_AHEAD", 32)
    with Counting([server.url], in_flight=IN_FLIGHT) as opened:
        yield opened


def work(
    sessions: sessionmaker[Session],
    settings: Settings,
    engine: VllmEngine,
    preflight: Callable[..., None],
) -> None:
    """Do a generation job as a worker would."""
    with sessions.begin() as session:
        run = lay_down_run(
            session, lay_down_project(session, examples=EXAMPLES), models=1, engine="vllm"
        )
        job_id = queue.enqueue_job(session, queue.JobKind.GENERATE, run.id).id
    shop = Workshop(settings, sessions, "w", lambda *_: engine, preflight, {})
    with sessions() as session:
        job = session.get_one(Job, job_id)
    list(generate.generate_parts(shop, job))


def written(sessions: sessionmaker[Session]) -> int:
    with sessions() as session:
        return session.scalar(select(func.count(Generation.id))) or 0


def wait_for(condition: Callable[[], bool]) -> bool:
    due = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < due:
        time.sleep(0.001)
    return condition()


def test_as_many_requests_as_may_be_are_in_flight_while_each_chunk_is_saved(
    sqlite_sessions: sessionmaker[Session],
    settings: Settings,
    server: ScriptedServer,
    engine: Counting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saving, full = threading.Event(), []
    server.gate = lambda: not saving.is_set() and len(server.asked) < engine.taken + IN_FLIGHT
    save = generation.save_generations

    def save_slowly(*what: Any) -> int:
        saving.set()
        left = EXAMPLES - engine.taken - 2 * IN_FLIGHT  # so many may have come and not been taken
        full.append(wait_for(lambda: server.in_flight == IN_FLIGHT) if left >= IN_FLIGHT else True)
        saving.clear()
        return save(*what)

    monkeypatch.setattr(generation, "save_generations", save_slowly)
    work(sqlite_sessions, settings, engine, lambda *_, **__: None)
    assert len(full) >= EXAMPLES // 8
    assert all(full)
    assert server.most_in_flight == IN_FLIGHT
    assert (written(sqlite_sessions), server.calls["chat"]) == (EXAMPLES, EXAMPLES)


def test_a_server_answers_before_the_verdict_and_nothing_is_saved_before_it(
    sqlite_sessions: sessionmaker[Session],
    settings: Settings,
    server: ScriptedServer,
    engine: Counting,
) -> None:
    seen: list[int] = []

    def preflight(*_: object, begin: Callable[[], None], **__: object) -> None:
        begin()
        assert wait_for(lambda: len(server.asked) >= 32 - 8), "what is read ahead is asked"
        seen.append(written(sqlite_sessions))

    work(sqlite_sessions, settings, engine, preflight)
    assert seen == [0]
    assert (written(sqlite_sessions), server.calls["chat"]) == (EXAMPLES, EXAMPLES)


def test_what_was_answered_before_a_failed_verdict_is_not_kept(
    sqlite_sessions: sessionmaker[Session],
    settings: Settings,
    server: ScriptedServer,
    engine: Counting,
) -> None:
    def preflight(*_: object, begin: Callable[[], None], **__: object) -> None:
        begin()
        raise PreflightFailed("It is another model.")

    with pytest.raises(PreflightFailed):
        work(sqlite_sessions, settings, engine, preflight)
    assert engine.taken == 0
    assert written(sqlite_sessions) == 0
    assert wait_for(lambda: server.in_flight == 0), "nobody waits for what was asked"
    with sqlite_sessions() as session:
        states = set(session.scalars(select(JobChunk.state)))
    assert states == {ChunkState.OPEN}, "others may take it"
