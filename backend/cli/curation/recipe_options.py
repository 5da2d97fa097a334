"""Options of a command that say what goes into a training set, and the recipe that they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.common import AcceptLeaksOption, AsOption, JsonOption, ProjectOption

if TYPE_CHECKING:
    from backend.services.curation import Recipe

HoldBack = Annotated[
    float | None, typer.Option(help="Share of corrections kept from training: 0.2.")
]


@dataclass(frozen=True, slots=True)
class FreezeOptions:
    """What `strop set freeze` is asked for; most of it goes into the recipe."""

    name: Annotated[str, typer.Argument(help="Name of the new set.")]
    queue: Annotated[list[str] | None, typer.Option(help="Queue; may be repeated.")] = None
    review: Annotated[list[int] | None, typer.Option(help="Review by id; repeatable.")] = None
    example: Annotated[list[int] | None, typer.Option(help="Example by id; repeatable.")] = None
    recipe: Annotated[Path | None, typer.Option(help="Recipe as YAML; options add to it.")] = None
    approved: Annotated[
        str | None, typer.Option(help="Outputs that meet a rule: faithful=yes, quality>=4.")
    ] = None
    references: Annotated[
        str | None, typer.Option(help="Replay references: all, 200 or 30% of the SFT rows.")
    ] = None
    dataset: Annotated[str | None, typer.Option(help="Dataset of the references.")] = None
    dpo: Annotated[bool, typer.Option(help="Pairs from corrections and votes.")] = False
    kto: Annotated[str | None, typer.Option(help="Labels by a rule: faithful=yes.")] = None
    adjudicated_only: Annotated[
        bool, typer.Option("--adjudicated-only", help="Of reviews, only adjudicators' verdicts.")
    ] = False
    minimum: Annotated[
        str | None, typer.Option(help="Least mean rating of outputs as written: quality>=3.")
    ] = None
    negatives: Annotated[
        str | None, typer.Option(help="Outputs failing this rule: rejected in DPO, false in KTO.")
    ] = None
    weight: Annotated[
        str | None, typer.Option("--weight", help="equal, or agreement (share of reviewers).")
    ] = None
    per_group: Annotated[int | None, typer.Option(help="Most rows of a kind from one group.")] = (
        None
    )
    mix: Annotated[
        str | None, typer.Option("--mix", help="Shares of tasks: task:intent=0.5,reply=0.5.")
    ] = None
    order: Annotated[
        str | None,
        typer.Option("--order", help="shuffled, short-to-long, or easy-to-hard (by loss)."),
    ] = None
    hold_back: HoldBack = None
    fixed_when: Annotated[
        str | None, typer.Option(help="When a replayed answer is right: equal, token_f1>=0.9.")
    ] = None
    seed: Annotated[int | None, typer.Option(help="Seed of every choice among rows.")] = None
    drop_leaks: Annotated[
        bool, typer.Option("--drop-leaks", help="Leave out near-duplicates of held-out prompts.")
    ] = False
    accept_leaks: AcceptLeaksOption = None
    as_: AsOption = None
    project: ProjectOption = None
    json: JsonOption = False


def recipe_asked(asked: FreezeOptions) -> Recipe:
    """The recipe that the options of `strop set freeze` make; a flag left out says nothing."""
    values = {key: getattr(asked, _OPTIONS.get(key, key)) for key in _KEYS}
    said = {key: value for key, value in values.items() if value is not False}
    return recipe_of(asked.recipe, **said)


_OPTIONS: dict[str, str] = {  # key of a recipe -> the option that says it, where named otherwise
    "queues": "queue",
    "reviews": "review",
    "examples": "example",
    "dpo_corrections": "dpo",
    "dpo_votes": "dpo",
}
_KEYS = (
    *("queues", "reviews", "examples", "approved", "references", "dataset", "dpo_corrections"),
    *("dpo_votes", "kto", "adjudicated_only", "minimum", "negatives", "weight", "per_group", "mix"),
    *("order", "hold_back", "fixed_when", "seed", "drop_leaks"),
)


def recipe_of(path: Path | None, **options: Any) -> Recipe:
    """The recipe of a file, with what the options say put over it.

    Raises:
        InvalidInput: the file or an option does not read, or both together are no recipe.
    """
    from backend.services import curation

    parsers: dict[str, Callable[[str], Any]] = {
        "approved": curation.parse_rule,
        "references": curation.parse_replay,
        "kto": curation.parse_rule,
        "minimum": curation.parse_rule,
        "negatives": curation.parse_rule,
        "mix": curation.parse_mix,
        "fixed_when": curation.parse_fixed_rule,
    }
    content = _recipe_in(path)
    for name, value in options.items():
        if value is None or value == []:
            continue
        content[name] = parsers[name](value).model_dump(mode="json") if name in parsers else value
    if isinstance(content.get("order"), str):
        content["order"] = content["order"].replace("-", "_")
    return curation.recipe_from_content(content)


def _recipe_in(path: Path | None) -> dict[str, Any]:
    from backend.errors import InvalidInput
    from backend.services.curation import parse_recipe

    if path is None:
        return {}
    try:
        source = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is not UTF-8.", hint="Save it as UTF-8.") from error
    return parse_recipe(source).model_dump(mode="json", exclude_defaults=True)
