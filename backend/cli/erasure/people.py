"""`strop person erase NAME --reason`: somebody leaves and asks that nothing names them any more."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument

from backend.cli.common import acting_person, open_installation
from backend.cli.erasure.examples import ReasonOption, YesOption, leftovers, show_erasure
from backend.cli.options import AsOption, JsonOption, group

app = group("People: erase them.", alone=True)


@app.command()
def erase(
    name: Annotated[str, Argument(help="User name.")],
    reason: ReasonOption,
    yes: YesOption = False,
    as_: AsOption = None,
    json: JsonOption = False,
) -> None:
    """Erase a person's name, secrets, drafts and comments; their pseudonym and reviews stay."""
    from backend.db import reading, utc_now
    from backend.services.accounts.users import find_user
    from backend.services.erasure.acts import carry_out, checked_reason
    from backend.services.erasure.people import ask_person_erasure

    installation = open_installation()
    with reading(installation.sessions) as session:
        pseudonym = find_user(session, name).pseudonym
    if not yes:  # while somebody thinks, nothing is held open
        typer.confirm(f"Erase {pseudonym}'s name for good?", abort=True, err=True)
    now = utc_now()
    with installation.sessions.begin() as session:
        user = find_user(session, name)
        by_id = None if as_ is None else acting_person(session, as_).id
        asked = ask_person_erasure(
            session, user, reason=checked_reason(reason), by_id=by_id, now=now
        )
    done = carry_out(installation.sessions, installation.settings, asked.id, now=now)
    show_erasure(done, as_json=json)
    raise typer.Exit(2 if leftovers(done) else 0)
