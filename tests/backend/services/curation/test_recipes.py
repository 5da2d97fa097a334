"""Recipes: read, written down, refused."""

from __future__ import annotations

import pytest

from backend.errors import InvalidInput
from backend.services.curation import (
    Recipe,
    ReplayPart,
    Rule,
    parse_recipe,
    parse_replay,
    parse_rule,
    recipe_from_content,
)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("faithful=yes", Rule(criterion="faithful", equals="yes")),
        (" quality >= 4 ", Rule(criterion="quality", at_least=4)),
        ("problem = none", Rule(criterion="problem", equals="none")),
    ],
)
def test_a_rule_is_read_and_written(text: str, rule: Rule) -> None:
    assert parse_rule(text) == rule
    assert parse_rule(str(rule)) == rule


@pytest.mark.parametrize("text", ["", "faithful", "quality>4", "quality>=good", "a=b=c d"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_rule(text)


@pytest.mark.parametrize(
    ("text", "replay"),
    [("all", ReplayPart()), ("200", ReplayPart(count=200)), ("30%", ReplayPart(share=0.3))],
)
def test_an_amount_of_references_is_read(text: str, replay: ReplayPart) -> None:
    assert parse_replay(text) == replay


@pytest.mark.parametrize("text", ["", "some", "0", "-1", "0%", "100%", "1.5"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_replay(text)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("queues: [", "not YAML"),
        ("{}", "names no queue"),
        ("queue: q", "queue"),
        ("queues: [q]\napproved: {criterion: a}", "approved"),
        ("queues: [q]\nreferences: {count: 1, share: 0.5}", "references"),
        ("- q", "recipe"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_place(source: str, place: str) -> None:
    with pytest.raises(InvalidInput, match=place):
        parse_recipe(source)


def test_a_recipe_survives_its_stored_form() -> None:
    recipe = parse_recipe("queues: [q]\napproved: {criterion: quality, at_least: 4}\nseed: 3")
    assert recipe_from_content(recipe.model_dump(mode="json")) == recipe
    assert isinstance(recipe, Recipe)
