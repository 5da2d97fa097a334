"""Database engine and sessions: SQLite by default, PostgreSQL by URL, one code path.

Nobody commits but the edge (a route, a command, a job): services flush. On SQLite a write
transaction begins with BEGIN IMMEDIATE, so that two writers queue instead of failing half-way.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from copy import copy
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from sqlalchemy import (
    DateTime,
    Dialect,
    Engine,
    Index,
    MetaData,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.types import JSON, TypeDecorator

from backend.private_files import make_file, make_folder
from backend.settings import Settings, sqlite_file

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
BUSY_TIMEOUT_MS = 30_000
CONNECTIONS = 20  # of one process to PostgreSQL, which takes 100 unless it is told otherwise
PING_AFTER_S = 5.0
COMMITS_SEEN_AFTER_S = 0.05
ENGINES = 8  # of which a process has one; tests have one after the other
_MIGRATIONS = Path(__file__).parents[1] / "migrations"
Item = TypeVar("Item")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC moment; SQLite, which has no zones, gets it back with its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


def portions(items: Sequence[Item], size: int = 500) -> Iterator[Sequence[Item]]:
    """The items in turn, so many at a time; by default as many as one statement binds."""
    return (items[start : start + size] for start in range(0, len(items), size))


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index of those rows alone that a condition holds of, on both databases."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class NumberedTable(Base):
    """A table whose rows are numbered."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(primary_key=True)


class DatedTable(NumberedTable):
    """A numbered table that says when a row was made."""

    __abstract__ = True

    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=1)


def _configure_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "do_connect")
    def _keep_to_owner(*_: Any) -> None:
        if (file := engine.url.database) and file != ":memory:":
            make_file(Path(file))  # SQLite would make it as open as the umask has it

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")  # what is erased is zeros, not free space
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.close()

    _begin_by(engine, "BEGIN IMMEDIATE")


def _begin_by(engine: Engine, word: str) -> None:
    """Have the transactions of a SQLite engine begin by this word; by none where it is empty.

    By its dialect: with a listener a transaction takes a quarter longer, and each request has one.
    """

    def begin(dbapi_connection: Any) -> None:
        if word:
            dbapi_connection.dbapi_connection.execute(word)

    engine.dialect.do_begin = begin  # type: ignore[method-assign]


def _variant(engine: Engine, word: str, **options: bool) -> Engine:
    """The SQLite engine with the same connections, whose transactions begin by another word."""
    found = engine.execution_options(**options)
    found.dialect = copy(engine.dialect)
    _begin_by(found, word)
    return found


def _ping_the_idle(engine: Engine) -> None:
    """Ask a connection that lay idle whether its server is still there, before it is used.

    Asking at every use would cost every request a round trip; one that is lost while it is in use
    ends its pool as well (`prepared`, SQLAlchemy).
    """

    @event.listens_for(engine, "checkin")
    def _note(_: Any, record: Any) -> None:
        record.info["since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ask(connection: Any, record: Any, _: Any) -> None:
        if time.monotonic() - record.info.get("since", time.monotonic()) < PING_AFTER_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error


def open_database(url: str) -> Engine:
    """An engine for the URL; the folder of a SQLite file is made."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, pool_size=CONNECTIONS, max_overflow=0, hide_parameters=True)
        _ping_the_idle(engine)
        return engine
    if parsed.database and parsed.database != ":memory:":
        make_folder(Path(parsed.database).parent)
    engine = create_engine(parsed, pool_size=16, max_overflow=16, hide_parameters=True)
    _configure_sqlite(engine)
    return engine


@lru_cache(ENGINES)
def read_only(engine: Engine) -> Engine:
    """The engine for transactions that only read: on SQLite they take no write lock."""
    if engine.dialect.name == "sqlite":
        return _variant(engine, "BEGIN", read_only=True)
    return engine.execution_options(read_only=True)


@lru_cache(ENGINES)
def alone(engine: Engine) -> Engine:
    """The engine for single statements that read: each is its own transaction.

    What is read by two of them may have changed between, as it may in PostgreSQL's transactions.
    """
    if engine.dialect.name == "sqlite":
        return _variant(engine, "")
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def is_free_to_write(engine: Engine) -> bool:
    """Whether a writer would begin at once: SQLite has one, and others wait for it.

    For what may as well be written later and must keep nobody waiting.
    """
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return True
    with closing(sqlite3.connect(engine.url.database, timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.rollback()
    return True


class Commits:
    """Waits for what others commit; used by one thread alone.

    A file of SQLite says that it has changed for a hundredth of what a question costs. PostgreSQL
    does not say so, and there the whole time is waited.
    """

    def __init__(self, engine: Engine) -> None:
        self._file = sqlite_file(engine.url.render_as_string(hide_password=False))
        self._connection: sqlite3.Connection | None = None
        self._version = self._read()

    @property
    def are_seen(self) -> bool:
        """Whether a wait ends by a commit."""
        return self._file is not None

    def wait(self, seconds: float, pause: Callable[[float], object] = time.sleep) -> None:
        """Wait for a commit since the last wait ended, at most so many seconds.

        Args:
            pause: waits for so many seconds; where it says true, nothing more is waited for.
        """
        due = time.monotonic() + seconds
        while (left := due - time.monotonic()) > 0:
            if pause(min(left, COMMITS_SEEN_AFTER_S) if self.are_seen else left):
                return
            if (version := self._read()) != self._version:
                self._version = version
                return

    def close(self) -> None:
        """Close the connection that looks."""
        if self._connection is not None:
            self._connection.close()

    def _read(self) -> int:
        if self._file is None:
            return 0
        if self._connection is None:
            self._connection = sqlite3.connect(self._file, check_same_thread=False)
        try:
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:  # whoever looks at the rows says what is wrong
            return -1


def session_factory(engine: Engine) -> sessionmaker[Session]:
    """Sessions that keep loaded rows readable after commit."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def reading(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """A session that only reads (`read_only`)."""
    with sessions(bind=read_only(sessions.kw["bind"])) as session:
        yield session


def migrate(url: str, *, revision: str = "head") -> None:
    """Bring the database to a revision by Alembic."""
    from alembic import command

    command.upgrade(alembic_config(url), revision)


def newest_revision() -> str:
    """The revision that this version of Strop works on; the files are numbered, so none is run."""
    return max(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def stored_revision(session: Session) -> str | None:
    """The revision that the database is at; None where it is not one of Strop's."""
    if not inspect(session.connection()).has_table("alembic_version"):
        return None
    stored: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
    return stored


def alembic_config(url: str) -> Any:
    """Alembic's configuration for this URL, independent of the working directory."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["url"] = url
    return config


def connect(settings: Settings) -> sessionmaker[Session]:
    """Open the configured database for use by one process."""
    return session_factory(open_database(settings.url))
