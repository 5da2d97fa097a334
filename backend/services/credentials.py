"""What stands in for a password: the sign-in session of a browser, the bearer token of a program.

Both are 256 random bits, kept as SHA-256 and shown once, when they are made.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from backend.errors import Conflict, NotAuthenticated, NotFound
from backend.tables.users import LoginSession, Token, User

TOKEN_PREFIX = "strop_"

# Every request runs one of these two; built once, they cost half.
USER_OF_SESSION = (
    select(User)
    .join(LoginSession, LoginSession.user_id == User.id)
    .where(
        LoginSession.token_hash == bindparam("digest"),
        LoginSession.ended_at.is_(None),
        LoginSession.expires_at > bindparam("now"),
        User.active,
    )
)
USER_OF_TOKEN = (
    select(User)
    .join(Token, Token.user_id == User.id)
    .where(
        Token.token_hash == bindparam("digest"),
        Token.revoked_at.is_(None),
        Token.expires_at.is_(None) | (Token.expires_at > bindparam("now")),
        User.active,
    )
)


@dataclass(frozen=True, slots=True)
class Secret:
    """A new secret, to be shown once, and the row that remembers its hash."""

    value: str
    row_id: int


def _hash_secret(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def open_login_session(session: Session, user_id: int, *, hours: int, now: datetime) -> Secret:
    """Sign a person in; the secret goes into their cookie."""
    secret = secrets.token_urlsafe(32)
    row = LoginSession(
        user_id=user_id,
        token_hash=_hash_secret(secret),
        created_at=now,
        expires_at=now + timedelta(hours=hours),
    )
    session.add(row)
    session.flush()
    return Secret(secret, row.id)


def close_login_session(session: Session, secret: str, *, now: datetime) -> None:
    """Sign out; a secret that is not known is no error."""
    row = session.scalar(
        select(LoginSession).where(LoginSession.token_hash == _hash_secret(secret))
    )
    if row is not None and row.ended_at is None:
        row.ended_at = now
        session.flush()


def user_of_session(session: Session, secret: str, *, now: datetime) -> User:
    """Who is signed in under this cookie. Raises NotAuthenticated."""
    user = session.scalar(USER_OF_SESSION, {"digest": _hash_secret(secret), "now": now})
    if user is None:
        raise NotAuthenticated("You are signed out.", hint="Sign in again.")
    return user


def create_token(
    session: Session, user: User, name: str, *, days: int | None = 90, now: datetime
) -> Secret:
    """Make a bearer token by which a program acts as this user."""
    if not user.active:
        raise Conflict(f"The user {user.name!r} is barred.", hint="Choose another user.")
    value = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = Token(
        user_id=user.id,
        name=name,
        token_hash=_hash_secret(value),
        prefix=value[:12],
        created_at=now,
        expires_at=None if days is None else now + timedelta(days=days),
    )
    session.add(token)
    session.flush()
    return Secret(value, token.id)


def list_tokens(session: Session, user_id: int | None = None) -> list[Token]:
    """Tokens, newest first, of one user or of all."""
    query = select(Token).order_by(Token.id.desc())
    return list(
        session.scalars(query if user_id is None else query.where(Token.user_id == user_id))
    )


def get_token(session: Session, token_id: int) -> Token:
    """A token by its id. Raises NotFound."""
    token = session.get(Token, token_id)
    if token is None:
        raise NotFound(f"There is no token {token_id}.", hint="See strop token list.")
    return token


def revoke_token(
    session: Session, token_id: int, *, now: datetime, user_id: int | None = None
) -> Token:
    """End a token at once (of this user, if one is named). Raises NotFound."""
    token = get_token(session, token_id)
    if user_id is not None and token.user_id != user_id:
        raise NotFound(f"There is no token {token_id}.", hint="See strop token list.")
    token.revoked_at = token.revoked_at or now
    session.flush()
    return token


def user_of_token(session: Session, value: str, *, now: datetime) -> User:
    """Who acts under this bearer token. Raises NotAuthenticated."""
    user = session.scalar(USER_OF_TOKEN, {"digest": _hash_secret(value), "now": now})
    if user is None:
        raise NotAuthenticated(
            "The token is not valid.", hint="Make one: strop token create --user NAME --name WHY"
        )
    return user
