"""`strop token create|list|revoke`: bearer tokens by which programs act as a person."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument, Option

from backend.cli.common import open_installation
from backend.cli.options import JsonOption, group
from backend.cli.terminal.printing import print_result, print_rows

app = group("Bearer tokens of programs.")


@app.command()
def create(
    user: Annotated[str, Option(help="Name of the person to act as.")],
    name: Annotated[str, Option(help="What the token is for.")],
    days: Annotated[int, Option(min=0, help="Life in days; 0 never expires.")] = 90,
    json: JsonOption = False,
) -> None:
    """Make a token and print it, once."""
    from backend.db import utc_now
    from backend.services.accounts.credentials import create_token
    from backend.services.accounts.users import find_user

    with open_installation().sessions.begin() as session:
        person = find_user(session, user)
        secret = create_token(session, person, name, days=days or None, now=utc_now())
    print_result({"id": secret.row_id, "token": secret.value}, secret.value, json=json)


@app.command("list")
def list_(
    user: Annotated[str | None, Option(help="Only this person's.")] = None, json: JsonOption = False
) -> None:
    """List tokens, without their secrets."""
    from backend.services.accounts.credentials import list_tokens
    from backend.services.accounts.users import find_user

    with open_installation().sessions() as session:
        owner_id = find_user(session, user).id if user else None
        rows = [
            {
                "id": token.id,
                "user": token.user.name,
                "name": token.name,
                "begins with": token.prefix,
                "expires": f"{token.expires_at:%Y-%m-%d}" if token.expires_at else "never",
                "revoked": f"{token.revoked_at:%Y-%m-%d}" if token.revoked_at else "",
            }
            for token in list_tokens(session, owner_id)
        ]
    columns = ["id", "user", "name", "begins with", "expires", "revoked"]
    print_rows(rows, columns=columns, json=json)


@app.command()
def revoke(token_id: Annotated[int, Argument(help="Id from strop token list.")]) -> None:
    """End a token at once."""
    from backend.db import utc_now
    from backend.services.accounts.credentials import revoke_token

    with open_installation().sessions.begin() as session:
        token = revoke_token(session, token_id, now=utc_now())
        typer.echo(f"Token {token.id} ({token.name}) is revoked.")
