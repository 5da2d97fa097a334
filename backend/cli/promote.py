"""`strop promote CANDIDATE`: point the alias at a model that passed."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.common import ProjectOption, working_in_project


def command(
    candidate: Annotated[str, typer.Argument(help="Model, for example v2.")],
    override: Annotated[
        str | None, typer.Option(help="Reason to promote without PASS; it stays visible.")
    ] = None,
    alias: Annotated[str, typer.Option(help="Alias to move.")] = "champion",
    project: ProjectOption = None,
) -> None:
    """Promote a candidate on the strength of its newest comparison."""
    from backend.services.comparison import newest_comparison
    from backend.services.model_versions import find_model
    from backend.services.promotion import promote

    with working_in_project(project) as (_, session, found):
        model = find_model(session, found.id, candidate)
        comparison = newest_comparison(session, found.id, model.id)
        row = promote(session, comparison, decided_by_id=None, alias=alias, override=override)
        typer.echo(f"{alias} is now {model.label}. {row.reason}")
