"""The one gate before every route: who asks, may they, and does a browser ask of its own accord.

A request shows a bearer token (programs) or the session cookie (people). A cookie is sent by the
browser whoever made it ask, so a request that changes something must also come from our own pages:
Sec-Fetch-Site, else Origin against Host.
"""

from __future__ import annotations

from contextlib import suppress

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.api.deps import Serving, ServingDep
from backend.api.guards import READING, foreign_site, is_own_site
from backend.api.rules import ANY_QUERY, RULES, Access
from backend.db import is_free_to_write
from backend.errors import Forbidden, InvalidInput, NotAuthenticated, NotFound
from backend.schemas.common import whole_number
from backend.services.accounts import access
from backend.services.accounts.callers import (
    AccessSubject,
    Caller,
    caller_by_session,
    caller_by_token,
)
from backend.services.accounts.credentials import note_session
from backend.services.accounts.users import may_sign, require_project_access
from backend.services.audit import Actor, act_as
from backend.services.audit.sign_ins import note_token
from backend.tables.accounts import Role, User

COOKIE = "strop_session"


def authorize(request: Request, serving: ServingDep) -> None:
    """Let the request pass and note its person, or raise.

    Raises:
        NotAuthenticated: nobody is signed in.
        Forbidden: the role may not, or another site made the browser ask.
        NotFound: the thing is of a project or queue that the person does not belong to.
        InvalidInput: a query parameter that the route does not have.
    """
    route: APIRoute = request.scope["route"]
    rule = RULES[f"{request.method} {route.path}"]
    _refuse_unknown_parameters(request, route)
    if rule is Access.PROVIDER:
        return  # a server asks, no browser; what it signed shows who it is
    if rule is Access.PUBLIC:
        if request.method not in READING:
            require_own_site(request)
        return
    with serving.alone.connect() as connection:
        caller = _find_caller(request, connection, serving, _seat(rule, request))
        _apply_rule(connection, caller, rule, request)
    unnoted = serving.clock() - serving.settings.idle / 10  # it is a write: not at every request
    if caller.seen_at is not None and caller.seen_at <= unnoted:
        with serving.writing.begin() as session:
            note_session(session, request.cookies[COOKIE], now=serving.clock())
    request.state.user = caller.user
    request.state.project_id = caller.reviews_in
    actor = Actor(user_id=caller.user.id, token_id=caller.token_id, via="api")
    request.state.actor = actor
    if caller.token_id is not None:
        _note_token(serving, actor, caller.token_id)


def _note_token(serving: Serving, actor: Actor, token_id: int) -> None:
    """The first use of a token on a day, which each process looks up once."""
    noted = (token_id, serving.clock().date())
    if noted in serving.tokens_noted or not is_free_to_write(serving.writing.kw["bind"]):
        return  # where somebody writes, the next request notes it: reading waits for nobody
    with suppress(OperationalError):
        with serving.writing.begin() as session:
            act_as(session, actor)
            note_token(session, token_id)
        serving.tokens_noted.add(noted)


def _seat(rule: Access, request: Request) -> AccessSubject | None:
    """What a reviewer asks about; None where it is nothing that there can be."""
    if rule is not Access.REVIEWER:
        return None
    parameter, value = next(iter(request.path_params.items()))
    number = whole_number(str(value))
    return None if number is None else AccessSubject(parameter, number)


def _find_caller(
    request: Request, connection: Connection, serving: Serving, seat: AccessSubject | None
) -> Caller:
    now, settings = serving.clock(), serving.settings
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        if scheme.lower() != "bearer":
            raise NotAuthenticated("The server takes bearer tokens.", hint="Send Bearer TOKEN.")
        days = settings.oidc_token_days
        return caller_by_token(connection, token.strip(), now=now, provider_days=days, seat=seat)
    secret = request.cookies.get(COOKIE)
    if not secret:
        raise NotAuthenticated(
            "Nobody is signed in.", hint="Sign in at /api/v1/login, or send a bearer token."
        )
    if request.method not in READING:
        require_own_site(request)
    return caller_by_session(
        connection, secret, now=now, idle=settings.idle, passwords=settings.passwords, seat=seat
    )


def require_own_site(request: Request) -> None:
    """Refuse a request that another site made the browser send."""
    if not is_own_site(request.scope):
        raise foreign_site()


def _apply_rule(connection: Connection, caller: Caller, rule: Access, request: Request) -> None:
    user = caller.user
    match rule:
        case Access.PUBLIC | Access.PROVIDER | Access.SIGNED_IN:
            return
        case Access.REVIEWER:
            if caller.reviews_in is None:  # they may not know that the queue exists
                raise access.nothing_there()
        case Access.ADMIN:
            if user.role != Role.ADMIN:
                raise Forbidden("Only an admin may do this.", hint="Ask an admin.")
        case Access.ENGINEER | Access.LEAD:
            if user.role == Role.EXPERT:
                raise Forbidden(
                    "Experts work in their review queues.", hint="Ask an engineer for this."
                )
            _require_project(connection, user, request)
            if rule is Access.LEAD and not may_sign(user):
                raise Forbidden("Only a lead may sign this.", hint="Ask a lead of the project.")


def _require_project(connection: Connection, user: User, request: Request) -> None:
    """The project of what the path names first has to be one of the person's own."""
    parameter, value = next(iter(request.path_params.items()), (None, None))
    if parameter in access.OWNERS:
        with Session(connection) as session:
            project_id = access.project_of(session, parameter, _as_id(value))
            require_project_access(session, user, project_id)


def _as_id(value: object) -> int:
    if (number := whole_number(str(value))) is None:
        raise NotFound("There is no such thing here.", hint="An id is a whole number.")
    return number


def _refuse_unknown_parameters(request: Request, route: APIRoute) -> None:
    if not request.query_params or f"{request.method} {route.path}" in ANY_QUERY:
        return
    known = {field.alias for field in get_flat_params(route.dependant)}
    if unknown := sorted(set(request.query_params) - known):
        raise InvalidInput(
            f"There is no query parameter {unknown[0]!r} here.",
            hint=f"Known: {', '.join(sorted(known))}." if known else None,
        )
