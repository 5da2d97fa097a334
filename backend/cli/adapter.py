"""`strop adapter add|list|preflight`: adapters on the project's base model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.common import (
    JsonOption,
    ProjectOption,
    print_json,
    print_table,
    working_in_project,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Adapters on the base model.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name, for example v1.")],
    path: Annotated[Path, typer.Argument(help="PEFT folder below the artifact root.")],
    project: ProjectOption = None,
) -> None:
    """Register an adapter folder; a changed folder is a new revision of the name."""
    from backend.services.model_versions import register_adapter

    with working_in_project(project) as (installation, session, found):
        model = register_adapter(session, found.id, name, path, settings=installation.settings)
        typer.echo(f"{model.label}: rank {model.adapter_rank}, sha256 {model.adapter_sha256}.")
        if not model.training_facts:
            typer.echo("It has no strop.json: what it was trained on is not known.")


@app.command("list")
def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the base and its adapters with their digests."""
    from backend.services.model_versions import alias_target, list_models

    with working_in_project(project) as (_, session, found):
        champion = alias_target(session, found.id, "champion")
        rows = [
            {
                "model": model.label,
                "champion": "yes" if champion and champion.id == model.id else "",
                "rank": model.adapter_rank,
                "sha256": (model.adapter_sha256 or model.base_sha256)[:12],
                "trained here": "yes" if model.training_run_id else "",
                "added": f"{model.created_at:%Y-%m-%d %H:%M}",
            }
            for model in list_models(session, found.id)
        ]
    if json:
        print_json(rows)
    else:
        print_table(rows, columns=list(rows[0]) if rows else ["model"])
