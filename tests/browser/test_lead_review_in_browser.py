"""A lead with queues in real work: every page in the dark, by axe-core, and on a phone; the acts.

Every fifth example, and what the models made of it, tries to be markup. The fixture `page` fails on
an alert and on a request to another host.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from backend.tables.review import QueueMember, ReviewItem, ReviewQueue
from tests.browser.at_desk import wait_until_drawn
from tests.browser.conftest import Desk, seeded_desk, sign_in
from tests.browser.contrast import texts_too_faint
from tests.browser.seed_reviews import Watched, seed_worked_queues

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
INJECTED = (
    "() => document.querySelectorAll('.stHtml script, .stHtml img, .strop-table h1, .strop-text h1,"
    ' .strop-text a, .strop-table a:not([href^="/"]), .strop-table a[href^="//"]\').length'
)
OVERFLOW = (
    "() => { const main = document.querySelector('[data-testid=stMain]');"
    " return main.scrollWidth - main.clientWidth; }"
)
PLOTS_DRAWN = (
    "n => document.querySelectorAll('[data-testid=stVegaLiteChart] canvas,"
    " [data-testid=stVegaLiteChart] svg.marks').length >= n"
)
LIFTS_LEFT = (
    "n => [...document.querySelectorAll('button')]"
    ".filter((one) => one.innerText.includes('Lift the pause')).length === n"
)
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]}
OPEN_MS = 5_000
ATTEMPTS = 20
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@dataclass(frozen=True)
class Worked:
    """A served project and its queues that were worked on."""

    desk: Desk
    queues: Watched


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    """Days of work by scripted reviewers on ordinary and hostile texts."""
    home = tmp_path_factory.mktemp("worked")
    with seeded_desk(home, ordinary=48, hostile=12) as desk:
        yield Worked(desk, seed_worked_queues(desk.settings, desk.seeded))


def visit(page: Page, worked: Worked, path: str, *, plots: int = 0) -> None:
    """Open a page and wait until everything on it is drawn."""
    page.goto(f"{worked.desk.address}/{path}")
    page.locator("[data-testid=stMain] h1").first.wait_for()
    page.wait_for_function(PLOTS_DRAWN, arg=plots)
    wait_until_drawn(page)
    assert page.get_by_text("This did not work").count() == 0


def choose_first(page: Page, name: str) -> None:
    """Take the first choice of a select box; a drawing of the page closes an open one."""
    from playwright.sync_api import TimeoutError as TookTooLong

    box, first = page.get_by_role("combobox", name=name), page.get_by_role("option").first
    for _ in range(ATTEMPTS):
        box.press("ArrowDown")
        with suppress(TookTooLong):
            first.click(timeout=OPEN_MS)
            return
    raise AssertionError(f"{name} did not open")


def violations(page: Page) -> list[str]:
    """What axe-core finds in the page's own part; the side bar's list is Streamlit's."""
    from axe_core_python.sync_playwright import Axe

    found = Axe().run(page, context="[data-testid=stMain]", options=AXE)
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found["violations"]]


def faults(page: Page) -> list[str]:
    """Everything that is wrong with the page as it stands, in words."""
    wait_until_drawn(page)
    found = violations(page) + [f"faint: {text}" for text in texts_too_faint(page)]
    if page.evaluate(INJECTED):
        found.append("markup was rendered")
    if over := _too_wide_for_a_phone(page):
        found.append(f"{over} pixels too wide for a phone")
    return found


def _too_wide_for_a_phone(page: Page) -> int:
    """Pixels by which the page is wider than a phone, once its plots have shrunk."""
    from playwright.sync_api import TimeoutError as TookTooLong

    page.set_viewport_size(PHONE)
    with suppress(TookTooLong):
        page.wait_for_function(f"() => ({OVERFLOW})() <= 0")
    over: int = page.evaluate(OVERFLOW)
    page.set_viewport_size(WIDE)
    return over


PAGES = {  # each with the plots that are drawn on it
    "most": {"": 0, "runs": 4, "verdicts": 0, "queues?queue=RATED": 1, "reviewers?queue=RATED": 5},
    "others": {
        "training": 1,
        "export": 0,
        "agreement?queue=RATED": 1,
        "adjudication?queue=RATED": 0,
        "a-b?queue=VOTED": 3,
        "open-a-queue": 0,
        "guides": 0,
    },
}


@pytest.mark.parametrize("which", PAGES)
def test_every_page_by_axe_in_the_dark_and_on_a_phone(
    page: Page, worked: Worked, which: str
) -> None:
    page.emulate_media(color_scheme="dark")
    sign_in(page, worked.desk, "lena")
    found = {}
    for path, plots in PAGES[which].items():
        path = path.replace("RATED", str(worked.queues.rated_queue_id))
        path = path.replace("VOTED", str(worked.queues.voted_queue_id))
        visit(page, worked, path, plots=plots)
        if wrong := faults(page):
            found[path] = wrong
    assert found == {}


def test_design_rules_and_rubric_are_told(page: Page, worked: Worked) -> None:
    sign_in(page, worked.desk, "lena")
    visit(page, worked, f"queues?queue={worked.queues.rated_queue_id}")
    page.get_by_role("tab", name="Design and rules").click()
    for words in ("A random sample within each task", "One person gives at most 60%"):
        page.get_by_text(words).first.wait_for()
    page.get_by_text("All items of this queue, open ones too").wait_for()
    assert faults(page) == []


def test_an_item_is_read_side_by_side(page: Page, worked: Worked) -> None:
    sign_in(page, worked.desk, "lena")
    visit(page, worked, f"agreement?queue={worked.queues.rated_queue_id}")
    choose_first(page, "Read one side by side")
    page.wait_for_selector("th:has-text('Reviewer 2')")
    assert page.locator(".strop-label:has-text('Text')").count() == 1
    assert faults(page) == []


def test_a_pause_is_lifted(page: Page, worked: Worked) -> None:
    sign_in(page, worked.desk, "lena")
    visit(page, worked, f"reviewers?queue={worked.queues.rated_queue_id}")
    lift = page.get_by_role("button", name="Lift the pause")
    lift.first.wait_for()
    for left in reversed(range(lift.count())):  # one or two: the hours of the seed are today's
        lift.first.click()
        page.get_by_text(re.compile(r"expert-\w+ may work on\.$")).wait_for()
        page.wait_for_function(LIFTS_LEFT, arg=left)
    with worked.desk.sessions() as session:
        paused = session.query(QueueMember).filter(QueueMember.paused_at.is_not(None)).count()
    assert paused == 0


def test_a_known_answer_is_withdrawn(page: Page, worked: Worked) -> None:
    sign_in(page, worked.desk, "lena")
    visit(page, worked, f"reviewers?queue={worked.queues.rated_queue_id}")
    page.get_by_text("This cannot be taken back").wait_for()
    reason = page.get_by_label("Reason (needed to withdraw")
    reason.fill("It can be read in two ways.")
    reason.press("Enter")
    page.get_by_role("button", name="Withdraw").click()
    page.get_by_text("count no more").wait_for()


def test_answers_are_downloaded_from_a_link(page: Page, worked: Worked) -> None:
    sign_in(page, worked.desk, "lena")
    visit(page, worked, f"export?queue={worked.queues.rated_queue_id}")
    page.get_by_role("tab", name="Answers of a queue").click()
    link = page.get_by_role("link", name="One row for each answer to a question, CSV")
    link.wait_for()
    with page.expect_download() as download:
        link.click()
    rows = list(csv.DictReader(download.value.path().read_text("utf-8").splitlines()))
    assert {row["simulated"] for row in rows} == {"true"}
    assert {row["criterion"] for row in rows} == {"faithful", "quality", "problem"}


def test_a_queue_is_opened_without_a_command(page: Page, worked: Worked) -> None:
    sign_in(page, worked.desk, "lena")
    visit(page, worked, "open-a-queue")
    page.get_by_text("A random sample within each slice").click()
    page.get_by_label("Slice", exact=True).wait_for()
    items = page.get_by_label("Items", exact=True)
    items.fill("12")
    items.press("Enter")
    name = page.get_by_label("Name of the queue")
    name.fill("week 12")
    name.press("Enter")
    page.get_by_role("button", name="Show what would be drawn").click()
    page.wait_for_selector("td:has-text('channel=mail')")
    assert faults(page) == []
    page.get_by_role("button", name="Open the queue").click()
    page.get_by_text("week 12 is open").wait_for()
    with worked.desk.sessions() as session:
        queue = session.query(ReviewQueue).filter_by(name="week 12").one()
        strata = [part["name"] for part in queue.design["strata"]]
        n_items = session.query(ReviewItem).filter_by(queue_id=queue.id).count()
    assert strata == ["channel=(none)", "channel=chat", "channel=mail", "channel=phone"]
    assert n_items == 12
