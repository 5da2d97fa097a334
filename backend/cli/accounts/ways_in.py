"""`strop user reset-link|way-in|unlock|link|unlink|require-second-factor|reset-second-factor`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import open_installation
from backend.cli.options import JsonOption
from backend.cli.terminal.printing import print_json
from backend.errors import InvalidInput

NameArgument = Annotated[str, Argument(help="Name to sign in with.")]


def reset_link(
    name: NameArgument,
    hours: Annotated[int, Option(min=1, max=168, help="Hours for which the link is good.")] = 24,
    json: JsonOption = False,
) -> None:
    """Print a link by which a person sets a new password, once."""
    from backend.settings import load_settings

    if load_settings().passwords == "off":
        raise InvalidInput(
            "Passwords are switched off here.", hint="An admin's way in: strop user way-in NAME"
        )
    _print_link(name, "password", timedelta(hours=hours), json)


def way_in(name: NameArgument, json: JsonOption = False) -> None:
    """Print a link that signs an admin in, once, for 15 minutes; when the provider is down."""
    from backend.services.accounts.access_links import WAY_IN_LIFE

    _print_link(name, "sign-in", WAY_IN_LIFE, json)


def _print_link(name: str, purpose: Any, life: timedelta, json: bool) -> None:
    from backend.db import utc_now
    from backend.services.accounts.access_links import make_link
    from backend.services.accounts.users import find_user

    shop = open_installation()
    with shop.sessions.begin() as session:
        user = find_user(session, name)
        path, ends = make_link(session, user, purpose, now=utc_now(), life=life)
    url = shop.settings.address + path
    if json:
        print_json({"name": name, "url": url, "expires_at": ends.isoformat()})
        return
    typer.echo(url)
    typer.echo(f"Good once, until {ends:%Y-%m-%d %H:%M} UTC. Older links are void.", err=True)


def unlock(name: NameArgument) -> None:
    """End the wait that failed sign-ins under this name brought, and the wait for codes."""
    from backend.services import audit
    from backend.services.accounts.attempts import unblock
    from backend.services.accounts.users import find_user

    with open_installation().sessions.begin() as session:
        user = find_user(session, name)
        unblock(session, user.name, user_id=user.id)
        audit.record(session, "signin.unlocked", subject=f"user:{user.id}")
    typer.echo(f"{name} can try again at once.")


def link(
    name: NameArgument,
    subject: Annotated[str, Option(help="Who they are at the provider (`sub`).")],
    issuer: Annotated[
        str | None, Option(help="The provider; default is STROP_OIDC_ISSUER.")
    ] = None,
) -> None:
    """Say which account at the OpenID provider is this person's."""
    from backend.services.accounts.oidc.identities import link_identity
    from backend.services.accounts.users import find_user

    shop = open_installation()
    provider = issuer or shop.settings.oidc_issuer
    if provider is None:
        raise InvalidInput("No provider is set.", hint="Name it: --issuer https://...")
    if not 0 < len(subject) <= 255 or not subject.isprintable():
        raise InvalidInput("A subject has 1 to 255 characters.")
    with shop.sessions.begin() as session:
        link_identity(session, find_user(session, name), provider, subject)
    typer.echo(f"{name} is {subject} at {provider}.")


def unlink(name: NameArgument) -> None:
    """Forget a person's accounts at OpenID providers; their sessions by them end."""
    from backend.db import utc_now
    from backend.services.accounts.oidc.identities import unlink_identities
    from backend.services.accounts.users import find_user

    with open_installation().sessions.begin() as session:
        gone = unlink_identities(session, find_user(session, name), now=utc_now())
    typer.echo(f"{name} is known by {gone} accounts fewer.")


def require_second_factor(
    name: NameArgument,
    off: Annotated[bool, Option("--off", help="They need none any more.")] = False,
) -> None:
    """Ask of a person to set up an authenticator at their next sign-in by password."""
    from backend.services.accounts.second_factor import require
    from backend.services.accounts.users import find_user

    with open_installation().sessions.begin() as session:
        require(session, find_user(session, name), required=not off)
    word = "needs no second factor" if off else "needs a second factor from the next sign-in on"
    typer.echo(f"{name} {word}.")


def reset_second_factor(name: NameArgument) -> None:
    """Take a person's authenticator and recovery codes away, after they were lost."""
    from backend.services.accounts.second_factor import remove
    from backend.services.accounts.users import find_user

    with open_installation().sessions.begin() as session:
        remove(session, find_user(session, name))
    typer.echo(f"{name} has no second factor now.")


COMMANDS: dict[str, Callable[..., None]] = {
    "reset-link": reset_link,
    "way-in": way_in,
    "unlock": unlock,
    "link": link,
    "unlink": unlink,
    "require-second-factor": require_second_factor,
    "reset-second-factor": reset_second_factor,
}
