"""An expert at the desk in a real browser: what they do is in the database, and nothing is lost."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from backend.tables.accounts import User
from backend.tables.review import (
    Correction,
    Preference,
    Rating,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
)
from tests.browser.at_desk import (
    ANSWERED,
    open_queue_named,
    pairs_of,
    reload,
    slot_on_screen,
    wait_for_next,
    wait_until_draft,
    wait_until_drawn,
)
from tests.browser.conftest import Desk, OneTab, fill_in_form, go_on, sign_in
from tests.browser.servers import running_server
from tests.fixtures_ports import lasting_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def answer_by_digits(page: Page, digits: str) -> None:
    """Type the digits as fast as they go, and wait until every question has its tick."""
    page.keyboard.type(digits)
    page.wait_for_function(f"n => {ANSWERED} === n", arg=len(digits))


def wait_for_saved(page: Page) -> None:
    """Wait for the saved mark."""
    page.wait_for_selector(".strop-saved:has-text('Saved ')")


def reviews(desk: Desk, queue_id: int) -> list[Review]:
    """Anna's submitted reviews of a queue, oldest first."""
    query = (
        select(Review)
        .join(ReviewItem)
        .join(User, User.id == Review.reviewer_id)
        .where(ReviewItem.queue_id == queue_id, User.name == "anna", Review.state == "submitted")
        .order_by(Review.id)
    )
    with desk.sessions() as session:
        return list(session.scalars(query))


class TestSignIn:
    def test_a_wrong_password_is_said_and_the_right_one_leads_on(
        self, page: Page, desk: Desk
    ) -> None:
        page.goto(desk.address + "/")
        page.fill("input[name=name]", "anna")
        page.fill("input[name=password]", "not the password")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=alert]")
        assert "strop_session" not in {c["name"] for c in page.context.cookies()}
        page.fill("input[name=password]", "a-long-password")
        page.keyboard.press("Enter")
        page.wait_for_selector(".strop-source")
        (cookie,) = [c for c in page.context.cookies() if c["name"] == "strop_session"]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")

    def test_one_comes_back_to_the_page_that_was_asked_for(self, page: Page, desk: Desk) -> None:
        fill_in_form(page, desk, "lena", path="/a-b?queue=2")
        page.wait_for_selector("h1:has-text('A/B')")
        assert page.url == f"{desk.address}/a-b?queue=2"

    def test_signing_out_ends_it(self, page: Page, desk: Desk) -> None:
        fill_in_form(page, desk, "anna")
        page.wait_for_selector(".strop-source")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_selector("text=You have signed out")
        page.reload()
        page.wait_for_selector("text=Please sign in")
        assert page.locator(".strop-source").count() == 0

    def test_an_expert_finds_no_page_of_the_engineers(self, page: Page, desk: Desk) -> None:
        sign_in(page, desk, "anna")
        page.wait_for_selector(".strop-source")
        page.goto(desk.address + "/runs")
        page.wait_for_selector("[data-testid=stMainBlockContainer]")
        assert page.locator("h1:has-text('Runs')").count() == 0


class TestRate(OneTab):
    def test_digits_a_correction_and_submit_are_rows(self, page: Page, desk: Desk) -> None:
        go_on(page, desk, "anna")
        page.wait_for_selector(".strop-source")
        slot, before = slot_on_screen(page), len(reviews(desk, desk.seeded.single_queue_id))
        answer_by_digits(page, "222")
        page.keyboard.press("e")
        box = page.locator("[class*='st-key-correction-'] textarea")
        box.wait_for()
        box.fill("Corrected — with 1 2 3 and é.")
        page.wait_for_selector("[class*='st-key-correction-'] ins")
        page.keyboard.press("Control+Enter")
        wait_for_next(page, slot)
        review = reviews(desk, desk.seeded.single_queue_id)[before]
        with desk.sessions() as session:
            ratings = dict(
                session.execute(
                    select(Rating.criterion, Rating.value).where(Rating.review_id == review.id)
                ).all()
            )
            text = session.scalar(select(Correction.text).where(Correction.review_id == review.id))
        assert ratings == {"faithful": "no", "quality": "2", "problem": "invented_fact"}
        assert text == "Corrected — with 1 2 3 and é."
        assert (review.annotator_kind, review.simulated) == ("human", False)
        assert review.active_seconds > 0

    def test_digits_in_a_text_box_answer_nothing(self, page: Page, desk: Desk) -> None:
        go_on(page, desk, "anna")
        page.wait_for_selector(".strop-source")
        box = page.locator("[class*='st-key-answer-'] textarea").first
        box.click()
        page.keyboard.type("12")
        wait_for_saved(page)
        wait_until_drawn(page)
        assert page.evaluate(ANSWERED) == 1  # the question that takes words
        box.fill("")
        page.keyboard.press("Escape")
        page.wait_for_function(f"{ANSWERED} === 0")

    def test_a_reload_in_the_middle_keeps_the_draft(self, page: Page, desk: Desk) -> None:
        go_on(page, desk, "anna")
        page.wait_for_selector(".strop-source")
        slot = slot_on_screen(page)
        answer_by_digits(page, "23")
        page.keyboard.press("e")
        box = page.locator("[class*='st-key-correction-'] textarea")
        box.wait_for()
        box.fill("half a correction")
        wait_until_draft(desk, slot, correction="half a correction")
        reload(page)
        page.wait_for_selector("text=Draft restored")
        assert slot_on_screen(page) == slot
        page.wait_for_function(f"{ANSWERED} === 2")
        assert page.locator("[class*='st-key-correction-'] textarea").input_value() == (
            "half a correction"
        )

    def test_skip_passes_the_item_on(self, page: Page, desk: Desk) -> None:
        go_on(page, desk, "anna")
        page.wait_for_selector(".strop-source")
        slot = slot_on_screen(page)
        page.keyboard.press("s")
        page.get_by_text("Not my field").click()
        page.get_by_role("button", name="Skip this item").click()
        wait_for_next(page, slot)
        with desk.sessions() as session:
            reason = session.scalar(
                select(Review.skip_reason).where(Review.slot_id == int(slot.split("-")[0]))
            )
        assert reason == "Not my field"


class TestVote:
    def test_keys_vote_on_a_blind_pair(self, page: Page, desk: Desk) -> None:
        sign_in(page, desk, "anna")
        open_queue_named(page, pairs_of(desk))
        page.wait_for_selector(".strop-label:text-is('Answer A')")
        body = page.inner_text("[data-testid=stMainBlockContainer]")
        assert "v1@" not in body
        for key, answer in (("a", "left"), ("b", "right"), ("x", "both_bad")):
            slot = slot_on_screen(page)
            page.keyboard.press(key)
            page.wait_for_selector(f"[class*='st-key-vote-{slot}-{answer}'] button:has-text('✓')")
            page.keyboard.press("Control+Enter")
            wait_for_next(page, slot)
        with desk.sessions() as session:
            rows = session.execute(
                select(Preference.winner, ReviewItem.a_is_left)
                .join(Review, Review.id == Preference.review_id)
                .join(ReviewItem, ReviewItem.id == Review.item_id)
                .where(Review.simulated.is_(False))
                .order_by(Preference.id)
            ).all()
        expected = [
            "a" if rows[0].a_is_left else "b",
            "b" if rows[1].a_is_left else "a",
            "both_bad",
        ]
        assert [row.winner for row in rows] == expected


class TestTwenty:
    def test_twenty_items_in_a_row_and_each_is_there_once(self, page: Page, desk: Desk) -> None:
        sign_in(page, desk, "anna")
        page.wait_for_selector(".strop-source")
        before = len(reviews(desk, desk.seeded.single_queue_id))
        with desk.sessions() as session:
            open_slots = session.scalar(
                select(func.count()).where(
                    ReviewSlot.queue_id == desk.seeded.single_queue_id, ReviewSlot.state != "done"
                )
            )
        assert open_slots is not None
        wanted = min(20, open_slots - 2)
        for _ in range(wanted):
            slot = slot_on_screen(page)
            page.keyboard.type("151")
            page.wait_for_function(f"{ANSWERED} >= 3")
            page.keyboard.press("Control+Enter")
            wait_for_next(page, slot)
        found = reviews(desk, desk.seeded.single_queue_id)[before:]
        assert len(found) == wanted
        assert len({review.item_id for review in found}) == wanted


class TestServerDies:
    def test_a_killed_server_loses_no_draft(
        self, page: Page, desk: Desk, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        port = lasting_port()
        with running_server(desk.settings, port=port) as (address, process):
            own = Desk(address, desk.settings, desk.seeded, desk.sessions)
            sign_in(page, own, "anna")
            slot = open_queue_named(page, pairs_of(desk))
            page.wait_for_selector(".strop-label:text-is('Answer A')")
            page.keyboard.press("e")
            wait_until_draft(own, slot, winner="tie")
            process.send_signal(signal.SIGKILL)
            process.wait()
        with running_server(desk.settings, port=port):
            page.goto(address + "/")
            assert open_queue_named(page, pairs_of(desk)) == slot
            page.wait_for_selector(f"[class*='st-key-vote-{slot}-tie'] button:has-text('✓')")
        with desk.sessions() as session:
            assert session.get(ReviewQueue, desk.seeded.pair_queue_id) is not None
