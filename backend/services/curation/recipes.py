"""Recipes: what goes into a training set, written down before it is frozen.

A recipe is a YAML file, or the options of `strop set freeze`. It names where the rows come from
(queues, or single reviews, outputs and examples) and by which rule an answer is good enough.
"""

from __future__ import annotations

import re

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backend.errors import InvalidInput

RULE = re.compile(r"^\s*([a-z][a-z0-9_]*)\s*(>=|=)\s*(\S+)\s*$")
RULE_HINT = "Write faithful=yes, quality>=4 or problem=none."


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Part):
    """When a review approves an output: its rating is at least a number, or is a given answer."""

    criterion: str = Field(min_length=1)
    at_least: float | None = None
    equals: str | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Rule:
        if (self.at_least is None) == (self.equals is None):
            raise ValueError("give either at_least or equals")
        return self

    def meets(self, value: str, number: float | None) -> bool:
        """Whether a stored rating meets the rule."""
        if self.equals is not None:
            return value == self.equals
        return number is not None and self.at_least is not None and number >= self.at_least

    def __str__(self) -> str:
        if self.equals is not None:
            return f"{self.criterion}={self.equals}"
        return f"{self.criterion}>={self.at_least:g}"


class Replay(_Part):
    """References of the train split: all, a number of them, or a share of the finished SFT rows."""

    count: int | None = Field(None, ge=1)
    share: float | None = Field(None, gt=0, lt=1)

    @model_validator(mode="after")
    def _not_both(self) -> Replay:
        if self.count is not None and self.share is not None:
            raise ValueError("give either count or share")
        return self


class Recipe(_Part):
    """What a training set is made of.

    An output with several reviews counts once: it is approved when more than half of its reviewers
    approve it and did not correct it; else its newest correction is taken. A reviewer's latest
    review of an output counts; withdrawn ones do not.
    """

    queues: tuple[str, ...] = Field((), description="Queues by name; held-out items are left out.")
    reviews: tuple[int, ...] = Field((), description="Reviews by id; a held-out one is refused.")
    generations: tuple[int, ...] = Field(
        (), description="Outputs by id, with all their reviews; a held-out one is refused."
    )
    examples: tuple[int, ...] = Field(
        (), description="Examples by id, with their references; a held-out one is refused."
    )
    dataset: str | None = Field(None, description="Dataset whose references are replayed.")
    dataset_number: int | None = Field(None, description="Its version; the newest by default.")
    approved: Rule | None = Field(None, description="SFT rows of outputs that meet this rule.")
    corrected: bool = Field(True, description="SFT rows of corrections.")
    references: Replay | None = Field(None, description="SFT rows of references (replay).")
    dpo_corrections: bool = Field(False, description="DPO rows: correction over output.")
    dpo_votes: bool = Field(False, description="DPO rows: winner over loser of a pair.")
    kto: Rule | None = Field(None, description="KTO rows: the rule decides the label.")
    drop_leaks: bool = Field(False, description="Leave out near-duplicates of held-out prompts.")
    seed: int = Field(7, description="Seed of the choice of references.")

    @model_validator(mode="after")
    def _has_sources(self) -> Recipe:
        named = self.queues or self.reviews or self.generations or self.examples
        if not named and self.references is None:
            raise ValueError("it names no queue, review, output or example, and no references")
        return self


def parse_recipe(source: str) -> Recipe:
    """Read a recipe from YAML; InvalidInput names the place of what is wrong."""
    try:
        content = yaml.safe_load(source)
    except yaml.YAMLError as error:
        place = str(error).replace("\n", " ")
        raise InvalidInput(f"The recipe is not YAML: {place}.") from error
    return recipe_from_content(content)


def recipe_from_content(content: object) -> Recipe:
    """Build a recipe from plain values; errors as `parse_recipe`."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        where = f" at {place}" if place else ""
        raise InvalidInput(
            f"The recipe is wrong{where}: {first['msg']}.",
            hint=f"Its keys: {', '.join(Recipe.model_fields)}.",
        ) from error


def parse_rule(text: str) -> Rule:
    """Read a rule such as `faithful=yes`, `quality>=4` or `problem=none`."""
    found = RULE.match(text)
    if found is None:
        raise InvalidInput(f"{text!r} is no rule.", hint=RULE_HINT)
    criterion, sign, value = found.groups()
    if sign == "=":
        return Rule(criterion=criterion, equals=value)
    try:
        return Rule(criterion=criterion, at_least=float(value))
    except ValueError as error:
        raise InvalidInput(f"{value!r} in {text!r} is no number.", hint=RULE_HINT) from error


def parse_replay(text: str) -> Replay:
    """Read `all`, a number of references such as `200`, or a share such as `30%`."""
    if text == "all":
        return Replay()
    try:
        if text.endswith("%"):
            return Replay(share=float(text[:-1]) / 100)
        return Replay(count=int(text))
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is no amount of references.", hint="Write all, 200 or 30%."
        ) from error
