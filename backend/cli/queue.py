"""`strop job list|cancel`: long work of the project, and stopping it.

strop job list
strop job cancel run 7 --as eva --reason "wrong split"
strop job cancel training 2 --as eva
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import acting_person, in_project
from backend.cli.options import AsOption, JsonOption, ProjectOption, group
from backend.cli.terminal.printing import print_rows
from backend.errors import UnknownName
from backend.services.queue import KINDS, JobKind, find_kind

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.cancelling import Cancellation
    from backend.tables.queue import Job

app = group("Long work, and stopping it.")
COLUMNS = ["job", "state", "queued", "ended", "reason"]


@app.command("list")
def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the newest jobs of the project: what waits, runs, is done, failed or was cancelled."""
    from backend.services.overview import jobs_of_project

    with in_project(project) as (_, session, found):
        rows = [_row(job) for job in jobs_of_project(session, found.id)]
    shown = [
        {name: f"{v:%Y-%m-%d %H:%M}" if isinstance(v, datetime) else v for name, v in row.items()}
        for row in rows
    ]
    empty = "Nothing has run yet: strop run --dataset NAME --models base"
    print_rows(shown, columns=COLUMNS, json=json, whole=rows, empty=empty)


def _row(job: Job) -> dict[str, Any]:
    return {
        "job": f"{find_kind(job.kind).word} {job.subject_id}",
        "state": job.state,
        "queued": job.created_at,
        "ended": job.finished_at,
        "reason": job.error,
    }


@app.command()
def cancel(
    what: Annotated[str, Argument(help="run, score or training; a run stops with its scoring.")],
    number: Annotated[int, Argument(help="Its number, as in strop job list.")],
    as_: AsOption = None,
    reason: Annotated[str | None, Option(help="Why; it stays in the record.")] = None,
    project: ProjectOption = None,
) -> None:
    """Stop a run, a scoring or a training; what was done stays."""
    from backend.db import utc_now
    from backend.services.accounts.users import require_project_access
    from backend.services.cancelling import Cancellation

    with in_project(project) as (_, session, found):
        user = acting_person(session, as_)
        require_project_access(session, user, found.id)
        cancellation = Cancellation(user, utc_now(), reason)
        kind = _kind_called(what)
        told = [job.error for job in _cancel(session, found.id, kind, number, cancellation)]
    for sentence in told:
        typer.echo(sentence)
    typer.echo(f"What was done stays; go on with: {KINDS[kind].again.format(id=number)}")


def _kind_called(word: str) -> JobKind:
    words = {entry.word: kind for kind, entry in KINDS.items()}
    if word not in words:
        raise UnknownName("kind of work", word, words)
    return words[word]


def _cancel(
    session: Session, project_id: int, kind: JobKind, number: int, cancellation: Cancellation
) -> list[Job]:
    from backend.services.accounts import access
    from backend.services.cancelling import cancel_run, cancel_subjects

    access.require_in_project(session, project_id, **{KINDS[kind].subject: number})
    if kind is JobKind.GENERATE:
        return cancel_run(session, number, cancellation)
    return cancel_subjects(session, [(kind, number)], cancellation)
