"""Signing in and out, who I am, my tokens; and people, for admins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from backend.api.authorize import COOKIE, require_own_site
from backend.api.deps import CurrentUser, NowDep, Serving, ServingDep, SessionDep
from backend.api.login_page import login_page, logout_page, safe_next
from backend.api.once import OnceDep
from backend.api.problems import MEDIA_TYPE
from backend.errors import Forbidden, NotAuthenticated, StropError
from backend.schemas.accounts import (
    Me,
    PasswordChanged,
    SessionShown,
    TokenGiven,
    TokenMade,
    TokenShown,
    UserChanged,
    UserGiven,
    UserShown,
)
from backend.services.accounts import credentials, users
from backend.services.audit import act_as
from backend.services.audit.sign_ins import sign_in_from
from backend.services.review.desk.submit import settle_queues
from backend.tables.accounts import LoginSession, Token, User

router = APIRouter(tags=["people"])
NextPath = Annotated[str | None, Query(max_length=2000)]
Answers = dict[int | str, dict[str, Any]]
GOES_ON: Answers = {303: {"description": "Go on at Location."}}
FORM_AGAIN: Answers = {
    status: {
        "description": "The form again, with the reason.",
        "content": {"text/html": {}, MEDIA_TYPE: {}},
    }
    for status in (401, 429)
}


async def wait_for_login(serving: ServingDep) -> AsyncIterator[None]:
    """Few passwords are checked at once: each check takes a core and 64 MiB."""
    async with serving.logins:
        yield


@router.get("/login", response_class=HTMLResponse, responses=GOES_ON)
def show_login(
    request: Request, serving: ServingDep, now: NowDep, next: NextPath = None
) -> Response:
    """The sign-in form; who is signed in already is sent on."""
    path = safe_next(next)
    if secret := request.cookies.get(COOKIE):
        try:
            with serving.reading() as session:
                credentials.user_of_session(session, secret, now=now, idle=serving.settings.idle)
            return RedirectResponse(path, status_code=303)
        except NotAuthenticated:
            pass
    return HTMLResponse(login_page(next_path=path))


@router.post(
    "/login",
    response_class=HTMLResponse,
    responses=GOES_ON | FORM_AGAIN,
    dependencies=[Depends(wait_for_login, scope="function")],
)
def sign_in(
    request: Request,
    serving: ServingDep,
    now: NowDep,
    name: Annotated[str, Form(max_length=120)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str | None, Form(max_length=2000)] = None,
) -> Response:
    """Check name and password, set the cookie, go on to `next`."""
    path = safe_next(next)
    try:
        secret = _open_session(request, serving, name.strip(), password)
    except StropError as error:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        page = login_page(next_path=path, name=name, error=str(error))
        return HTMLResponse(page, status_code=error.status)
    response = RedirectResponse(path, status_code=303)
    response.set_cookie(
        COOKIE,
        secret,
        max_age=serving.settings.session_hours * 3600,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


def _open_session(request: Request, serving: Serving, name: str, password: str) -> str:
    address = request.client.host if request.client else "unknown"
    now = serving.clock()
    serving.failed_logins.check(name, address, now=now)
    try:
        with serving.reading() as session:
            user = users.verify_password(session, name, password)
    except NotAuthenticated:
        serving.failed_logins.record(name, address, now=now)
        serving.refusals.note(serving.writing, name, address, "wrong name or password")
        raise
    serving.failed_logins.forgive(name, address)
    with serving.writing.begin() as session:
        sign_in_from(session, address)
        return credentials.open_login_session(
            session, user.id, hours=serving.settings.session_hours, now=now
        ).value


@router.get("/logout", response_class=HTMLResponse)
def ask_to_sign_out() -> HTMLResponse:
    """A page with the button that signs out."""
    return HTMLResponse(logout_page())


@router.post("/logout", status_code=303, response_class=RedirectResponse)
def sign_out(request: Request, session: SessionDep, now: NowDep) -> Response:
    """End the session on the server, forget the cookie, go to the sign-in form."""
    if secret := request.cookies.get(COOKIE):
        require_own_site(request)
        credentials.close_login_session(session, secret, now=now)
    response = RedirectResponse("login", status_code=303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return response


@router.get("/me")
def show_me(session: SessionDep, user: CurrentUser) -> Me:
    """Who is signed in, and their projects."""
    projects = users.visible_projects(session, user)
    return Me.of(user, projects=projects)


@router.post(
    "/me/password", status_code=204, dependencies=[Depends(wait_for_login, scope="function")]
)
def change_my_password(
    request: Request, body: PasswordChanged, serving: ServingDep, user: CurrentUser, now: NowDep
) -> Response:
    """Change my password; my other browsers are signed out. Wrong tries are limited as sign-ins."""
    address = request.client.host if request.client else "unknown"
    serving.failed_logins.check(user.name, address, now=now)
    try:
        with serving.writing.begin() as session:
            act_as(session, request.state.actor)
            users.change_password(
                session,
                session.get_one(User, user.id),
                current=body.current.get_secret_value(),
                new=body.new.get_secret_value(),
                keep=request.cookies.get(COOKIE),
                now=now,
            )
    except Forbidden:
        serving.failed_logins.record(user.name, address, now=now)
        serving.refusals.note(serving.writing, user.name, address, "wrong password to change it")
        raise
    return Response(status_code=204)


@router.get("/me/sessions")
def list_my_sessions(
    request: Request, session: SessionDep, serving: ServingDep, user: CurrentUser, now: NowDep
) -> list[SessionShown]:
    """The browsers in which I am signed in, the last used first."""
    found = credentials.list_sessions(session, user.id, now=now, idle=serving.settings.idle)
    return [_show_session(row, request) for row in found]


def _show_session(row: LoginSession, request: Request) -> SessionShown:
    return SessionShown.of(row, current=credentials.is_session(row, request.cookies.get(COOKIE)))


@router.delete("/me/sessions/{session_id}")
def end_my_session(
    session_id: int, request: Request, session: SessionDep, user: CurrentUser, now: NowDep
) -> SessionShown:
    """Sign one of my browsers out."""
    row = credentials.end_session(session, session_id, user.id, now=now)
    return _show_session(row, request)


@router.get("/me/tokens")
def list_my_tokens(session: SessionDep, user: CurrentUser) -> list[TokenShown]:
    """My tokens, newest first, without their secrets."""
    return [_show_token(token) for token in credentials.list_tokens(session, user.id)]


def _show_token(token: Token) -> TokenShown:
    return TokenShown.model_validate(token)


@router.post("/me/tokens", status_code=201)
def make_token(body: TokenGiven, session: SessionDep, user: CurrentUser, now: NowDep) -> TokenMade:
    """A token by which a program acts as me. Its secret is shown this once, so it has no replay."""
    secret = credentials.create_token(session, user, body.name, days=body.days, now=now)
    token = credentials.get_token(session, secret.row_id)
    return TokenMade.of(token, secret=secret.value)


@router.delete("/me/tokens/{token_id}")
def revoke_my_token(
    token_id: int, session: SessionDep, user: CurrentUser, now: NowDep
) -> TokenShown:
    """End one of my tokens at once."""
    return _show_token(credentials.revoke_token(session, token_id, now=now, user_id=user.id))


@router.get("/users")
def list_users(session: SessionDep) -> list[UserShown]:
    """Everybody."""
    return [UserShown.model_validate(user) for user in users.list_users(session)]


@router.post("/users", status_code=201)
def make_user(body: UserGiven, session: SessionDep, once: OnceDep) -> UserShown:
    """A new person."""
    password = body.password.get_secret_value() if body.password else None
    user = users.create_user(
        session, body.name, body.role, password=password, project_ids=body.project_ids
    )
    return once.answer(UserShown.model_validate(user))


@router.patch("/users/{user_id}")
def change_user(user_id: int, body: UserChanged, session: SessionDep, now: NowDep) -> UserShown:
    """Give a person another role, bar them, or let them in again."""
    person = users.get_user(session, user_id)
    if body.role is not None:
        users.set_role(session, person, body.role)
    if body.active is True:
        users.reactivate_user(session, person)
    elif body.active is False:
        users.deactivate_user(session, person, now=now)
    return UserShown.model_validate(person)


@router.put("/projects/{project_id}/users/{user_id}")
def add_to_project(project_id: int, user_id: int, session: SessionDep) -> UserShown:
    """Let a person work in a project as well."""
    person = users.get_user(session, user_id)
    users.add_member(session, project_id, person.id)
    return UserShown.model_validate(person)


@router.delete("/projects/{project_id}/users/{user_id}")
def remove_from_project(
    project_id: int, user_id: int, session: SessionDep, now: NowDep
) -> UserShown:
    """End a person's access to a project and its queues; what they judged stays."""
    person = users.get_user(session, user_id)
    users.remove_member(session, project_id, person.id)
    settle_queues(session, project_id, now=now)
    return UserShown.model_validate(person)


@router.get("/projects/{project_id}/users")
def list_project_users(project_id: int, session: SessionDep) -> list[UserShown]:
    """The members of a project, to choose reviewers from."""
    found = users.list_users(session, project_id=project_id)
    return [UserShown.model_validate(user) for user in found]
