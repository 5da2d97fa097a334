"""What every way in ends with: a new session, its cookie, an entry in the log of who did what.

The session is always a new one, and that of the browser before it ends: nobody can have somebody
sign in under a session that they know.
"""

from __future__ import annotations

from datetime import timedelta
from secrets import token_urlsafe

from fastapi import Request, Response
from sqlalchemy.orm import Session

from backend.api.authorize import COOKIE
from backend.api.deps import Serving
from backend.errors import NotAuthenticated
from backend.schemas.accounts import SignInWays
from backend.services import audit
from backend.services.accounts import attempts, credentials
from backend.services.accounts.sealing import Seal
from backend.services.accounts.tickets import make_ticket, read_ticket
from backend.services.accounts.users import id_of_name
from backend.services.audit.sign_ins import network_of, sign_in_from

DEVICE_COOKIE = "strop_device"
DEVICE_LIFE = timedelta(days=180)
SIGN_IN_PATHS = "/api/v1"


def ways_of(serving: Serving) -> SignInWays:
    """By what people sign in here."""
    provider = serving.provider.registration.label if serving.provider else None
    return SignInWays(passwords=serving.settings.passwords, provider=provider)


def wants_page(request: Request) -> bool:
    """Whether a browser asks, which gets a page and no problem details."""
    return "text/html" in request.headers.get("accept", "")


def address_of(request: Request) -> str:
    """The address that asks; behind a proxy that is trusted, the one it names."""
    return request.client.host if request.client else "unknown"


def enter(
    session: Session, request: Request, *, serving: Serving, method: str, factor: str = ""
) -> None:
    """Before a session is opened: say how the person comes, and end the one this browser had.

    Args:
        method: `password`, `oidc` or `link`.
        factor: the second factor that was shown: `totp` or `recovery`.
    """
    if before := request.cookies.get(COOKIE):
        credentials.close_login_session(session, before, now=serving.clock())
    sign_in_from(session, address_of(request), method=method, factor=factor)


def note_refusal(
    serving: Serving, name: str, address: str, why: str, *, locked: bool = False
) -> None:
    """Note a sign-in that failed, in a transaction of its own, and the wait that it brings.

    Args:
        name: as it was typed; empty where none was.
        why: in a few words of ours.
    """
    serving.refusals.note(serving.writing, name, address, why)
    if locked:
        with serving.writing.begin() as session:
            user_id = id_of_name(session, name)
            audit.act_as(session, audit.Actor(via="api"))
            whom = "" if user_id is None else f"user:{user_id}"
            detail = {"network": network_of(address)}
            audit.record(session, "signin.locked", subject=whom, detail=detail)


def count_try(serving: Serving, keys: dict[str, str]) -> bool:
    """Count a try for all processes before it is looked at; see `attempts.count_try`."""
    now = serving.clock()
    with serving.writing.begin() as session:
        attempts.forget_old(session, now=now)
        return attempts.count_try(session, keys, now=now)


def forgive(serving: Serving, keys: dict[str, str]) -> None:
    """Take a try back that was right."""
    with serving.writing.begin() as session:
        attempts.forgive(session, keys, now=serving.clock())


def set_session(response: Response, request: Request, serving: Serving, secret: str) -> None:
    """Give the browser the cookie of its new session."""
    hours = serving.settings.session_hours
    set_cookie(response, request, COOKIE, secret, life=timedelta(hours=hours), path="/")


def set_cookie(
    response: Response, request: Request, name: str, value: str, *, life: timedelta, path: str
) -> None:
    """A cookie that no script reads and no other site's form brings along."""
    response.set_cookie(
        name,
        value,
        max_age=int(life.total_seconds()),
        path=path,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def set_device(response: Response, request: Request, serving: Serving, name: str) -> None:
    """Let this browser be known as one in which this person has signed in."""
    content = {"name": name.casefold(), "id": token_urlsafe(16)}
    value = make_ticket(serving.seal, "device", content, now=serving.clock(), life=DEVICE_LIFE)
    set_cookie(response, request, DEVICE_COOKIE, value, life=DEVICE_LIFE, path=SIGN_IN_PATHS)


def device_of(request: Request, seal: Seal, name: str, serving: Serving) -> str | None:
    """By what this browser is known, if this person has signed in in it before."""
    try:
        found = read_ticket(seal, "device", request.cookies.get(DEVICE_COOKIE), now=serving.clock())
    except NotAuthenticated:
        return None
    return str(found["id"]) if found["name"] == name.casefold() else None
