"""Recipes: what goes into a training set, written down before it is frozen.

A recipe is a YAML file, or the options of `strop set freeze`. It names where the rows come from
(queues, or single reviews, outputs and examples), by which rule an answer is good enough, how many
of which kind go in, what a row weighs and in what order the rows are shown, and what is held back.

The metric that a recipe judges replayed answers by, looked up before anything is frozen.

A recipe and what came of it, in sentences that a lead can read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backend.errors import InvalidInput
from backend.services.curation.counterfactual_recipe import Counterfactuals
from backend.services.derivation import say_synthetic
from backend.services.metric_specs import BUILT_IN
from backend.tables.curation import TrainingSet

if TYPE_CHECKING:
    from evaluators.metric import Metric


def fixed_metric(rule: FixedRule) -> Metric | None:
    """The metric that a rule names, None for equality; errors as `resolve`."""
    if rule.metric == EQUAL:
        return None
    return BUILT_IN.resolve([rule.metric])[0]


RULE = re.compile(r"^\s*([a-z][a-z0-9_]*)\s*(>=|=)\s*(\S+)\s*$")
RULE_HINT = "Write faithful=yes, quality>=4 or problem=none."
FIXED_RULE = re.compile(r"^\s*(\S+?)\s*(>=|<=)\s*(\S+)\s*$")
FIXED_HINT = "Write equal, token_f1>=0.9 or invented<=0."
EQUAL = "equal"
MIX_HINT = "Write task:intent=0.5,reply=0.5, or dataset:NAME=0.3,OTHER=0.7."


class _RecipePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_RecipePart):
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


class ReplayPart(_RecipePart):
    """References of the train split: all, a number of them, or a share of the finished SFT rows."""

    count: int | None = Field(None, ge=1)
    share: float | None = Field(None, gt=0, lt=1)

    @model_validator(mode="after")
    def _not_both(self) -> ReplayPart:
        if self.count is not None and self.share is not None:
            raise ValueError("give either count or share")
        return self


class Weight(StrEnum):
    """What a row of SFT counts for in the loss."""

    EQUAL = "equal"
    AGREEMENT = "agreement"


class Order(StrEnum):
    """How rows of SFT are shown to the trainer; the last two are curricula."""

    SHUFFLED = "shuffled"
    SHORT_TO_LONG = "short_to_long"
    EASY_TO_HARD = "easy_to_hard"


ORDERS = {
    Order.SHUFFLED: "",
    Order.SHORT_TO_LONG: "from short to long, by characters, in every epoch",
    Order.EASY_TO_HARD: "from easy to hard in every epoch, by the loss under the model that "
    "training starts from",
}
"""In words; rows that are shuffled need none."""


class Mix(_RecipePart):
    """Tasks mixed by share: `by` is a key of the examples' slices, or `dataset`."""

    by: str = Field(min_length=1)
    shares: dict[str, float] = Field(min_length=2)

    @model_validator(mode="after")
    def _shares_of_one(self) -> Mix:
        if min(self.shares.values()) <= 0 or not math.isclose(sum(self.shares.values()), 1):
            raise ValueError("the shares must be above 0 and add up to 1")
        return self

    def __str__(self) -> str:
        return f"{self.by}:" + ",".join(f"{name}={part:g}" for name, part in self.shares.items())


class FixedRule(_RecipePart):
    """When a replayed answer counts as right: it equals what the expert wrote, or a metric says so.

    `equal` compares after Unicode's NFKC, with case, runs of white space and a last full stop left
    out; any other metric is given the expert's text as the only reference.
    """

    metric: str = Field(EQUAL, min_length=1)
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> FixedRule:
        bounds = (self.at_least is not None) + (self.at_most is not None)
        if bounds != (0 if self.metric == EQUAL else 1):
            raise ValueError("give equal alone, or a metric with either at_least or at_most")
        return self

    def __str__(self) -> str:
        if self.at_least is not None:
            return f"{self.metric}>={self.at_least:g}"
        return self.metric if self.at_most is None else f"{self.metric}<={self.at_most:g}"


class Recipe(_RecipePart):
    """What a training set is made of.

    An output with several reviews counts once: it is approved when more than half of its reviewers
    approve it and did not correct it; else its newest correction is taken. A reviewer's latest
    review of an output counts; withdrawn ones do not.

    What is held back goes first, then what is over `per_group`, then references are drawn, then
    `mix` is made by leaving rows out.
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
    references: ReplayPart | None = Field(None, description="SFT rows of references (replay).")
    dpo_corrections: bool = Field(False, description="DPO rows: correction over output.")
    dpo_votes: bool = Field(False, description="DPO rows: winner over loser of a pair.")
    kto: Rule | None = Field(None, description="KTO rows: the rule decides the label.")
    drop_leaks: bool = Field(False, description="Leave out near-duplicates of held-out prompts.")
    adjudicated_only: bool = Field(
        False, description="Of reviewed answers, only verdicts of adjudications."
    )
    minimum: Rule | None = Field(
        None,
        description="Least mean rating of an output that is taken as it was written (approved, "
        "winner of a vote, KTO's true); one that nobody rated is left out.",
    )
    negatives: Rule | None = Field(
        None,
        description="Outputs that fail this rule by majority: the rejected side of DPO rows "
        "(better: the correction, else an approved output of the prompt, else its reference) and "
        "KTO rows labelled false. SFT has no use for them: it would learn to write them.",
    )
    weight: Weight = Field(
        Weight.EQUAL,
        description="agreement: an SFT row weighs the share of its output's reviews that decided "
        "as the row does; verdicts and references weigh 1.",
    )
    per_group: int | None = Field(
        None,
        ge=1,
        description="Most rows of a kind from one group: corrections first, then votes, ratings, "
        "negatives, approved outputs and references, drawn by the seed within each.",
    )
    mix: Mix | None = Field(
        None, description="Shares of tasks in each kind of rows; other tasks are left out."
    )
    order: Order = Field(
        Order.SHUFFLED,
        description="short_to_long: by characters. easy_to_hard: by the loss under the model that "
        "training starts from, which the trainer computes before the first step.",
    )
    hold_back: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of corrections that is kept from training, whole groups drawn by seed.",
    )
    fixed_when: FixedRule = Field(
        FixedRule(metric=EQUAL), description="When a replayed answer counts as right (yield)."
    )
    counterfactuals: Counterfactuals | None = Field(
        None,
        description="Each row once more with these exchanged, where it can be done safely; such "
        "rows are marked and keep the group of theirs.",
    )
    seed: int = Field(7, description="Seed of every choice among rows.")
    synthetic_share_max: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Most that rows drafted by a model may be of all; the others are left out, "
        "drawn by the seed.",
    )
    without_synthetic: bool = Field(
        False, description="Leave out every row that a model drafted; the others stay the same."
    )
    prompt: str | None = Field(
        None,
        description="Prompt that the rows are rendered with, such as brief@2. It shows no shots, "
        "since training takes their place, unless prompt_shots says so.",
    )
    prompt_shots: bool = Field(
        False, description="Render the shots of the prompt into every row, too."
    )

    @model_validator(mode="after")
    def _has_sources(self) -> Recipe:
        named = self.queues or self.reviews or self.generations or self.examples
        if not named and self.references is None:
            raise ValueError("it names no queue, review, output or example, and no references")
        return self

    @model_validator(mode="after")
    def _says_nothing_in_vain(self) -> Recipe:
        if self.minimum is not None and self.minimum.at_least is None:
            raise ValueError("minimum is a least rating, such as quality>=3")
        if self.minimum is not None and not (self.approved or self.dpo_votes or self.kto):
            raise ValueError("minimum limits outputs taken as written: give approved, votes or kto")
        if self.prompt_shots and self.prompt is None:
            raise ValueError("prompt_shots are those of a prompt: name it")
        if self.hold_back is not None and not (self.corrected or self.dpo_corrections):
            raise ValueError("hold_back holds corrections back: take them with corrected")
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


def parse_replay(text: str) -> ReplayPart:
    """Read `all`, a number of references such as `200`, or a share such as `30%`."""
    if text == "all":
        return ReplayPart()
    try:
        if text.endswith("%"):
            return ReplayPart(share=float(text[:-1]) / 100)
        return ReplayPart(count=int(text))
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is no amount of references.", hint="Write all, 200 or 30%."
        ) from error


def parse_fixed_rule(text: str) -> FixedRule:
    """Read `equal`, or a metric with its bound: `token_f1>=0.9`, `invented<=0`."""
    if text.strip() == EQUAL:
        return FixedRule(metric=EQUAL)
    found = FIXED_RULE.match(text)
    if found is None or found.group(1) == EQUAL:
        raise InvalidInput(f"{text!r} does not say when an answer is right.", hint=FIXED_HINT)
    metric, sign, bound = found.groups()
    try:
        value = float(bound)
    except ValueError as error:
        raise InvalidInput(f"{bound!r} in {text!r} is no number.", hint=FIXED_HINT) from error
    if sign == ">=":
        return FixedRule(metric=metric, at_least=value)
    return FixedRule(metric=metric, at_most=value)


def parse_mix(text: str) -> Mix:
    """Read a mix such as `task:intent=0.5,reply=0.5`."""
    by, colon, rest = text.partition(":")
    parts = [part.rpartition("=") for part in rest.split(",")]
    try:
        shares = {name.strip(): float(share) for name, _, share in parts}
        if not colon or len(shares) < len(parts):
            raise ValueError("a task is named twice, or none is")
        return Mix(by=by.strip(), shares=shares)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no mix of tasks.", hint=MIX_HINT) from error


def prompt_of_set(frozen: TrainingSet) -> dict[str, Any]:
    """The prompt of a set's rows as training records it: name, version, digest, shots; or empty."""
    return dict(frozen.recipe.get("prompt") or {})


def prompt_label(recorded: Mapping[str, Any]) -> str:
    """A recorded prompt as people write it: `brief@2`."""
    return f"{recorded['name']}@{recorded['version']}"


def describe_recipe(recipe: Recipe) -> list[str]:
    """What the recipe asks for, a sentence for each part that is not left at its default."""
    return [*_sources(recipe), *_rules(recipe), *_shape(recipe)]


def describe_set(frozen: TrainingSet) -> list[str]:
    """What a frozen set was made of, and what was left out."""
    kept = frozen.recipe
    asked = kept.get("asked")
    said = [] if asked is None else describe_recipe(Recipe.model_validate(asked))
    held = kept.get("held_back")
    if held is not None:
        near = len(held["near_duplicates_left_out"])
        said.append(
            f"Held back: {held['corrections']} of {held['of_corrections']} corrections in "
            f"{held['groups']} groups, and {held['approved']} approved outputs of these groups; "
            f"{held['rows_left_out']} rows left out for it"
            + (f", {near} of their prompts for near-duplicates." if near else ".")
        )
    if (synthetic := kept.get("synthetic")) is not None:
        said.append(say_synthetic(synthetic))
    if made := kept.get("counterfactuals"):
        kinds = ", ".join(f"{kind} {n}" for kind, n in made["made"].items()) or "none"
        said.append(
            f"Counterfactual rows, made by a program: {made['rows']} ({kinds}); not made of "
            f"others: {sum(made['left_out'].values())}."
        )
    said += [f"Left out, {why}: {n}." for why, n in kept.get("left_out", {}).items()]
    return said


def _sources(recipe: Recipe) -> Iterator[str]:
    named: Mapping[str, tuple[Any, ...]] = {
        "queues": recipe.queues,
        "reviews": recipe.reviews,
        "outputs": recipe.generations,
        "examples": recipe.examples,
    }
    found = [f"{what} {', '.join(map(str, ids))}" for what, ids in named.items() if ids]
    if found:
        only = ", only verdicts of adjudications" if recipe.adjudicated_only else ""
        yield f"From {'; '.join(found)}{only}."
    if recipe.references is not None:
        where = f" of {recipe.dataset}" if recipe.dataset else ""
        yield f"Replayed: {_amount(recipe.references)} of the train split{where}."


def _amount(replay: ReplayPart) -> str:
    if replay.count is not None:
        return f"{replay.count} references"
    if replay.share is not None:
        return f"references as {replay.share:.0%} of the SFT rows"
    return "all references"


def _rules(recipe: Recipe) -> Iterator[str]:
    taken = ["corrections"] if recipe.corrected and (recipe.queues or recipe.reviews) else []
    if recipe.approved is not None:
        taken.append(f"outputs that most reviewers approve ({recipe.approved})")
    if taken:
        yield f"SFT rows: {' and '.join(taken)}."
    pairs = ["correction over output"] if recipe.dpo_corrections else []
    pairs += ["winner over loser of a vote"] if recipe.dpo_votes else []
    if pairs:
        yield f"DPO rows: {', '.join(pairs)}."
    if recipe.kto is not None:
        yield f"KTO rows: true where {recipe.kto} for most who answered, else false."
    if recipe.minimum is not None:
        yield f"Outputs taken as written have a mean rating of {recipe.minimum}, or stay out."
    if recipe.negatives is not None:
        yield (
            f"Outputs that fail {recipe.negatives} are negative examples: rejected in DPO, false "
            "in KTO, not used in SFT."
        )


def _shape(recipe: Recipe) -> Iterator[str]:
    if recipe.hold_back is not None:
        yield (
            f"{recipe.hold_back:.0%} of the corrections, whole groups by seed {recipe.seed}, are "
            "held back from training."
        )
    if recipe.per_group is not None:
        yield f"At most {recipe.per_group} rows of a kind from one group."
    if recipe.without_synthetic:
        yield "Rows that a model drafted are left out."
    elif recipe.synthetic_share_max is not None:
        yield f"At most {recipe.synthetic_share_max:.0%} of the rows may be drafted by a model."
    if recipe.mix is not None:
        shares = ", ".join(f"{name} {part:.0%}" for name, part in recipe.mix.shares.items())
        yield f"Mixed by {recipe.mix.by}: {shares}."
    if recipe.counterfactuals is not None:
        yield f"Rows once more with a person's group exchanged: {recipe.counterfactuals}."
    if recipe.prompt is not None:
        shots = "with its shots" if recipe.prompt_shots else "without shots"
        yield f"Rows are rendered with the prompt {recipe.prompt}, {shots}."
    if recipe.weight is Weight.AGREEMENT:
        yield "An SFT row weighs the share of its output's reviewers who decided as the row does."
    if shown := ORDERS[recipe.order]:
        yield f"SFT rows are shown {shown}."
    fixed = f"{recipe.fixed_when} against the expert's text"
    if recipe.fixed_when.metric == EQUAL:
        fixed = "equal to the expert's text but for case, white space and a last full stop"
    yield f"A replayed answer counts as right when it is {fixed}."
