"""What tests do at the desk in a browser: find a queue, select words, read what was stored, and
look for what keeps people out."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backend.tables.review import Review
from tests.browser.conftest import WAIT_MS, Desk
from tests.browser.contrast import texts_too_faint

if TYPE_CHECKING:
    from playwright.sync_api import Page

READY = (
    "() => { const item = document.documentElement.dataset.stropItem;"
    " return item && document.documentElement.dataset.stropRead === item"
    " && document.querySelector(`.st-key-submit-${item}`) !== null; }"
)
SAVED = ".strop-saved.kept:has-text('Saved '):visible"
ANSWERED = "document.querySelectorAll('.strop-question .tick').length"
OUTPUT = ".strop-text.output"
DRAWN = (
    "() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
    " && !document.querySelector('[data-stale=true], [data-testid=stSkeleton]')"
)
OVERFLOW = (
    "(() => { const main = document.querySelector('[data-testid=stMain]');"
    " return main.scrollWidth - main.clientWidth; })()"
)
SERIOUS = ("serious", "critical")
AT_REST = "for (const one of document.getAnimations()) try { one.finish(); } catch {}"  # or endless
SELECT = """([start, end]) => {
  const root = document.querySelector('.strop-text.output[contenteditable]');
  const at = (point) => {
    for (const leaf of root.querySelectorAll('[data-s]')) {
      const from = Number(leaf.dataset.s), to = Number(leaf.dataset.e);
      if (point < from || point > to) continue;
      const text = leaf.textContent;
      if (leaf.dataset.exact !== '') return [leaf.firstChild, point > from ? text.length : 0];
      return [leaf.firstChild, [...text].slice(0, point - from).join('').length];
    }
  };
  root.focus();
  getSelection().setBaseAndExtent(...at(start), ...at(end));
}"""


def slot_on_screen(page: Page) -> str:
    """The lease on screen, as `slot-version`, once keys are for it."""
    page.wait_for_function(READY)
    slot: str = page.evaluate("document.documentElement.dataset.stropItem")
    return slot


def reload(page: Page) -> None:
    """Load the page anew once it knows that all was saved: before that, the browser asks."""
    page.wait_for_selector(SAVED)
    page.reload()


def wait_until_drawn(page: Page) -> None:
    """Wait until the page's script has ended, and all that it drew stands still in full colour."""
    page.wait_for_function(DRAWN)
    page.evaluate(AT_REST)


def open_queue_named(page: Page, name: str) -> str:
    """Choose a queue; returns the lease of its item.

    While a queue is being drawn, the keys and buttons of the one before may still be there: what
    was on screen must have gone before a lease is read.
    """
    page.wait_for_function(f"() => ({READY})() || document.querySelector('.strop-state')")
    before = page.evaluate("document.documentElement.dataset.stropItem ?? null")
    bar = f".strop-bar:has-text('{name}')"
    changes = page.locator(bar).count() == 0
    page.get_by_test_id("stButtonGroup").get_by_text(name, exact=True).first.click()
    page.wait_for_selector(bar)
    if changes:
        page.wait_for_function(
            "slot => document.documentElement.dataset.stropItem !== slot", arg=before
        )
    return slot_on_screen(page)


def pairs_of(desk: Desk) -> str:
    """What reviewers call the queue of blind pairs: its own name may name models."""
    return f"Blind pairs {desk.seeded.pair_queue_id}"


def wait_for_next(page: Page, slot: str) -> None:
    """Wait until another item, or none, is on screen."""
    page.wait_for_function(
        "slot => document.documentElement.dataset.stropItem !== slot"
        " || document.querySelector('.strop-state')",
        arg=slot,
    )
    if page.locator(".strop-state").count() == 0:
        page.wait_for_function(READY)


def select_points(page: Page, start: int, end: int) -> None:
    """Select code points of the output, as a mouse would leave them selected."""
    page.evaluate(SELECT, [start, end])


def draft_of(desk: Desk, slot: str) -> dict[str, Any]:
    """The draft that the server holds for a lease."""
    slot_id, version = map(int, slot.split("-"))
    query = select(Review.draft).where(Review.slot_id == slot_id, Review.slot_version == version)
    with desk.sessions() as session:
        return dict(session.scalar(query) or {})


def wait_until_draft(desk: Desk, slot: str, **parts: Any) -> dict[str, Any]:
    """Wait until the server holds a draft with these parts."""
    draft: dict[str, Any] = {}
    for _ in range(WAIT_MS // 50):
        draft = draft_of(desk, slot)
        if all(_matches(draft.get(name), part) for name, part in parts.items()):
            return draft
        time.sleep(0.05)
    raise AssertionError(f"the draft is {draft}")


def _matches(value: Any, part: Any) -> bool:
    return bool(part(value)) if callable(part) else bool(value == part)


def key_of(slot: str, name: str) -> str:
    """A selector for the element of a Streamlit key of this lease."""
    return f".st-key-{re.sub(r'[^A-Za-z0-9_-]', '-', f'{name}-{slot}')}"


def violations(page: Page) -> list[Any]:
    """What axe finds that hinders people, with the element; texts too faint; a page too wide."""
    from axe_core_python.sync_playwright import Axe

    wait_until_drawn(page)
    found: list[dict[str, Any]] = Axe().run(page)["violations"]
    hindering = [
        (one["id"], node["html"][:200])
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
    over = page.evaluate(OVERFLOW)
    too_wide = [f"{over} pixels too wide"] if over > 0 else []
    return hindering + texts_too_faint(page) + too_wide
