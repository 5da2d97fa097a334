"""`strop retention show|set|sweep`: for how many days a project keeps what is of use for a while.

strop retention set drafts 30
strop retention sweep --dry-run
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from typer import Argument, Option

from backend.cli.common import acting_person, in_project, open_installation
from backend.cli.options import AsOption, JsonOption, ProjectOption, group
from backend.cli.terminal.printing import print_json, print_result, print_table

app = group("How long things are kept.")


@app.command()
def show(project: ProjectOption = None, json: JsonOption = False) -> None:
    """Show for how many days each kind is kept in a project."""
    from backend.services.erasure.retention import retention_periods

    with in_project(project) as (_, session, found):
        rows = [asdict(one) for one in retention_periods(session, found.id)]
    if json:
        print_json(rows)
        return
    for row in rows:
        row["days"] = "for good" if row["days"] is None else str(row["days"])
        row["set by"] = "default" if row["is_default"] else "the project"
    print_table(rows, columns=["kind", "days", "set by", "words"])


@app.command("set")
def set_(
    kind: Annotated[str, Argument(help="drafts, deliveries, job-errors, answers, sessions.")],
    days: Annotated[int, Argument(help="Days that it is kept.")],
    as_: AsOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Set for how many days a project keeps a kind of thing."""
    from backend.db import utc_now
    from backend.services.erasure.retention import set_rule

    with in_project(project) as (_, session, found):
        by_id = None if as_ is None else acting_person(session, as_).id
        rule = set_rule(session, found.id, kind, days, by_id=by_id, now=utc_now())
    print_result(
        rule, f"{rule.kind} ({rule.words}) are kept for {rule.days} days from now on.", json=json
    )


@app.command()
def sweep(
    dry_run: Annotated[bool, Option("--dry-run", help="Only count.")] = False,
    json: JsonOption = False,
) -> None:
    """Clear what has outlived its days in every project, as a worker does each hour."""
    from backend.db import utc_now
    from backend.services.erasure import retention

    installation = open_installation()
    swept: dict[tuple[int | None, str, int], int] = {}
    more = True
    while more:
        with installation.sessions.begin() as session:
            found = retention.sweep(session, now=utc_now(), dry_run=dry_run)
        for one in found:
            key = (one.project_id, one.kind, one.days)
            swept[key] = swept.get(key, 0) + one.n
        more = not dry_run and any(one.n >= retention.BATCH for one in found)
    rows = [
        {"project": project_id, "kind": kind, "days": days, "n": n}
        for (project_id, kind, days), n in swept.items()
    ]
    if json:
        print_json({"dry_run": dry_run, "swept": rows})
        return
    print_table(rows, columns=["project", "kind", "days", "n"])
    typer.echo("Nothing was cleared: a dry run." if dry_run else "Cleared.")
