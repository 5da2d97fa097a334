"""`strop rollback`: point the alias back at the model before."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.common import ProjectOption, working_in_project


def command(
    reason: Annotated[str, typer.Option(help="Why; it stays in the log.")],
    alias: Annotated[str, typer.Option(help="Alias to move.")] = "champion",
    project: ProjectOption = None,
) -> None:
    """Undo the newest promotion of an alias."""
    from backend.services.model_versions import alias_target
    from backend.services.promotion import roll_back

    with working_in_project(project) as (_, session, found):
        roll_back(session, found.id, decided_by_id=None, reason=reason, alias=alias)
        model = alias_target(session, found.id, alias)
        typer.echo(f"{alias} is now {model.label if model else 'nothing'}.")
