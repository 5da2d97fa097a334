"""`strop promote CANDIDATE`: point the alias at a model that passed, on the servers too."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.options import ProjectOption
from backend.cli.verdicts.signing import ExpectedOption, SignerOption, UnservedOption, serve


def command(
    candidate: Annotated[str, Argument(help="Model, for example v2.")],
    as_: SignerOption,
    override: Annotated[
        str | None, Option(help="Reason to promote without PASS; it stays visible.")
    ] = None,
    allow_unserved: UnservedOption = None,
    expect: ExpectedOption = None,
    alias: Annotated[str, Option(help="Alias to move.")] = "champion",
    project: ProjectOption = None,
) -> None:
    """Promote a candidate on the strength of its newest comparison, in the name of a lead.

    Every configured server has to serve the model as it was evaluated before the alias moves.
    """
    from backend.services.accounts.users import find_user, require_lead
    from backend.services.models.versions import find_model
    from backend.services.verdicts import promotion
    from backend.services.verdicts.comparison import newest_comparison

    with in_project(project) as (installation, session, found):
        model = find_model(session, found.id, candidate)
        comparison = newest_comparison(session, found.id, model.id)
        signer = require_lead(session, find_user(session, as_).id, found.id)
        move = promotion.plan_promotion(
            session, comparison, alias=alias, override=override, expected=expect
        )
    report = serve(move, installation.settings)
    with installation.sessions.begin() as session:
        row = promotion.promote(
            session,
            promotion.get_comparison(session, comparison.id),
            decided_by_id=signer.id,
            alias=alias,
            expected=expect,
            override=override,
            serving=report,
            unserved=allow_unserved,
        )
        typer.echo(f"{alias} is now {model.label}, signed by {as_}. {row.reason}")
        if model.prompt is not None:
            typer.echo(
                f"A server that is asked for {alias} has the weights alone: whoever asks sends the "
                f"prompt {model.prompt_label} (strop prompt show {model.prompt_label})."
            )
