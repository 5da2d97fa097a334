"""`strop example erase`: take an example out of everything, because somebody asked.

strop example erase calls:r17 --reason "consent withdrawn"
strop example erase calls:patient-4 --group --reason "objection" --dry-run
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.options import AsOption, JsonOption, ProjectOption, group
from backend.cli.terminal.printing import count_of, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend.tables.erasure import Erasure

app = group("Examples: erase them.", alone=True)
ReasonOption = Annotated[
    str, Option("--reason", help="Why; it is shown in place of the text. No names.")
]
YesOption = Annotated[bool, Option("--yes", help="Do not ask whether it is meant.")]


@app.command()
def erase(
    what: Annotated[str, Argument(help="DATASET:ROW, an id of the database, or DATASET:GROUP.")],
    reason: ReasonOption,
    group: Annotated[bool, Option("--group", help="It names a group: all its rows.")] = False,
    keep_copies: Annotated[
        bool, Option("--keep-copies", help="Leave the same prompt under other ids.")
    ] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what hangs on it.")] = False,
    yes: YesOption = False,
    as_: AsOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Erase an example, or all rows of a group, wherever their texts stand; nothing brings it back.

    Digests, counts and scores stay. Exit code 2 where something is left that cannot be reached from
    here: a busy database, files that were exported, adapters that learned from it.
    """
    from backend.cli.common import acting_person
    from backend.db import utc_now
    from backend.services.audit import act_as, actor_of
    from backend.services.erasure.acts import ask_erasure, carry_out
    from backend.services.erasure.requests import find_examples_to_erase, preview

    with in_project(project) as (installation, session, found):
        wanted = find_examples_to_erase(
            session, found.id, what, group=group, copies=not keep_copies
        )
        seen = preview(session, wanted).as_dict()
    if dry_run or not json:
        show_found(f"{wanted.subject}, before anything is erased", seen, as_json=json)
    if dry_run:
        return
    if not yes:
        typer.confirm("Erase it for good?", abort=True, err=True)
    with in_project(project) as (installation, session, found):
        by_id = None if as_ is None else acting_person(session, as_).id
        act_as(session, actor_of(session))
        now = utc_now()
        asked = ask_erasure(session, found.id, wanted, reason=reason, by_id=by_id, now=now)
    done = carry_out(installation.sessions, installation.settings, asked.id, now=now)
    show_erasure(done, as_json=json)
    raise typer.Exit(2 if leftovers(done) else 0)


def show_erasure(erasure: Erasure, *, as_json: bool) -> None:
    """What an erasure came to."""
    if as_json:
        print_json(as_row(erasure))
        return
    title = f"erasure {erasure.id} of {erasure.subject}"
    show_found(title, {**erasure.found, "exports": ()}, as_json=False)
    for line in leftovers(erasure):
        typer.echo(f"still to see to: {line}")


def as_row(erasure: Erasure) -> dict[str, Any]:
    """An erasure as JSON."""
    return {
        "erasure": erasure.id,
        "kind": erasure.kind,
        "subject": erasure.subject,
        "reason": erasure.reason,
        "state": str(erasure.state),
        "asked_at": erasure.asked_at,
        "erased_at": erasure.erased_at,
        "done_at": erasure.done_at,
        "found": erasure.found,
        "left": leftovers(erasure),
    }


def leftovers(erasure: Erasure) -> list[str]:
    """What the erasure could not reach, in sentences."""
    found, told = erasure.found, []
    if erasure.state != "done":
        told.append(f"{found.get('waits', 'it is not through')}; go on: strop erasure resume")
    if adapters := found.get("adapters"):
        told.append(
            f"{', '.join(adapters)} learned from it: retire them, and train on a set frozen anew"
        )
    for one in found.get("exports") or ():
        told.append(f"{one['of']} went out as {one['format']} to {one['to']} at {one['at']}")
    if unread := found.get("unread"):
        told.append(f"files that cannot be searched: {', '.join(unread)}")
    return told


def show_found(title: str, found: Mapping[str, Any], *, as_json: bool) -> None:
    """Counts and names, a line each."""
    if as_json:
        print_json({"subject": title, "found": found})
        return
    typer.echo(title)
    for table, n in (found.get("rows") or {}).items():
        typer.echo(f"  {table}: {count_of(n, 'row', 'rows')}")
    for table, n in (found.get("elsewhere") or {}).items():
        typer.echo(f"  quoted in {table}: {count_of(n, 'row', 'rows')}")
    if found.get("copies"):
        typer.echo(f"  of the examples {found['copies']} repeat it, or were made of it")
    for name, words in _LISTS.items():
        if found.get(name):
            typer.echo(f"  {words}: {', '.join(map(str, found[name]))}")
    for one in found.get("exports") or ():
        typer.echo(f"  went out: {one['of']} as {one['format']} to {one['to']} at {one['at']}")
    if found.get("slots"):
        typer.echo(f"  taken back from the desk: {count_of(found['slots'], 'review', 'reviews')}")


_LISTS = {
    "sets": "training sets that lose rows",
    "adapters": "adapters that learned from it",
    "trainings": "trainings cancelled",
    "runs": "runs that were writing on it",
    "files": "files changed",
}
