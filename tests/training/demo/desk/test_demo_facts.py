"""Facts in a text, and those that a source does not hold."""

from __future__ import annotations

import pytest

from training.demo.desk.facts import invented_facts, list_facts

SOURCE = "Caller: Zoë Weiß, TK-48213, 4 June 9:00. Swift L | 40 GB | EUR 29.90 | 24 months"


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", []),
        ("It costs EUR 29.90 a month.", ["EUR 29.90"]),
        ("Zoë Weiß (TK-48213) on 14 March", ["Zoë", "Weiß", "TK-48213", "14 March"]),
        ("Swift XL with 40 GB for 1 month", ["Swift XL", "40 GB", "1 month"]),
        ("Order AB123456 comes at 9:00.", ["AB123456", "9:00"]),
        ("A technician comes.", []),
    ],
)
def test_list_facts(text: str, facts: list[str]) -> None:
    assert list_facts(text) == facts


@pytest.mark.parametrize(
    ("output", "invented"),
    [
        ("Zoë Weiß has Swift L at EUR 29.90.", []),
        ("Zoë Weiß has Swift M at EUR 29.95.", ["Swift M", "EUR 29.95"]),
        ("Ben Weiß, 24 months, 14 June", ["Ben", "14 June"]),
    ],
)
def test_invented_facts(output: str, invented: list[str]) -> None:
    assert invented_facts(output, SOURCE) == invented
