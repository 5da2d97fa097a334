"""Windows of a source: whole sentences that fit, and all of the text."""

from __future__ import annotations

import re

import pytest

from evaluators.checks.named.windows import windows_of

TEXT = "A b c. D e. F g h i. J k."


def starts(text: str) -> list[int]:
    return [m.start() for m in re.finditer(r"\S+", text)]


@pytest.mark.parametrize(
    ("limit", "size", "expected"),
    [
        (99, None, [TEXT]),
        (5, None, ["A b c. D e.", "F g h i.", "J k."]),
        (99, 2, ["A b c. D e.", "D e. F g h i.", "F g h i. J k."]),
        (99, 9, [TEXT]),
        (5, 2, ["A b c. D e.", "F g h i.", "J k."]),
        (3, None, ["A b c.", "D e.", "F g h ", "i. J k."]),
        (1, None, ["A ", "b ", "c.", "D ", "e.", "F ", "g ", "h ", "i.", "J ", "k."]),
        (0, None, ["A ", "b ", "c.", "D ", "e.", "F ", "g ", "h ", "i.", "J ", "k."]),
    ],
)
def test_windows(limit: int, size: int | None, expected: list[str]) -> None:
    found = [TEXT[a:b] for a, b in windows_of(TEXT, starts(TEXT), limit=limit, size=size)]
    assert found == expected


@pytest.mark.parametrize("text", ["", "  \n ", "\n\n\n"])
def test_an_empty_text_has_no_window(text: str) -> None:
    assert windows_of(text, starts(text), limit=3) == []


@pytest.mark.parametrize("size", [None, 3])
def test_a_long_text_without_a_full_stop_is_covered(size: int | None) -> None:
    text = "word " * 4000
    found = windows_of(text, starts(text), limit=100, size=size)
    assert all(len(text[a:b].split()) <= 100 for a, b in found)
    assert {i for a, b in found for i in range(a, b)} == set(range(len(text) - 1))


def test_tokens_that_share_a_character_make_no_empty_window() -> None:
    assert windows_of("日本", [0, 0, 0, 1, 1, 1], limit=2) == [(0, 1), (1, 2)]
