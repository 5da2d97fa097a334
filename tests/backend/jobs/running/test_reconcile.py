"""What the reconciler decides, and how answers are cut into chunks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import Commits, utc_now
from backend.engines.base import GenerationResult
from backend.errors import EngineUnavailable
from backend.jobs.generate import chunks_of
from backend.jobs.running.parts import Workshop
from backend.jobs.running.reconcile import Repair, decide, reconcile
from backend.jobs.running.transact import WorkflowState, system_url
from backend.jobs.worker import (
    AT_WORK_SECONDS,
    BUSY_POLL_SECONDS,
    WorkerProcess,
    end_process,
)
from backend.services import queue
from backend.settings import Settings
from backend.tables.queue import JobState


@pytest.mark.parametrize(
    ("known", "action"),
    [
        (None, Repair.ENQUEUE),
        (WorkflowState("ENQUEUED", None), Repair.WAIT),
        (WorkflowState("PENDING", "me"), Repair.WAIT),
        (WorkflowState("PENDING", "dead"), Repair.SUPERSEDE),
        (WorkflowState("PENDING", None), Repair.SUPERSEDE),
        (WorkflowState("SUCCESS", "me"), Repair.SUPERSEDE),
        (WorkflowState("CANCELLED", "me"), Repair.SUPERSEDE),
        (WorkflowState("ERROR", "me"), Repair.GIVE_UP),
        (WorkflowState("MAX_RECOVERY_ATTEMPTS_EXCEEDED", "me"), Repair.GIVE_UP),
    ],
)
def test_unfinished_row(known: WorkflowState | None, action: Repair) -> None:
    assert decide(known, {"me"}) == action


def _answers(count: int, *, dies: bool = False) -> Iterator[GenerationResult]:
    yield from (GenerationResult(str(i), text="x") for i in range(count))
    if dies:
        raise EngineUnavailable("gone")


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (2, [2]), (4, [4]), (9, [4, 4, 1])])
def test_chunks_have_a_size(count: int, sizes: list[int]) -> None:
    assert [len(c) for c in chunks_of(_answers(count), size=4, seconds=60)] == sizes


def test_chunks_have_a_time() -> None:
    assert [len(c) for c in chunks_of(_answers(3), size=4, seconds=0)] == [1, 1, 1]


def test_what_arrived_before_the_engine_died_is_handed_on() -> None:
    chunks = chunks_of(_answers(3, dies=True), size=2, seconds=60)
    assert [len(next(chunks)), len(next(chunks))] == [2, 1]
    with pytest.raises(EngineUnavailable):
        next(chunks)


@pytest.mark.parametrize(
    ("url", "system"),
    [
        ("sqlite:////data/strop.db", "sqlite:////data/strop-jobs.db"),
        ("postgresql://u:p@db:5433/strop", "postgresql+psycopg://u:p@db:5433/strop"),
    ],
)
def test_job_engine_has_its_place(url: str, system: str) -> None:
    assert system_url(Settings(database_url=url)) == system


def test_a_job_that_cannot_be_handed_over_holds_up_no_other(
    sqlite_sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_sessions.begin() as session:
        bad, good = (queue.enqueue_job(session, "generate", n).id for n in (1, 2))
    handed: list[int] = []

    def enqueue(_: str, *, job_id: int, **__: object) -> None:
        if job_id == bad:
            raise TypeError("not JSON")
        handed.append(job_id)

    monkeypatch.setattr("backend.jobs.running.transact.find_workflows", lambda _: {})
    monkeypatch.setattr("backend.jobs.running.transact.enqueue", enqueue)
    assert reconcile(sqlite_sessions, ["gen"], executor_id="me", now=utc_now()) == 2
    assert handed == [good]
    with sqlite_sessions() as session:
        job = queue.get_job(session, bad)
        assert (job.state, job.error) == ("failed", "TypeError: not JSON")


@pytest.mark.parametrize(
    ("by", "also"), [("other", [1000.9]), ("me", [])], ids=["help may be wanted", "all is here"]
)
def test_the_job_engine_is_asked_when_a_row_has_moved_and_else_now_and_then(
    sqlite_sessions: sessionmaker[Session],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
    also: list[float],
) -> None:
    asked: list[float] = []
    now = 1000.0

    def ask(*_: object, **__: object) -> int:
        asked.append(now)
        return 1

    monkeypatch.setattr("backend.jobs.worker.reconcile", ask)
    monkeypatch.setattr("backend.jobs.worker.offer_help", lambda *_, **__: None)
    monkeypatch.setattr(WorkerProcess, "_engage", lambda *_: None)
    monkeypatch.setattr("backend.jobs.worker.time.monotonic", lambda: now)
    shop = Workshop(settings, sqlite_sessions, "me", *[lambda *_: None] * 2, {})  # type: ignore[arg-type, call-arg]
    worker = WorkerProcess(shop, ["gen"])
    with sqlite_sessions.begin() as session:
        job_id = queue.enqueue_job(session, "generate", 1).id
    for tenth in range(12):
        now = 1000.0 + tenth / 10
        if tenth == 3:
            with sqlite_sessions.begin() as session:
                queue.start_job(session, job_id, 1, executor_id=by, now=utc_now())
        assert worker._reconcile() == 1
    # at once, and when it had begun
    assert asked == [1000.0, 1000.1, 1000.3, 1000.4, *also]
    now = 1000.5 + AT_WORK_SECONDS
    worker._reconcile()
    assert asked[-1] == now


def test_the_job_engine_looks_less_often_while_this_worker_is_at_work_and_nothing_waits(
    sqlite_sessions: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    paces: dict[str, float] = {"gen": 0.1, "score": 0.1}
    monkeypatch.setattr("backend.jobs.worker.reconcile", lambda *_, **__: 1)
    monkeypatch.setattr("backend.jobs.worker.offer_help", lambda *_, **__: None)
    monkeypatch.setattr("backend.jobs.worker.transact.launch", lambda *_, **__: None)
    monkeypatch.setattr("backend.jobs.worker.transact.delete_finished", lambda **_: 0)
    monkeypatch.setattr(
        "backend.jobs.worker.transact.set_pace",
        lambda queues, pace: paces.update(dict.fromkeys(queues, pace)),
    )
    now = 1000.0
    monkeypatch.setattr("backend.jobs.worker.time.monotonic", lambda: now)
    quick = settings.model_copy(update={"worker_poll_seconds": 0.1})
    shop = Workshop(quick, sqlite_sessions, "me", *[lambda *_: None] * 2, {})  # type: ignore[arg-type, call-arg]
    worker = WorkerProcess(shop, ["gen", "score"])
    with sqlite_sessions.begin() as session:
        job_id = queue.enqueue_job(session, "generate", 1).id
        queue.start_job(session, job_id, 1, executor_id="me", now=utc_now())
    worker._reconcile()
    now += 1.0
    worker._reconcile()
    assert paces == {"gen": 0.1, "score": 0.1}, "it may be a short one"
    now += 0.1
    worker._reconcile()
    assert paces == {"gen": BUSY_POLL_SECONDS, "score": BUSY_POLL_SECONDS}
    with sqlite_sessions.begin() as session:
        queue.enqueue_job(session, "score", 1)
    worker._reconcile()
    assert paces["score"] == 0.1, "a job waits there"
    with sqlite_sessions.begin() as session:
        queue.finish_job(session, job_id, 1, JobState.DONE, now=utc_now(), exit_code=0)
    worker._reconcile()
    assert paces == {"gen": 0.1, "score": 0.1}


def test_a_worker_looks_seldom_at_a_long_job_and_soon_where_nothing_waits(
    sqlite_sessions: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("backend.jobs.worker.reconcile", lambda *_, **__: 1)
    monkeypatch.setattr("backend.jobs.worker.offer_help", lambda *_, **__: None)
    monkeypatch.setattr("backend.jobs.worker.time.monotonic", lambda: now)
    monkeypatch.setattr(WorkerProcess, "_engage", lambda *_: None)
    once_a_second = settings.model_copy(update={"worker_poll_seconds": 1.0})
    shop = Workshop(once_a_second, sqlite_sessions, "me", *[lambda *_: None] * 2, {})  # type: ignore[arg-type, call-arg]
    worker = WorkerProcess(shop, ["gen"])
    with sqlite_sessions.begin() as session:
        job_id = queue.enqueue_job(session, "generate", 1).id
    for waited, pause in ((0, 1.0), (60, 1.2), (90, 1.8), (600, 2.0)):
        now = 1000.0 + waited
        worker._reconcile()
        assert worker._pause() == pytest.approx(pause)
    with sqlite_sessions.begin() as session:
        queue.cancel_job(session, job_id, by_id=None, error="It is enough.", now=utc_now())
    worker._reconcile()
    now = 9000.0
    assert worker._pause() == 1.0, "however long nothing has waited"


@pytest.mark.parametrize(("seen", "pause"), [(True, 1.0), (False, 0.1)])
def test_a_worker_that_no_commit_wakes_looks_as_often_as_it_is_told(
    sqlite_sessions: sessionmaker[Session],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    seen: bool,
    pause: float,
) -> None:
    """On PostgreSQL a wait lasts its whole time; on SQLite a commit ends it."""
    quick = settings.model_copy(update={"worker_poll_seconds": 0.1})
    shop = Workshop(quick, sqlite_sessions, "me", *[lambda *_: None] * 2, {})  # type: ignore[arg-type, call-arg]
    waits: list[float] = []

    def wait(_: Commits, seconds: float, pause: object) -> None:
        waits.append(seconds)
        shop.stopping.set()

    monkeypatch.setattr(Commits, "wait", wait)
    monkeypatch.setattr(Commits, "are_seen", seen)
    WorkerProcess(shop, ["gen"]).run()
    assert waits == [pause]


def test_a_defect_of_one_act_stops_no_other(
    sqlite_sessions: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> int:
        raise ValueError("a row that nothing can read")

    monkeypatch.setattr("backend.jobs.worker.advance_rounds", breaks)
    shop = Workshop(settings, sqlite_sessions, "me", *[lambda *_: None] * 2, {})  # type: ignore[arg-type, call-arg]
    worker = WorkerProcess(shop, ["gen"])
    worker._tend(utc_now())
    assert worker._reconcile() == 0
    assert worker._clear_after is not None, "what comes after the rounds was seen to"
    ends = WorkerProcess(shop, ["gen"], until_idle=True)
    with pytest.raises(ValueError, match="nothing can read"):
        ends._tend(utc_now())


def test_a_heart_goes_on_beating_whatever_the_database_says(
    sqlite_sessions: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Workshop(settings, sqlite_sessions, "me", *[lambda *_: None] * 2, {})  # type: ignore[arg-type, call-arg]
    beats = []

    def breaks(*_: object, **__: object) -> bool:
        beats.append(1)
        if len(beats) == 2:
            shop.stopping.set()
        raise InterfaceError("SELECT 1", {}, Exception("the connection is closed"))

    monkeypatch.setattr("backend.services.queue.beat_heart", breaks)
    monkeypatch.setattr("backend.services.queue.HEARTBEAT_SECONDS", 0.0)
    WorkerProcess(shop, ["gen"])._keep_beating()
    assert len(beats) == 2


def test_a_worker_ends_though_its_name_cannot_be_given_back(
    sqlite_sessions: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("DELETE", {}, Exception("the database is away"))

    def exit_(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr("backend.services.queue.leave_worker", away)
    monkeypatch.setattr("os._exit", exit_)
    shop = Workshop(settings, sqlite_sessions, "me", *[lambda *_: None] * 2, {})  # type: ignore[arg-type, call-arg]
    with pytest.raises(SystemExit, match="3"):
        end_process(WorkerProcess(shop, ["gen"]), 3)
