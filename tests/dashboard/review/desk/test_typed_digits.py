"""Which digits and seconds that the browser hands over the desk takes."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit as st

from dashboard.components.keys import KEY, Typed, active_time, digits_typed

HANDED = {
    "item": "7-1",
    "sitting": "before",
    "entries": [["good", "2"], [None, "4"]],
    "clock": {"item": "7-1", "seconds": 9.5, "by": {"good": 3.0}},
}


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the browser has handed over of its keys."""
    state = {"typed": dict(HANDED), "clock": None}
    monkeypatch.setattr(st, "session_state", {KEY: state})
    return state


@pytest.mark.parametrize(
    ("item", "sitting", "taken"),
    [
        ("7-1", "before", [Typed("good", "2"), Typed(None, "4")]),
        ("7-1", "after a restart", []),  # the desk before has taken them: they come again, renamed
        ("8-1", "before", []),
    ],
)
@pytest.mark.usefixtures("handed")
def test_digits_count_for_their_item_and_sitting(
    item: str, sitting: str, taken: list[Typed]
) -> None:
    assert digits_typed(item=item, sitting=sitting) == taken


def test_the_time_is_the_longest_that_was_told_for_the_item(handed: dict[str, Any]) -> None:
    handed["clock"] = {"item": "7-1", "seconds": 11.0, "by": {}}
    found = active_time(item="7-1")
    assert found is not None
    assert found.seconds == 11.0
    assert active_time(item="8-1") is None


def test_before_the_browser_has_spoken_there_is_nothing(handed: dict[str, Any]) -> None:
    handed["typed"] = None
    assert digits_typed(item="7-1", sitting="before") == []
    assert active_time(item="7-1") is None
