"""Two experts in two browsers and a server that dies in the middle: nothing lost, nothing doubled.

They work through a queue that both must review in full, with known answers first, marks and
corrections, and through blind pairs. Afterwards the database is counted.
"""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from backend.db import connect
from backend.settings import Settings
from backend.tables.review import Correction, Preference, Review, ReviewItem, Span
from tests.browser.at_desk import (
    key_of,
    open_queue_named,
    pairs_of,
    select_points,
    slot_on_screen,
    wait_for_next,
    wait_until_draft,
    wait_until_drawn,
)
from tests.browser.conftest import VIEW, WAIT_MS, Desk, sign_in
from tests.browser.seed_desk import EXPERTS, seed_desk
from tests.browser.servers import running_server
from tests.fixtures_ports import lasting_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
ITEMS = 3


def rate(page: Page, *, correct: bool) -> None:
    """Answer one item of `shared` with a mark, and where asked with a correction; submit it."""
    slot = slot_on_screen(page)
    select_points(page, 0, 4)
    page.keyboard.press("m")
    for key in ("1", "1", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector(".marks li")
    page.keyboard.press("Escape")
    if correct:
        page.locator(f"{key_of(slot, 'correct')} button").click()
        page.locator("[class*='st-key-correction-'] textarea").fill(f"Corrected under {slot}.")
    box = page.locator(f"[class*='st-key-question-{slot}-']").first
    box.locator("button", has_text="Fail").first.click()
    page.locator(f".st-key-answer-{slot}-omissions-none button").click()
    page.locator(f".st-key-answer-{slot}-usefulness-3 button").click()
    page.wait_for_function("document.querySelectorAll('.strop-question .tick').length >= 3")
    page.keyboard.press("Control+Enter")
    wait_for_next(page, slot)


def vote(page: Page) -> None:
    """Vote on one pair and submit."""
    from playwright.sync_api import TimeoutError as PlaywrightTimeout

    slot = slot_on_screen(page)
    chosen = page.locator(f"{key_of(slot, 'vote')}-left button:has-text('✓')")
    for _ in range(20):  # a key is dead while the item loads
        page.keyboard.press("a")
        with suppress(PlaywrightTimeout):
            chosen.wait_for(timeout=3_000)
            break
    assert chosen.count() == 1
    page.keyboard.press("Control+Enter")
    wait_for_next(page, slot)


def work(pages: list[Page], queue: str) -> None:
    """Both take items in turn until neither gets another."""
    waiting = list(pages)
    while waiting:
        for page in list(waiting):
            wait_until_drawn(page)
            if page.locator(".st-key-feedback-next").count():
                page.get_by_role("button", name="Next item").click()
                slot_on_screen(page)
            elif page.locator(".strop-state").count():
                waiting.remove(page)
            elif queue == "shared":
                rate(page, correct=page is pages[0])
            else:
                vote(page)


def test_two_work_and_the_server_dies(chromium: Browser, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, port=0)
    seeded = seed_desk(settings, shared=ITEMS)
    sessions = connect(settings)
    pages = [chromium.new_context(**VIEW).new_page() for _ in EXPERTS]
    for page in pages:
        page.set_default_timeout(WAIT_MS)
    port = lasting_port()
    with running_server(settings, port=port) as (address, process):
        desk = Desk(address, settings, seeded, sessions)
        for page, name in zip(pages, EXPERTS, strict=True):
            sign_in(page, desk, name)
            open_queue_named(page, pairs_of(desk))
            vote(page)
        held = [slot_on_screen(page) for page in pages]
        for page, slot in zip(pages, held, strict=True):
            page.keyboard.press("e")
            wait_until_draft(desk, slot, winner="tie")
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running_server(settings, port=port):
        for page, slot in zip(pages, held, strict=True):
            page.goto(address + "/")
            page.wait_for_selector("[data-testid=stButtonGroup]")
            assert open_queue_named(page, pairs_of(desk)) == slot
            page.wait_for_selector(f"{key_of(slot, 'vote')}-tie button:has-text('✓')")
        work(pages, "pairs")
        for page in pages:
            open_queue_named(page, "shared")
        work(pages, "shared")
    for page in pages:
        page.context.close()
    check_counts(desk)
    sessions.kw["bind"].dispose()


def check_counts(desk: Desk) -> None:
    """Every item has one counted review by each expert, with all that belongs to it."""
    with desk.sessions() as session:
        done = session.scalars(select(Review).where(Review.state == "submitted")).all()
        queues = {item.id: item.queue_id for item in session.scalars(select(ReviewItem))}
        counted = Counter(
            (queues[review.item_id], review.purpose, review.reviewer_id) for review in done
        )
        once = Counter((review.item_id, review.reviewer_id) for review in done)
        marks = session.scalars(select(Span.review_id)).all()
        corrections = session.scalars(select(Correction)).all()
        votes = session.scalars(select(Preference.review_id)).all()
    single, pair = desk.seeded.single_queue_id, desk.seeded.pair_queue_id
    people = {review.reviewer_id for review in done}
    assert len(people) == 2
    assert set(once.values()) == {1}
    assert counted == {
        **{(pair, "review", who): ITEMS for who in people},
        **{(single, "review", who): ITEMS for who in people},
        **{(single, "gold", who): 1 for who in people},
    }
    assert len(votes) == len(set(votes)) == 2 * ITEMS
    assert len(marks) == len(set(marks)) == 2 * (ITEMS + 1)
    assert len(corrections) == ITEMS + 1
