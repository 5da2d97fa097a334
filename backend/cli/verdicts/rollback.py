"""`strop rollback`: point the alias back at the model before, on the servers too."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Option

from backend.cli.common import in_project
from backend.cli.options import ProjectOption
from backend.cli.verdicts.signing import ExpectedOption, SignerOption, UnservedOption, serve


def command(
    as_: SignerOption,
    reason: Annotated[str, Option(help="Why; it stays in the log.")],
    allow_unserved: UnservedOption = None,
    expect: ExpectedOption = None,
    alias: Annotated[str, Option(help="Alias to move.")] = "champion",
    project: ProjectOption = None,
) -> None:
    """Undo the newest promotion of an alias, in the name of a lead."""
    from backend.services.accounts.users import find_user, require_lead
    from backend.services.verdicts import promotion

    with in_project(project) as (installation, session, found):
        project_id = found.id
        signer = require_lead(session, find_user(session, as_).id, project_id)
        move = promotion.plan_roll_back(session, project_id, alias=alias, expected=expect)
    report = serve(move, installation.settings)
    with installation.sessions.begin() as session:
        promotion.roll_back(
            session,
            project_id,
            decided_by_id=signer.id,
            reason=reason,
            alias=alias,
            expected=expect,
            serving=report,
            unserved=allow_unserved,
        )
    typer.echo(f"{alias} is now {move.model.name}, signed by {as_}.")
