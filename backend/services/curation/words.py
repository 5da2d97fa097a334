"""A recipe and what came of it, in sentences that a lead can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, assert_never

from backend.services.curation.recipes import Order, Recipe, Replay, Weight
from backend.tables.curation import TrainingSet


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


def _amount(replay: Replay) -> str:
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
    if recipe.mix is not None:
        shares = ", ".join(f"{name} {part:.0%}" for name, part in recipe.mix.shares.items())
        yield f"Mixed by {recipe.mix.by}: {shares}."
    if recipe.weight is Weight.AGREEMENT:
        yield "An SFT row weighs the share of its output's reviewers who decided as the row does."
    if (order := _order(recipe.order)) is not None:
        yield order
    yield f"A replayed answer counts as right when it is {_fixed(recipe)}."


def _order(order: Order) -> str | None:
    match order:
        case Order.SHUFFLED:
            return None
        case Order.SHORT_TO_LONG:
            return "SFT rows are shown from short to long, by characters, in every epoch."
        case Order.EASY_TO_HARD:
            return (
                "SFT rows are shown from easy to hard in every epoch, by the loss under the model "
                "that training starts from."
            )
        case _:
            assert_never(order)


def _fixed(recipe: Recipe) -> str:
    rule = recipe.fixed_when
    if rule.at_least is None and rule.at_most is None:
        return "equal to the expert's text but for case, white space and a last full stop"
    return f"{rule} against the expert's text"
