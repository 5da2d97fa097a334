"""The migrations go up and down on both databases and leave the schema that the tables describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from sqlalchemy import inspect

from backend.db import alembic_config, migrate, open_database


def _empty_sqlite(tmp_path: Path, _: pytest.FixtureRequest) -> str:
    return f"sqlite:///{tmp_path / 'empty.db'}"


def _empty_postgres(_: Path, request: pytest.FixtureRequest) -> str:
    server = str(request.getfixturevalue("postgres_server"))
    name = f"strop_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    request.addfinalizer(lambda: _drop(server, name))
    return f"{server.rpartition('/')[0]}/{name}"


def _drop(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _tables(url: str) -> set[str]:
    engine = open_database(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names - {"alembic_version"}


@pytest.mark.parametrize(
    "make_empty", [_empty_sqlite, pytest.param(_empty_postgres, marks=pytest.mark.postgres)]
)
def test_migrations_go_up_match_the_tables_and_go_down(
    make_empty: Callable[[Path, pytest.FixtureRequest], str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    url = make_empty(tmp_path, request)
    migrate(url)
    assert {"projects", "examples", "generations", "review_slots"} <= _tables(url)
    command.check(alembic_config(url))
    command.downgrade(alembic_config(url), "base")
    assert _tables(url) == set()
