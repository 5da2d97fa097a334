"""A running server and its worker speak to this machine alone, whoever asks them for what.

Every process that they start loads a guard (`sitecustomize`) that notes each address and each name
which is not of this machine, before it is reached.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import QUIET, main
from backend.db import connect, utc_now
from backend.services.queue import live_workers
from backend.settings import Settings, child_environment
from tests.browser.servers import running_command
from tests.fixtures_worker import wait_for

GUARD = """
import os, socket
_OURS = ("127.", "::1", "localhost", "0.0.0.0", "::", "")

def _note(address):
    host = address[0] if isinstance(address, tuple) else address
    host = host.decode() if isinstance(host, bytes) else host
    if isinstance(host, str) and not host.startswith("/") and not host.startswith(_OURS[:-1]):
        if host and host != socket.gethostname():
            with open(os.environ["STROP_TEST_CALLS"], "a") as file:
                file.write(host + "\\n")

class _Socket(socket.socket):
    def connect(self, address):
        if self.family != socket.AF_UNIX:
            _note(address)
        return super().connect(address)

    def connect_ex(self, address):
        if self.family != socket.AF_UNIX:
            _note(address)
        return super().connect_ex(address)

_look_up = socket.getaddrinfo

def _noted(host, *rest, **more):
    if host is not None:
        _note((host,))
    return _look_up(host, *rest, **more)

socket.socket, socket.getaddrinfo = _Socket, _noted
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the guard writes; in place for every process that is started."""
    folder, file = tmp_path / "guard", tmp_path / "calls"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(GUARD)
    file.touch()
    path = os.pathsep.join(part for part in (str(folder), os.environ.get("PYTHONPATH")) if part)
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("STROP_TEST_CALLS", str(file))
    return file


def shake_hands(address: str, origin: str) -> bytes:
    """The first line that a WebSocket handshake under this origin is answered with."""
    parts = urlsplit(address)
    key = base64.b64encode(b"0" * 16).decode()
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        f"Origin: {origin}",
    ]
    with socket.create_connection((str(parts.hostname), parts.port), timeout=30) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        return line.recv(200).split(b"\r\n")[0]


@pytest.mark.usefixtures("calls")
def test_the_guard_sees_what_is_called(calls: Path) -> None:
    """Otherwise the test below would pass whatever is called."""
    code = "import socket; s = socket.socket(); s.settimeout(0.1); s.connect_ex(('192.0.2.1', 9))"
    subprocess.run([sys.executable, "-c", code], check=False)
    assert calls.read_text() == "192.0.2.1\n"


def test_a_server_with_its_worker_serves_phones_nowhere_and_ends_cleanly(
    tmp_path: Path, calls: Path
) -> None:
    """The real thing: one port, a real worker, SIGTERM."""
    settings = Settings(home=tmp_path / "home", port=0)
    with pytest.raises(SystemExit):
        main(["init", "desk", "--home", str(settings.home)])
    sessions = connect(settings)
    with running_command(settings) as (address, process):
        assert process.stdout is not None
        assert "Nobody can sign in yet" in process.stdout.readline()
        own = shake_hands(address, address)
        for origin in ("http://evil.example", "http://127.0.0.1:1", "null"):
            assert b" 403 " in shake_hands(address, origin) + b" "
        assert b" 101 " in own
        for path in ("/", "/_stcore/health", "/_stcore/host-config", "/api/healthz"):
            with urllib.request.urlopen(address + path, timeout=60) as answer:
                assert answer.status == 200
                said = answer.read()
        assert json.loads(said) == {"status": "ok"}
        wait_for(lambda: workers_at_work(sessions))
        time.sleep(2)  # it looks for jobs, and beats
        (worker,) = workers_at_work(sessions)
        assert worker in children_of(process.pid)
    assert process.returncode == 0
    wait_for(lambda: not Path(f"/proc/{worker}").exists())
    assert calls.read_text() == ""
    sessions.kw["bind"].dispose()


def workers_at_work(sessions: sessionmaker[Session]) -> list[int]:
    """Processes that work on this database."""
    with sessions() as session:
        return [worker.pid for worker in live_workers(session, now=utc_now())]


def children_of(pid: int) -> list[int]:
    """Processes that this one has started."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    return [int(line) for line in listed.stdout.split()]


def test_libraries_are_told_to_keep_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in QUIET:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    environment = child_environment(Settings(home=tmp_path))
    assert {environment[name] for name in QUIET} == {"1"}
