"""A conversation at the desk: its turns, links and search in them, formatted text, a correction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from backend.tables.accounts import User
from backend.tables.review import Correction, Review
from tests.browser.at_desk import (
    ANSWERED,
    select_points,
    slot_on_screen,
    violations,
    wait_for_next,
    wait_until_draft,
    wait_until_drawn,
)
from tests.browser.conftest import VIEW, Desk, OneTab, go_on
from tests.browser.seed_talk import ANSWER, EXPERT, QUESTION, SAID

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
TURN = ".strop-turns > li"
IN_SIGHT = """(selector) => {
  const at = document.querySelector(selector).getBoundingClientRect();
  const box = document.querySelector('.strop-reader .scroll').getBoundingClientRect();
  return at.top >= box.top - 1 && at.bottom <= box.bottom + 1;
}"""
MADE_OF_TEXT = (
    "() => document.querySelectorAll('.strop-reader .strop-text script, .strop-reader .strop-text"
    " img, .strop-reader .strop-text a, .strop-reader .strop-text b').length"
)


def open_talk(page: Page, clinic: Desk) -> str:
    go_on(page, clinic, EXPERT)
    slot = slot_on_screen(page)
    page.wait_for_selector(".strop-reader .claim")
    return slot


def switch_formatted(page: Page) -> None:
    page.locator("[data-testid=stCheckbox]:has-text('Formatted') label").click()


class TestTalk(OneTab):
    def test_turns_are_a_list_and_the_last_question_is_in_sight(
        self, page: Page, clinic: Desk
    ) -> None:
        open_talk(page, clinic)
        assert page.get_by_role("list", name="Conversation").get_by_role("listitem").count() == len(
            SAID
        )
        labels = page.locator(f"{TURN} .strop-label").all_inner_texts()
        assert [label.split(",")[0].lower() for label in labels] == [role for role, _ in SAID]
        assert QUESTION in page.locator(TURN).last.inner_text()
        assert page.evaluate(IN_SIGHT, f"{TURN}:last-child")
        assert not page.evaluate(IN_SIGHT, f"{TURN}:first-child")
        assert page.locator(f"{TURN}.system .strop-text").is_hidden()
        assert "<script>alert('script')</script>" in page.inner_text(".strop-source")
        assert page.evaluate(MADE_OF_TEXT) == 0

    def test_links_and_the_search_lead_into_the_turns(self, page: Page, clinic: Desk) -> None:
        open_talk(page, clinic)
        page.locator(".claim.told:has-text('48231')").hover()
        lit = page.locator(f"{TURN}.user .place.lit")
        lit.wait_for()
        assert lit.all_inner_texts() == ["48231"]
        assert page.evaluate(IN_SIGHT, ".place.lit")
        page.locator(".claim.told:has-text('39.90')").hover()
        page.wait_for_selector(f"{TURN}.tool .place.lit")
        page.fill(".strop-reader .find input", "telephone")
        page.wait_for_selector(f"{TURN}.system .hit.here")
        assert page.locator(f"{TURN}.system .strop-text").is_visible()

    def test_formatted_text_is_read_and_not_marked(self, page: Page, clinic: Desk) -> None:
        slot = open_talk(page, clinic)
        start = ANSWER.index("ticket 99999")
        select_points(page, start, start + len("ticket 99999"))
        page.keyboard.press("m")
        page.wait_for_selector(".strop-reader .panel")
        page.keyboard.type("12")
        page.keyboard.press("Enter")
        wait_until_draft(clinic, slot, spans=lambda spans: len(spans or []) == 1)
        switch_formatted(page)
        output = page.locator(".strop-text.output.formatted")
        output.wait_for()
        assert output.locator("table td").all_inner_texts() == [
            "line",
            "29.90 EUR",
            "router",
            "10.00 EUR",
        ]
        assert output.locator("strong").inner_text() == "39.90 EUR"
        assert "the terms (https://evil.example/terms) ![x](http://evil" in output.inner_text()
        assert '  "contract": {\n    "monthly"' in page.locator(f"{TURN}.tool pre").inner_text()
        assert page.evaluate(MADE_OF_TEXT) == 0
        assert page.get_by_text("Switch to raw text to mark.").count() == 1
        page.keyboard.press("m")
        page.wait_for_selector(".strop-reader .say:has-text('Switch to raw text to mark.')")
        marks = page.locator(".strop-reader .marks li")
        assert ("ticket 99999" in marks.inner_text(), marks.get_by_role("button").count()) == (
            True,
            0,
        )
        assert page.locator(".strop-flags li:has-text('10.00 EUR')").count() == 1
        assert violations(page) == []
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 390, "height": 900})
        assert violations(page) == []
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(VIEW["viewport"])
        switch_formatted(page)
        page.wait_for_selector(".strop-text.output .error")
        marks.get_by_role("button", name="Delete").click()
        wait_until_draft(clinic, slot, spans=None)

    def test_the_switch_stays_where_it_was_put(self, page: Page, clinic: Desk) -> None:
        open_talk(page, clinic)
        switch_formatted(page)
        page.wait_for_selector(".strop-text.output.formatted")
        page.get_by_role("link", name="Guide").click()
        page.wait_for_selector(
            "h1:has-text('Working at the desk'), h2:has-text('Working at the desk')"
        )
        page.get_by_role("link", name="Desk").click()
        page.wait_for_selector(".strop-text.output.formatted")
        switch_formatted(page)

    def test_the_last_answer_is_corrected_and_sent(self, page: Page, clinic: Desk) -> None:
        slot = open_talk(page, clinic)
        for n, keys in enumerate((["2"], ["1", "Enter"], ["3"]), start=1):
            for key in keys:
                page.keyboard.press(key)
            page.wait_for_function(f"n => {ANSWERED} === n", arg=n)
        page.keyboard.press("e")
        page.locator("[class*='st-key-correction-'] textarea").fill("You pay 39.90 EUR.")
        page.wait_for_selector(
            "[class*='st-key-correction-'] ins, [class*='st-key-correction-'] del"
        )
        wait_until_drawn(page)
        assert page.evaluate(IN_SIGHT, f"{TURN}:last-child")  # though its pane has become smaller
        page.keyboard.press("Control+Enter")
        wait_for_next(page, slot)
        mine = select(Correction.text).join(Review).join(User, User.id == Review.reviewer_id)
        with clinic.sessions() as session:
            assert session.scalars(mine.where(User.name == EXPERT)).all() == ["You pay 39.90 EUR."]
