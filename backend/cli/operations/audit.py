"""`strop audit list|export|head|verify`: who did what, and the chain that nobody can change unseen.

strop audit list --who ana --action promotion --since 2026-03-01
strop audit export --out audit.jsonl
strop audit verify audit.jsonl              a file alone; needs no database
strop audit head                            to be kept somewhere else
strop doctor --verify --head 7:ab12…        holds the log against a head that was kept
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import Installation, open_installation
from backend.cli.options import HomeOption, JsonOption, group, takes
from backend.cli.terminal.output import ForceOption, check_target, whole_file
from backend.cli.terminal.printing import count_of, print_json, print_result, print_rows

if TYPE_CHECKING:
    from backend.schemas.audit import AuditEntryOut
    from backend.services.audit.chain import Head
    from backend.services.audit.listing import AuditFilter

app = group("Who did what.")
DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
PAGE = 500


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What `strop audit list` is asked for."""

    who: Annotated[
        str | None, Option(help="Name or pseudonym of a person, or a user of the system.")
    ] = None
    action: Annotated[str | None, Option(help="An action, or a noun for all of it: promotion.")] = (
        None
    )
    since: Annotated[
        datetime | None, Option(formats=DATES, help="Not before this moment, UTC.")
    ] = None
    until: Annotated[datetime | None, Option(formats=DATES, help="Before this moment, UTC.")] = None
    subject: Annotated[
        str | None, Option(help="As model:7, or a noun for all of its kind: model.")
    ] = None
    reads: Annotated[bool, Option("--reads", help="Only what gave out texts.")] = False
    project: Annotated[str | None, Option("--project", help="Of this project only.")] = None
    limit: Annotated[int, Option(min=1, help="Most entries, the newest of them.")] = 100
    json: JsonOption = False


@app.command("list")
@takes(ListOptions)
def list_(asked: ListOptions) -> None:
    """List entries, the newest last."""
    found = _entries(open_installation(), asked)
    whole = [entry.model_dump(mode="json") for entry in found]
    rows = [_row(entry) for entry in found]
    print_rows(rows, json=asked.json, whole=whole, empty="Nothing like that is in the log.")


def _entries(installation: Installation, asked: ListOptions) -> list[AuditEntryOut]:
    from backend.db import reading
    from backend.services.audit.listing import list_entries, show_entries
    from backend.services.pages import PageAsk
    from backend.services.projects import get_project

    found: list[AuditEntryOut] = []
    cursor = None
    with reading(installation.sessions) as session:
        of = None if asked.project is None else get_project(session, asked.project).id
        wanted = _filter(asked, of)
        while len(found) < asked.limit:
            size = min(PAGE, asked.limit - len(found))
            page = list_entries(session, wanted, PageAsk(limit=size, cursor=cursor))
            found += show_entries(session, page.rows)
            if (cursor := page.next) is None:
                break
    return found[::-1]


def _filter(asked: ListOptions, project_id: int | None) -> AuditFilter:
    from backend.services.audit.listing import AuditFilter

    return AuditFilter(
        who=asked.who,
        action=asked.action,
        since=_utc(asked.since),
        until=_utc(asked.until),
        subject=asked.subject,
        reads=asked.reads,
        project_id=project_id,
    )


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)


def _row(entry: AuditEntryOut) -> dict[str, Any]:
    return {
        "at (UTC)": f"{entry.at:%Y-%m-%d %H:%M:%S}",
        "who": entry.who,
        "did what": entry.sentence,
        "project": entry.project,
    }


@app.command()
def export(
    out: Annotated[Path, Option(help="File to write, whole or not at all.")],
    since: Annotated[
        datetime | None, Option(formats=DATES, help="Not before this moment, UTC.")
    ] = None,
    until: Annotated[
        datetime | None, Option(formats=DATES, help="Before this moment, UTC.")
    ] = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Write the chain as JSONL, with all that it takes to check it elsewhere."""
    from backend.db import reading
    from backend.services.audit import record
    from backend.services.audit.export import export_lines

    check_target(out, force=force)
    installation = open_installation()
    head = _sealed(installation)
    count = 0
    with reading(installation.sessions) as session, whole_file(out, force=force) as stream:
        for line in export_lines(session, since=_utc(since), until=_utc(until)):
            stream.write(line)
            count += 1
    with installation.sessions.begin() as session:
        told = {"route": "strop audit export", "of": "entries", "lines": count}
        record(session, "export.ended", subject="audit:log", detail=told)
    print_result(
        {"out": str(out), "entries": count, "head": str(head)},
        f"{count_of(count, 'entry', 'entries')} written to {out}. Head: {head}",
        json=json,
    )


@app.command()
def head(home: HomeOption = None, json: JsonOption = False) -> None:
    """Seal what waits and print the head, which stands for every entry so far.

    Keep it where nobody who reaches this machine can change it; strop doctor --verify --head HEAD
    holds the log against it later.
    """
    found = _sealed(open_installation(home=home))
    print_result(
        {"head": str(found), "seq": found.seq, "digest": found.digest}, str(found), json=json
    )


def _sealed(installation: Installation) -> Head:
    from backend.db import reading, utc_now
    from backend.services.accounts.sealing import open_seal
    from backend.services.audit.chain import head_of
    from backend.services.audit.heads import seal_and_note

    settings = installation.settings
    seal_and_note(installation.sessions, settings.home, open_seal(settings), now=utc_now())
    with reading(installation.sessions) as session:
        return head_of(session)


@app.command()
def verify(
    file: Annotated[Path, Argument(help="File that strop audit export wrote.")],
    json: JsonOption = False,
) -> None:
    """Check the chain of a file; exit code 2 when it does not hold."""
    from backend.errors import InvalidInput
    from backend.services.audit.export import check_lines

    if not file.is_file():
        raise InvalidInput(f"{file} is no file.")
    with file.open(encoding="utf-8", errors="replace") as stream:
        found = check_lines(stream)
    wrong = [finding.what for finding in found.findings]
    if json:
        told = {"holds": not wrong, "first": found.first, "entries": found.entries}
        print_json({**told, "head": str(found.head) if found.head else None, "findings": wrong})
    elif wrong:
        typer.echo("\n".join(f"{sentence}." for sentence in wrong))
    else:
        typer.echo(
            f"{count_of(found.entries, 'entry', 'entries')} from place {found.first}: "
            f"the chain holds. Head: {found.head or 'none'}"
        )
    raise typer.Exit(2 if wrong else 0)
