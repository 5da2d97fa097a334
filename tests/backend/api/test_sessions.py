"""Sessions of requests: a 200 means committed, a GET writes nothing, and a crowd does not jam."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.api.deps import READERS, get_session
from backend.client import StropClient
from backend.schemas.projects import ProjectIn
from backend.services.datasets import versions as datasets
from backend.tables.projects import Project
from tests.backend.api.conftest import House

CROWD = 80  # more than threads (40), connections (32) and gates (12 and 1)


def test_answer_waits_for_the_commit(house: House) -> None:
    def fail(session: Session) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk full"))

    event.listen(house.sessions, "before_commit", fail)
    try:
        client = house.client("admin", raise_server_exceptions=False)
        answer = client.post("/api/v1/projects", json={"name": "n"})
    finally:
        event.remove(house.sessions, "before_commit", fail)
    assert answer.status_code == 503
    with house.sessions() as session:
        assert session.scalar(select(Project).where(Project.name == "n")) is None


def test_refused_request_leaves_nothing(house: House) -> None:
    """The rubric is saved before the queue is refused, and goes with it."""
    from backend.tables.review import RubricVersion

    body = {
        "name": "q",
        "generation_run_id": house.desk.run.id,
        "models": ["base"],
        "reviewers": [house.users["expert"].name],
        "rubric": "support_reply",
    }
    path = f"/api/v1/projects/{house.desk.project.id}/review-queues"
    assert house.client("engineer").post(path, json=body).status_code == 409
    with house.sessions() as session:
        names = session.scalars(select(RubricVersion.name)).all()
    assert "support_reply" not in names


def test_reading_takes_no_write_lock(house: House) -> None:
    """Not even to note that a token came for the first time that day: the next request does."""
    serving, engine = house.app.state.serving, house.sessions.kw["bind"]
    begun: list[str] = []
    with house.sessions() as writer:
        writer.connection()  # BEGIN IMMEDIATE: whoever else wants to write would wait
        event.listen(engine, "before_cursor_execute", lambda *of: begun.append(of[2]))
        client = house.client("engineer")
        assert client.get("/api/v1/me").status_code == 200
        assert client.get(f"/api/v1/review-queues/{house.queue_id}").status_code == 200
        assert "BEGIN IMMEDIATE" not in begun
        assert not serving.tokens_noted
    assert client.get("/api/v1/me").status_code == 200
    assert len(serving.tokens_noted) == 1


def test_crowd_of_readers_and_writers_is_served(house: House, server_url: str) -> None:
    """More requests at once than there are threads or connections."""

    def ask(number: int) -> str:
        with StropClient(server_url, token=house.tokens["admin"]) as strop:
            if number % 2:
                return strop.projects.create(ProjectIn(name=f"p{number}")).name
            return strop.queues.list(house.desk.project.id)[0].name

    with ThreadPoolExecutor(CROWD) as pool:
        names = list(pool.map(ask, range(CROWD)))
    assert len(names) == CROWD
    assert len(set(names)) == CROWD // 2 + 1


class Request:
    """As much of a request as a session needs to know."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.state = SimpleNamespace()


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "most"), [("GET", 16), ("POST", 1)])
async def test_sessions_at_once_are_fewer_than_connections(
    house: House, method: str, most: int
) -> None:
    """Else requests that hold a connection wait for a thread, and threads for a connection."""
    serving = house.app.state.serving
    given = [get_session(Request(method), serving) for _ in range(CROWD)]  # type: ignore[arg-type]
    waiting = [asyncio.ensure_future(anext(each)) for each in given]
    await asyncio.sleep(0)
    begun = sum(task.done() for task in waiting)
    for task, each in zip(waiting, given, strict=True):
        await task
        await each.aclose()
    assert 1 <= begun <= most


@pytest.mark.anyio
async def test_session_is_given_back_when_the_route_fails(house: House) -> None:
    serving = house.app.state.serving
    for _ in range(READERS * 4):
        given = get_session(Request("POST"), serving)  # type: ignore[arg-type]
        await anext(given)
        with pytest.raises(ValueError, match="route"):
            await given.athrow(ValueError("route"))
    assert not serving.writers.locked()


@pytest.fixture
def anyio_backend() -> str:
    """The only event loop that the server runs on."""
    return "asyncio"


def test_an_import_does_not_hold_the_writer_while_it_compares(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody claims an item while the rows of an import are still being compared."""
    comparing, claimed = threading.Event(), threading.Event()
    found = datasets.find_leaks

    def compare(*sides: Any, **how: Any) -> Any:
        comparing.set()
        assert claimed.wait(30), "a claim waits for the import"
        return found(*sides, **how)

    monkeypatch.setattr(datasets, "find_leaks", compare)
    rows = [{"id": str(n), "input": f"ask {n}", "reference": "x"} for n in range(40)]
    path = f"/api/v1/projects/{house.desk.project.id}/datasets"
    with ThreadPoolExecutor(1) as thread:
        headers = {"Idempotency-Key": "one-import"}
        importing = thread.submit(
            house.client("engineer").post, path, json={"name": "d", "rows": rows}, headers=headers
        )
        assert comparing.wait(30)
        answer = house.client("expert").post(f"/api/v1/review-queues/{house.queue_id}/claim")
        claimed.set()
        assert answer.json()["claim"] is not None
        assert importing.result(30).status_code == 201
