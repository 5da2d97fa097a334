"""A certified OpenID provider (oidc-provider, on Node) as a process, and Strop beside it.

Needs `node`, and what `npm ci` puts into tests/oidc (make provider); tests that do not find it are
skipped and say so.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

HERE = Path(__file__).parent / "oidc"
SECRET = "a-client-secret-of-the-test"
ROLES = {"ml": "engineer", "ward": "expert", "it": "admin"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass(frozen=True)
class RealProvider:
    """A provider that runs: its issuer, and the file that says who there is."""

    issuer: str
    people: Path

    def say(self, **groups: list[str]) -> None:
        """Who there is from now on, each with their groups."""
        self.people.write_text(json.dumps(groups), encoding="utf-8")

    def settings(self, strop: str) -> dict[str, Any]:
        """The settings by which Strop, reached at `strop`, knows it."""
        return {
            "oidc_issuer": self.issuer,
            "oidc_client_id": "strop",
            "oidc_client_secret": SecretStr(SECRET),
            "oidc_label": "the clinic",
            "oidc_roles": ROLES,
            "oidc_projects": {"ml": ["ours"]},
            "public_url": strop,
        }


@contextmanager
def running_provider(folder: Path, strop: str) -> Iterator[RealProvider]:
    """The provider, on a free port, with Strop as its client."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "oidc-provider").is_dir():
        pytest.skip("no node, or no tests/oidc/node_modules: make provider")
    port, people = free_port(), folder / "people.json"
    found = RealProvider(f"http://127.0.0.1:{port}", people)
    found.say(pia=["ml"])
    log = (folder / "provider.log").open("w", encoding="utf-8")
    command = [node, str(HERE / "provider.mjs"), str(port), str(people), strop]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline(), (folder / "provider.log").read_text()
        yield found
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
        log.close()


@contextmanager
def serving(app: Any, port: int) -> Iterator[None]:
    """An ASGI application on this port."""
    config = uvicorn.Config(
        app, port=port, log_level="warning", ws="none", lifespan="off", access_log=False
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()


@dataclass
class Browser:
    """What a browser does with redirections and forms, page by page."""

    http: httpx.Client

    def go(self, url: str, **form: str) -> httpx.Response:
        """Open a page, or send a form, and follow on to a page that redirects no further."""
        response = self.http.post(url, data=form) if form else self.http.get(url)
        for _ in range(12):
            if not response.is_redirect:
                return response
            response = self.http.get(str(response.url.join(response.headers["location"])))
        raise AssertionError("redirected in a circle")

    def sign_in(self, strop: str, name: str, *, next_path: str = "/api/v1/me") -> httpx.Response:
        """Press the button, fill in the provider's form, agree, come back."""
        page = self.go(f"{strop}/api/v1/oidc/start?next={next_path}")
        for _ in range(3):
            if not (form := re.search(r'action="([^"]+/interaction/[^"]+)"', page.text)):
                return page
            prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
            assert prompt is not None, page.text
            sent = {"prompt": prompt[1]}
            if prompt[1] == "login":
                sent |= {"login": name, "password": "any"}
            page = self.go(form[1], **sent)
        return page
