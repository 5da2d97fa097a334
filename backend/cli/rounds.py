"""`strop round start|status|list|pause|resume|cancel|sign`: turns of the loop."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.curation import sets as options
from backend.cli.options import AcceptLeaksOption, AsOption, JsonOption, ProjectOption, group
from backend.cli.terminal.printing import print_json, print_rows, print_table
from backend.cli.verdicts.signing import UnservedOption, serve

if TYPE_CHECKING:
    from backend.tables.rounds import Round

app = group("Turns of the loop.")

MADE = (
    "training_set",
    "training_run",
    "candidate",
    "generation_run",
    "review_queue",
    "comparison",
    "promotion",
)
Number = Annotated[int | None, Argument(help="Number of the round; the newest by default.")]


@app.command()
def start(
    plan: Annotated[Path, Argument(help="YAML with keys of a round's plan.")],
    hold_back: options.HoldBack = None,
    as_: AsOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Begin a round; `strop up` or `strop worker` takes its steps."""
    from backend.db import utc_now
    from backend.services import rounds
    from backend.services.accounts.users import find_user
    from backend.services.metric_specs import allowed_metrics

    chosen = rounds.parse_plan(plan.read_text(encoding="utf-8"))
    if hold_back is not None:
        chosen = rounds.hold_back_in(chosen, hold_back)
    with in_project(project) as (installation, session, found):
        row = rounds.start_round(
            session,
            found.id,
            chosen,
            started_by_id=None if as_ is None else find_user(session, as_).id,
            now=utc_now(),
            allowed=allowed_metrics(installation.settings, found.id),
        )
        record = _record(row)
    _show(record, as_json=json)


@app.command()
def status(number: Number = None, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Say what a round waits for, since when, and what it will do next."""
    from backend.services.rounds import find_round

    with in_project(project) as (_, session, found):
        record = _record(find_round(session, found.id, number))
    _show(record, as_json=json)


@app.command("list")
def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the rounds of the project."""
    from backend.services.rounds import list_rounds

    with in_project(project) as (_, session, found):
        records = [_record(row) for row in list_rounds(session, found.id)]
    print_rows(records, columns=["number", "state", "phase", "waits_for", "since"], json=json)


@app.command()
def pause(number: Number = None, project: ProjectOption = None) -> None:
    """Take no further step; what a worker is doing goes on."""
    from backend.db import utc_now
    from backend.services.rounds import find_round, pause_round

    with in_project(project) as (_, session, found):
        row = find_round(session, found.id, number)
        pause_round(session, row, now=utc_now())
        record = _record(row)
    _show(record, as_json=False)


@app.command()
def resume(
    number: Number = None,
    accept_leaks: AcceptLeaksOption = None,
    as_: AsOption = None,
    project: ProjectOption = None,
) -> None:
    """Go on with a paused or failed round."""
    from backend.cli.common import leak_acceptance
    from backend.db import utc_now
    from backend.services.rounds import AcceptedLeaks, find_round, take_up_round

    with in_project(project) as (_, session, found):
        row = find_round(session, found.id, number)
        given = leak_acceptance(session, accept_leaks, as_)
        accepted = None
        if given is not None:
            accepted = AcceptedLeaks(user_id=given.user_id, reason=given.reason)
        take_up_round(session, row, now=utc_now(), accept=accepted)
        record = _record(row)
    _show(record, as_json=False)


@app.command()
def cancel(
    reason: Annotated[str, Option(help="Why; it stays in the round's record.")],
    number: Number = None,
    as_: AsOption = None,
    project: ProjectOption = None,
) -> None:
    """End a round without a verdict; its jobs are cancelled, what they made stays."""
    from backend.db import utc_now
    from backend.services.accounts.users import find_user
    from backend.services.rounds import cancel_round, find_round

    with in_project(project) as (_, session, found):
        row = find_round(session, found.id, number)
        by = None if as_ is None else find_user(session, as_)
        cancel_round(session, row, reason=reason, now=utc_now(), by=by)
        record = _record(row)
    _show(record, as_json=False)


@app.command()
def sign(
    as_: Annotated[str, Option("--as", help="Your user name, which signs.")],
    number: Number = None,
    override: Annotated[
        str | None, Option(help="Reason to promote without PASS; it stays visible.")
    ] = None,
    hold: Annotated[
        str | None, Option(help="Reason to keep what stands: nothing is promoted.")
    ] = None,
    allow_unserved: UnservedOption = None,
    project: ProjectOption = None,
) -> None:
    """Sign the promotion that a round waits for, or that it is held; in the name of a lead."""
    from backend.db import utc_now
    from backend.services.accounts.users import find_user, require_lead
    from backend.services.rounds import Signature, find_round, plan_signing, sign_round

    with in_project(project) as (installation, session, found):
        row = find_round(session, found.id, number)
        number, project_id = row.number, found.id
        user_id = require_lead(session, find_user(session, as_).id, project_id).id
        move = plan_signing(session, row, override=override) if hold is None else None
    served = serve(move, installation.settings) if move is not None else None
    signature = Signature(user_id, hold, override, serving=served, unserved=allow_unserved)
    with installation.sessions.begin() as session:
        row = find_round(session, project_id, number)
        sign_round(session, row, signature, now=utc_now())
        record = _record(row)
    _show(record, as_json=False)


def _record(row: Round) -> dict[str, Any]:
    from backend.services.rounds import explain_round

    made = {name: getattr(row, f"{name}_id") for name in MADE}
    events = [{"at": event.at, "phase": event.phase, "text": event.text} for event in row.events]
    return {**asdict(explain_round(row)), "made": made, "events": events}


def _show(record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(record)
        return
    typer.echo(f"Round {record['number']} is {record['state']}, phase {record['phase']}.")
    typer.echo(f"It waits for {record['waits_for']}, since {record['since']:%Y-%m-%d %H:%M} UTC.")
    typer.echo(f"Next: {record['next']}.")
    if record["error"]:
        typer.echo(f"Error: {record['error']}")
    told = [{**event, "at": f"{event['at']:%Y-%m-%d %H:%M}"} for event in record["events"]]
    print_table(told, columns=["at", "phase", "text"])
