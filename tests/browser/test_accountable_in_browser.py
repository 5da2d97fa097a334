"""A lead on the pages of privacy, health, fairness, audit and sign-in, in a real browser."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyotp
import pytest

from tests.browser.conftest import Desk, seeded_desk, sign_in
from tests.browser.seed import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
PAGES = {
    "health": "No dataset was examined yet",
    "privacy": "This project masks nothing",
    "fairness": "the largest gap is",
    "synthetic": "Nothing was drafted yet",
    "audit": "Is the log what it was?",
    "account": "Set it up",
}
LEAD = "lea"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A server of its own, since a second factor is turned on in it."""
    with seeded_desk(tmp_path_factory.mktemp("office"), ordinary=24) as served:
        yield served


def test_every_page_says_what_it_knows(page: Page, office: Desk) -> None:
    sign_in(page, office, LEAD)
    for path, words in PAGES.items():
        page.goto(f"{office.address}/{path}")
        page.get_by_text(words).first.wait_for()
        assert page.get_by_text("This page broke").count() == 0


def test_a_dossier_is_downloaded_and_checks_itself(
    page: Page, office: Desk, tmp_path: Path
) -> None:
    sign_in(page, office, LEAD, path="/verdicts")
    button = page.get_by_role("button", name="Sign and download")
    button.wait_for()
    key = page.locator("[data-testid=stCode]").last.inner_text().strip()
    with page.expect_download() as download:
        button.click()
    archive = tmp_path / "dossier.tar"
    download.value.save_as(archive)
    with tarfile.open(archive) as held:
        held.extract("check_dossier.py", tmp_path, filter="data")
    command = [sys.executable, str(tmp_path / "check_dossier.py"), str(archive), key]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0
    archive.write_bytes(archive.read_bytes().replace(b"telecom-desk", b"telecom-disk", 1))
    assert subprocess.run(command, capture_output=True, timeout=120).returncode != 0


def test_a_second_factor_is_set_up_and_asked_for(page: Page, office: Desk) -> None:
    sign_in(page, office, LEAD, path="/account")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Set it up").click()
    page.get_by_text("Scan this").wait_for()
    secret = page.locator("[data-testid=stCode]").inner_text().strip()
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_text("The code is wrong").wait_for()
    page.get_by_label("Code").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_role("heading", name="Recovery codes").wait_for()
    code = page.locator("[data-testid=stCode]").inner_text().split()[0]
    page.context.clear_cookies()
    page.goto(office.address + "/api/v1/login?next=/account")
    page.fill("input[name=name]", LEAD)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_text("Type the six figures").wait_for()
    page.locator("input:visible").first.fill(code)
    page.keyboard.press("Enter")
    page.get_by_text("9 are left").wait_for()
