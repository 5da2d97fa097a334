"""Keys at the desk: what a held key may not do, digits, pairs, the sheet; and what axe says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from backend.tables.review import Preference, Review
from tests.browser.at_desk import (
    key_of,
    open_queue_named,
    pairs_of,
    slot_on_screen,
    violations,
    wait_for_next,
    wait_until_draft,
)
from tests.browser.conftest import Desk, OneTab, go_on, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
COMPONENTS = Path(__file__).parents[2] / "dashboard" / "components"
HELD = """([key, code, ctrl]) => {
  const at = document.activeElement ?? document.body;
  for (let i = 0; i < 20; i++)
    at.dispatchEvent(new KeyboardEvent('keydown',
      {key, code, ctrlKey: ctrl, repeat: i > 0, bubbles: true, cancelable: true, composed: true}));
}"""
SENT_AND_MORE = """() => {
  window.stropPressed = 0;
  document.addEventListener('click', (event) => {
    if (event.composedPath()[0].closest("[class*='st-key-vote-']")) window.stropPressed++;
  });
  for (const [key, code, ctrlKey] of [['Enter', 'Enter', true], ['b', 'KeyB', false]])
    for (const kind of ['keydown', 'keyup'])
      document.body.dispatchEvent(new KeyboardEvent(kind,
        {key, code, ctrlKey, bubbles: true, cancelable: true, composed: true}));
}"""


def votes(desk: Desk) -> int:
    with desk.sessions() as session:
        return session.scalar(select(func.count()).select_from(Preference)) or 0


class TestHeldKeys(OneTab):
    def test_a_held_submit_completes_the_item_on_screen_and_no_other(
        self, page: Page, clinic: Desk
    ) -> None:
        go_on(page, clinic, "anna")
        slot, before = open_queue_named(page, pairs_of(clinic)), votes(clinic)
        page.keyboard.press("a")
        page.wait_for_selector(f"{key_of(slot, 'vote')}-left button:has-text('✓')")
        page.evaluate(HELD, ["Enter", "Enter", True])
        wait_for_next(page, slot)
        page.evaluate(HELD, ["a", "KeyA", False])
        page.evaluate(HELD, ["Enter", "Enter", True])  # never let go of
        page.wait_for_timeout(600)
        assert votes(clinic) == before + 1
        for key in ("Enter", "a"):
            page.keyboard.up(key)  # let go of at last, for the next test

    def test_a_key_pressed_while_an_answer_is_sent_changes_nothing(
        self, page: Page, clinic: Desk
    ) -> None:
        go_on(page, clinic, "anna")
        slot, before = open_queue_named(page, pairs_of(clinic)), votes(clinic)
        page.keyboard.press("a")
        page.wait_for_selector(f"{key_of(slot, 'vote')}-left button:has-text('✓')")
        page.evaluate(SENT_AND_MORE)
        wait_for_next(page, slot)
        assert votes(clinic) == before + 1
        assert page.evaluate("window.stropPressed") == 0

    def test_a_key_held_on_the_submit_button_acts_once(self, page: Page, clinic: Desk) -> None:
        go_on(page, clinic, "anna")
        slot, before = open_queue_named(page, pairs_of(clinic)), votes(clinic)
        page.keyboard.press("x")
        page.wait_for_selector("[class*='-both_bad'] button:has-text('✓')")
        page.locator(f"{key_of(slot, 'submit')} button").focus()
        page.keyboard.down("Enter")
        for _ in range(5):
            page.keyboard.down("Enter")
        wait_for_next(page, slot)
        page.keyboard.up("Enter")
        assert votes(clinic) == before + 1

    def test_keys_in_a_text_box_are_words(self, page: Page, clinic: Desk) -> None:
        go_on(page, clinic, "anna")
        slot = open_queue_named(page, pairs_of(clinic))
        box = page.locator("[class*='st-key-answer-'] textarea").first
        box.click()
        page.keyboard.type("abexs 12")
        draft = wait_until_draft(
            clinic, slot, ratings=lambda found: "abexs 12" in str((found or {}).values())
        )
        assert draft.get("winner") is None


class TestBack:
    def test_the_last_answer_comes_back_and_the_later_one_counts(
        self, page: Page, clinic: Desk
    ) -> None:
        sign_in(page, clinic, "bert")
        slot = open_queue_named(page, pairs_of(clinic))
        page.keyboard.press("b")
        page.wait_for_selector("[class*='-right'] button:has-text('✓')")
        page.keyboard.press("Control+Enter")
        wait_for_next(page, slot)
        page.wait_for_selector(".strop-why:has-text('Why you saw it')")
        waiting = slot_on_screen(page)
        page.keyboard.press("u")
        wait_for_next(page, waiting)
        assert slot_on_screen(page).split("-")[0] == slot.split("-")[0]
        page.wait_for_selector("[class*='-right'] button:has-text('✓')")
        page.keyboard.press("e")
        page.wait_for_selector("[class*='-tie'] button:has-text('✓')")
        page.keyboard.press("Control+Enter")
        page.wait_for_function(
            "slot => document.documentElement.dataset.stropItem === slot", arg=waiting
        )
        query = (
            select(Preference.winner)
            .join(Review)
            .where(Review.slot_id == int(slot.split("-")[0]), Review.superseded_at.is_(None))
        )
        with clinic.sessions() as session:
            assert session.scalars(query).all() == ["tie"]


def test_the_sheet_lists_the_keys_and_swallows_the_others(page: Page, clinic: Desk) -> None:
    sign_in(page, clinic, "bert")
    open_queue_named(page, "plain")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]:has-text('mark the selected words')")
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    page.wait_for_function("document.querySelector('dialog[open]') === null")
    assert page.evaluate("document.querySelectorAll('.strop-question .tick').length") == 0


def test_guidelines_open_and_close_by_a_key(page: Page, clinic: Desk) -> None:
    sign_in(page, clinic, "bert")
    open_queue_named(page, "plain")
    shown = page.locator(".strop-guide").count()
    for n in (1 - shown, shown):
        page.keyboard.press("g")
        page.wait_for_function("n => document.querySelectorAll('.strop-guide').length === n", arg=n)


CLOCK = """async (source) => {
  const url = URL.createObjectURL(new Blob([source], {type: 'text/javascript'}));
  const { Clock } = await import(url);
  let now = 0, focused = true;
  document.hasFocus = () => focused;
  const clock = new Clock(() => now);
  clock.start('1-1', 5, {tone: 2});
  now += 10_000; clock.input('tone');
  now += 3_600_000; clock.input('tone');
  now += 4_000; clock.leave();
  now += 50_000; clock.input(null);
  now += 1_000; clock.input(null);
  focused = false; clock.leave();
  now += 30_000; clock.input('tone');
  now += 30_000; clock.input('tone');
  return clock.read();
}"""


def test_the_clock_cuts_idle_time_at_a_minute_and_stands_still_without_the_focus(
    page: Page,
) -> None:
    assert page.evaluate(CLOCK, (COMPONENTS / "clock.js").read_text("utf-8")) == {
        "item": "1-1",
        "seconds": 5 + 10 + 60 + 4 + 1,
        "by": {"tone": 2 + 10 + 60},
    }


OVERTAKEN = """async ([source, html, data]) => {
  const url = URL.createObjectURL(new Blob([source], {type: 'text/javascript'}));
  const draw = (await import(url)).default;
  const part = document.body.appendChild(document.createElement('div'));
  part.innerHTML = html + "<p class='st-key-here'><button onclick='window.pressed = true'>";
  const once = {data, parentElement: part, setStateValue: () => null};
  const [older, newer] = [draw(once), draw(once)];
  older();
  const written = part.querySelector('textarea');
  if (written) { written.value = 'more'; written.oninput(); older(); }
  document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 's', bubbles: true}));
  const before = [Boolean(window.pressed), document.stropUnsent.size];
  newer();
  window.pressed = false;
  document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 's', bubbles: true}));
  return [...before, Boolean(window.pressed), document.stropUnsent.size];
}"""
KEYS = {"item": "1-1", "sitting": "a", "run": 1, "keys": {"s": "here"}, "help": [], "open": [],
        "taken": 0, "seconds": 0, "by": {}, "skipping": False, "missing": None}  # fmt: skip
BOX = {"item": "1-1", "original": "", "text": "", "label": "", "longest": None, "unseen": False,
       "focus": False, "reasons": [], "reason": None}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "before", "data", "held"),
    [
        ("keys", ("clock", "unsent"), KEYS, [True, 0, False, 0]),
        ("editor", ("unsent",), BOX, [False, 1, False, 0]),
    ],
)
def test_the_end_of_an_older_drawing_takes_nothing_from_a_newer(
    page: Page, part: str, before: tuple[str, ...], data: dict[str, Any], held: list[Any]
) -> None:
    """Drawn twice at once, Streamlit ends the first after the second has begun."""
    source = "\n".join((COMPONENTS / f"{name}.js").read_text("utf-8") for name in (*before, part))
    html = (COMPONENTS / f"{part}.html").read_text("utf-8")
    assert page.evaluate(OVERTAKEN, [source, html, data]) == held


class TestAccess(OneTab):
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [1280, 390])
    def test_nothing_on_the_desk_keeps_anybody_out(
        self, page: Page, clinic: Desk, scheme: Any, width: int
    ) -> None:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        go_on(page, clinic, "bert")
        open_queue_named(page, "plain")
        page.wait_for_selector(".claim.untold")
        page.locator(".strop-text.output").focus()
        page.keyboard.press("Control+Home")
        page.keyboard.press("Control+Shift+ArrowRight")
        page.keyboard.press("m")
        page.wait_for_selector(".panel")
        assert violations(page) == []
        page.keyboard.press("Escape")
        if page.locator("[class*='st-key-correction-']").count() == 0:
            page.locator(f"{key_of(slot_on_screen(page), 'correct')} button").click()
        page.locator("[class*='st-key-correction-'] textarea").fill("Another text.")
        page.keyboard.press("Escape")
        wait_until_draft(clinic, slot_on_screen(page), correction="Another text.")
        assert violations(page) == []
        open_queue_named(page, pairs_of(clinic))
        assert violations(page) == []
