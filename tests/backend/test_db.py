"""How transactions begin on SQLite: writers wait for each other, and readers for nobody."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from backend.db import (
    COMMITS_SEEN_AFTER_S,
    Commits,
    alone,
    is_free_to_write,
    open_database,
    read_only,
    reading,
    session_factory,
)

COUNT = text("SELECT count(*) FROM t")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A file with one table, whose writers do not wait."""
    engine = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
        connection.execute(text("PRAGMA busy_timeout=0"))
    return engine


def test_a_transaction_holds_the_writers_place_before_its_first_statement(engine: Engine) -> None:
    assert {read_only(engine), alone(engine)}.isdisjoint({engine})  # whose begin is their own
    with engine.begin():
        assert not is_free_to_write(engine)
        other = sqlite3.connect(str(engine.url.database), timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
    assert is_free_to_write(engine)


def test_a_writer_that_may_not_begin_is_told_as_every_error_of_the_database(engine: Engine) -> None:
    other = sqlite3.connect(str(engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"), engine.begin():
        pass
    other.close()


def insert_elsewhere(engine: Engine) -> None:
    other = sqlite3.connect(str(engine.url.database), timeout=0)
    other.execute("INSERT INTO t VALUES (1)")
    other.commit()
    other.close()


def test_who_reads_takes_no_place_and_sees_one_state(engine: Engine) -> None:
    with reading(session_factory(engine)) as session:
        assert session.scalar(COUNT) == 0
        assert session.connection().get_execution_options()["read_only"]
        insert_elsewhere(engine)
        assert session.scalar(COUNT) == 0


def test_statements_alone_see_what_came_between_them(engine: Engine) -> None:
    with alone(engine).connect() as connection:
        assert connection.scalar(COUNT) == 0
        insert_elsewhere(engine)
        assert connection.scalar(COUNT) == 1


def test_each_reads_by_one_variant_with_the_connections_of_all(engine: Engine) -> None:
    assert read_only(engine) is read_only(engine)  # one dialect, so that statements stay compiled
    assert read_only(engine).pool is alone(engine).pool is engine.pool


def test_a_wait_ends_by_a_commit_of_another_and_by_nothing_else(engine: Engine) -> None:
    pauses: list[float] = []

    def commit_at_third(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            insert_elsewhere(engine)

    commits = Commits(engine)
    assert commits.are_seen
    commits.wait(60.0, commit_at_third)
    assert (len(pauses), max(pauses)) == (3, COMMITS_SEEN_AFTER_S)
    with reading(session_factory(engine)) as session:
        assert session.scalar(COUNT) == 1
    begun = time.monotonic()
    commits.wait(4 * COMMITS_SEEN_AFTER_S)
    assert time.monotonic() - begun >= 4 * COMMITS_SEEN_AFTER_S, "nobody wrote"
    commits.wait(60.0, lambda _: True)  # told to end
    insert_elsewhere(engine)  # between two waits
    commits.wait(60.0, lambda _: pauses.append(0.0))
    assert len(pauses) == 4
    commits.close()


def test_where_commits_are_not_seen_the_whole_time_is_waited() -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return True

    commits = Commits(create_engine("sqlite://"))
    assert not commits.are_seen
    commits.wait(60.0, pause)
    assert pauses == [pytest.approx(60.0, abs=5.0)]
