"""Links that an admin gives: to set a new password, or, made at the machine, to come in."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from backend.api.deps import CurrentUser, NowDep, ServingDep, SessionDep
from backend.api.routes.sign_in import CHECKED_IN_TURN, FORM_AGAIN, GOES_ON
from backend.api.sign_in import entering
from backend.api.sign_in.login_page import link_page, login_page
from backend.errors import Conflict, InvalidInput, StropError
from backend.schemas.accounts import LinkCreated, LinkIn
from backend.services.accounts import access_links, credentials, users

router = APIRouter(tags=["people"])
Token = Annotated[str, Query(max_length=200)]
TokenField = Annotated[str, Form(max_length=200)]
PasswordField = Annotated[str, Form(max_length=1000)]


@router.post("/users/{user_id}/reset-links", status_code=201)
def make_reset_link(
    user_id: int,
    body: LinkIn,
    serving: ServingDep,
    session: SessionDep,
    user: CurrentUser,
    now: NowDep,
) -> LinkCreated:
    """A link by which a person sets a new password, shown this once; it is good once."""
    if serving.settings.passwords == "off":
        raise Conflict("Passwords are switched off here.")
    path, ends = access_links.make_link(
        session,
        users.get_user(session, user_id),
        "password",
        now=now,
        life=timedelta(hours=body.hours),
        made_by_id=user.id,
    )
    return LinkCreated(url=serving.settings.address + path, expires_at=ends)


@router.get("/reset", response_class=HTMLResponse, responses=FORM_AGAIN)
def show_reset(serving: ServingDep, now: NowDep, token: Token = "") -> Response:
    """The form for a new password; looking at it uses nothing up."""
    try:
        with serving.reading() as session:
            found = access_links.person_of_link(session, token, "password", now=now)
    except StropError as error:
        return HTMLResponse(link_page("reset", error=str(error)), status_code=error.status)
    return HTMLResponse(link_page("reset", token=token, name=found.name))


@router.post(
    "/reset", response_class=HTMLResponse, responses=FORM_AGAIN, dependencies=CHECKED_IN_TURN
)
def reset_password(
    serving: ServingDep,
    now: NowDep,
    token: TokenField = "",
    password: PasswordField = "",
    again: PasswordField = "",
) -> Response:
    """Set the new password, and show the sign-in form: the second factor is asked for as ever."""
    name = None
    try:
        with serving.reading() as session:
            name = access_links.person_of_link(session, token, "password", now=now).name
        if password != again:
            raise InvalidInput("The two are not the same.", hint="Type the new password twice.")
        with serving.writing.begin() as session:
            access_links.reset_password(session, token, password, now=now)
    except StropError as error:
        page = link_page("reset", token=token, name=name, error=str(error))
        return HTMLResponse(page, status_code=error.status)
    said = "The new password is set. Sign in with it."
    page = login_page(entering.ways_of(serving), next_path="/", name=name or "", said=said)
    return HTMLResponse(page)


@router.get("/way-in", response_class=HTMLResponse, responses=FORM_AGAIN)
def show_way_in(serving: ServingDep, now: NowDep, token: Token = "") -> Response:
    """The button of an admin's way in; looking at it uses nothing up."""
    try:
        with serving.reading() as session:
            found = access_links.person_of_link(session, token, "sign-in", now=now)
    except StropError as error:
        return HTMLResponse(link_page("way_in", error=str(error)), status_code=error.status)
    return HTMLResponse(link_page("way_in", token=token, name=found.name))


@router.post("/way-in", response_class=HTMLResponse, responses=GOES_ON | FORM_AGAIN)
def come_in(request: Request, serving: ServingDep, now: NowDep, token: TokenField = "") -> Response:
    """Sign the admin of a link in; whoever made it holds the machine, so nothing else is asked."""
    try:
        with serving.writing.begin() as session:
            user = access_links.use_link(session, token, "sign-in", now=now)
            hours = serving.settings.session_hours
            entering.enter(session, request, serving=serving, method="link")
            secret = credentials.open_login_session(
                session, user.id, hours=hours, now=now, method="link"
            )
    except StropError as error:
        return HTMLResponse(link_page("way_in", error=str(error)), status_code=error.status)
    response = RedirectResponse("/", status_code=303)
    entering.set_session(response, request, serving, secret.value)
    return response
