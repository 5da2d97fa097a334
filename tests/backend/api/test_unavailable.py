"""A database that takes nothing for now: every route says 503 and when to try again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from starlette.testclient import TestClient

import backend.db
from backend.api.app import create_app
from backend.api.deps import serve_with
from backend.db import open_database, session_factory
from backend.settings import Settings
from tests.backend.api.conftest import House
from tests.fixtures_ports import lasting_port


def reopened(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The house on the same file, with a server that waits 50 ms for a lock."""
    monkeypatch.setattr(backend.db, "BUSY_TIMEOUT_MS", 50)
    engine = open_database(str(house.sessions.kw["bind"].url))
    house.app.state.serving = serve_with(Settings(), session_factory(engine), clock=house.clock)


def test_locked_database_is_a_503_and_reading_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    reopened(house, monkeypatch)
    with house.sessions.begin() as holder:
        holder.execute(text("SELECT 1"))  # BEGIN IMMEDIATE: nobody else may write
        client = house.client("engineer", raise_server_exceptions=False)
        refused = client.post("/api/v1/me/tokens", json={"name": "later"})
        assert client.get("/api/v1/me").status_code == 200
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert refused.json()["type"].endswith("database-unavailable")
    assert client.post("/api/v1/me/tokens", json={"name": "later"}).status_code == 201


def test_full_disk_is_a_503_and_keeps_nothing(house: House) -> None:
    engine = house.sessions.kw["bind"]
    client = house.client("engineer", raise_server_exceptions=False)
    path = f"/api/v1/projects/{house.desk.project.id}/datasets"
    rows = [{"id": str(n), "input": "word " * 400, "reference": f"x {n}"} for n in range(200)]

    @event.listens_for(engine, "checkout")
    def fill(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA max_page_count=1")

    refused = client.post(path, json={"name": "big", "rows": rows})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    names = {row["name"] for row in client.get(path).json()}
    assert "big" not in names


def test_database_that_is_away_is_said_by_healthz(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{lasting_port()}/strop"
    settings = Settings(home=tmp_path, database_url=url)
    app = create_app(settings, session_factory(open_database(settings.url)))
    answer = TestClient(app, raise_server_exceptions=False).get("/healthz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "127.0.0.1" not in answer.text


def test_database_of_another_version_is_no_passing_fault(house: House) -> None:
    with house.sessions.begin() as session:
        session.execute(text("DROP TABLE promotions"))
    client = house.client("engineer", raise_server_exceptions=False)
    path = f"/api/v1/projects/{house.desk.project.id}/promotions"
    assert client.get(path).status_code == 500
