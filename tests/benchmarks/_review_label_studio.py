"""Label Studio under the same clients: its next task, then an annotation, through its own API.

It is installed from PyPI into a virtual environment of its own in a folder that is removed again,
started by its own command on SQLite, and given one user for each client, as a team would have. The
figure is reviews per second, flat out, without trouble: nobody lapses and nobody dies.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks._review_http import Wire
from tests.fixtures_ports import lasting_port

ADMIN_TOKEN = "0123456789abcdef0123456789abcdef01234567"
START_SECONDS = 300
TASKS = 5_000
CONFIG = """<View><Text name="t" value="$text"/>
<Choices name="faithful" toName="t"><Choice value="yes"/><Choice value="no"/></Choices>
<Rating name="quality" toName="t" maxRating="5"/>
<Choices name="problem" toName="t"><Choice value="none"/><Choice value="invented_fact"/></Choices>
</View>"""
RESULT = [
    {
        "from_name": name,
        "to_name": "t",
        "type": kind,
        "value": {kind: value},
    }
    for name, kind, value in (
        ("faithful", "choices", ["yes"]),
        ("quality", "rating", 5),
        ("problem", "choices", ["none"]),
    )
]
MAKE_USERS = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings.label_studio")
import label_studio
sys.path.insert(0, os.path.dirname(label_studio.__file__))
import django
django.setup()
from organizations.models import Organization
from rest_framework.authtoken.models import Token
from users.models import User
team = Organization.objects.first()
for n in range(int(sys.argv[1])):
    user = User(email=f"expert{n}@example.org", username=f"expert{n}", active_organization=team)
    user.set_unusable_password()
    user.save()
    team.add_user(user)
    print("TOKEN", Token.objects.get_or_create(user=user)[0].key)
"""


@dataclass(frozen=True)
class Studio:
    """A running Label Studio: where it is and how to run code beside it."""

    port: int
    python: Path
    environment: dict[str, str]


def measure_label_studio(
    *, clients: int, venv: Path | None = None, seconds: float = 150.0
) -> dict[str, Any]:
    """Reviews per second with this many clients for this long; and its version."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with running(venv or install(folder / "venv"), folder / "data") as studio:
            print("Label Studio is up; making a project and users", flush=True)
            project_id = make_project(studio)
            tokens = make_users(studio, clients)
            print("Label Studio is loaded now", flush=True)
            times: dict[str, list[float]] = {"next": [], "submit": []}
            done, refused, took = asyncio.run(
                annotate_all(studio.port, project_id, tokens, times, seconds)
            )
            version = _call(studio.port, "GET", "/api/version")["release"]
    return {
        "version": version,
        "clients": clients,
        "reviews": done,
        "refused": refused,
        "seconds": round(took, 1),
        "reviews_per_second": round(done / took, 2),
        **{f"{act}_p50_ms": _median(values) for act, values in times.items()},
    }


def install(folder: Path) -> Path:
    """A virtual environment with Label Studio from PyPI."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/pip", "install", "-q", "label-studio"], check=True)
    return folder


@contextmanager
def running(venv: Path, data: Path) -> Iterator[Studio]:
    """Label Studio by its own command, on SQLite; ended with all that it started."""
    data.mkdir(parents=True)
    port = lasting_port()
    environment = {
        **os.environ,
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "COLLECT_ANALYTICS": "False",
        "LATEST_VERSION_CHECK": "False",
        "LOG_LEVEL": "ERROR",
    }
    person = ["--username", "lead@example.org", "--password", "correct horse"]
    command = [venv / "bin/label-studio", "start", "--no-browser", "--port", str(port)]
    options = ["--data-dir", data, *person, "--user-token", ADMIN_TOKEN]
    with (data / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options], stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        _wait_until_up(port, process)
        yield Studio(port, venv / "bin/python", environment)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_up(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            _call(port, "GET", "/api/current-user/whoami")
        except (OSError, urllib.error.URLError):
            time.sleep(1.0)
        else:
            return
    raise RuntimeError("Label Studio did not come up")


def make_project(studio: Studio) -> int:
    """A project with the questions of our rubric and enough tasks."""
    made = _call(studio.port, "POST", "/api/projects", {"title": "load", "label_config": CONFIG})
    tasks = [{"text": f"She pays EUR {n}.90 a month."} for n in range(TASKS)]
    _call(studio.port, "POST", f"/api/projects/{made['id']}/import", tasks)
    return int(made["id"])


def make_users(studio: Studio, count: int) -> list[str]:
    """Tokens of this many users; its API makes none, so its own models do."""
    ran = subprocess.run(
        [studio.python, "-c", MAKE_USERS, str(count)],
        env=studio.environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return [line.split()[1] for line in ran.stdout.splitlines() if line.startswith("TOKEN ")]


@dataclass
class Tally:
    """Annotations that were stored, and refusals, until the time is up."""

    done: int = 0
    refused: int = 0


async def annotate_all(
    port: int,
    project_id: int,
    tokens: Sequence[str],
    times: dict[str, list[float]],
    seconds: float,
) -> tuple[int, int, float]:
    """All clients at once until the time is up: annotations stored, refusals, seconds.

    What is under way then is cut off and not counted; on a slow machine it can be all of it.
    """
    tally, started = Tally(), time.perf_counter()
    clients = [
        asyncio.create_task(_annotate(Wire(port, f"Token {token}", times), project_id, tally))
        for token in tokens
    ]
    _, under_way = await asyncio.wait(clients, timeout=seconds)
    took = time.perf_counter() - started
    for client in under_way:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return tally.done, tally.refused, took


async def _annotate(wire: Wire, project_id: int, tally: Tally) -> None:
    while True:
        status, task = await wire.ask("next", "GET", f"/api/projects/{project_id}/next")
        if status != 200:
            tally.refused += 1
            await asyncio.sleep(0.5)
            continue
        path = f"/api/tasks/{task['id']}/annotations/"
        status, _ = await wire.ask("submit", "POST", path, {"result": RESULT, "lead_time": 30})
        tally.done += status == 201
        tally.refused += status != 201


def _call(port: int, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"Authorization": f"Token {ADMIN_TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.loads(answer.read())


def _median(values: list[float]) -> float:
    return round(sorted(values)[len(values) // 2], 1) if values else -1.0
