"""A real server on a free port over a seeded project, and a real headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.db import connect
from backend.settings import Settings
from tests.browser.seed import PASSWORD, Seeded, seed_project
from tests.browser.seed_desk import seed_desk
from tests.browser.seed_quality import seed_quality
from tests.browser.seed_talk import seed_talk
from tests.browser.servers import running_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
]
# What moves costs the processor a drawing for each frame; nobody looks at it here.
VIEW: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
WAIT_MS = 60_000
COOKIE = "strop_session"
HERE = "http://127.0.0.1"


@dataclass(frozen=True)
class Desk:
    """A seeded project and the server in front of it."""

    address: str
    settings: Settings
    seeded: Seeded
    sessions: sessionmaker[Session]
    cookies: dict[str, Any] = field(default_factory=dict)


@contextmanager
def seeded_desk(home: Path, **seed: int) -> Iterator[Desk]:
    """Seed a project in `home` and serve it."""
    settings = Settings(home=home, port=0)
    seeded = seed_project(settings, **seed)
    sessions = connect(settings)
    with running_server(settings) as (address, _):
        yield Desk(address, settings, seeded, sessions)
    sessions.kw["bind"].dispose()


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The demo project, served."""
    with seeded_desk(tmp_path_factory.mktemp("desk")) as served:
        yield served


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Queues of one item for texts that are hard to mark, two that two experts share, and what
    `seed_quality` and `seed_talk` add; served."""
    settings = Settings(home=tmp_path_factory.mktemp("clinic"), port=0)
    seeded = seed_desk(settings, shared=5)
    seed_quality(settings)
    seed_talk(settings)
    sessions = connect(settings)
    with running_server(settings) as (address, _):
        yield Desk(address, settings, seeded, sessions)
    sessions.kw["bind"].dispose()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The installed Chromium, headless, with a new profile."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium: install the package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def profile(chromium: Browser) -> Iterator[BrowserContext]:
    """The profile of all tabs of `page`: it holds what was loaded and compiled of the pages' code,
    which takes a new one longer than all else. An empty tab stays open."""
    context = chromium.new_context(**VIEW)
    context.new_page()
    yield context
    context.close()


@pytest.fixture
def page(profile: BrowserContext) -> Iterator[Page]:
    """A tab that knows nobody, for one test."""
    with watched_tab(profile) as tab:
        yield tab


class OneTab:
    """A class whose tests share a tab, in which each goes on where the one before ended: to load a
    page takes longer than most of what is done on it."""

    @pytest.fixture(scope="class")
    @classmethod
    def page(cls, profile: BrowserContext) -> Iterator[Page]:
        """A tab that knows nobody at first."""
        with watched_tab(profile) as tab:
            yield tab


@contextmanager
def watched_tab(profile: BrowserContext) -> Iterator[Page]:
    """A tab; an alert, a request to another host and whatever the page's Content-Security-Policy
    had to stop is an error at its end."""
    tab = profile.new_page()
    tab.set_default_timeout(WAIT_MS)
    alerts: list[str] = []
    origins: set[str] = set()
    stopped: list[str] = []
    heard = {
        "console": lambda line: (
            stopped.append(line.text) if "Content Security Policy" in line.text else None
        ),
        "request": lambda request: origins.add(_origin(request.url)),
    }
    tab.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    for event, listener in heard.items():
        profile.on(event, listener)  # type: ignore[call-overload]
    yield tab
    _forget(profile, origins)
    for event, listener in heard.items():
        profile.remove_listener(event, listener)
    assert alerts == []
    assert stopped == []
    assert {origin for origin in origins if not origin.startswith(HERE)} == set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails tells what stood on its page."""
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and page is not None and not page.is_closed():
        from playwright.sync_api import Error

        with suppress(Error):  # the page may hang: the failure itself is reported anyway
            report.sections.append((f"page at {page.url}", page.inner_text("body", timeout=5_000)))
    return report


def _forget(profile: BrowserContext, origins: set[str]) -> None:
    """Close what is open, and leave nothing of what pages stored."""
    empty, *used = profile.pages
    for tab in used:
        tab.close()
    profile.set_offline(False)
    profile.unroute_all()
    profile.clear_cookies()
    protocol = profile.new_cdp_session(empty)
    for origin in origins:
        protocol.send(
            "Storage.clearDataForOrigin",
            {"origin": origin, "storageTypes": "local_storage,indexeddb,service_workers"},
        )
    protocol.detach()


def _origin(url: str) -> str:
    return HERE if url.startswith(("data:", "blob:")) else "/".join(url.split("/")[:3])


def fill_in_form(page: Page, desk: Desk, name: str, *, path: str = "/") -> None:
    """Ask for a page, sign in by the form, and wait for the dashboard."""
    page.goto(desk.address + path)
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-testid=stMainBlockContainer]")


def sign_in(page: Page, desk: Desk, name: str, *, path: str = "/") -> None:
    """Open a page as somebody: by the form once for each server, afterwards by their cookie."""
    if name in desk.cookies:
        page.context.add_cookies([desk.cookies[name]])
        page.goto(desk.address + path)
        page.wait_for_selector("[data-testid=stMainBlockContainer]")
        return
    fill_in_form(page, desk, name, path=path)
    (desk.cookies[name],) = [c for c in page.context.cookies() if c["name"] == COOKIE]


def go_on(page: Page, desk: Desk, name: str) -> None:
    """Be at the desk as somebody: as the test before left it, else by a sign-in."""
    at_desk = urlsplit(page.url)._replace(query="", fragment="").geturl() == f"{desk.address}/"
    if not (at_desk and name in desk.cookies and desk.cookies[name] in page.context.cookies()):
        sign_in(page, desk, name)
