"""What the file of a database still holds of rows that are gone.

SQLite: a page that is freed, and the log of writes, keep old bytes. Connections zero what they free
(PRAGMA secure_delete), VACUUM writes the file anew without free pages, and a checkpoint that
truncates empties the log. It needs a moment in which nobody reads or writes.

PostgreSQL: an update leaves the old version of the row behind (a dead tuple) until a vacuum; VACUUM
FULL writes the tables anew, and locks each meanwhile. The write-ahead log, replicas and archives
keep old pages for as long as the server is told to: that is the administrator's to decide.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from backend.db import BUSY_TIMEOUT_MS

LOCK_WAIT = "10s"
WAIT_MS = 3_000


def scrub_database(engine: Engine, tables: Iterable[str]) -> str | None:
    """Write away what erased rows left in the database's files.

    Args:
        tables: those that something went from; the whole file on SQLite.

    Returns:
        None when nothing is left; otherwise why not, and it is to be tried again.
    """
    try:
        if engine.dialect.name == "sqlite":
            return _scrub_sqlite(engine)
        return _scrub_postgres(engine, sorted(set(tables)))
    except DBAPIError as error:
        return f"the database was busy: {error.orig}"


def _scrub_sqlite(engine: Engine) -> str | None:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={WAIT_MS}")
        cursor.execute("VACUUM")
        busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.close()
    except Exception as error:
        if isinstance(error, engine.dialect.loaded_dbapi.Error):
            return f"the database was busy: {error}"
        raise
    finally:
        connection.close()
    return "somebody was reading, and the log of writes could not be emptied" if busy else None


def _scrub_postgres(engine: Engine, tables: list[str]) -> str | None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_WAIT}'"))
        try:
            for table in tables:
                connection.execute(text(f'VACUUM (FULL, ANALYZE) "{table}"'))
        finally:
            connection.execute(text("SET lock_timeout = DEFAULT"))
    return None
