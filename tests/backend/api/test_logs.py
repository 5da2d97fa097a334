"""Logs tell where something failed, never what people wrote: a sentence is planted and sought."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import NotFound, name_of
from backend.jobs.running.parts import Workshop
from backend.logs import log_without_words
from backend.services import queue
from backend.services.accounts.users import create_user
from backend.settings import Settings
from tests.backend.api.conftest import House
from tests.fixtures_runs import lay_down_project, lay_down_run

MARK = "Frau Mustermann has a fever of 39.4"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that this process logs while errors are told without words."""
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    factory, hooks = logging.getLogRecordFactory(), (sys.excepthook, threading.excepthook)
    log_without_words()
    logging.getLogger().addHandler(handler)
    yield told
    logging.getLogger().removeHandler(handler)
    logging.setLogRecordFactory(factory)
    sys.excepthook, threading.excepthook = hooks


def _value_error() -> None:
    raise ValueError(f"could not convert {MARK!r}")


def _chained() -> None:
    try:
        _value_error()
    except ValueError as error:
        raise KeyError(MARK) from error


@pytest.mark.parametrize("fail", [_value_error, _chained])
def test_an_exception_is_told_by_its_lines_of_code(
    log: io.StringIO, fail: Callable[[], None]
) -> None:
    logger = logging.getLogger("somebody.elses.library")
    try:
        fail()
    except Exception as error:
        logger.exception("it failed")
        logger.error("it failed: %s", error)
        logger.error(error)
        logger.error("again", exc_info=error)
    assert "Mustermann" not in log.getvalue()
    assert "in _value_error" in log.getvalue()
    assert "builtins.ValueError" in log.getvalue()
    assert __file__ in log.getvalue()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO projects (id, name, base_model) VALUES (7, :mark, NULL)",
        "SELECT CAST(:mark AS INTEGER) FROM nowhere",
    ],
)
def test_a_database_error_says_neither_row_nor_parameters(
    log: io.StringIO, sessions: sessionmaker[Session], statement: str
) -> None:
    with sessions() as session, pytest.raises(DBAPIError) as caught:
        session.execute(text(statement), {"mark": MARK})
    assert "hide_parameters" in str(caught.value)
    logging.getLogger("x").warning("no: %s", caught.value, exc_info=caught.value)
    assert "Mustermann" not in log.getvalue() + name_of(caught.value)


def test_a_conflict_on_either_database_logs_its_constraint_alone(
    log: io.StringIO, sessions: sessionmaker[Session]
) -> None:
    from starlette.requests import Request

    from backend.api.problems import _render_integrity

    with sessions.begin() as session:
        create_user(session, MARK, "expert")
    with sessions() as session, pytest.raises(DBAPIError) as caught:
        session.execute(
            text(
                "INSERT INTO users (name, pseudonym, role, active, simulated, created_at)"
                " VALUES (:name, 'p', 'expert', true, false, '2026-01-01')"
            ),
            {"name": MARK},
        )
    scope = {"type": "http", "method": "POST", "path": "/x", "headers": [], "query_string": b""}
    answer = _render_integrity(Request(scope), caught.value)  # type: ignore[arg-type]
    assert answer.status_code == 409
    assert "IntegrityError" in log.getvalue()
    assert "Mustermann" not in log.getvalue() + bytes(answer.body).decode()


def test_an_error_on_purpose_keeps_its_sentence() -> None:
    assert name_of(NotFound("There is no run 7.")).endswith("There is no run 7.")


def test_a_defect_of_a_route_tells_nothing_to_anybody(
    house: House, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words are in the body of one person's request, in the error, and nowhere after it."""

    def fail(*_: object, **__: object) -> None:
        _value_error()

    monkeypatch.setattr("backend.services.projects.set_manifest", fail)
    path = f"/api/v1/projects/{house.desk.project.id}/manifests"
    client = house.client("engineer", raise_server_exceptions=False)
    answer = client.post(path, json={"source": MARK}, headers={"Idempotency-Key": "a-key-of-eva"})
    assert answer.status_code == 500
    for person in ("engineer", "lead", "admin"):
        for seen in ("jobs", path.removeprefix("/api/v1/"), "me"):
            assert "Mustermann" not in house.client(person).get(f"/api/v1/{seen}").text
    assert "Mustermann" not in answer.text + log.getvalue()


def test_a_defect_of_a_job_is_logged_without_words(
    log: io.StringIO, sessions: sessionmaker[Session], settings: Settings
) -> None:
    """The job's own row keeps the message: only people of its project see that."""
    with sessions.begin() as session:
        run = lay_down_run(session, lay_down_project(session))
        job = queue.enqueue_job(session, queue.JobKind.GENERATE, run.id)
        job_id, attempt = job.id, job.attempt

    def parts(*_: object) -> Iterator[None]:
        _value_error()
        yield

    def nothing(*_: object, **__: object) -> None:
        raise AssertionError

    kinds = {queue.JobKind.GENERATE: parts}
    shop = Workshop(settings, sessions, "w", nothing, nothing, kinds)  # type: ignore[arg-type]
    assert shop.take_part(job_id, attempt) is False
    assert "failed by a defect" in log.getvalue()
    assert "Mustermann" not in log.getvalue()
