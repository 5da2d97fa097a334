"""Options that say what goes into a set become the recipe that a file would have said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.cli.curation.sets import recipe_of
from backend.errors import InvalidInput
from backend.services.curation import parse_recipe

FILE = """
queues: [q]
approved: {criterion: faithful, equals: "yes"}
minimum: {criterion: quality, at_least: 4}
negatives: {criterion: faithful, equals: "yes"}
mix: {by: task, shares: {intent: 0.25, reply: 0.75}}
order: short_to_long
weight: agreement
per_group: 3
hold_back: 0.2
fixed_when: {metric: token_f1, at_least: 0.9}
"""
OPTIONS: dict[str, Any] = {
    "queues": ["q"],
    "approved": "faithful=yes",
    "minimum": "quality>=4",
    "negatives": "faithful=yes",
    "mix": "task:intent=0.25,reply=0.75",
    "order": "short-to-long",
    "weight": "agreement",
    "per_group": 3,
    "hold_back": 0.2,
    "fixed_when": "token_f1>=0.9",
}


def test_options_say_what_a_file_says() -> None:
    assert recipe_of(None, **OPTIONS, seed=None, examples=[]) == parse_recipe(FILE)


def test_options_are_put_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(FILE, encoding="utf-8")
    chosen = recipe_of(path, hold_back=0.5, seed=0)
    assert (chosen.hold_back, chosen.seed, chosen.per_group) == (0.5, 0, 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mix": "task"}, "no mix of tasks"),
        ({"mix": "task:a=0.5,b=0.6"}, "no mix of tasks"),
        ({"mix": "task:a=0.5,a=0.5"}, "no mix of tasks"),
        ({"order": "backwards"}, "order"),
        ({"weight": "loud"}, "weight"),
        ({"per_group": 0}, "per_group"),
        ({"hold_back": 1.0}, "hold_back"),
        ({"minimum": "quality>=4"}, "minimum limits outputs taken as written"),
        ({"minimum": "faithful=yes", "approved": "faithful=yes"}, "minimum is a least rating"),
        ({"fixed_when": "equal>=1"}, "does not say when"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        recipe_of(None, queues=["q"], **options)
