"""A person signs in at a real provider, in a real browser, and signs out of both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backend.settings import Settings
from tests.browser.conftest import VIEW, WAIT_MS
from tests.browser.seed import seed_project
from tests.browser.servers import running_command
from tests.fixtures_provider import SECRET, RealProvider, free_port, running_provider

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
KEYS = {"secret": "of-the-installation-" + "x" * 20, "vllm_api_key": "key-of-the-vllm-server"}


@dataclass(frozen=True)
class Clinic:
    """Strop, the provider, and the process of the server."""

    strop: str
    provider: RealProvider
    pid: int


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    port = free_port()
    strop = f"http://127.0.0.1:{port}"
    with running_provider(tmp_path, strop) as provider:
        seed_project(Settings(home=tmp_path / "home"), ordinary=6)
        settings = Settings(
            home=tmp_path / "home",
            **provider.settings(strop) | {"oidc_projects": {"ml": ["telecom-desk"]}},
            **KEYS,
            passwords="off",
            port=port,
        )
        with running_command(settings) as (address, process):
            assert address == strop
            yield Clinic(strop, provider, process.pid)


def command_lines(pid: int) -> list[str]:
    """What `ps` shows of a process and of all that it started."""
    below = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for file in below for child in file.read_text().split()]
    own = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return [own, *(line for child in children for line in command_lines(child))]


def test_in_and_out_by_the_provider(clinic: Clinic, chromium: Browser) -> None:
    page = chromium.new_context(**VIEW).new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{clinic.strop}/runs")
    assert page.locator("input[type=password]").count() == 0
    page.get_by_role("link", name="Sign in with the clinic").click()
    page.locator("input[name=login]").fill("pia")
    page.locator("input[name=password]").fill("any")
    page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()  # agrees that Strop learns who she is
    page.get_by_text("Signed in as pia").wait_for()
    assert page.url.startswith(f"{clinic.strop}/runs")
    lines = command_lines(clinic.pid)
    assert len(lines) > 1, "the worker is another process"
    for secret in (SECRET, *KEYS.values()):
        assert not [line for line in lines if secret in line]
    page.goto(f"{clinic.strop}/api/v1/logout")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{clinic.provider.issuer}/**")  # no policy of ours keeps the form back
    page.get_by_role("button", name="Yes, sign me out").click()
    page.wait_for_url(f"{clinic.strop}/api/v1/login*")
    cookies = {cookie["name"] for cookie in page.context.cookies(clinic.strop)}
    assert "strop_session" not in cookies
    assert os.path.exists(f"/proc/{clinic.pid}")
