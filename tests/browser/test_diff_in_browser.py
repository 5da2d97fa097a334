"""The word diff of the correction box, run where it runs: in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
SOURCE = Path(__file__).parents[2] / "dashboard" / "components" / "editor.js"
LOAD = """async ([source, before, after]) => {
  const url = URL.createObjectURL(new Blob([source], {type: 'text/javascript'}));
  const { diff } = await import(url);
  return diff(before, after).map((part) => [part.kind, part.text]);
}"""


def diff(page: Page, before: str, after: str) -> list[list[str]]:
    found: list[list[str]] = page.evaluate(LOAD, [SOURCE.read_text("utf-8"), before, after])
    return found


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("", "", []),
        ("same words", "same words", [["same", "same words"]]),
        ("", "new", [["added", "new"]]),
        ("old", "", [["removed", "old"]]),
        (
            "pay 39.90 EUR now",
            "pay 34.90 EUR now",
            [["same", "pay "], ["removed", "39.90"], ["added", "34.90"], ["same", " EUR now"]],
        ),
        (
            "Ticket T-48231.",
            "Ticket T-48213.",
            [["same", "Ticket "], ["removed", "T-48231"], ["added", "T-48213"], ["same", "."]],
        ),
        (
            "Grüße an Zoë 👍",
            "Grüße an Zoe\u0308 👍",
            [["same", "Grüße an "], ["removed", "Zoë"], ["added", "Zoe\u0308"], ["same", " 👍"]],
        ),
        ("one two three", "1 2 3", [["removed", "one two three"], ["added", "1 2 3"]]),
        ("a b c", "a c", [["same", "a "], ["removed", "b "], ["same", "c"]]),
        ("line one\nline two", "line one\n", [["same", "line one\n"], ["removed", "line two"]]),
    ],
)
def test_words_that_changed(page: Page, before: str, after: str, parts: list[list[str]]) -> None:
    assert diff(page, before, after) == parts


def test_both_texts_can_be_read_off_the_diff(page: Page) -> None:
    before = "The customer pays 24.90 EUR a month; the line drops every evening. " * 20
    after = before.replace("evening", "morning").replace("24.90", "34.90", 3) + "End."
    parts = diff(page, before, after)
    assert "".join(text for kind, text in parts if kind != "added") == before
    assert "".join(text for kind, text in parts if kind != "removed") == after


def test_a_very_long_text_is_one_block_and_not_a_frozen_page(page: Page) -> None:
    before, after = "a " * 3000 + "x", "b " * 3000 + "y"
    kinds = [kind for kind, _ in diff(page, before, after)]
    assert kinds.count("removed") == kinds.count("added") == 1
