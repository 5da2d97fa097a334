"""Who asks, and whether they review what they ask about: one statement for a request.

Nothing of it is kept between requests, in this process or another: a token that was revoked, a
person who was barred, a role that changed and a seat in a queue that ended count from the next
request on, whichever process answers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, null, select
from sqlalchemy.orm import make_transient_to_detached

from backend.errors import NotAuthenticated
from backend.prepared import PreparedStatement
from backend.services.accounts.access import MEMBERS
from backend.services.accounts.credentials import (
    SESSION_IS_GOOD,
    TOKEN_IS_GOOD,
    hash_secret,
)
from backend.tables.accounts import LoginSession, Token, User

USERS: Table = User.__table__  # type: ignore[assignment]


class AccessSubject(NamedTuple):
    """What a reviewer asks about: a key of `access.MEMBERS` and an id."""

    parameter: str
    id: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks.

    Attributes:
        user: the person; of no session.
        token_id: the token by which a program came; None for a browser.
        reviews_in: the project of the seat, if they have it.
        seen_at: when the use of this browser was last noted; None for a program.
    """

    user: User
    token_id: int | None
    reviews_in: int | None
    seen_at: datetime | None


def caller_by_token(
    connection: Connection,
    value: str,
    *,
    now: datetime,
    provider_days: int = 30,
    seat: AccessSubject | None = None,
) -> Caller:
    """Who acts under this bearer token. Raises NotAuthenticated.

    Args:
        provider_days: how long after their last sign-in there tokens of a provider's people work.
    """
    asked = {
        "digest": hash_secret(value),
        "now": now,
        "seen_since": now - timedelta(days=provider_days),
    }
    row = _by_token(seat and seat.parameter).first(connection, _with(asked, seat))
    if row is None:
        raise NotAuthenticated(
            "The token is not valid.", hint="Make one: strop token create --user NAME --name WHY"
        )
    return Caller(_person(row), row.token_id, row.reviews_in, None)


def caller_by_session(
    connection: Connection,
    secret: str,
    *,
    now: datetime,
    idle: timedelta,
    passwords: str = "on",
    seat: AccessSubject | None = None,
) -> Caller:
    """Who is signed in under this cookie, and was there within `idle`. Raises NotAuthenticated.

    Args:
        passwords: the setting; a session that a password opened counts as far as passwords do.
    """
    asked = {
        "digest": hash_secret(secret),
        "now": now,
        "idle_since": now - idle,
        "passwords": passwords,
    }
    row = _by_session(seat and seat.parameter).first(connection, _with(asked, seat))
    if row is None:
        raise NotAuthenticated("You are signed out.", hint="Sign in again.")
    return Caller(_person(row), None, row.reviews_in, row.seen_at)


def _with(asked: dict[str, Any], seat: AccessSubject | None) -> dict[str, Any]:
    return asked if seat is None else {**asked, "id": seat.id}


@cache
def _by_token(parameter: str | None) -> PreparedStatement:
    query = _columns(parameter).add_columns(Token.id.label("token_id"))
    return PreparedStatement(query.join(Token, Token.user_id == User.id).where(*TOKEN_IS_GOOD))


@cache
def _by_session(parameter: str | None) -> PreparedStatement:
    query = _columns(parameter).add_columns(LoginSession.last_seen_at.label("seen_at"))
    return PreparedStatement(
        query.join(LoginSession, LoginSession.user_id == User.id).where(*SESSION_IS_GOOD)
    )


def _columns(parameter: str | None) -> Select[Any]:
    seat = null() if parameter is None else MEMBERS[parameter].scalar_subquery()
    query: Select[Any] = select(*USERS.c, seat.label("reviews_in"))
    return query.select_from(USERS)


def _person(row: Any) -> User:
    """The user of a row, as one that a session had loaded and let go."""
    user = User(**{column.key: getattr(row, column.key) for column in USERS.c})
    make_transient_to_detached(user)
    return user
