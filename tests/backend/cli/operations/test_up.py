"""`strop up`: who is sent to the form, and a worker that comes back and ends with the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from uvicorn.config import STARTUP_FAILURE

from backend.cli.operations import api_processes, up
from backend.cli.operations import worker_process as worker_process_module
from backend.cli.operations.api_processes import application, check_processes
from backend.cli.operations.worker_process import worker_process
from backend.db import utc_now
from backend.errors import Conflict, InvalidInput
from backend.services.accounts.sealing import KEY_FILE
from backend.settings import Settings
from backend.tables.accounts import Token
from tests.benchmarks._review_rate import measure_rate, served_by, servers_of
from tests.benchmarks._review_seed import seed_queue

ROOT = Path(__file__).parents[4]


def scope(path: str, *, method: str = "GET", accept: str = "text/html", cookie: str = "") -> Any:
    headers = [(b"accept", accept.encode()), (b"cookie", cookie.encode())]
    return {"type": "http", "method": method, "path": path, "headers": headers}


def wait_for(condition: Callable[[], bool], *, seconds: float = 120.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


@pytest.mark.parametrize(
    ("request_scope", "sent"),
    [
        (scope("/"), True),
        (scope("/runs"), True),
        (scope("/", cookie="other=1"), True),
        (scope("/", cookie="a=b; strop_session=x"), False),
        (scope("/api/v1/me"), False),
        (scope("/_stcore/health"), False),
        (scope("/static/js/x.js", accept="*/*"), False),
        (scope("/", method="POST"), False),
    ],
)
def test_who_is_sent_to_the_form(request_scope: Any, sent: bool) -> None:
    assert (up.wants_page(request_scope) and not up.has_session(request_scope)) is sent


@pytest.mark.parametrize("page", ["/a-b", "/a-b?queue=3&x=1%2B1", "/gr%C3%BCn"])
def test_the_form_knows_where_to_go_on(page: str) -> None:
    from urllib.parse import parse_qs, urlsplit

    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.testclient import TestClient

    app = Starlette(middleware=[Middleware(up.SignInFirst)])
    with TestClient(app) as client:
        answer = client.get(page, headers={"accept": "text/html"}, follow_redirects=False)
    assert answer.status_code == 303
    form = urlsplit(answer.headers["location"])
    assert (form.path, parse_qs(form.query)) == ("/api/v1/login", {"next": [page]})


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8500"),
        ("0.0.0.0", "http://127.0.0.1:8500"),
        ("::", "http://[::1]:8500"),
        ("desk.example", "http://desk.example:8500"),
    ],
)
def test_the_address_that_is_printed(host: str, address: str) -> None:
    assert up.web_address(host, 8500) == address


def test_a_taken_port_is_said() -> None:
    with up.bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match="--port"), up.bind("127.0.0.1", port):
            pass


def test_parts_exclude_each_other() -> None:
    with pytest.raises(InvalidInput):
        up.command(api_only=True, dashboard_only=True)


def test_a_dashboard_alone_must_know_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STROP_API_URL", raising=False)
    with pytest.raises(InvalidInput, match="STROP_API_URL"):
        up.command(dashboard_only=True)


def test_a_worker_that_dies_is_started_again_and_ended_at_the_end(tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(_: Settings, pulse: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        started.append(process)
        return process

    with worker_process(Settings(home=tmp_path), start=start):
        wait_for(lambda: len(started) == 1)
        os.kill(started[0].pid, signal.SIGKILL)
        wait_for(lambda: len(started) == 2)
        assert started[1].poll() is None
    assert started[1].poll() is not None


BEATS = "import os, sys, time\nwhile True: os.write(int(sys.argv[1]), b'.'); time.sleep(.1)"
STUCK = "import time; time.sleep(600)"


@pytest.mark.parametrize(("code", "starts"), [(BEATS, 1), (STUCK, 2)])
def test_a_worker_without_a_sign_of_life_is_killed_and_started_again(
    tmp_path: Path, code: str, starts: int
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(_: Settings, pulse: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", code, str(pulse)]
        started.append(subprocess.Popen(command, pass_fds=(pulse,)))
        return started[-1]

    with worker_process(Settings(home=tmp_path), start=start, silence=3.0):
        wait_for(lambda: len(started) == 1)
        time.sleep(4.0)
        wait_for(lambda: len(started) >= starts)
        assert len(started) == starts
        assert (started[0].poll() is None) is (starts == 1)


@pytest.mark.parametrize(
    ("proxies", "client", "seen"),
    [
        ([], "127.0.0.1", ("127.0.0.1", "http")),
        ([], "203.0.113.7", ("203.0.113.7", "http")),
        (["10.0.0.0/8"], "10.1.2.3", ("198.51.100.9", "https")),
        (["10.0.0.0/8"], "127.0.0.1", ("127.0.0.1", "http")),
        (["10.1.2.3"], "203.0.113.7", ("203.0.113.7", "http")),
    ],
)
def test_only_named_proxies_say_who_asks(
    proxies: list[str], client: str, seen: tuple[str, str]
) -> None:
    """Otherwise whoever asks from this machine takes another address for each try to sign in."""
    import asyncio

    found: list[tuple[str, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append((scope["client"][0], scope["scheme"]))

    config = up.server_config(app, proxies)
    config.load()
    headers = [
        (b"x-forwarded-for", b"203.0.113.250, 198.51.100.9"),
        (b"x-forwarded-proto", b"https"),
    ]
    asked = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "scheme": "http",
        "headers": headers,
        "client": (client, 5),
        "server": ("127.0.0.1", 1),
    }
    asyncio.run(config.loaded_app(asked, None, None))
    assert found == [seen]


@pytest.mark.parametrize(
    ("url", "n", "dashboard", "said"),
    [
        ("sqlite:///x.db", 2, False, "SQLite"),
        ("postgresql://a@b/c", 2, True, "dashboard"),
        ("postgresql://a@b/c", 0, False, "has to be"),
    ],
)
def test_several_processes_are_refused_where_they_cannot_serve(
    url: str, n: int, dashboard: bool, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        check_processes(Settings(database_url=url), n, dashboard=dashboard)
    assert refused.value.hint


def test_a_process_whose_start_would_fail_again_is_not_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a key that is none: the supervisor ends, and says so."""
    monkeypatch.setattr(worker_process_module, "end_with_parent", lambda: None)
    monkeypatch.setattr("backend.logs.log_without_words", lambda: None)
    monkeypatch.setenv("STROP_HOME", str(tmp_path))
    (tmp_path / KEY_FILE).write_bytes(b"no key")
    with pytest.raises(SystemExit) as ended:
        application()
    assert ended.value.code == STARTUP_FAILURE


NO_START = """
import socket
from pathlib import Path
from backend.cli.operations import api_processes
from backend.errors import Conflict
from backend.settings import Settings

api_processes.APPLICATION = "failing:application"
with socket.create_server(("127.0.0.1", 0)) as listener:
    try:
        api_processes.run_processes(Settings(home=Path(HOME)), listener, 2)
    except Conflict as error:
        print(error.message)
"""


def test_processes_that_cannot_start_end_their_supervisor_at_once(tmp_path: Path) -> None:
    """Not after the minute for which it waits to hear from one that lives."""
    code = NO_START.replace("HOME", repr(str(tmp_path)))
    (tmp_path / "failing.py").write_text("def application():\n    raise SystemExit(3)\n")
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ended.stdout.strip() == "The server did not start."


def test_a_process_that_outlived_its_supervisor_serves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_process_module, "end_with_parent", lambda: None)
    gone = SimpleNamespace(is_alive=lambda: False)
    monkeypatch.setattr(api_processes, "parent_process", lambda: gone)
    with pytest.raises(SystemExit) as ended:
        application()
    assert ended.value.code == 1


@pytest.mark.parametrize("url", ["sqlite:///x.db", "postgresql://a@b/c"])
def test_one_process_serves_on_either_database(url: str) -> None:
    check_processes(Settings(database_url=url), 1, dashboard=True)


@pytest.mark.deep
@pytest.mark.postgres
def test_of_two_processes_one_is_killed_and_no_review_is_lost(
    postgres_url: str, tmp_path: Path
) -> None:
    seeded = seed_queue(tmp_path, postgres_url, items=120, people=6)
    found = measure_rate(seeded, processes=2, rate=10, seconds=6, killing=True)
    seeded.sessions.kw["bind"].dispose()
    assert found["killed_and_started_again"]
    assert {found[name] for name in ("lost", "doubled", "items_with_too_many", "refused")} == {0}
    assert found["reviews"] == 60


@pytest.mark.deep
@pytest.mark.postgres
def test_what_is_revoked_ends_in_every_process_and_they_end_with_their_supervisor(
    postgres_url: str, tmp_path: Path
) -> None:
    seeded = seed_queue(tmp_path, postgres_url, items=2, people=2)
    kept, revoked = seeded.tokens

    def statuses(port: int, token: str) -> set[int]:
        url = f"http://127.0.0.1:{port}/api/v1/me"  # a connection each: any process may take it
        headers = {"Authorization": f"Bearer {token}"}
        return {httpx.get(url, headers=headers).status_code for _ in range(20)}

    with served_by(seeded, 2) as (port, supervisor):
        assert statuses(port, revoked) == {200}
        with seeded.sessions.begin() as session:
            ended = session.scalars(select(Token).order_by(Token.id.desc())).first()
            assert ended is not None
            ended.revoked_at = utc_now()
        assert statuses(port, revoked) == {401}
        assert statuses(port, kept) == {200}
        servers = servers_of(supervisor)
        assert len(servers) == 2
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in servers), seconds=30)
    seeded.sessions.kw["bind"].dispose()
