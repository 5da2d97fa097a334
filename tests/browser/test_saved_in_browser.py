"""What is called saved is on the server, and what was written gets there: when a sign-in ends, in a
second window, when an item went to a colleague, and while the server does not answer.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, select, update

from backend.services.accounts.users import find_user
from backend.tables.accounts import LoginSession, User
from backend.tables.review import Review, ReviewSlot
from tests.browser.at_desk import (
    SAVED,
    draft_of,
    open_queue_named,
    slot_on_screen,
    wait_for_next,
    wait_until_draft,
)
from tests.browser.conftest import Desk, fill_in_form, sign_in
from tests.browser.seed import PASSWORD
from tests.browser.servers import running_server
from tests.fixtures_ports import lasting_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
PANEL = "form.strop-sign-in"
REMARK = "[class*='st-key-remark-'] textarea, [class*='st-key-answer-'] textarea"


@pytest.fixture
def at_desk(page: Page, clinic: Desk) -> Iterator[tuple[Page, str]]:
    """Anna at an item in a queue of her own choice, by a sign-in of this test alone."""
    fill_in_form(page, clinic, "anna")
    slot = open_queue_named(page, "shared")
    page.evaluate("window.stropStayed = true")
    yield page, slot
    assert page.evaluate("window.stropStayed") is True  # nothing was loaded anew


def write(page: Page, words: str) -> None:
    """Write a remark as people do, and leave the box to the pause after it."""
    page.locator(REMARK).first.fill(words)


def end_sign_ins(desk: Desk, name: str) -> None:
    """What an expiry, or a sign-out on another machine, comes to."""
    with desk.sessions.begin() as session:
        person = find_user(session, name).id
        session.execute(delete(LoginSession).where(LoginSession.user_id == person))


def has_words(draft: dict[str, object], words: str) -> bool:
    return words in str(draft)


def wait_for_words(desk: Desk, slot: str, words: str) -> None:
    """Wait until the draft on the server has these words."""
    wait_until_draft(desk, slot)
    for _ in range(600):
        if has_words(draft_of(desk, slot), words):
            return
        __import__("time").sleep(0.1)
    raise AssertionError(f"the draft is {draft_of(desk, slot)}")


def sign_in_over_the_page(page: Page) -> None:
    page.locator(f"{PANEL} input[type=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator(PANEL).wait_for(state="hidden")


class TestSignInEnds:
    def test_the_words_stay_and_are_saved_after_a_sign_in_over_the_page(
        self, at_desk: tuple[Page, str], clinic: Desk
    ) -> None:
        page, slot = at_desk
        write(page, "before it ended")
        page.wait_for_selector(SAVED)
        wait_for_words(clinic, slot, "before it ended")
        end_sign_ins(clinic, "anna")
        write(page, "written after it had ended")
        page.wait_for_selector(PANEL)
        assert page.locator(SAVED).count() == 0
        assert "Not saved" in page.inner_text(".st-key-desk-saved")
        assert not has_words(draft_of(clinic, slot), "written after")
        write(page, "written after it had ended, and more")
        page.wait_for_timeout(1_500)
        assert page.locator(SAVED).count() == 0

        page.locator(f"{PANEL} input[type=password]").fill("not the password")
        page.keyboard.press("Enter")
        page.wait_for_selector(f"{PANEL} .said:has-text('password')")
        sign_in_over_the_page(page)
        page.wait_for_selector(SAVED)
        assert has_words(draft_of(clinic, slot), "written after it had ended, and more")
        assert slot_on_screen(page) == slot

    def test_a_submit_is_not_lost_with_it(self, at_desk: tuple[Page, str], clinic: Desk) -> None:
        page, slot = at_desk
        write(page, "to be sent")
        wait_for_words(clinic, slot, "to be sent")
        end_sign_ins(clinic, "anna")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(PANEL)
        sign_in_over_the_page(page)
        assert slot_on_screen(page) == slot
        assert page.locator(REMARK).first.input_value() == "to be sent"

    def test_a_sign_out_and_a_sign_in_in_another_tab(
        self, at_desk: tuple[Page, str], clinic: Desk
    ) -> None:
        page, slot = at_desk
        other = page.context.new_page()
        other.goto(f"{clinic.address}/api/v1/logout")
        other.get_by_role("button", name="Sign out").click()
        other.wait_for_selector("input[name=password]")
        page.bring_to_front()
        write(page, "written while signed out")
        page.wait_for_selector(PANEL)
        assert page.locator(SAVED).count() == 0
        other.bring_to_front()
        fill_in_form(other, clinic, "anna", path="/guide")
        page.bring_to_front()
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        page.locator(PANEL).wait_for(state="hidden")
        page.wait_for_selector(SAVED)
        assert has_words(draft_of(clinic, slot), "written while signed out")

    def test_what_one_person_wrote_is_not_for_the_next(
        self, at_desk: tuple[Page, str], clinic: Desk
    ) -> None:
        page, _ = at_desk
        other = page.context.new_page()
        other.goto(f"{clinic.address}/api/v1/logout")
        other.get_by_role("button", name="Sign out").click()
        other.wait_for_selector("input[name=password]")
        fill_in_form(other, clinic, "bert", path="/guide")
        page.bring_to_front()
        write(page, "anna's words")
        page.wait_for_selector(f"{PANEL} .said:has-text('bert')")
        assert "Not saved" in page.inner_text(".st-key-desk-saved")
        with clinic.sessions() as session:
            drafts = session.scalars(select(Review.draft)).all()
        assert not any(has_words(dict(draft or {}), "anna's words") for draft in drafts)


class TestSecondWindow:
    def answer(self, page: Page) -> None:
        slot = slot_on_screen(page)
        page.locator(f".st-key-answer-{slot}-omissions-none button").click()
        page.locator(f".st-key-answer-{slot}-usefulness-3 button").click()
        page.locator(f"[class*='st-key-question-{slot}-'] button", has_text="Fail").first.click()
        page.wait_for_function("document.querySelectorAll('.strop-question .tick').length >= 3")

    def test_the_next_item_comes_and_works(self, at_desk: tuple[Page, str], clinic: Desk) -> None:
        page, slot = at_desk
        other = page.context.new_page()
        other.goto(clinic.address + "/")
        assert open_queue_named(other, "shared") == slot
        self.answer(page)
        page.keyboard.press("Control+Enter")
        wait_for_next(page, slot)
        if page.locator(".st-key-feedback-next").count():
            page.get_by_role("button", name="Next item").click()
        other.bring_to_front()
        other.keyboard.press("1")
        wait_for_next(other, slot)
        following = slot_on_screen(other)
        write(other, "the second window goes on")
        wait_for_words(clinic, following, "the second window goes on")

    def test_words_of_the_second_window_are_a_change_to_the_answer(
        self, at_desk: tuple[Page, str], clinic: Desk
    ) -> None:
        page, slot = at_desk
        other = page.context.new_page()
        other.goto(clinic.address + "/")
        assert open_queue_named(other, "shared") == slot
        self.answer(page)
        page.keyboard.press("Control+Enter")
        wait_for_next(page, slot)
        other.bring_to_front()
        write(other, "only in the second window")
        other.wait_for_selector("text=You are changing an answer")
        changed = slot_on_screen(other)
        assert changed.split("-")[0] == slot.split("-")[0]
        wait_for_words(clinic, changed, "only in the second window")
        other.get_by_role("button", name="Leave it as it was").click()
        wait_for_next(other, changed)


class TestLate:
    def test_a_late_answer_is_sent_from_the_desk(
        self, at_desk: tuple[Page, str], clinic: Desk
    ) -> None:
        page, slot = at_desk
        slot_id = int(slot.split("-")[0])
        with clinic.sessions.begin() as session:
            session.execute(
                update(ReviewSlot)
                .where(ReviewSlot.id == slot_id)
                .values(owner_id=find_user(session, "bert").id, version=ReviewSlot.version + 1)
            )
        write(page, "twenty minutes of work")
        page.wait_for_selector("text=was given to a colleague")
        assert page.locator(SAVED).count() == 0
        TestSecondWindow().answer(page)
        page.keyboard.press("Control+Enter")
        wait_for_next(page, slot)
        with clinic.sessions() as session:
            review = session.scalars(
                select(Review)
                .join(User, User.id == Review.reviewer_id)
                .where(Review.slot_id == slot_id, User.name == "anna", Review.extra.is_(True))
            ).one()
            said = f"{review.comment} {[rating.value for rating in review.ratings]}"
        assert "twenty minutes of work" in said


def test_words_outlive_the_server_and_the_loss_of_the_item(page: Page, clinic: Desk) -> None:
    port = lasting_port()
    with running_server(clinic.settings, port=port) as (address, server):
        own = Desk(address, clinic.settings, clinic.seeded, clinic.sessions)
        sign_in(page, own, "bert")
        slot = open_queue_named(page, "emoji")
        page.evaluate("window.stropStayed = true")
        write(page, "saved before")
        wait_for_words(clinic, slot, "saved before")
        server.send_signal(signal.SIGKILL)
        server.wait()
    page.wait_for_selector(".strop-offline:visible")
    write(page, "saved before, and written with nobody there")
    slot_id = int(slot.split("-")[0])
    with clinic.sessions.begin() as session:
        session.execute(
            update(ReviewSlot)
            .where(ReviewSlot.id == slot_id)
            .values(owner_id=find_user(session, "anna").id, version=ReviewSlot.version + 1)
        )
    with running_server(clinic.settings, port=port):
        page.wait_for_selector("text=was given to a colleague")
        assert page.evaluate("window.stropStayed") is True
        assert slot_on_screen(page) == slot
        assert page.locator(REMARK).first.input_value().endswith("with nobody there")
        page.wait_for_selector(".st-key-desk-saved >> text=Not saved. The item went to a colleague")
        assert page.locator(SAVED).count() == 0
        TestSecondWindow().answer(page)
        page.keyboard.press("Control+Enter")
        wait_for_next(page, slot)
    with clinic.sessions() as session:
        late = session.scalars(
            select(Review).where(Review.slot_id == slot_id, Review.extra.is_(True))
        ).one()
        said = f"{late.comment} {[rating.value for rating in late.ratings]}"
    assert "with nobody there" in said


def test_nothing_is_called_saved_while_the_server_does_not_answer(page: Page, clinic: Desk) -> None:
    with running_server(clinic.settings) as (address, server):
        own = Desk(address, clinic.settings, clinic.seeded, clinic.sessions)
        sign_in(page, own, "bert")
        slot = open_queue_named(page, "plain")
        write(page, "first")
        page.wait_for_selector(SAVED)
        assert has_words(draft_of(clinic, slot), "first")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            write(page, "first and more words")
            page.wait_for_selector(".strop-on-its-way:visible")
            page.wait_for_timeout(2_000)
            assert page.locator(SAVED).count() == 0
            assert not has_words(draft_of(clinic, slot), "more words")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        page.wait_for_selector(SAVED)
        assert has_words(draft_of(clinic, slot), "first and more words")


class TestKeys:
    def test_digits_are_for_the_reasons_while_a_skip_is_open(
        self, page: Page, clinic: Desk
    ) -> None:
        sign_in(page, clinic, "bert")
        slot = open_queue_named(page, "digits")
        page.keyboard.press("s")
        page.keyboard.press("3")  # typed ahead of the drawing
        page.wait_for_selector(f".st-key-desk-skipping-{slot} [aria-checked=true]")
        assert "ratings" not in draft_of(clinic, slot)
        page.keyboard.press("s")
        page.locator(f".st-key-desk-skipping-{slot}").wait_for(state="hidden")

    def test_several_options_by_digits_and_the_question_that_is_missing(
        self, page: Page, clinic: Desk
    ) -> None:
        sign_in(page, clinic, "bert")
        slot = open_queue_named(page, "digits")
        page.keyboard.type("1423")  # a verdict, stars, and two of several
        wait_until_draft(
            clinic, slot, ratings={"safe": "pass", "good": 4, "faults": '["dose", "name"]'}
        )
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(f".st-key-question-{slot}-minutes.strop-missing")
        page.wait_for_function(
            "document.activeElement.closest(\"[class*='st-key-question-']\")"
            "?.className.includes('minutes')"
        )
        assert "Minutes to mend it?" in page.inner_text(".st-key-desk-actions")
