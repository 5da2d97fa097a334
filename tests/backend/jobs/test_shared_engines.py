"""Jobs of several queues in one worker share its engines, and none takes one from another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from backend.db import utc_now
from backend.engines.base import ServedModel
from backend.engines.local.engine import LocalEngine
from backend.jobs.running.parts import Workshop
from backend.services import queue
from backend.services.queue import JobKind
from backend.settings import Settings
from backend.tables.queue import Job


class Warm:
    """An engine that says only whether it was closed."""

    closed = False

    def load(self, models: object) -> None:
        assert not self.closed

    def close(self) -> None:
        self.closed = True


def test_an_engine_is_closed_for_another_base_once_no_other_job_is_at_work_with_it(
    sqlite_sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    made: list[Warm] = []

    def opened(*_: object) -> Any:
        made.append(Warm())
        return made[-1]

    def using(*bases: str) -> Callable[[Workshop, Job], Iterator[None]]:
        def parts(shop: Workshop, job: Job) -> Iterator[None]:
            for base in bases:
                shop.engine_for("local", [ServedModel("base", base)])
                yield

        return parts

    kinds = {"generate": using("a", "c"), "score": using("b", "b")}
    shop = Workshop(
        Settings(home=tmp_path), sqlite_sessions, "w", opened, lambda *_, **__: None, kinds
    )
    with sqlite_sessions.begin() as session:
        jobs = [queue.enqueue_job(session, JobKind(kind), 1) for kind in kinds]
        keys = [(job.id, job.attempt) for job in jobs]
    assert shop.take_part(*keys[0])
    assert shop.take_part(*keys[1])
    assert [engine.closed for engine in made] == [False, False], "the run goes on with its own"
    assert shop.take_part(*keys[0])
    assert [engine.closed for engine in made] == [True, False, False], "what a job had before goes"
    assert shop.take_part(*keys[1])
    assert not shop.take_part(*keys[1])
    shop.engine_for("local", [ServedModel("base", "d")])
    assert [engine.closed for engine in made] == [True, True, False, False], "that job has ended"
    shop.close_engines()
    assert all(engine.closed for engine in made)


def test_no_thread_switches_the_adapter_under_another() -> None:
    engine, on = LocalEngine(), list[str]()

    class Network:
        def set_adapter(self, name: str, *, inference_mode: bool) -> None:
            on.append(name)

    engine._base, engine._model = ServedModel("base", "b"), Network()
    engine._adapters = {"one": ("", "first"), "other": ("", "second")}
    waits = threading.Event()

    def judge() -> None:
        waits.set()
        with engine._switched_to("other"):
            pass

    with engine._switched_to("one"):
        thread = threading.Thread(target=judge)
        thread.start()
        waits.wait(10)
        thread.join(0.1)
        assert on == ["first"], "still its own while it writes"
    thread.join(10)
    assert on == ["first", "second"]


def test_leases_are_kept_while_an_engine_is_opened(
    sqlite_sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    begun, opened = threading.Event(), threading.Event()

    def slow(*_: object) -> Any:
        begun.set()
        opened.wait(60)
        return Warm()

    shop = Workshop(Settings(home=tmp_path), sqlite_sessions, "w", slow, lambda *_, **__: None, {})
    models = [ServedModel("base", "a")]
    opening = threading.Thread(target=shop.engine_for, args=("local", models))
    opening.start()
    assert begun.wait(60)
    beat = threading.Thread(target=shop.extend_leases, args=(utc_now(),))
    beat.start()
    beat.join(20)
    waits = beat.is_alive()
    opened.set()
    opening.join(60)
    beat.join(60)
    assert not waits, "a lease would lapse, and another worker take the chunk"
