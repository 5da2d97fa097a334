"""`strop model add|list|preflight`: models that a server elsewhere knows by a name.

List and preflight are those of `strop adapter`: they know every kind of model.
"""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.common import ProjectOption, working_in_project
from backend.cli.models import adapter

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Models served elsewhere.")
app.command("list")(adapter.list_)
app.command("preflight")(adapter.preflight)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name here, for example gpt.")],
    served_as: Annotated[
        str, typer.Option("--served-as", help="Name by which the server knows it.")
    ],
    project: ProjectOption = None,
) -> None:
    """Register a model of a server that speaks the OpenAI protocol; another name is a revision."""
    from backend.services.models.versions import register_served

    with working_in_project(project) as (installation, session, found):
        model = register_served(session, found.id, name, served_as)
        typer.echo(f"{model.label}: served elsewhere as {model.base_model}.")
        servers = list(installation.settings.openai_servers)
    where = f"It is asked at {', '.join(servers)}" if servers else "STROP_OPENAI_URL is not set"
    typer.echo(f"{where}; texts of the project are sent there, and its weights cannot be proved.")
