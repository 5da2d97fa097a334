"""What stands in for a password: the sign-in session of a browser, the bearer token of a program.

Both are 256 random bits, kept as SHA-256 and shown once, when they are made.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import String, bindparam, exists, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, NotFound
from backend.tables.accounts import LoginSession, Role, Token, User
from backend.tables.sign_in import Identity

TOKEN_PREFIX = "strop_"

# When the session of a cookie, or a token, stands for its user.
SESSION_IS_GOOD = (
    LoginSession.token_hash == bindparam("digest"),
    LoginSession.ended_at.is_(None),
    LoginSession.expires_at > bindparam("now"),
    LoginSession.last_seen_at > bindparam("idle_since"),
    User.active,
    # Whoever switches passwords off ends what passwords opened.
    (LoginSession.method != "password")
    | (bindparam("passwords", type_=String) == "on")
    | ((bindparam("passwords", type_=String) == "admins-only") & (User.role == Role.ADMIN)),
)
TOKEN_IS_GOOD = (
    Token.token_hash == bindparam("digest"),
    Token.revoked_at.is_(None),
    Token.expires_at.is_(None) | (Token.expires_at > bindparam("now")),
    User.active,
    # Of people of a provider, who might have lost access there: they have to show up.
    ~exists().where(Identity.user_id == User.id)
    | exists().where(Identity.user_id == User.id, Identity.last_seen_at > bindparam("seen_since")),
)


@dataclass(frozen=True, slots=True)
class Secret:
    """A new secret, to be shown once, and the row that remembers its hash."""

    value: str
    row_id: int


def hash_secret(value: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(value.encode("utf-8", "backslashreplace")).hexdigest()


def open_login_session(
    session: Session, user_id: int, *, hours: int, now: datetime, method: str = "password"
) -> Secret:
    """Sign a person in by `password`, `oidc` or `link`; the secret goes into their cookie."""
    secret = secrets.token_urlsafe(32)
    row = LoginSession(
        user_id=user_id,
        token_hash=hash_secret(secret),
        method=method,
        created_at=now,
        last_seen_at=now,
        expires_at=now + timedelta(hours=hours),
    )
    session.add(row)
    session.flush()
    return Secret(secret, row.id)


def session_of(session: Session, secret: str) -> LoginSession | None:
    """The session of this cookie, if it has not ended."""
    query = select(LoginSession).where(LoginSession.token_hash == hash_secret(secret))
    return session.scalar(query.where(LoginSession.ended_at.is_(None)))


def close_login_session(session: Session, secret: str, *, now: datetime) -> LoginSession | None:
    """Sign out; returns the session that ended. A secret that is not known is no error."""
    row = session_of(session, secret)
    if row is not None:
        row.ended_at = now
        session.flush()
    return row


def note_session(session: Session, secret: str, *, now: datetime) -> None:
    """Note that this browser is used."""
    session.execute(
        update(LoginSession)
        .where(LoginSession.token_hash == hash_secret(secret), LoginSession.ended_at.is_(None))
        .values(last_seen_at=now)
    )


def list_sessions(
    session: Session, user_id: int, *, now: datetime, idle: timedelta
) -> list[LoginSession]:
    """The browsers in which this person is signed in, the last used first."""
    query = select(LoginSession).where(
        LoginSession.user_id == user_id,
        LoginSession.ended_at.is_(None),
        LoginSession.expires_at > now,
        LoginSession.last_seen_at > now - idle,
    )
    return list(session.scalars(query.order_by(LoginSession.last_seen_at.desc())))


def is_session(row: LoginSession, secret: str | None) -> bool:
    """Whether this is the session of that cookie."""
    return secret is not None and row.token_hash == hash_secret(secret)


def end_session(session: Session, session_id: int, user_id: int, *, now: datetime) -> LoginSession:
    """Sign one of this person's browsers out. Raises NotFound."""
    row = session.get(LoginSession, session_id)
    if row is None or row.user_id != user_id:
        raise NotFound(f"You have no session {session_id}.")
    row.ended_at = row.ended_at or now
    session.flush()
    return row


def end_sessions(session: Session, user_id: int, *, now: datetime, keep: str | None = None) -> int:
    """Sign a person out everywhere, but for the cookie to keep; returns of how many browsers."""
    query = select(LoginSession).where(
        LoginSession.user_id == user_id, LoginSession.ended_at.is_(None)
    )
    ended = [row for row in session.scalars(query) if not is_session(row, keep)]
    for row in ended:
        row.ended_at = now
    session.flush()
    return len(ended)


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
        token_hash=hash_secret(value),
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
