"""Fixtures that every test may use: databases on a migrated schema, settings in a fresh folder.

`sessions` runs a test on SQLite and on PostgreSQL; `sqlite_sessions` on SQLite only. Each test gets
an empty, migrated database: a copy of a SQLite file, or the one of PostgreSQL emptied after the
test before.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

# Before anything loads torch, and for every process that a test starts: where several processes
# compute on few cores, the threads of one wait for each other and cost ten times what one does.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from backend.db import migrate, open_database, session_factory
from backend.services.accounts import passwords
from backend.settings import Settings
from tests.depth import mark_depth
from tests.fixtures_engines import shared_dialects
from tests.fixtures_models import tiny_base  # noqa: F401
from tests.fixtures_postgres import (
    URL_VARIABLE,
    SharedDatabase,
    database_of,
    execute,
    find_binaries,
    running_postgres,
)
from tests.fixtures_ray import two_nodes  # noqa: F401

hypothesis.settings.register_profile(  # the same examples in every run, however slow the machine
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("repeatable")

DATA = Path(os.environ.get("STROP_TEST_DATA") or Path(__file__).parents[2] / "shared/data")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is deep."""
    mark_depth(items)


def pytest_collection_finish() -> None:
    """What was loaded until now stays: the garbage collector need not look through it again."""
    gc.freeze()


MASKING_KEY = "a key of the tests which masks nobody"


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Statements that one test compiled are compiled for all."""
    with shared_dialects():
        yield


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Hash with the least that argon2 takes: what the product takes is slow on purpose, and is held
    by tests/backend/services/accounts/test_passwords.py. Servers in their own processes pay it."""
    with pytest.MonkeyPatch.context() as patch:
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(passwords, "_hasher", lambda: hasher)
        yield


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The folder with public rated data; tests that need it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"public data not found at {DATA}; set STROP_TEST_DATA to its folder")
    return DATA


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL database from which others can be made."""
    if url := os.environ.get(URL_VARIABLE):
        yield url
        return
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(f"no PostgreSQL: set {URL_VARIABLE} or install the postgresql package")
    with running_postgres(binaries) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """Name of a migrated PostgreSQL database to copy from."""
    name = f"strop_template_{uuid4().hex[:8]}"
    execute(postgres_server, f"CREATE DATABASE {name}")
    migrate(database_of(postgres_server, name))
    yield name
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy from."""
    path = tmp_path_factory.mktemp("template") / "strop.db"
    migrate(f"sqlite:///{path}")
    engine = open_database(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_database(postgres_server: str, postgres_template: str) -> Iterator[SharedDatabase]:
    """The one PostgreSQL database that the tests of a process share, one after the other."""
    database = SharedDatabase(postgres_server, postgres_template)
    yield database
    database.drop()


@pytest.fixture
def postgres_url(postgres_database: SharedDatabase) -> Iterator[str]:
    """URL of an empty, migrated PostgreSQL database; emptied after the test, whatever it left."""
    yield postgres_database.url
    postgres_database.empty()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """URL of an empty, migrated SQLite database of the test's own."""
    shutil.copy(sqlite_template, tmp_path / "strop.db")
    return f"sqlite:///{tmp_path / 'strop.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty, migrated database, once on each backend."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An engine on an empty, migrated database, once on each backend."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(database: Engine) -> sessionmaker[Session]:
    """A session factory, once on each backend."""
    return session_factory(database)


@pytest.fixture
def session(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """A session, once on each backend; the test may commit, the database is thrown away."""
    with sessions() as session:
        yield session


@pytest.fixture
def sqlite_sessions(sqlite_url: str) -> Iterator[sessionmaker[Session]]:
    """A session factory on SQLite only, for what does not depend on the backend."""
    engine = open_database(sqlite_url)
    yield session_factory(engine)
    engine.dispose()


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    """Settings whose home is a fresh folder and whose database is SQLite there."""
    return Settings(home=tmp_path / "home", database_url=sqlite_url, masking_key=MASKING_KEY)
