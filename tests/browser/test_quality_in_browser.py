"""What keeps reviews honest, from both sides: an expert's word against a known answer, a verdict.

The expert and the lead each have a browser of their own; what they decide is in the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from backend.tables.accounts import User
from backend.tables.review import Adjudication, GoldResult, QueueMember, Rating, Review
from tests.browser.at_desk import (
    open_queue_named,
    slot_on_screen,
    wait_for_next,
    wait_until_drawn,
)
from tests.browser.conftest import VIEW, WAIT_MS, Desk, sign_in
from tests.browser.seed_quality import EXPERT, EXPLANATION, LEAD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
CONTESTED = select(GoldResult).where(GoldResult.contest_reason.is_not(None)).order_by(GoldResult.id)
ANSWERS = ("verdict-pass", "omissions-none", "usefulness-4")
KEPT, TAKEN_BACK = "The note says 5 mg of it.", "One may read it so."


@contextmanager
def at_work(chromium: Browser, clinic: Desk, name: str, *, path: str = "/") -> Iterator[Page]:
    """A browser in which somebody has signed in."""
    context = chromium.new_context(**VIEW)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    sign_in(page, clinic, name, path=path)
    yield page
    context.close()


def answer(page: Page) -> None:
    """Answer the item on screen and submit it."""
    slot = slot_on_screen(page)
    for name in ANSWERS:
        page.locator(f".st-key-answer-{slot}-{name} button").click()
        page.wait_for_selector(f".st-key-answer-{slot}-{name} button:has-text('✓')")
    page.keyboard.press("Control+Enter")
    wait_for_next(page, slot)


def contest(page: Page, reason: str) -> None:
    """Hold the known answer that is told to be wrong."""
    page.get_by_text("The known answer is another one").wait_for()
    wait_until_drawn(page)
    assert EXPLANATION in page.inner_text("[data-testid=stMain]")
    page.get_by_text("The known answer is wrong").click()
    words = page.get_by_label("What is wrong with it?")
    words.fill(reason)
    words.press("Enter")
    page.get_by_role("button", name="Contest it").click()
    page.get_by_text("A lead looks at it").wait_for()
    page.get_by_role("button", name="Next item").click()


def resolve(page: Page, contested: str, button: str, reason: str) -> None:
    """Decide on a contest, with a reason."""
    card = page.locator("[class*='st-key-contest-card-']", has_text=contested)
    box = card.get_by_role("textbox")
    box.fill(reason)
    box.press("Enter")
    card.get_by_role("button", name=button).click()


def test_a_known_answer_is_contested_and_a_lead_decides(
    page: Page, chromium: Browser, clinic: Desk
) -> None:
    expert = page
    sign_in(expert, clinic, EXPERT)
    with at_work(chromium, clinic, LEAD) as lead:
        open_queue_named(expert, "known")
        for reason in ("It was 3 mg <b>then</b>.", "Nobody says so."):
            answer(expert)
            contest(expert, reason)
        expert.get_by_text("Let us pause for a moment").wait_for()

        with clinic.sessions() as session:
            result = session.scalars(CONTESTED).first()
            assert result is not None
            queue_id = result.gold.item.queue_id
        lead.goto(f"{clinic.address}/reviewers?queue={queue_id}")
        resolve(lead, "It was 3 mg <b>then</b>.", "Uphold", KEPT)
        lead.get_by_text("The known answer stands.").wait_for()
        resolve(lead, "Nobody says so.", "Withdraw", TAKEN_BACK)
        lead.get_by_text("Back at work").wait_for()
        wait_until_drawn(lead)
        lead.get_by_text("Contests that were settled").first.click()
        settled = lead.get_by_role("table", name="Contests that were settled").inner_text()
        assert KEPT in settled
        assert TAKEN_BACK in settled
        assert lead.locator("[class*='st-key-contest-card-']").count() == 0

        expert.get_by_role("button", name="Look again").click()
        slot_on_screen(expert)
        expert.reload()
        slot_on_screen(expert)
        assert KEPT in expert.inner_text(".st-key-desk-history")
    check_contests(clinic)


def check_contests(clinic: Desk) -> None:
    """Both contests with what became of them; the expert is paused no more."""
    with clinic.sessions() as session:
        found = session.scalars(CONTESTED).all()
        paused = session.scalars(
            select(QueueMember.paused_at)
            .join(User, User.id == QueueMember.user_id)
            .where(User.name == EXPERT)
        ).all()
        assert [(one.resolution, one.resolution_reason) for one in found] == [
            ("upheld", KEPT),
            ("withdrawn", TAKEN_BACK),
        ]
        assert set(paused) == {None}


def test_a_disagreement_is_settled_by_one_who_sees_no_names(
    chromium: Browser, clinic: Desk
) -> None:
    with clinic.sessions() as session:
        named = {
            user.name: user.pseudonym for user in session.scalars(select(User)) if user.simulated
        }
        (before,) = session.scalars(select(Adjudication)).all()
    said = answers_to(clinic, before.item_id)
    with at_work(chromium, clinic, EXPERT) as expert:
        expert.get_by_test_id("stButtonGroup").get_by_text("disputed", exact=True).click()
        expert.get_by_role("button", name="Settle a disagreement").click()
        slot_on_screen(expert)
        shown = expert.inner_text("[data-testid=stMain]")
        for words in ("Critical fail", "Pass", "Plan or follow-up", "omissions: none / plan"):
            assert words in shown
        written = (expert.locator("[data-testid=stMain]").text_content() or "").lower()
        assert not [name for pair in named.items() for name in pair if name.lower() in written]
        answer(expert)
    after = answers_to(clinic, before.item_id)
    assert len(after) == 3
    assert said.items() <= after.items()
    with clinic.sessions() as session:
        decided = session.get_one(Adjudication, before.id)
    assert {decided.review_id} == after.keys() - said.keys()
    with at_work(chromium, clinic, LEAD) as lead:
        lead.goto(f"{clinic.address}/adjudication?queue={decided.queue_id}")
        lead.get_by_text("Every disagreement is decided").wait_for()
        wait_until_drawn(lead)
        rows = lead.locator("[data-testid=stMain] tbody tr").all_inner_texts()
    assert "verdict by" in rows[0].lower()
    assert all(pseudonym in "".join(rows[1:3]) for pseudonym in named.values())


def answers_to(clinic: Desk, item_id: int) -> dict[int, dict[str, str]]:
    """What each review of an item said, by review."""
    query = (
        select(Rating.review_id, Rating.criterion, Rating.value)
        .join(Review, Review.id == Rating.review_id)
        .where(Review.item_id == item_id)
    )
    found: dict[int, dict[str, str]] = {}
    with clinic.sessions() as session:
        for review_id, criterion, value in session.execute(query):
            found.setdefault(review_id, {})[criterion] = value
    return found
