"""My second factor: to set it up, to take it away; and, for admins, of others."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, NowDep, Serving, ServingDep, SessionDep
from backend.api.routes.sign_in import CHECKED_IN_TURN
from backend.api.sign_in import entering
from backend.errors import Conflict, Forbidden, NotAuthenticated
from backend.schemas.accounts import (
    CodeIn,
    EnrolmentOut,
    PasswordIn,
    RecoveryCodes,
    SecondFactorOut,
    UserOut,
)
from backend.services import audit
from backend.services.accounts import attempts, second_factor, users
from backend.services.accounts.passwords import matches
from backend.tables.accounts import User

router = APIRouter(tags=["people"])


def _shown(session: Session, user: User, serving: Serving) -> SecondFactorOut:
    return SecondFactorOut(
        offered=user.password_hash is not None and serving.settings.passwords != "off",
        on=second_factor.is_on(session, user.id),
        required=second_factor.is_required(serving.settings, user),
        recovery_codes_left=second_factor.recovery_codes_left(session, user.id),
    )


@router.get("/me/second-factor")
def show_mine(session: SessionDep, serving: ServingDep, user: CurrentUser) -> SecondFactorOut:
    """Whether I have one, and must."""
    return _shown(session, session.get_one(User, user.id), serving)


@router.post("/me/second-factor", dependencies=CHECKED_IN_TURN)
def begin_mine(
    request: Request, body: PasswordIn, serving: ServingDep, user: CurrentUser, now: NowDep
) -> EnrolmentOut:
    """A new secret for my authenticator; it counts once a first code of it was right."""
    _require_password(request, serving, user, body.password.get_secret_value())
    with serving.writing.begin() as session:
        person = session.get_one(User, user.id)
        return second_factor.enrol(session, person, seal=serving.seal, now=now)


@router.post("/me/second-factor/confirm")
def confirm_mine(
    request: Request, body: CodeIn, serving: ServingDep, user: CurrentUser, now: NowDep
) -> RecoveryCodes:
    """Turn it on by its first right code; the recovery codes are shown this once.

    Raises:
        Forbidden: the code is wrong; 401 would say that nobody is signed in.
    """
    keys = {"code": str(user.id)}
    entering.count_try(serving, keys)
    with serving.writing.begin() as session:
        audit.act_as(session, request.state.actor)
        person, code = session.get_one(User, user.id), body.code.get_secret_value()
        try:
            codes = second_factor.confirm(session, person, code, seal=serving.seal, now=now)
        except NotAuthenticated as error:
            raise Forbidden(error.message, hint=error.hint) from None
        attempts.forgive(session, keys, now=now)
    return RecoveryCodes(codes=codes)


@router.post("/me/second-factor/remove", dependencies=CHECKED_IN_TURN)
def remove_mine(
    request: Request, body: PasswordIn, serving: ServingDep, user: CurrentUser
) -> SecondFactorOut:
    """Take my second factor away, unless I must have one."""
    if second_factor.is_required(serving.settings, user):
        raise Forbidden("You must have a second factor here.", hint="An admin can take it away.")
    _require_password(request, serving, user, body.password.get_secret_value())
    with serving.writing.begin() as session:
        audit.act_as(session, request.state.actor)
        person = session.get_one(User, user.id)
        second_factor.remove(session, person)
        return _shown(session, person, serving)


@router.delete("/users/{user_id}/second-factor")
def remove_of(user_id: int, session: SessionDep) -> UserOut:
    """Take a person's second factor away, for who has lost the authenticator and all codes."""
    person = users.get_user(session, user_id)
    second_factor.remove(session, person)
    return UserOut.model_validate(person)


def _require_password(request: Request, serving: Serving, user: User, password: str) -> None:
    """Let pass who knows their password too: a browser left open is not enough.

    Raises:
        Conflict: they have none, since they sign in at a provider.
        Forbidden: it is wrong; tries are counted as sign-ins.
    """
    if user.password_hash is None:
        raise Conflict(
            "You sign in at your organisation's provider, which asks for its own second factor."
        )
    keys = attempts.keys_of(user.name, entering.address_of(request))
    locked = entering.count_try(serving, keys)
    if not matches(user.password_hash, password):
        address, why = entering.address_of(request), "wrong password for the second factor"
        entering.note_refusal(serving, user.name, address, why, locked=locked)
        raise Forbidden("That is not your password.", hint="Check it and try again.")
    entering.forgive(serving, keys)
