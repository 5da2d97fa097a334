"""Who I am, my password, my browsers, my tokens; and people, for admins."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from backend.api.authorize import COOKIE
from backend.api.deps import CurrentUser, NowDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.api.routes.sign_in import CHECKED_IN_TURN
from backend.api.sign_in import entering
from backend.errors import Forbidden
from backend.schemas.accounts import (
    Me,
    PasswordChanged,
    SessionOut,
    TokenCreated,
    TokenIn,
    TokenOut,
    UserChanged,
    UserIn,
    UserOut,
)
from backend.services.accounts import attempts, credentials, second_factor, users
from backend.services.audit import act_as
from backend.services.review.desk.submit import settle_queues
from backend.tables.accounts import LoginSession, User

router = APIRouter(tags=["people"])


@router.get("/me")
def show_me(session: SessionDep, user: CurrentUser) -> Me:
    """Who is signed in, and their projects."""
    projects = users.visible_projects(session, user)
    return Me.of(user, projects=projects)


@router.post("/me/password", status_code=204, dependencies=CHECKED_IN_TURN)
def change_my_password(
    request: Request, body: PasswordChanged, serving: ServingDep, user: CurrentUser, now: NowDep
) -> Response:
    """Change my password; my other browsers are signed out. Wrong tries are limited as sign-ins."""
    address = entering.address_of(request)
    keys = attempts.keys_of(user.name, address)
    locked = entering.count_try(serving, keys)
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
            attempts.forgive(session, keys, now=now)
    except Forbidden:
        why = "wrong password to change it"
        entering.note_refusal(serving, user.name, address, why, locked=locked)
        raise
    return Response(status_code=204)


@router.get("/me/sessions")
def list_my_sessions(
    request: Request, session: SessionDep, serving: ServingDep, user: CurrentUser, now: NowDep
) -> list[SessionOut]:
    """The browsers in which I am signed in, the last used first."""
    found = credentials.list_sessions(session, user.id, now=now, idle=serving.settings.idle)
    return [_show_session(row, request) for row in found]


def _show_session(row: LoginSession, request: Request) -> SessionOut:
    return SessionOut.of(row, current=credentials.is_session(row, request.cookies.get(COOKIE)))


@router.delete("/me/sessions/{session_id}")
def end_my_session(
    session_id: int, request: Request, session: SessionDep, user: CurrentUser, now: NowDep
) -> SessionOut:
    """Sign one of my browsers out."""
    row = credentials.end_session(session, session_id, user.id, now=now)
    return _show_session(row, request)


@router.get("/me/tokens")
def list_my_tokens(session: SessionDep, user: CurrentUser) -> list[TokenOut]:
    """My tokens, newest first, without their secrets."""
    return [TokenOut.model_validate(one) for one in credentials.list_tokens(session, user.id)]


@router.post("/me/tokens", status_code=201)
def make_token(body: TokenIn, session: SessionDep, user: CurrentUser, now: NowDep) -> TokenCreated:
    """A token by which a program acts as me. Its secret is shown this once, so it has no replay."""
    secret = credentials.create_token(session, user, body.name, days=body.days, now=now)
    token = credentials.get_token(session, secret.row_id)
    return TokenCreated.of(token, secret=secret.value)


@router.delete("/me/tokens/{token_id}")
def revoke_my_token(token_id: int, session: SessionDep, user: CurrentUser, now: NowDep) -> TokenOut:
    """End one of my tokens at once."""
    token = credentials.revoke_token(session, token_id, now=now, user_id=user.id)
    return TokenOut.model_validate(token)


@router.get("/users")
def list_users(session: SessionDep) -> list[UserOut]:
    """Everybody."""
    return [UserOut.model_validate(user) for user in users.list_users(session)]


@router.post("/users", status_code=201)
def make_user(body: UserIn, session: SessionDep, once: OnceDep) -> UserOut:
    """A new person."""
    password = body.password.get_secret_value() if body.password else None
    user = users.create_user(
        session, body.name, body.role, password=password, project_ids=body.project_ids
    )
    return once.answer(UserOut.model_validate(user))


@router.patch("/users/{user_id}")
def change_user(user_id: int, body: UserChanged, session: SessionDep, now: NowDep) -> UserOut:
    """Give a person another role, bar them, or let them in again."""
    person = users.get_user(session, user_id)
    if body.role is not None:
        users.set_role(session, person, body.role)
    if body.active is True:
        users.reactivate_user(session, person)
    elif body.active is False:
        users.deactivate_user(session, person, now=now)
    if body.second_factor_required is not None:
        second_factor.require(session, person, required=body.second_factor_required)
    return UserOut.model_validate(person)


@router.put("/projects/{project_id}/users/{user_id}")
def add_to_project(project_id: int, user_id: int, session: SessionDep) -> UserOut:
    """Let a person work in a project as well."""
    person = users.get_user(session, user_id)
    users.add_member(session, project_id, person.id)
    return UserOut.model_validate(person)


@router.delete("/projects/{project_id}/users/{user_id}")
def remove_from_project(project_id: int, user_id: int, session: SessionDep, now: NowDep) -> UserOut:
    """End a person's access to a project and its queues; what they judged stays."""
    person = users.get_user(session, user_id)
    users.remove_member(session, project_id, person.id)
    settle_queues(session, project_id, now=now)
    return UserOut.model_validate(person)


@router.get("/projects/{project_id}/users")
def list_project_users(project_id: int, session: SessionDep) -> list[UserOut]:
    """The members of a project, to choose reviewers from."""
    found = users.list_users(session, project_id=project_id)
    return [UserOut.model_validate(user) for user in found]
