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
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.api.deps import Serving, ServingDep
from backend.api.guards import READING, foreign_site, is_own_site
from backend.api.rules import ANY_QUERY, RULES, Access
from backend.db import is_free_to_write
from backend.errors import Forbidden, InvalidInput, NotAuthenticated, NotFound
from backend.schemas.common import whole_number
from backend.services.accounts import access
from backend.services.accounts.credentials import (
    bearer_of_token,
    is_unnoted,
    note_session,
    user_of_session,
)
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
    with serving.reading() as session:
        user, token_id = _find_person(request, session, serving)
        _apply_rule(session, user, rule, request)
        unnoted = _is_unnoted(request, session, serving)
    if unnoted is not None:
        with serving.writing.begin() as session:
            note_session(session, unnoted, now=serving.clock())
    request.state.user = user
    request.state.actor = Actor(user_id=user.id, token_id=token_id, via="api")
    if token_id is not None:
        _note_token(serving, request.state.actor, token_id)


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


def _is_unnoted(request: Request, session: Session, serving: Serving) -> str | None:
    """The cookie of a browser whose use is to be noted: a write, so not at every request."""
    secret = request.cookies.get(COOKIE)
    if not secret or "authorization" in request.headers:
        return None
    idle = serving.settings.idle
    return secret if is_unnoted(session, secret, now=serving.clock(), idle=idle) else None


def _find_person(request: Request, session: Session, serving: Serving) -> tuple[User, int | None]:
    """Who asks, and the token by which they came."""
    now = serving.clock()
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        if scheme.lower() != "bearer":
            raise NotAuthenticated("The server takes bearer tokens.", hint="Send Bearer TOKEN.")
        days = serving.settings.oidc_token_days
        return bearer_of_token(session, token.strip(), now=now, provider_days=days)
    secret = request.cookies.get(COOKIE)
    if not secret:
        raise NotAuthenticated(
            "Nobody is signed in.", hint="Sign in at /api/v1/login, or send a bearer token."
        )
    if request.method not in READING:
        require_own_site(request)
    settings = serving.settings
    user = user_of_session(
        session, secret, now=now, idle=settings.idle, passwords=settings.passwords
    )
    return user, None


def require_own_site(request: Request) -> None:
    """Refuse a request that another site made the browser send."""
    if not is_own_site(request.scope):
        raise foreign_site()


def _apply_rule(session: Session, user: User, rule: Access, request: Request) -> None:
    parameter, value = next(iter(request.path_params.items()), (None, None))
    match rule:
        case Access.PUBLIC | Access.PROVIDER | Access.SIGNED_IN:
            return
        case Access.REVIEWER:
            access.require_reviewer(session, user, str(parameter), _as_id(value))
        case Access.ADMIN:
            if user.role != Role.ADMIN:
                raise Forbidden("Only an admin may do this.", hint="Ask an admin.")
        case Access.ENGINEER | Access.LEAD:
            if user.role == Role.EXPERT:
                raise Forbidden(
                    "Experts work in their review queues.", hint="Ask an engineer for this."
                )
            if parameter in access.OWNERS:
                project_id = access.project_of(session, parameter, _as_id(value))
                require_project_access(session, user, project_id)
            if rule is Access.LEAD and not may_sign(user):
                raise Forbidden("Only a lead may sign this.", hint="Ask a lead of the project.")


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
