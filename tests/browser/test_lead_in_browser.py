"""An engineer on every page in a real browser: figures with plots, votes, the curve, an export."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.browser.at_desk import wait_until_drawn
from tests.browser.conftest import Desk, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
PAGES = {
    "": "telecom-desk",
    "prompts": "Prompts",
    "runs": "Runs",
    "verdicts": "Verdicts",
    "training": "Training",
    "rounds": "Rounds",
    "lineage": "Lineage",
    "export": "Export",
    "queues": "Queues",
    "open-a-queue": "Open a queue",
    "a-b": "A/B",
    "agreement": "Agreement",
    "reviewers": "Reviewers",
    "adjudication": "Adjudication",
    "guides": "Guides",
}
PLOTS = {"runs": 4, "a-b": 2, "training": 1}


def test_every_page_is_drawn(page: Page, desk: Desk) -> None:
    sign_in(page, desk, "lena")
    for path, title in PAGES.items():
        page.goto(f"{desk.address}/{path}")
        page.locator("h1", has_text=title).first.wait_for()
        plots = PLOTS.get(path, 0)
        page.wait_for_function(
            "n => document.querySelectorAll('[data-testid=stVegaLiteChart] canvas,"
            " [data-testid=stVegaLiteChart] svg.marks').length >= n",
            arg=plots,
        )
        assert page.get_by_text("This page broke").count() == 0


def test_what_is_simulated_says_so(page: Page, desk: Desk) -> None:
    sign_in(page, desk, "lena", path="/a-b")
    page.wait_for_selector(".strop-tag.simulated")
    page.goto(f"{desk.address}/queues")
    page.wait_for_selector(".strop-tag.simulated")


def test_down_to_one_output(page: Page, desk: Desk) -> None:
    sign_in(page, desk, "lena", path="/runs")
    page.get_by_role("tab", name="Outputs").click()
    page.wait_for_selector(".strop-label:has-text('Reference answer')")
    wait_until_drawn(page)
    assert page.locator(".strop-label:has-text('base:v1@1')").count() == 1


def test_an_export_is_downloaded(page: Page, desk: Desk) -> None:
    sign_in(page, desk, "lena", path="/export")
    button = page.get_by_role("button", name="Download")
    button.wait_for()
    with page.expect_download() as download:
        button.click()
    assert download.value.suggested_filename == "round-1.sft.jsonl"
    lines = download.value.path().read_text("utf-8").splitlines()
    assert len(lines) == 1
    assert {"prompt", "completion"} <= json.loads(lines[0]).keys()
