"""`strop init NAME`: the database, the first project, and its base model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from backend.cli.options import HomeOption

if TYPE_CHECKING:
    from backend.services.stories.begin import Begun
    from backend.services.stories.stories import Story


def command(
    name: Annotated[str, Argument(help="Name of the project.")],
    base_model: Annotated[
        str | None, Option("--base-model", help="Path or hub name of the base model.")
    ] = None,
    story: Annotated[
        str | None, Option(help="Begin as one of five: support, legal, clinical, bank, product.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Make the database where it is missing, and a project in it."""
    from backend.db import connect, migrate
    from backend.private_files import close_installation, make_folder
    from backend.services.models.seen import see_base
    from backend.services.models.versions import register_base
    from backend.services.projects import create_project
    from backend.services.stories.begin import begin_story
    from backend.services.stories.stories import find_story
    from backend.settings import load_settings

    chosen = None if story is None else find_story(story)  # before anything is made
    settings = load_settings(home=home)
    make_folder(settings.home)
    migrate(settings.url)
    wanted = base_model or settings.base_model
    seen = see_base(wanted)  # before the transaction: a large base takes minutes to read
    with connect(settings).begin() as session:
        project = create_project(session, name, base_model=wanted)
        base = register_base(session, project.id, seen=seen)
        typer.echo(f"Project {name!r} on {base.base_model} (sha256 {base.base_sha256[:12]}).")
        begun = None if chosen is None else begin_story(session, project.id, chosen)
    settings.artifacts.mkdir(parents=True, exist_ok=True)
    for word in close_installation(settings):
        typer.echo(word, err=True)
    typer.echo(f"Database {settings.shown_url}; adapters below {settings.artifacts}.")
    if chosen is None or begun is None:
        typer.echo("Next: strop manifest set FILE, strop dataset import FILE, strop user add NAME.")
    else:
        _say_begun(chosen, begun, settings.home / "stories" / name)


def _say_begun(story: Story, begun: Begun, folder: Path) -> None:
    """What a story has laid down, and where its files can be edited."""
    from backend.services.stories.begin import write_files

    shown = ", ".join(f"{split} {n} ({g} groups)" for split, (n, g) in begun.splits.items())
    typer.echo(f"Story {story.name}: {story.promise}. {story.settings['simulated']}")
    typer.echo(f"Examples by split: {shown}. Bar version {begun.manifest}, rubric {begun.rubric},")
    typer.echo(f"prompt {begun.prompt}. Its files lie in {folder}: edit them and set them again.")
    write_files(story, folder)
    typer.echo("Masking is off until you set it: strop mask policy set masking.yaml")
    typer.echo("Next: strop set freeze, strop train, strop run, strop gate; the guide is Stories.")
