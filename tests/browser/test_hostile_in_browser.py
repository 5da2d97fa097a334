"""Hostile text in every place where text can come from: shown as text, nothing runs or loads.

The fixture `page` fails on an alert and on a request to another host.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.at_desk import open_queue_named, pairs_of
from tests.browser.conftest import Desk, OneTab, go_on, seeded_desk, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
INJECTED = (
    "() => document.querySelectorAll('.strop-text script, .strop-text img, .strop-text h1,"
    " .strop-text a, .strop-table img, .strop-facts img').length"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A project whose every test example tries to be markup."""
    with seeded_desk(tmp_path_factory.mktemp("hostile"), ordinary=0, hostile=12) as served:
        yield served


class TestDesk(OneTab):
    @pytest.mark.parametrize("queue", ["summaries", "pairs"])
    def test_at_the_desk(self, page: Page, hostile: Desk, queue: str) -> None:
        go_on(page, hostile, "anna")
        open_queue_named(page, pairs_of(hostile) if queue == "pairs" else queue)
        page.wait_for_selector(".strop-text:has-text('<script>')")
        shown = page.inner_text(".strop-source")
        for piece in (
            "<script>alert('script')</script>",
            "![image](http://evil",
            "␛[31m",
            "⟨U+202E⟩",
        ):
            assert piece in shown
        assert page.evaluate(INJECTED) == 0

    def test_in_the_correction_and_its_diff(self, page: Page, hostile: Desk) -> None:
        go_on(page, hostile, "anna")
        open_queue_named(page, "summaries")
        page.get_by_role("button", name="Correct the answer").click()
        box = page.locator("[class*='st-key-correction-'] textarea")
        box.wait_for()
        box.fill(box.input_value() + "<img src=x onerror=alert(5)><b>bold</b>")
        page.wait_for_selector("[class*='st-key-correction-'] ins")
        diff = page.locator("[class*='st-key-correction-'] .diff")
        assert "<b>bold</b>" in diff.inner_text()
        assert diff.locator("img, b, script").count() == 0


def test_on_the_pages_of_engineers(page: Page, hostile: Desk) -> None:
    sign_in(page, hostile, "lena", path="/runs")
    page.get_by_role("tab", name="Outputs").click()
    page.wait_for_selector(".strop-text:has-text('<script>')")
    assert page.evaluate(INJECTED) == 0
