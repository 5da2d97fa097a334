"""`strop set freeze|list|show`: training sets, frozen with their recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.common import (
    AcceptLeaksOption,
    AsOption,
    JsonOption,
    ProjectOption,
    leak_acceptance,
    print_json,
    print_table,
    working_in_project,
)

if TYPE_CHECKING:
    from backend.tables.curation import TrainingSet

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Frozen training sets.")


@app.command()
def freeze(
    name: Annotated[str, typer.Argument(help="Name of the new set.")],
    queue: Annotated[list[str] | None, typer.Option(help="Queue; may be repeated.")] = None,
    review: Annotated[list[int] | None, typer.Option(help="Review by id; repeatable.")] = None,
    example: Annotated[list[int] | None, typer.Option(help="Example by id; repeatable.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="Recipe as YAML; options add to it.")] = None,
    approved: Annotated[
        str | None, typer.Option(help="Outputs that meet a rule: faithful=yes, quality>=4.")
    ] = None,
    references: Annotated[
        str | None, typer.Option(help="Replay references: all, 200 or 30% of the SFT rows.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset of the references.")] = None,
    dpo: Annotated[bool, typer.Option(help="Pairs from corrections and votes.")] = False,
    kto: Annotated[str | None, typer.Option(help="Labels by a rule: faithful=yes.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the choice of references.")] = None,
    drop_leaks: Annotated[
        bool, typer.Option("--drop-leaks", help="Leave out near-duplicates of held-out prompts.")
    ] = False,
    accept_leaks: AcceptLeaksOption = None,
    as_: AsOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Freeze reviewed answers of the train split; held-out ones are set aside and counted."""
    from backend.services import curation

    options = {
        "queues": queue,
        "reviews": review,
        "examples": example,
        "approved": curation.parse_rule(approved).model_dump() if approved else None,
        "references": curation.parse_replay(references).model_dump() if references else None,
        "dataset": dataset,
        "dpo_corrections": dpo or None,
        "dpo_votes": dpo or None,
        "kto": curation.parse_rule(kto).model_dump() if kto else None,
        "seed": seed,
        "drop_leaks": drop_leaks or None,
    }
    chosen = curation.recipe_from_content(
        {**_recipe_of(recipe), **{key: value for key, value in options.items() if value}}
    )
    with working_in_project(project) as (_, session, found):
        frozen = curation.freeze_training_set(
            session,
            project_id=found.id,
            name=name,
            recipe=chosen,
            accept_leaks=leak_acceptance(session, accept_leaks, as_),
        )
        record = _record(frozen)
    if json:
        print_json(record)
        return
    _show(record)


@app.command("list")
def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the training sets of the project."""
    from backend.services import curation

    with working_in_project(project) as (_, session, found):
        records = [_record(one) for one in curation.list_training_sets(session, found.id)]
    if json:
        print_json(records)
        return
    rows = [{**record, "digest": record["digest"][:12]} for record in records]
    print_table(rows, columns=["set", "rows", "simulated", "digest", "made"])


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Training set.")],
    rows: Annotated[int, typer.Option(min=0, help="Print so many rows.")] = 0,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a set was made of and what was set aside."""
    from itertools import islice

    from backend.services import curation

    with working_in_project(project) as (_, session, found):
        frozen = curation.find_training_set(session, found.id, name)
        record = _record(frozen)
        first = [
            {
                "kind": row.kind,
                "completion": row.completion,
                "rejected": row.rejected,
                "label": row.label,
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


def _recipe_of(path: Path | None) -> dict[str, Any]:
    from backend.errors import InvalidInput
    from backend.services.curation import parse_recipe

    if path is None:
        return {}
    try:
        source = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is not UTF-8.", hint="Save it as UTF-8.") from error
    return parse_recipe(source).model_dump(mode="json", exclude_defaults=True)


def _record(frozen: TrainingSet) -> dict[str, Any]:
    return {
        "set": frozen.name,
        "id": frozen.id,
        "rows": frozen.n_rows,
        "simulated": "simulated" if frozen.simulated else "",
        "digest": frozen.digest,
        "made": f"{frozen.created_at:%Y-%m-%d %H:%M}",
        **frozen.recipe,
    }


def _show(record: dict[str, Any]) -> None:
    by_source = ", ".join(f"{n} {source}" for source, n in record["rows_by_source"].items())
    simulated = ", rests on simulated reviews" if record["simulated"] else ""
    typer.echo(f"{record['set']}: {record['rows']} rows ({by_source}){simulated}.")
    typer.echo(f"sha256 {record['digest']}")
    if record["n_refused"]:
        typer.echo(f"{record['n_refused']} set aside, because held out:")
        for reason, n in record["reasons"].items():
            typer.echo(f"  {n}: {reason}")
