"""The desk that the tests of a module begin with: furnished once on SQLite, and copied for each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from tests.fixtures_copies import PreparedDatabase, join, prepare
from tests.fixtures_review import Desk


@pytest.fixture(scope="module")
def prepared(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> PreparedDatabase:
    """A database with what `furnish` of the module makes."""

    def build(sessions: sessionmaker[Session]) -> Desk:
        with sessions.begin() as session:
            desk: Desk = request.module.furnish(session)
        return desk

    return prepare(sqlite_template, tmp_path_factory.mktemp("furnished") / "strop.db", build)


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, sqlite_template: Path, tmp_path: Path) -> str:
    """URL of a SQLite database: with the desk for who takes it, else empty."""
    if "desk" in request.fixturenames:
        prepared: PreparedDatabase = request.getfixturevalue("prepared")
        return prepared.copied(tmp_path / "strop.db")
    shutil.copy(sqlite_template, tmp_path / "strop.db")
    return f"sqlite:///{tmp_path / 'strop.db'}"


@pytest.fixture
def desk(request: pytest.FixtureRequest, session: Session) -> Desk:
    """What `furnish` of the module makes, its rows in the session."""
    if session.get_bind().dialect.name == "sqlite":
        prepared: PreparedDatabase = request.getfixturevalue("prepared")
        found: Desk = join(session, prepared.rows)
        return found
    made: Desk = request.module.furnish(session)
    return made
