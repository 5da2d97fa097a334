"""`strop set freeze|list|show`: training sets, frozen with their recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli import recipe_options as options
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
    queue: options.Queues = None,
    review: options.Reviews = None,
    example: options.Examples = None,
    recipe: options.RecipeFile = None,
    approved: options.Approved = None,
    references: options.References = None,
    dataset: options.Dataset = None,
    dpo: options.Dpo = False,
    kto: options.Kto = None,
    adjudicated_only: options.AdjudicatedOnly = False,
    minimum: options.Minimum = None,
    negatives: options.Negatives = None,
    weight: options.WeightBy = None,
    per_group: options.PerGroup = None,
    mix: options.MixOf = None,
    order: options.OrderOf = None,
    hold_back: options.HoldBack = None,
    fixed_when: options.FixedWhen = None,
    seed: options.Seed = None,
    drop_leaks: options.DropLeaks = False,
    accept_leaks: AcceptLeaksOption = None,
    as_: AsOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Freeze reviewed answers of the train split; held-out ones are set aside and counted."""
    from backend.services import curation

    chosen = options.recipe_of(
        recipe,
        queues=queue,
        reviews=review,
        examples=example,
        approved=approved,
        references=references,
        dataset=dataset,
        dpo_corrections=dpo or None,
        dpo_votes=dpo or None,
        kto=kto,
        adjudicated_only=adjudicated_only or None,
        minimum=minimum,
        negatives=negatives,
        weight=weight,
        per_group=per_group,
        mix=mix,
        order=order,
        hold_back=hold_back,
        fixed_when=fixed_when,
        seed=seed,
        drop_leaks=drop_leaks or None,
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
