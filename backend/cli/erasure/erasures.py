"""`strop erasure list|show|resume|replay`: what was erased, and what is still to be done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from backend.cli.common import open_installation
from backend.cli.erasure.examples import as_row, show_erasure
from backend.cli.options import JsonOption, group
from backend.cli.terminal.printing import print_result, print_rows

app = group("What was erased.")


@app.command("list")
def list_(json: JsonOption = False) -> None:
    """List the erasures of all projects and people, newest first."""
    from backend.db import reading
    from backend.services.erasure.acts import list_erasures

    with reading(open_installation().sessions) as session:
        rows = [as_row(erasure) for erasure in list_erasures(session)]
    columns = ["erasure", "kind", "subject", "reason", "state", "asked_at"]
    print_rows(rows, columns=columns, json=json)


@app.command()
def show(
    erasure_id: Annotated[int, Argument(help="Its number.")], json: JsonOption = False
) -> None:
    """Show what an erasure came to, and what it could not reach."""
    from backend.db import reading
    from backend.services.erasure.acts import get_erasure

    with reading(open_installation().sessions) as session:
        show_erasure(get_erasure(session, erasure_id), as_json=json)


@app.command()
def replay(
    file: Annotated[
        Path, Argument(help="erasures.jsonl of the installation that went on.", exists=True)
    ],
    json: JsonOption = False,
) -> None:
    """After a restore: erase again what was erased since the backup was made."""
    from backend.db import utc_now
    from backend.services.erasure.acts import replay_erasures

    installation = open_installation()
    with file.open(encoding="utf-8") as lines:
        done = replay_erasures(installation.sessions, installation.settings, lines, now=utc_now())
    print_result(
        [as_row(one) for one in done],
        f"{len(done)} erasures were done again; what was gone already stayed so.",
        json=json,
    )
    raise typer.Exit(2 if any(one.state != "done" for one in done) else 0)


@app.command()
def resume(json: JsonOption = False) -> None:
    """Bring every erasure to its end that is not; exit code 2 where one still waits."""
    from backend.db import reading, utc_now
    from backend.services.erasure.acts import list_erasures, resume_erasures

    installation = open_installation()
    n = resume_erasures(installation.sessions, installation.settings, now=utc_now())
    with reading(installation.sessions) as session:
        waiting = [as_row(one) for one in list_erasures(session) if one.state != "done"]
    print_result(
        {"resumed": n, "waiting": waiting},
        f"{n} erasures were taken up, {len(waiting)} still wait.",
        json=json,
    )
    raise typer.Exit(2 if waiting else 0)
