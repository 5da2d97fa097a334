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

import psycopg

from tests.fixtures_ports import lasting_port

URL_VARIABLE = "STROP_TEST_POSTGRES_URL"
START_SECONDS = 120


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


EMPTY = """
DO $$
DECLARE
    held record;
    filled boolean;
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    FOR held IN SELECT schemaname, tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I)', held.schemaname, held.tablename)
            INTO filled;
        IF filled THEN
            EXECUTE format('TRUNCATE %I.%I CASCADE', held.schemaname, held.tablename);
        END IF;
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


def empty_postgres(url: str) -> str:
    """Take all rows out of a database, numbers from the start; returns its schema in words.

    What other connections still do there is ended.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(EMPTY)
    return schema_of(url)


def schema_of(url: str) -> str:
    """Columns, indexes, triggers and version of a database, to compare; empty where it has none."""
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            row = connection.execute(SCHEMA).fetchone()
        except psycopg.errors.UndefinedTable:
            return ""
    return str(row[0]) if row else ""
