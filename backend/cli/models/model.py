"""`strop model add|list|preflight`: another base model, or one that a server elsewhere knows.

List and preflight are those of `strop adapter`: they know every kind of model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from backend.cli.common import in_project, open_installation
from backend.cli.models import adapter
from backend.cli.options import ProjectOption, group

if TYPE_CHECKING:
    from backend.tables.models import ModelVersion

app = group("Other bases, and models served elsewhere.")
app.command("list")(adapter.list_)
app.command("preflight")(adapter.preflight)


@app.command()
def add(
    name: Annotated[str, Argument(help="Name here, for example gpt.")],
    served_as: Annotated[
        str | None, Option("--served-as", help="Name by which a server elsewhere knows it.")
    ] = None,
    base: Annotated[
        str | None, Option("--base", help="Folder or hub name of another base model.")
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Register another base, or a model of a server that speaks the OpenAI protocol."""
    from backend.errors import InvalidInput
    from backend.services.models.others import register_served

    if (served_as is None) == (base is None):
        raise InvalidInput("Name either --served-as NAME or --base FOLDER.")
    if base is not None:
        model = _add_base(name, base, project)
        typer.echo(f"{model.label}: {model.base_model}, sha256 {model.base_sha256[:12]}.")
        own = model.name
        typer.echo(f"It is a base of its own: strop adapter add NAME PATH --base {own}")
        return
    with in_project(project) as (installation, session, found):
        model = register_served(session, found.id, name, str(served_as))
        typer.echo(f"{model.label}: served elsewhere as {model.base_model}.")
        servers = list(installation.settings.openai_servers)
    where = f"It is asked at {', '.join(servers)}" if servers else "STROP_OPENAI_URL is not set"
    typer.echo(f"{where}; texts of the project are sent there, and its weights cannot be proved.")


def _add_base(name: str, base: str, project: str | None) -> ModelVersion:
    from backend.db import reading
    from backend.services.models.others import place_of_base, register_other_base
    from backend.services.models.seen import see_base
    from backend.services.models.versions import check_name
    from backend.services.projects import get_project

    check_name(name)
    installation = open_installation()
    with reading(installation.sessions) as session:
        found = get_project(session, project)
        place = place_of_base(session, found.id, base, installation.settings)
    seen = see_base(place)
    with installation.sessions.begin() as session:
        return register_other_base(session, found.id, name, place, seen=seen)
