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
