"""Reading and marking in a real browser: links, search, marks counted in code points, reloads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.at_desk import (
    OUTPUT,
    draft_of,
    open_queue_named,
    reload,
    select_points,
    slot_on_screen,
    wait_for_next,
    wait_until_draft,
)
from tests.browser.conftest import Desk, OneTab, go_on, sign_in
from tests.browser.seed_desk import CASES

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
READER = (
    "(function up(part) { return part.stropReader ?? up(part.host ?? part.parentNode); })"
    "(document.querySelector('.strop-reader'))"
)
THIRD_KIND = f"{READER}.data.kinds[2].name"
WITHOUT_LINKS = f"() => {{ const reader = {READER}; window.stropLinks = reader.data.links;"
WITHOUT_LINKS += " reader.update({...reader.data, links: []}, reader.hand); }"
WITH_LINKS = f"() => {{ const reader = {READER};"
WITH_LINKS += " reader.update({...reader.data, links: window.stropLinks}, reader.hand); }"

COUNT_QUIET = """() => {
  const input = () => { window.stropInput = performance.now(); };
  for (const kind of ["pointermove", "pointerdown", "wheel", "input", "keydown"])
    document.addEventListener(kind, input, {capture: true});
  input();
}"""


def mark(page: Page, kind: str = "1", severity: str = "2") -> None:
    """Mark what is selected, by keys alone."""
    page.keyboard.press("m")
    page.wait_for_selector(".strop-reader .panel")
    page.keyboard.press(kind)
    page.keyboard.press(severity)
    page.keyboard.press("Enter")
    page.wait_for_selector(".strop-reader .marks li")


def quoted(page: Page) -> str:
    """The words that the open panel is about."""
    return page.locator(".panel .quoted q").inner_text().strip("“”")


def words_of(spans: list[dict[str, Any]] | None, output: str) -> list[str]:
    return marked_words({"spans": spans or []}, output)


def marked_words(draft: dict, output: str) -> list[str]:  # type: ignore[type-arg]
    return [output[span["start"] : span["end"]] for span in draft["spans"]]


class TestMarks(OneTab):
    @pytest.mark.parametrize(
        ("case", "words"),
        [
            ("plain", "10 mg"),
            ("emoji", "👍🏽 paid 93 EUR"),
            ("emoji", "Zoe\u0308"),
            ("rtl", "93 EUR ביום"),
            ("hostile", "\x1b[31mred\x1b[0m \u202eoverride"),
        ],
    )
    def test_a_mark_is_counted_in_code_points(
        self, page: Page, clinic: Desk, case: str, words: str
    ) -> None:
        output = CASES[case][1]
        go_on(page, clinic, "anna")
        slot = open_queue_named(page, case)
        page.wait_for_selector(".strop-reader .claim")
        start = output.index(words)
        select_points(page, start, start + len(words))
        mark(page)
        draft = wait_until_draft(
            clinic, slot, spans=lambda spans: words in marked_words({"spans": spans or []}, output)
        )
        assert draft["spans"][0]["severity"] == "moderate"
        reload(page)
        slot_on_screen(page)
        open_queue_named(page, case)
        page.wait_for_selector(".strop-reader .marks li")
        shown = page.locator(".strop-reader .error").all_inner_texts()
        assert "".join(shown)
        while page.locator(".strop-reader .marks li").count():
            page.get_by_role("button", name="Delete the mark").first.click()
        wait_until_draft(clinic, slot, spans=None)

    def test_words_are_selected_with_the_mouse(self, page: Page, clinic: Desk) -> None:
        go_on(page, clinic, "anna")
        slot = open_queue_named(page, "rtl")
        page.wait_for_selector(".strop-reader .claim")
        page.locator(f"{OUTPUT} span").first.dblclick()
        words = page.evaluate("getSelection().toString().trim()")
        mark(page, severity="1")
        draft = wait_until_draft(clinic, slot, spans=lambda spans: bool(spans))
        assert words
        assert marked_words(draft, CASES["rtl"][1]) == [words]
        page.get_by_role("button", name="Delete the mark").click()

    def test_words_are_selected_with_the_keyboard_and_nothing_is_changed(
        self, page: Page, clinic: Desk
    ) -> None:
        output = CASES["emoji"][1]
        go_on(page, clinic, "anna")
        slot = open_queue_named(page, "emoji")
        page.locator(OUTPUT).focus()
        page.keyboard.press("Control+Home")
        page.keyboard.press("Shift+ArrowRight")  # one step, one person: three code points and more
        page.keyboard.type("zz")
        page.keyboard.press("Backspace")
        page.keyboard.press("Enter")
        assert page.locator(OUTPUT).inner_text().strip() == output
        mark(page)
        draft = wait_until_draft(clinic, slot, spans=lambda spans: bool(spans))
        assert marked_words(draft, output) == ["👩\u200d⚕️"]
        page.get_by_role("button", name="Edit the mark").click()
        page.keyboard.press("3")
        page.get_by_label("Note on this mark").fill("not in the room")
        page.keyboard.press("Enter")
        draft = wait_until_draft(
            clinic, slot, spans=lambda spans: (spans or [{}])[0].get("note") == "not in the room"
        )
        assert draft["spans"][0]["end"] == 4
        page.get_by_role("button", name="Delete the mark").click()
        wait_until_draft(clinic, slot, spans=None)

    @pytest.mark.parametrize(
        ("case", "onward", "first", "wider", "narrower", "elsewhere"),
        [
            ("emoji", "ArrowRight", "paid", "👍🏽 paid 93", "👍🏽 paid", "EUR 🇩🇪"),
            ("rtl", "ArrowLeft", "93", "שילם 93 EUR", "שילם 93", "ביום שני"),
        ],
    )
    def test_a_mark_is_stretched_and_moved(
        self,
        page: Page,
        clinic: Desk,
        case: str,
        onward: str,
        first: str,
        wider: str,
        narrower: str,
        elsewhere: str,
    ) -> None:
        output = CASES[case][1]
        go_on(page, clinic, "anna")
        slot = open_queue_named(page, case)
        start = output.index(first)
        select_points(page, start, start + len(first))
        mark(page)
        page.keyboard.press("m")  # the caret stands at the mark
        page.keyboard.press(f"Shift+{onward}")
        page.keyboard.press("Shift+ArrowUp")
        assert quoted(page) == wider
        page.get_by_role("button", name="One word less after").click()
        assert quoted(page) == narrower
        page.get_by_label("Note on this mark").press("Enter")
        wait_until_draft(clinic, slot, spans=lambda found: words_of(found, output) == [narrower])
        page.get_by_role("button", name="Edit the mark").click()
        page.keyboard.press("3")  # what is picked in the panel goes with the mark
        start = output.index(elsewhere)
        select_points(page, start, start + len(elsewhere))
        assert page.locator("button.mark").inner_text().startswith("Move the mark here")
        page.keyboard.press("m")
        assert quoted(page) == elsewhere
        page.keyboard.press("Enter")
        draft = wait_until_draft(
            clinic, slot, spans=lambda found: words_of(found, output) == [elsewhere]
        )
        assert draft["spans"][0]["severity"] == "moderate"
        assert draft["spans"][0]["kind"] == page.evaluate(THIRD_KIND)
        page.get_by_role("button", name="Delete the mark").click()
        wait_until_draft(clinic, slot, spans=None)

    def test_submit_never_loses_a_mark_that_is_being_made(self, page: Page, clinic: Desk) -> None:
        output = CASES["rtl"][1]
        go_on(page, clinic, "anna")
        slot = open_queue_named(page, "rtl")
        select_points(page, 0, 3)
        page.keyboard.press("m")
        page.wait_for_selector(".strop-reader .panel")
        assert page.evaluate("document.documentElement.classList.contains('strop-unsent')")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(".panel .missing")  # a kind is asked for, and nothing was sent
        page.keyboard.type("12")
        page.get_by_label("Note on this mark").fill("not said")
        page.keyboard.press("Control+Enter")  # the answer lacks its ratings; the mark is kept
        wait_until_draft(clinic, slot, spans=lambda found: words_of(found, output) == [output[:3]])
        page.get_by_role("button", name="Delete the mark").click()
        wait_until_draft(clinic, slot, spans=None)

    def test_without_a_selection_it_says_what_to_do(self, page: Page, clinic: Desk) -> None:
        go_on(page, clinic, "anna")
        open_queue_named(page, "plain")
        page.keyboard.press("m")
        page.wait_for_selector(".strop-reader .say:has-text('Select the wrong words')")


class TestLinks(OneTab):
    def test_support_lights_up_and_so_does_its_absence(self, page: Page, clinic: Desk) -> None:
        go_on(page, clinic, "anna")
        open_queue_named(page, "plain")
        page.wait_for_selector(".strop-reader .claim.told")
        page.locator(".claim.told", has_text="Viktor Beck").hover()
        page.wait_for_selector(".scroll .lit")
        assert page.locator(".scroll .lit").inner_text() == "Viktor Beck"
        page.locator(".claim.untold", has_text="10 mg").hover()
        page.wait_for_selector(".strop-reader.silent .spoken:has-text('not in the source')")
        assert page.locator(".scroll .lit").count() == 0

    def test_links_that_come_late_leave_the_selection_alone(self, page: Page, clinic: Desk) -> None:
        go_on(page, clinic, "anna")
        open_queue_named(page, "emoji")
        page.wait_for_selector(".strop-reader .claim")
        page.evaluate(WITHOUT_LINKS)
        assert page.locator(".strop-reader .claim").count() == 0
        select_points(page, 4, 14)
        held = page.evaluate("getSelection().toString()")
        page.evaluate(WITH_LINKS)
        page.wait_for_selector(".strop-reader .claim")
        assert page.evaluate("getSelection().toString()") == held != ""
        page.evaluate(WITHOUT_LINKS)
        page.evaluate("getSelection().removeAllRanges()")
        page.locator(OUTPUT).scroll_into_view_if_needed()
        box = page.locator(OUTPUT).bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 40, box["y"] + 16)
        page.mouse.down()
        page.mouse.move(box["x"] + 120, box["y"] + 16)
        page.evaluate(WITH_LINKS)
        assert page.locator(".strop-reader .claim").count() == 0  # not under a hand that selects
        page.mouse.move(box["x"] + 160, box["y"] + 16)
        held = page.evaluate("getSelection().toString()")
        page.mouse.up()
        page.wait_for_selector(".strop-reader .claim")
        assert page.evaluate("getSelection().toString()") == held != ""

    def test_links_that_come_late_leave_the_keys_with_the_mark_that_is_edited(
        self, page: Page, clinic: Desk
    ) -> None:
        go_on(page, clinic, "anna")
        open_queue_named(page, "emoji")
        page.wait_for_selector(".strop-reader .claim")
        page.evaluate(WITHOUT_LINKS)
        select_points(page, 4, 14)
        page.keyboard.press("m")
        page.wait_for_selector(".strop-reader .panel")
        page.evaluate(WITH_LINKS)
        page.wait_for_selector(".strop-reader .claim")
        page.keyboard.press("2")
        assert page.locator(".panel input:checked").count() == 1
        page.keyboard.press("Escape")

    def test_the_caret_lights_up_as_well(self, page: Page, clinic: Desk) -> None:
        go_on(page, clinic, "anna")
        open_queue_named(page, "plain")
        page.wait_for_selector(".strop-reader .claim.told")
        page.locator(OUTPUT).focus()
        page.keyboard.press("Control+Home")
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(".scroll .lit:has-text('Viktor Beck')")

    def test_a_long_source_scrolls_on_its_own_and_is_searched(
        self, page: Page, clinic: Desk
    ) -> None:
        go_on(page, clinic, "anna")
        open_queue_named(page, "long")
        pane = page.locator(".strop-reader .scroll")
        assert pane.evaluate("pane => pane.scrollHeight > 2 * pane.clientHeight")
        page.keyboard.press("f")
        page.keyboard.type("ZOE slept 8")
        page.wait_for_selector(".hits:has-text('1 of 10')")
        page.keyboard.press("Shift+Enter")
        page.wait_for_selector(".hits:has-text('10 of 10')")
        assert pane.evaluate("pane => pane.scrollTop") > 500
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0
        assert page.locator(".hit.here").inner_text() == "Zoë slept 8"
        page.locator(".claim.told", has_text="209").first.hover()
        page.wait_for_selector(".scroll .lit")


class TestScales(OneTab):
    def test_every_scale_has_its_widget(self, page: Page, clinic: Desk) -> None:
        go_on(page, clinic, "anna")
        slot = open_queue_named(page, "scales")
        page.keyboard.type("25")
        page.wait_for_selector("[class*='-good'] .tick")
        page.keyboard.press("ArrowDown")  # to the question that waits
        page.keyboard.press("2")
        page.keyboard.press("3")
        draft = wait_until_draft(
            clinic, slot, ratings=lambda found: "name" in str((found or {}).get("faults"))
        )
        box = page.locator("[class*='-minutes'] input")
        box.fill("12")
        box.press("Enter")
        draft = wait_until_draft(
            clinic, slot, ratings=lambda found: (found or {}).get("minutes") == 12
        )
        assert draft["ratings"]["safe"] == "fail"
        assert draft["ratings"]["good"] == 5
        assert json.loads(draft["ratings"]["faults"]) == ["dose", "name"]

    def test_a_correction_asks_what_was_wrong(self, page: Page, clinic: Desk) -> None:
        go_on(page, clinic, "anna")
        slot = open_queue_named(page, "scales")
        page.keyboard.press("e")
        box = page.locator("[class*='st-key-correction-'] textarea")
        box.wait_for()
        box.fill("Viktor Beck takes 5 mg ramipril <b>every</b> morning.")
        page.get_by_role("button", name="Wrong number or date").click()
        words = page.locator("[class*='st-key-correction-']").get_by_label("in a few words")
        words.fill("said <i>daily</i>")
        words.blur()
        reason = "Wrong number or date; said <i>daily</i>"
        wait_until_draft(clinic, slot, correction_reason=reason)
        reload(page)
        slot_on_screen(page)
        open_queue_named(page, "scales")
        words.wait_for()
        assert words.input_value() == "said <i>daily</i>"
        assert page.locator("button[aria-pressed=true]").all_inner_texts() == [
            "Wrong number or date"
        ]


def test_seconds_are_counted_while_somebody_works(page: Page, clinic: Desk) -> None:
    sign_in(page, clinic, "bert")
    slot = open_queue_named(page, "plain")
    page.wait_for_selector(".strop-reader .claim")  # what moves under the mouse is an input too
    page.evaluate(COUNT_QUIET)
    page.wait_for_function("performance.now() - window.stropInput > 1200")
    page.keyboard.press("1")
    draft = wait_until_draft(clinic, slot, ratings=lambda found: bool(found))
    assert draft["active_seconds"] >= 1.0
    assert draft["seconds_by_criterion"]["verdict"] >= 1.0


def test_hostile_words_stay_words_in_marks_search_and_history(page: Page, clinic: Desk) -> None:
    output = CASES["hostile"][1]
    sign_in(page, clinic, "bert")
    slot = open_queue_named(page, "hostile")
    select_points(page, 0, len(output))
    page.keyboard.press("m")
    page.get_by_label("Note on this mark").fill("<img src=x onerror=alert(9)>")
    page.keyboard.press("1")
    page.get_by_label("Note on this mark").fill("<img src=x onerror=alert(9)>")
    page.locator(".panel fieldset").nth(0).locator("label").first.click()
    page.locator(".panel fieldset").nth(1).locator("label").first.click()
    page.get_by_role("button", name="Keep").click()
    page.wait_for_selector(".marks li:has-text('onerror')")
    page.keyboard.press("f")
    page.get_by_label("Find in the source").fill("<script>alert")
    page.wait_for_selector(".hits:has-text('1 of')")
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    page.get_by_label("In your words").fill("<script>alert(3)</script> ![x](http://evil.example/)")
    page.get_by_label("In your words").press("Enter")
    page.get_by_role("button", name="Skip this item").click()
    wait_for_next(page, slot)
    assert draft_of(clinic, slot)["spans"][0]["end"] == len(output)
    assert page.locator(".strop-reader img, .strop-reader script, .stHtml img").count() == 0
