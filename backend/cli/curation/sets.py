"""`strop set freeze|list|show`: training sets, frozen with their recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.common import (
    JsonOption,
    ProjectOption,
    leak_acceptance,
    print_json,
    print_table,
    takes,
    working_in_project,
)
from backend.cli.curation.recipe_options import FreezeOptions, recipe_asked

if TYPE_CHECKING:
    from backend.tables.curation import TrainingSet

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Frozen training sets.")


@app.command()
@takes(FreezeOptions)
def freeze(asked: FreezeOptions) -> None:
    """Freeze reviewed answers of the train split; held-out ones are set aside and counted."""
    from backend.services import curation

    recipe = recipe_asked(asked)
    with working_in_project(asked.project) as (_, session, found):
        frozen = curation.freeze_training_set(
            session,
            project_id=found.id,
            name=asked.name,
            recipe=recipe,
            accept_leaks=leak_acceptance(session, asked.accept_leaks, asked.as_),
        )
        record = _record(frozen)
    if asked.json:
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
        typer.echo(f"{record['n_refused']} set aside, because held out:")
        for reason, n in record["reasons"].items():
            typer.echo(f"  {n}: {reason}")
