"""Statements that are compiled once: values and rows as SQLAlchemy has them, and its errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from backend.prepared import PreparedStatement
from backend.tables.accounts import LoginSession, User
from backend.tables.queue import Job
from tests.fixtures_review import NOW, build_desk

JOBS, SESSIONS = Job.__table__, LoginSession.__table__
GIVEN = {"kind": "score", "queue": "score", "subject_id": 7, "arguments": {"then": [1, "é"]}}


def test_values_and_rows_are_converted_as_by_the_core(session: Session) -> None:
    desk = build_desk(session)
    add = PreparedStatement(
        insert(SESSIONS).values(method="link"),
        keys=["user_id", "token_hash", "created_at", "last_seen_at", "expires_at"],
    )
    times = {"created_at": NOW, "last_seen_at": NOW, "expires_at": NOW + timedelta(hours=1)}
    add.run(session.connection(), {"user_id": desk.experts[0].id, "token_hash": "x", **times})
    query = select(SESSIONS.c.method, SESSIONS.c.expires_at, SESSIONS.c.ended_at)
    found = PreparedStatement(query.where(SESSIONS.c.last_seen_at == bindparam("at")))
    row = found.first(session.connection(), {"at": NOW.astimezone(UTC)})
    assert row is not None
    assert row == tuple(session.execute(query).one())
    assert (row.method, row.expires_at, row.ended_at) == ("link", times["expires_at"], None)
    assert isinstance(row.expires_at, datetime)
    assert row.expires_at.tzinfo is not None
    assert found.first(session.connection(), {"at": NOW + timedelta(days=1)}) is None


def test_constants_of_the_statement_are_converted_too(session: Session) -> None:
    desk = build_desk(session)
    old = NOW - timedelta(days=1)
    mine = {"user_id": desk.experts[0].id, "token_hash": "x", "expires_at": NOW}
    session.execute(insert(SESSIONS).values(created_at=old, last_seen_at=old, **mine))
    PreparedStatement(
        update(SESSIONS).values(last_seen_at=NOW).where(SESSIONS.c.created_at == old)
    ).run(session.connection(), {})
    assert session.scalar(select(SESSIONS.c.last_seen_at)) == NOW
    each = PreparedStatement(select(SESSIONS.c.token_hash).where(SESSIONS.c.last_seen_at == NOW))
    assert [row.token_hash for row in each.each(session.connection(), {})] == ["x"]


def test_json_goes_and_comes(session: Session) -> None:
    columns = [*GIVEN, "state", "attempt", "created_at"]
    add = PreparedStatement(insert(JOBS), keys=columns)
    add.run(session.connection(), {**GIVEN, "state": "queued", "attempt": 0, "created_at": NOW})
    row = PreparedStatement(select(JOBS.c.arguments, JOBS.c.subject_id)).first(
        session.connection(), {}
    )
    assert row is not None
    assert (row.arguments, row.subject_id) == (GIVEN["arguments"], 7)


def test_errors_are_those_of_sqlalchemy(session: Session) -> None:
    desk = build_desk(session)
    times = {"created_at": NOW, "last_seen_at": NOW, "expires_at": NOW}
    row = {"user_id": desk.experts[0].id, "token_hash": "x", "method": "link", **times}
    add = PreparedStatement(insert(SESSIONS), keys=[*row])
    add.run(session.connection(), row)
    with pytest.raises(IntegrityError) as caught, session.begin_nested():
        add.run(session.connection(), row)
    assert not caught.value.connection_invalidated
    assert "INSERT INTO login_sessions" in str(caught.value)


def test_a_lost_connection_is_used_no_more_nor_the_others_of_its_pool(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = session.connection()
    disposed: list[bool] = []
    monkeypatch.setattr(connection.dialect, "is_disconnect", lambda *_: True)
    monkeypatch.setattr(connection.engine, "dispose", lambda: disposed.append(True))
    with pytest.raises(DBAPIError) as caught:
        PreparedStatement(select(User.__table__.c.id).where(bindparam("x") == "'")).first(
            connection, {"x": object()}
        )
    assert caught.value.connection_invalidated
    assert connection.invalidated
    assert disposed == [True]
    session.invalidate()
