"""`strop set freeze|list|show`: training sets, frozen with their recipe.

Options of a command that say what goes into a training set, and the recipe that they make.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project, leak_acceptance
from backend.cli.inputs import read_text
from backend.cli.options import AcceptLeaksOption, AsOption, JsonOption, ProjectOption, group, takes
from backend.cli.terminal.printing import print_json, print_rows, print_shown, print_table

if TYPE_CHECKING:
    from backend.services.curation import Recipe
    from backend.tables.curation import TrainingSet

HoldBack = Annotated[float | None, Option(help="Share of corrections kept from training: 0.2.")]


@dataclass(frozen=True, slots=True)
class FreezeOptions:
    """What `strop set freeze` is asked for; most of it goes into the recipe."""

    name: Annotated[str, Argument(help="Name of the new set.")]
    queue: Annotated[list[str] | None, Option(help="Queue; may be repeated.")] = None
    review: Annotated[list[int] | None, Option(help="Review by id; repeatable.")] = None
    example: Annotated[list[int] | None, Option(help="Example by id; repeatable.")] = None
    recipe: Annotated[Path | None, Option(help="Recipe as YAML; options add to it.")] = None
    approved: Annotated[
        str | None, Option(help="Outputs that meet a rule: faithful=yes, quality>=4.")
    ] = None
    references: Annotated[
        str | None, Option(help="Replay references: all, 200 or 30% of the SFT rows.")
    ] = None
    dataset: Annotated[str | None, Option(help="Dataset of the references.")] = None
    dpo: Annotated[bool, Option(help="Pairs from corrections and votes.")] = False
    kto: Annotated[str | None, Option(help="Labels by a rule: faithful=yes.")] = None
    adjudicated_only: Annotated[
        bool, Option("--adjudicated-only", help="Of reviews, only adjudicators' verdicts.")
    ] = False
    minimum: Annotated[
        str | None, Option(help="Least mean rating of outputs as written: quality>=3.")
    ] = None
    negatives: Annotated[
        str | None, Option(help="Outputs failing this rule: rejected in DPO, false in KTO.")
    ] = None
    weight: Annotated[
        str | None, Option("--weight", help="equal, or agreement (share of reviewers).")
    ] = None
    per_group: Annotated[int | None, Option(help="Most rows of a kind from one group.")] = None
    mix: Annotated[
        str | None, Option("--mix", help="Shares of tasks: task:intent=0.5,reply=0.5.")
    ] = None
    order: Annotated[
        str | None, Option("--order", help="shuffled, short-to-long, or easy-to-hard (by loss).")
    ] = None
    counterfactuals: Annotated[
        str | None, Option(help="Rows again with these exchanged: name,gender:0.5.")
    ] = None
    hold_back: HoldBack = None
    fixed_when: Annotated[
        str | None, Option(help="When a replayed answer is right: equal, token_f1>=0.9.")
    ] = None
    seed: Annotated[int | None, Option(help="Seed of every choice among rows.")] = None
    prompt: Annotated[
        str | None, Option(help="Prompt that the rows are rendered with: brief@2.")
    ] = None
    synthetic_share_max: Annotated[
        float | None, Option(help="Most that rows drafted by a model may be of all: 0.3.")
    ] = None
    without_synthetic: Annotated[
        bool, Option("--without-synthetic", help="Leave out rows that a model drafted.")
    ] = False
    drop_leaks: Annotated[
        bool, Option("--drop-leaks", help="Leave out near-duplicates of held-out prompts.")
    ] = False
    accept_leaks: AcceptLeaksOption = None
    as_: AsOption = None
    project: ProjectOption = None
    json: JsonOption = False


def recipe_from_options(asked: FreezeOptions) -> Recipe:
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
    *("order", "counterfactuals", "hold_back", "fixed_when", "seed", "drop_leaks", "prompt"),
    *("synthetic_share_max", "without_synthetic"),
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
        "counterfactuals": curation.parse_counterfactuals,
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
    from backend.services.curation import parse_recipe

    if path is None:
        return {}
    return parse_recipe(read_text(path)).model_dump(mode="json", exclude_defaults=True)


app = group("Frozen training sets.")


@app.command()
@takes(FreezeOptions)
def freeze(asked: FreezeOptions) -> None:
    """Freeze reviewed answers of the train split; held-out ones are set aside and counted."""
    from backend.services import curation
    from backend.services.datasets.health.reports import set_warning
    from backend.services.models.adapter_files import project_artifacts

    recipe = recipe_from_options(asked)
    with in_project(asked.project) as (installation, session, found):
        frozen = curation.freeze_training_set(
            session,
            project_id=found.id,
            name=asked.name,
            recipe=recipe,
            accept_leaks=leak_acceptance(session, asked.accept_leaks, asked.as_),
            encoders=project_artifacts(installation.settings, found.id),
        )
        record, warning = _record(frozen), set_warning(session, frozen.id)
    if warning is not None:
        typer.echo(f"note: {warning}", err=True)
    print_shown(record, _show, json=asked.json)


@app.command("list")
def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the training sets of the project."""
    from backend.services import curation

    with in_project(project) as (_, session, found):
        records = [_record(one) for one in curation.list_training_sets(session, found.id)]
    rows = [{**record, "digest": record["digest"][:12]} for record in records]
    print_rows(
        rows, columns=["set", "rows", "simulated", "digest", "made"], json=json, whole=records
    )


@app.command()
def show(
    name: Annotated[str, Argument(help="Training set.")],
    rows: Annotated[int, Option(min=0, help="Print so many rows.")] = 0,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a set was made of and what was set aside."""
    from itertools import islice

    from backend.services import curation

    with in_project(project) as (_, session, found):
        frozen = curation.find_training_set(session, found.id, name)
        record = _record(frozen)
        first = [
            {
                "kind": row.kind,
                "completion": row.completion,
                "rejected": row.rejected,
                "label": row.label,
                "weight": row.weight,
                **row.provenance,
            }
            for row in islice(curation.training_rows(session, frozen.id), rows)
        ]
    if json:
        print_json({**record, "first": first} if rows else record)
        return
    _show(record)
    if first:
        print_table(first, columns=["kind", "source", "example", "reviewer", "completion"])


def _record(frozen: TrainingSet) -> dict[str, Any]:
    from backend.services import curation

    return {
        "set": frozen.name,
        "id": frozen.id,
        "rows": frozen.n_rows,
        "simulated": "simulated" if frozen.simulated else "",
        "digest": frozen.digest,
        "made": f"{frozen.created_at:%Y-%m-%d %H:%M}",
        "in_words": curation.describe_set(frozen),
        **frozen.recipe,
    }


def _show(record: dict[str, Any]) -> None:
    by_source = ", ".join(f"{n} {source}" for source, n in record["rows_by_source"].items())
    simulated = ", rests on simulated reviews" if record["simulated"] else ""
    typer.echo(f"{record['set']}: {record['rows']} rows ({by_source}){simulated}.")
    typer.echo(f"sha256 {record['digest']}")
    for sentence in record["in_words"]:
        typer.echo(f"  {sentence}")
    if record["n_refused"]:
        typer.echo(f"{record['n_refused']} set aside:")
        for reason, n in record["reasons"].items():
            typer.echo(f"  {n}: {reason}")
