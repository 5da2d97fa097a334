"""Signing in by password, and out: the forms, the second step, the cookies."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.orm import Session

from backend.api.authorize import COOKIE, require_own_site
from backend.api.deps import NowDep, Serving, ServingDep
from backend.api.guards import STRICT_HEADERS
from backend.api.problems import MEDIA_TYPE
from backend.api.sign_in import entering
from backend.api.sign_in.login_page import code_page, codes_page, login_page, logout_page, safe_next
from backend.errors import (
    Conflict,
    Forbidden,
    NotAuthenticated,
    ProviderError,
    SecondFactorNeeded,
    StropError,
)
from backend.schemas.accounts import SignInWays
from backend.services import audit
from backend.services.accounts import attempts, credentials, second_factor, users
from backend.services.accounts.callers import caller_by_session
from backend.services.accounts.oidc.identities import id_token_of
from backend.services.accounts.tickets import make_ticket, read_ticket
from backend.tables.accounts import Role, User

router = APIRouter(tags=["people"])
NextPath = Annotated[str | None, Query(max_length=2000)]
NextField = Annotated[str | None, Form(max_length=2000)]
Answers = dict[int | str, dict[str, Any]]
GOES_ON: Answers = {303: {"description": "Go on at Location."}}
PAGE: dict[str, Any] = {"text/html": {}, MEDIA_TYPE: {}}
FORM_AGAIN: Answers = {
    status: {"description": "The form again, with the reason.", "content": PAGE}
    for status in (401, 403, 404, 409, 422, 429, 502)
}
STEP_COOKIE = "strop_second_step"
STEP_LIFE = timedelta(minutes=10)
CODE_PATH = "/api/v1/login/code"


async def wait_for_login(serving: ServingDep) -> AsyncIterator[None]:
    """Few passwords are checked at once: each check takes a core and 64 MiB."""
    async with serving.logins:
        yield


CHECKED_IN_TURN = [Depends(wait_for_login, scope="function")]


@dataclass(frozen=True, slots=True)
class Entered:
    """A right password: a session's secret, or None while a code is still to come."""

    user: User
    secret: str | None


@router.get("/sign-in-ways")
def show_ways(serving: ServingDep) -> SignInWays:
    """By what people sign in here."""
    return entering.ways_of(serving)


@router.get("/login", response_class=HTMLResponse, responses=GOES_ON)
def show_login(
    request: Request, serving: ServingDep, now: NowDep, next: NextPath = None
) -> Response:
    """The sign-in form; who is signed in already is sent on."""
    path = safe_next(next)
    if secret := request.cookies.get(COOKIE):
        try:
            with serving.alone.connect() as connection:
                idle, passwords = serving.settings.idle, serving.settings.passwords
                caller_by_session(connection, secret, now=now, idle=idle, passwords=passwords)
            return RedirectResponse(path, status_code=303)
        except NotAuthenticated:
            pass
    return HTMLResponse(login_page(entering.ways_of(serving), next_path=path))


@router.post(
    "/login",
    response_class=HTMLResponse,
    responses=GOES_ON | FORM_AGAIN,
    dependencies=CHECKED_IN_TURN,
)
def sign_in(
    request: Request,
    serving: ServingDep,
    name: Annotated[str, Form(max_length=120)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    code: Annotated[str, Form(max_length=40)] = "",
    next: NextField = None,
) -> Response:
    """Check name and password, set the cookie, go on to `next`.

    A program, and the form over a page, sends the second factor's code along; a browser gets a page
    for it.
    """
    path = safe_next(next)
    try:
        entered = _check_password(request, serving, name.strip(), password, code)
    except StropError as error:
        if not entering.wants_page(request):
            raise
        ways = entering.ways_of(serving)
        page = login_page(ways, next_path=path, name=name, error=str(error))
        return HTMLResponse(page, status_code=error.status)
    if entered.secret is None:
        return _ask_for_code(request, serving, entered.user, path)
    return _go_on(request, serving, entered.user, entered.secret, path)


def _go_on(
    request: Request, serving: Serving, user: User, secret: str, path: str
) -> RedirectResponse:
    response = RedirectResponse(path, status_code=303)
    entering.set_session(response, request, serving, secret)
    entering.set_device(response, request, serving, user.name)
    response.delete_cookie(STEP_COOKIE, path=CODE_PATH, httponly=True, samesite="lax")
    return response


def _check_password(
    request: Request, serving: Serving, name: str, password: str, code: str
) -> Entered:
    if serving.settings.passwords == "off":
        raise Forbidden(
            "Passwords are switched off here.",
            hint=f"Sign in with {entering.ways_of(serving).provider}.",
        )
    device = entering.device_of(request, serving.seal, name, serving)
    address = entering.address_of(request)
    keys = attempts.keys_of(name, address, device=device)
    locked = entering.count_try(serving, keys)
    user = _whose_password(serving, name, password, address, locked=locked)
    entering.forgive(serving, keys)
    with serving.reading() as session:
        asked = second_factor.is_on(session, user.id)
    if not asked and second_factor.is_required(serving.settings, user):
        if not entering.wants_page(request):
            raise Forbidden(
                "You have to set up a second factor first.", hint="Sign in at /api/v1/login."
            )
        return Entered(user, None)
    if asked and entering.wants_page(request):
        return Entered(user, None)
    return Entered(user, _open(request, serving, user, code if asked else None))


def _whose_password(
    serving: Serving, name: str, password: str, address: str, *, locked: bool
) -> User:
    try:
        with serving.reading() as session:
            user = users.verify_password(session, name, password)
        if serving.settings.passwords == "admins-only" and user.role != Role.ADMIN:
            raise NotAuthenticated(users.BAD_LOGIN, hint="Check both and try again.")
    except NotAuthenticated:
        why = "wrong name or password"
        entering.note_refusal(serving, name, address, why, locked=locked)
        raise
    return user


def _open(request: Request, serving: Serving, user: User, code: str | None) -> str:
    """Open a session, after the code of the second factor where one is asked for."""
    keys = {"code": str(user.id)}
    locked = code is not None and bool(code.strip()) and entering.count_try(serving, keys)
    now, factor = serving.clock(), ""
    try:
        with serving.writing.begin() as session:
            person = session.get_one(User, user.id)
            if not person.active or _mark(person) != _mark(user):  # since the password was read
                raise NotAuthenticated(users.BAD_LOGIN, hint="Check both and try again.")
            audit.act_as(session, audit.Actor(user_id=user.id, via="api"))
            if code is not None:
                factor = second_factor.verify(session, person, code, seal=serving.seal, now=now)
                attempts.forgive(session, keys, now=now)
            return _enter(session, request, person, serving, factor)
    except SecondFactorNeeded:
        raise
    except NotAuthenticated:
        address = entering.address_of(request)
        entering.note_refusal(serving, user.name, address, "wrong code", locked=locked)
        raise


def _enter(session: Session, request: Request, user: User, serving: Serving, factor: str) -> str:
    hours, now = serving.settings.session_hours, serving.clock()
    entering.enter(session, request, serving=serving, method="password", factor=factor)
    return credentials.open_login_session(session, user.id, hours=hours, now=now).value


def _ask_for_code(request: Request, serving: Serving, user: User, path: str) -> Response:
    """Remember, in the browser, whose password was right, and go on to the page of the code."""
    now = serving.clock()
    with serving.writing.begin() as session:
        person = session.get_one(User, user.id)
        on = second_factor.is_on(session, person.id)
        if not on and second_factor.pending(session, person, seal=serving.seal) is None:
            second_factor.enrol(session, person, seal=serving.seal, now=now)
    content = {"user": user.id, "mark": _mark(user)}
    ticket = make_ticket(serving.seal, "second step", content, now=now, life=STEP_LIFE)
    response = RedirectResponse(f"{CODE_PATH}?next={quote(path)}", status_code=303)
    entering.set_cookie(response, request, STEP_COOKIE, ticket, life=STEP_LIFE, path=CODE_PATH)
    return response


def _mark(user: User) -> str:
    """What changes with the password, so that a step that began under an old one ends nowhere."""
    return hashlib.sha256(str(user.password_hash).encode()).hexdigest()[:32]


def _person_of_step(request: Request, session: Session, serving: Serving) -> User:
    step = request.cookies.get(STEP_COOKIE)
    found = read_ticket(serving.seal, "second step", step, now=serving.clock())
    user: User | None = session.get(User, found["user"])
    if user is None or not user.active or _mark(user) != found["mark"]:
        raise NotAuthenticated("This sign-in was begun too long ago.", hint="Begin it again.")
    return user


@router.get("/login/code", response_class=HTMLResponse, responses=GOES_ON)
def show_code_form(request: Request, serving: ServingDep, next: NextPath = None) -> Response:
    """Where the second factor's code is typed; without a right password before, the first form."""
    path = safe_next(next)
    try:
        with serving.reading() as session:
            user = _person_of_step(request, session, serving)
            enrolment = second_factor.pending(session, user, seal=serving.seal)
    except NotAuthenticated:
        return RedirectResponse(f"/api/v1/login?next={quote(path)}", status_code=303)
    return HTMLResponse(code_page(next_path=path, enrolment=enrolment))


@router.post("/login/code", response_class=HTMLResponse, responses=GOES_ON | FORM_AGAIN)
def sign_in_by_code(
    request: Request,
    serving: ServingDep,
    code: Annotated[str, Form(max_length=40)] = "",
    next: NextField = None,
) -> Response:
    """Check the code after the password, and sign in; a first code sets the second factor up."""
    path, enrolment = safe_next(next), None
    with serving.reading() as session:
        user = _person_of_step(request, session, serving)
        enrolment = second_factor.pending(session, user, seal=serving.seal)
    try:
        if enrolment is None:
            secret = _open(request, serving, user, code)
            return _go_on(request, serving, user, secret, path)
        codes, secret = _set_up(request, serving, user.id, code)
    except StropError as error:
        if not entering.wants_page(request):
            raise
        page = code_page(next_path=path, enrolment=enrolment, error=str(error))
        return HTMLResponse(page, status_code=error.status)
    response = HTMLResponse(codes_page(codes, next_path=path))
    entering.set_session(response, request, serving, secret)
    entering.set_device(response, request, serving, user.name)
    response.delete_cookie(STEP_COOKIE, path=CODE_PATH, httponly=True, samesite="lax")
    return response


def _set_up(request: Request, serving: Serving, user_id: int, code: str) -> tuple[list[str], str]:
    keys = {"code": str(user_id)}
    entering.count_try(serving, keys)
    with serving.writing.begin() as session:
        user, now = session.get_one(User, user_id), serving.clock()
        audit.act_as(session, audit.Actor(user_id=user.id, via="api"))
        codes = second_factor.confirm(session, user, code, seal=serving.seal, now=now)
        attempts.forgive(session, keys, now=now)
        return codes, _enter(session, request, user, serving, "totp")


@router.get("/logout", response_class=HTMLResponse)
def ask_to_sign_out(request: Request, serving: ServingDep) -> HTMLResponse:
    """A page with the button that signs out; here, and at the provider where that is how."""
    response = HTMLResponse(logout_page())
    if elsewhere := _end_at_provider(request, serving):
        parts = urlsplit(elsewhere)
        response.headers["Content-Security-Policy"] = STRICT_HEADERS[
            "Content-Security-Policy"
        ].replace("form-action 'self'", f"form-action 'self' {parts.scheme}://{parts.netloc}")
    return response


@router.post("/logout", status_code=303, response_class=RedirectResponse)
def sign_out(request: Request, serving: ServingDep, now: NowDep) -> Response:
    """End the session on the server, forget the cookie, go to the sign-in form.

    Who came by a provider is sent on to end the session there as well.
    """
    target = "login"
    if secret := request.cookies.get(COOKIE):
        require_own_site(request)
        target = _end_at_provider(request, serving) or target
        with serving.writing.begin() as session:
            audit.act_as(session, request.state.actor)
            credentials.close_login_session(session, secret, now=now)
    response = RedirectResponse(target, status_code=303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return response


def _end_at_provider(request: Request, serving: Serving) -> str | None:
    """Where this browser ends its session at the provider; None where there is none, or it is down.

    A provider that is down keeps nobody signed in here.
    """
    secret = request.cookies.get(COOKIE)
    if serving.provider is None or not secret:
        return None
    try:
        with serving.reading() as session:
            row = credentials.session_of(session, secret)
            token = None if row is None else id_token_of(session, row.id, seal=serving.seal)
        return None if token is None else serving.provider.end_session_url(token)
    except (ProviderError, Conflict):  # down, or sealed under another key
        return None
