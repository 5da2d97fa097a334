"""Signing in at the OpenID provider: there, back again, and the end of a session by its word."""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from secrets import token_urlsafe
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from backend.api.deps import Serving, ServingDep
from backend.api.problems import MEDIA_TYPE
from backend.api.routes.sign_in import FORM_AGAIN, GOES_ON, NextPath
from backend.api.sign_in import entering
from backend.api.sign_in.login_page import login_page, safe_next
from backend.errors import NotAuthenticated, NotFound, ProviderError, StropError
from backend.services import audit
from backend.services.accounts.oidc import identities
from backend.services.accounts.oidc.provider import Provider
from backend.services.accounts.oidc.roles import access_of, groups_of
from backend.services.accounts.oidc.tokens import read_id_token, read_logout_token, refused
from backend.services.accounts.tickets import make_ticket, read_ticket
from backend.services.review.desk.submit import settle_queues

router = APIRouter(tags=["people"], prefix="/oidc")
COOKIES_PATH = "/api/v1/oidc"
LIFE = timedelta(minutes=10)
STATE = re.compile(r"[A-Za-z0-9_-]{43}")
Told = Annotated[str | None, Query(max_length=4000)]


async def wait_for_provider(serving: ServingDep) -> AsyncIterator[None]:
    """A provider that is slow holds few threads of the server, not all."""
    async with serving.providers:
        yield


IN_TURN = [Depends(wait_for_provider, scope="function")]


@router.get(
    "/start", response_class=HTMLResponse, responses=GOES_ON | FORM_AGAIN, dependencies=IN_TURN
)
def begin(request: Request, serving: ServingDep, next: NextPath = None) -> Response:
    """Send the browser to the provider, and have it remember what comes back must match."""
    path = safe_next(next)
    state, nonce, verifier = token_urlsafe(32), token_urlsafe(32), token_urlsafe(48)
    try:
        url = _provider(serving).authorization_url(state=state, nonce=nonce, verifier=verifier)
    except ProviderError as error:
        return _show(request, serving, error, path)
    content = {"state": state, "nonce": nonce, "verifier": verifier, "next": path}
    ticket = make_ticket(serving.seal, "oidc", content, now=serving.clock(), life=LIFE)
    response = RedirectResponse(url, status_code=303)
    entering.set_cookie(response, request, _cookie_of(state), ticket, life=LIFE, path=COOKIES_PATH)
    return response


def _provider(serving: Serving) -> Provider:
    if serving.provider is None:
        raise NotFound("No OpenID provider is set here.", hint="Set STROP_OIDC_ISSUER.")
    return serving.provider


def _cookie_of(state: str) -> str:
    """One for each sign-in that is under way, so that two tabs do not take each other's."""
    return f"strop_oidc_{state[:12]}"


def _show(request: Request, serving: Serving, error: StropError, path: str) -> Response:
    if not entering.wants_page(request):
        raise error
    page = login_page(entering.ways_of(serving), next_path=path, error=str(error))
    return HTMLResponse(page, status_code=error.status)


@router.get(
    "/callback", response_class=HTMLResponse, responses=GOES_ON | FORM_AGAIN, dependencies=IN_TURN
)
def come_back(
    request: Request,
    serving: ServingDep,
    state: Told = None,
    code: Told = None,
    iss: Told = None,
    error: Told = None,
) -> Response:
    """Take the provider's answer, and sign in whom it names; what else it sends is ignored."""
    path = "/"
    try:
        begun = _begun(request, serving, state)
        path = safe_next(begun["next"])
        secret = _sign_in(request, serving, begun, code=code, iss=iss, error=error)
        response: Response = RedirectResponse(path, status_code=303)
        entering.set_session(response, request, serving, secret)
    except StropError as found:
        response = _show(request, serving, found, path)
    if state and STATE.fullmatch(state):
        response.delete_cookie(_cookie_of(state), path=COOKIES_PATH, httponly=True, samesite="lax")
    return response


def _begun(request: Request, serving: Serving, state: str | None) -> dict[str, Any]:
    """What this browser began under that state, and nobody else's."""
    once = all(len(request.query_params.getlist(name)) == 1 for name in request.query_params)
    known = state is not None and STATE.fullmatch(state) is not None and once
    ticket = request.cookies.get(_cookie_of(state)) if state and known else None
    begun = read_ticket(serving.seal, "oidc", ticket, now=serving.clock())
    if not hmac.compare_digest(str(begun["state"]), str(state)):
        raise NotAuthenticated("This sign-in is not the one begun here.", hint="Begin it again.")
    return begun


def _sign_in(
    request: Request,
    serving: Serving,
    begun: Mapping[str, Any],
    *,
    code: str | None,
    iss: str | None,
    error: str | None,
) -> str:
    provider, now = _provider(serving), serving.clock()
    metadata = provider.metadata()
    if iss != metadata.issuer and (iss is not None or metadata.names_issuer):
        raise refused("the answer is another provider's")  # RFC 9207, before the code is shown
    if error is not None or not code:
        known = error if error and re.fullmatch(r"[a-z_]{1,40}", error) else "no code"
        _note(serving, request, f"the provider said {known}")
        raise NotAuthenticated(
            f"The provider did not sign you in ({known}).", hint="Begin it again."
        )
    try:
        tokens = provider.exchange(code, verifier=str(begun["verifier"]))
        claims = read_id_token(
            tokens.id_token,
            metadata=metadata,
            keys=provider.keys,
            client_id=provider.registration.client_id,
            nonce=str(begun["nonce"]),
            access_token=tokens.access_token,
            now=now,
        )
        claims = _with_userinfo(provider, claims, tokens.access_token)
    except (NotAuthenticated, ProviderError) as found:
        _note(serving, request, found.message)
        raise
    return _admit(request, serving, provider, claims, tokens.id_token)


def _note(serving: Serving, request: Request, why: str) -> None:
    entering.note_refusal(serving, "", entering.address_of(request), why)


def _with_userinfo(
    provider: Provider, claims: Mapping[str, Any], access_token: str
) -> dict[str, Any]:
    """The claims, with those of the userinfo page where groups or name are not among them."""
    wanted = provider.registration
    if groups_of(claims, wanted.groups_claim) is not None and wanted.name_claim in claims:
        return dict(claims)
    told = provider.userinfo(access_token)
    if told and told.get("sub") != claims["sub"]:
        raise refused("its userinfo page speaks of somebody else")
    return {**told, **claims}


def _admit(
    request: Request, serving: Serving, provider: Provider, claims: Mapping[str, Any], id_token: str
) -> str:
    registration, now = provider.registration, serving.clock()
    groups = groups_of(claims, registration.groups_claim) or []
    with serving.writing.begin() as session:
        audit.act_as(session, audit.Actor(via="api"))
        access = access_of(groups, registration)
        admission = identities.admit(session, claims, access, registration, now=now)
        for project_id in admission.left:
            settle_queues(session, project_id, now=now)
        if admission.identity is not None:
            entering.enter(session, request, serving=serving, method="oidc")
            secret = identities.open_session(
                session,
                admission.identity,
                claims,
                id_token,
                seal=serving.seal,
                hours=serving.settings.session_hours,
                now=now,
            )
            return secret.value
    refusal = admission.refusal or NotAuthenticated("You were not signed in.")
    # The log keeps for ever: whose account it is stands there by number, and no name of theirs.
    name = "" if admission.known is None else admission.known
    why = "somebody of that name is here" if admission.taken else refusal.message
    entering.note_refusal(serving, name, entering.address_of(request), why)
    raise refusal


@router.post(
    "/backchannel-logout",
    response_class=JSONResponse,
    responses={
        400: {"description": "The token is not accepted.", "content": {"application/json": {}}},
        502: {"description": "The provider does not answer.", "content": {MEDIA_TYPE: {}}},
    },
    dependencies=IN_TURN,
)
def end_by_provider(
    serving: ServingDep, logout_token: Annotated[str, Form(max_length=100_000)] = ""
) -> Response:
    """End sessions at the provider's word (Back-Channel Logout 1.0); the token shows that it is.

    A token that is not accepted gets 400, as the standard has it.
    """
    provider = _provider(serving)
    headers = {"Cache-Control": "no-store"}
    try:
        asked = read_logout_token(
            logout_token,
            metadata=provider.metadata(),
            keys=provider.keys,
            client_id=provider.registration.client_id,
            now=serving.clock(),
        )
        with serving.writing.begin() as session:
            audit.act_as(session, audit.Actor(via="api"))
            issuer = provider.registration.issuer
            ended = identities.log_out(session, asked, issuer, now=serving.clock())
    except ProviderError:
        raise
    except StropError as error:
        said = {"error": "invalid_request", "error_description": error.message}
        return JSONResponse(said, status_code=400, headers=headers)
    return JSONResponse({"ended": ended}, headers=headers)
