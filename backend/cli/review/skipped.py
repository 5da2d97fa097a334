"""`strop review skipped`: what of a queue skipped review by its risk, and putting it up anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from backend.cli.common import on_queue
from backend.cli.options import JsonOption, ProjectOption
from backend.cli.terminal.printing import print_json, print_table

if TYPE_CHECKING:
    from backend.schemas.checks.triage import RoutingOut

PATH_COLUMNS = ["audited", "wrong", "at least"]


def skipped(
    queue: Annotated[str, Argument(help="Queue that was opened with --skip-below.")],
    put_up: Annotated[
        bool, Option("--put-up", help="Put what skipped into the queue for review.")
    ] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show what skipped review and how its guarantee stands. Exit code 2 when it is withdrawn."""
    from backend.db import utc_now
    from backend.services.review.reports.skipped import show_routing
    from backend.services.review.routing import return_skipped

    with on_queue(queue, project) as (session, opened):
        if put_up:
            return_skipped(session, opened.id, user_id=None, now=utc_now())
        shown = show_routing(session, opened.id)
    if json:
        print_json(shown.model_dump(mode="json"))
    else:
        _show(shown)
    if shown.state == "withdrawn":
        raise typer.Exit(2)


def _show(shown: RoutingOut) -> None:
    typer.echo(
        f"{shown.queue}: {shown.n_skipped} skipped by {shown.metric}, {shown.n_audited} of them "
        f"audited, {shown.n_looked} looked at, {shown.errors} wrong."
    )
    if shown.n_simulated:
        typer.echo(f"{shown.n_simulated} of these reviews are simulated.")
    if shown.n_taken_back:
        typer.echo(f"{shown.n_taken_back} reviews of the audit were withdrawn.")
    typer.echo(shown.sentence)
    if shown.path:
        rows = [
            {"audited": one.n, "wrong": one.errors, "at least": f"{one.low:.1%}"}
            for one in shown.path
        ]
        print_table(rows, columns=PATH_COLUMNS, title="Share of wrong ones among what skipped")
    typer.echo(shown.evidence["assumes"])
    if shown.state == "withdrawn":
        typer.echo(f"Put them up for review: strop review skipped {shown.queue} --put-up")
