"""A PostgreSQL server for tests: the one that is named, else an installed one started here."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from tests.fixtures_ports import lasting_port

URL_VARIABLE = "STROP_TEST_POSTGRES_URL"
START_SECONDS = 120
Connection = psycopg.Connection[tuple[Any, ...]]


def find_binaries() -> Path | None:
    """The folder with initdb and postgres, newest version first; None where none is installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    for folder in reversed(debian):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _as_unprivileged(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as `postgres`, who gets the folder."""
    if os.geteuid() != 0:
        return {}
    owner = pwd.getpwnam("postgres")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _wait_until_up(url: str, process: subprocess.Popen[bytes], data: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"postgres ended at once: {log.read_text()[-2000:]}")
        try:
            with psycopg.connect(url, connect_timeout=10) as connection:
                found = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            assert found == (str(data),), "another server has the port"
            return
    raise RuntimeError(f"postgres did not come up in {START_SECONDS} s: {log.read_text()[-2000:]}")


@contextmanager
def running_postgres(binaries: Path) -> Iterator[str]:
    """Start a throw-away server on a free port; yields the URL of its `postgres` database."""
    folder = Path(tempfile.mkdtemp(prefix="strop-pg-"))
    folder.chmod(0o755)
    identity = _as_unprivileged(folder)
    data, log, port = folder / "data", folder / "log", lasting_port()
    # A postgres user may not read our working directory.
    common = {"cwd": folder, **identity}
    initdb = [binaries / "initdb", "-D", data, "-A", "trust", "-U", "strop", "-E", "UTF8", "-N"]
    subprocess.run(initdb, check=True, capture_output=True, **common)
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": 200,
    }
    options = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options], stdout=out, stderr=out, **common
        )
    url = f"postgresql://strop@127.0.0.1:{port}/postgres"
    try:
        _wait_until_up(url, process, data, log)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=120)
        shutil.rmtree(folder, ignore_errors=True)


# Rows are deleted and not truncated: to truncate makes a new file of each of a hundred tables and
# indexes. A replica asks for no keys and fires no triggers.
EMPTY = """
DO $$
DECLARE
    held record;
BEGIN
    SET LOCAL session_replication_role = replica;
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    FOR held IN SELECT schemaname, tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP
        EXECUTE format('DELETE FROM %I.%I', held.schemaname, held.tablename);
    END LOOP;
    FOR held IN SELECT schemaname, sequencename FROM pg_sequences WHERE last_value IS NOT NULL
    LOOP
        EXECUTE format('ALTER SEQUENCE %I.%I RESTART', held.schemaname, held.sequencename);
    END LOOP;
    FOR held IN SELECT nspname FROM pg_namespace
        WHERE nspname NOT IN ('public', 'information_schema') AND nspname NOT LIKE 'pg\\_%'
    LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', held.nspname);
    END LOOP;
END $$
"""
SCHEMA = """
SELECT string_agg(line, chr(10) ORDER BY line) FROM (
    SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
        AS line FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT format('%s %s', tgrelid::regclass, tgname) FROM pg_trigger
    UNION ALL SELECT 'version ' || version_num FROM alembic_version
) AS lines
"""


def schema_of(connection: Connection) -> str:
    """Columns, indexes, triggers and version of a database, to compare; empty where it has none."""
    try:
        row = connection.execute(SCHEMA).fetchone()
    except psycopg.errors.UndefinedTable:
        return ""
    return str(row[0]) if row else ""


class SharedDatabase:
    """A copy of a migrated database, which tests use one after the other.

    One connection to it stays open: a new one would read the catalogue anew after every test.

    Attributes:
        url: of the copy.
    """

    def __init__(self, server: str, template: str) -> None:
        self._server, self._template = server, template
        self._name = f"strop_{uuid4().hex[:12]}"
        self.url = database_of(server, self._name)
        self._make()
        self._schema = schema_of(self._own)

    def _make(self) -> None:
        execute(self._server, f"CREATE DATABASE {self._name} TEMPLATE {self._template}")
        self._own = psycopg.connect(self.url, autocommit=True)

    def empty(self) -> None:
        """Take all rows out, numbers from the start; what other connections still do is ended.

        A database whose schema was changed is made anew.
        """
        self._own.execute(EMPTY)
        if schema_of(self._own) != self._schema:
            self.drop()
            self._make()

    def drop(self) -> None:
        """Be no more."""
        self._own.close()
        execute(self._server, f"DROP DATABASE {self._name} WITH (FORCE)")


def database_of(server: str, name: str) -> str:
    """URL of another database of a server."""
    return f"{server.rpartition('/')[0]}/{name}"


def execute(url: str, statement: str) -> None:
    """One statement, committed."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
