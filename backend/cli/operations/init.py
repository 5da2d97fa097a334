"""`strop init NAME`: the database, the first project, and its base model."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.common import HomeOption


def command(
    name: Annotated[str, typer.Argument(help="Name of the project.")],
    base_model: Annotated[
        str | None, typer.Option("--base-model", help="Path or hub name of the base model.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Make the database where it is missing, and a project in it."""
    from backend.db import connect, migrate
    from backend.private_files import close_installation, make_folder
    from backend.services.models.seen import see_base
    from backend.services.models.versions import register_base
    from backend.services.projects import create_project
    from backend.settings import load_settings

    settings = load_settings(home=home)
    make_folder(settings.home)
    migrate(settings.url)
    wanted = base_model or settings.base_model
    seen = see_base(wanted)  # before the transaction: a large base takes minutes to read
    with connect(settings).begin() as session:
        project = create_project(session, name, base_model=wanted)
        base = register_base(session, project.id, seen=seen)
        typer.echo(f"Project {name!r} on {base.base_model} (sha256 {base.base_sha256[:12]}).")
    settings.artifacts.mkdir(parents=True, exist_ok=True)
    for word in close_installation(settings):
        typer.echo(word, err=True)
    typer.echo(f"Database {settings.shown_url}; adapters below {settings.artifacts}.")
    typer.echo("Next: strop manifest set FILE, strop dataset import FILE, strop user add NAME.")
