"""Links that an admin gives to a person, each good once and not for long.

`password` lets them set a new password, whatever it was; `sign-in` is made at the machine only and
lets an admin in while passwords are off and the provider is down. Only the newest link of a person
counts. The link's secret is 256 random bits, kept as SHA-256.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, NotAuthenticated
from backend.services import audit
from backend.services.accounts.passwords import check_password
from backend.services.accounts.users import set_password
from backend.tables.accounts import Role, User
from backend.tables.sign_in import AccessLink

Purpose = Literal["password", "sign-in"]
PATHS: dict[Purpose, str] = {"password": "/api/v1/reset", "sign-in": "/api/v1/way-in"}
WAY_IN_LIFE = timedelta(minutes=15)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "backslashreplace")).hexdigest()


def make_link(
    session: Session,
    user: User,
    purpose: Purpose,
    *,
    now: datetime,
    life: timedelta,
    made_by_id: int | None = None,
) -> tuple[str, datetime]:
    """A new link for this person; returns its path with the secret, and when it ends.

    Raises:
        Conflict: a barred person, or a way in for somebody who is no admin.
    """
    if not user.active:
        raise Conflict(f"{user.name} is barred.", hint=f"First: strop user reactivate {user.name}")
    if purpose == "sign-in" and user.role != Role.ADMIN:
        raise Conflict(
            f"{user.name} is {user.role}; this way in is for admins.",
            hint=f"For others: strop user reset-link {user.name}",
        )
    _end_links(session, user.id, now=now)
    secret = secrets.token_urlsafe(32)
    link = AccessLink(
        user_id=user.id,
        made_by_id=made_by_id,
        purpose=purpose,
        token_hash=_digest(secret),
        created_at=now,
        expires_at=now + life,
    )
    session.add(link)
    session.flush()
    audit.record(
        session,
        "link.made",
        subject=f"user:{user.id}",
        detail={"purpose": purpose, "link": link.id, "until": link.expires_at.isoformat()},
    )
    return f"{PATHS[purpose]}?token={secret}", link.expires_at


def _end_links(session: Session, user_id: int, *, now: datetime) -> None:
    session.execute(
        update(AccessLink)
        .where(AccessLink.user_id == user_id, AccessLink.used_at.is_(None))
        .values(used_at=now)
    )


def person_of_link(session: Session, secret: str, purpose: Purpose, *, now: datetime) -> User:
    """Whom a link is for; looking uses nothing up. Raises NotAuthenticated."""
    link = session.scalar(
        select(AccessLink).where(
            AccessLink.token_hash == _digest(secret),
            AccessLink.purpose == purpose,
            AccessLink.used_at.is_(None),
            AccessLink.expires_at > now,
        )
    )
    if link is None or not link.user.active:
        raise _spent()
    return link.user


def use_link(session: Session, secret: str, purpose: Purpose, *, now: datetime) -> User:
    """Use a link up and return its person; of two at once, one comes through.

    Raises:
        NotAuthenticated: no such link, used, over, or of a barred person.
    """
    used = session.execute(
        update(AccessLink)
        .where(
            AccessLink.token_hash == _digest(secret),
            AccessLink.purpose == purpose,
            AccessLink.used_at.is_(None),
            AccessLink.expires_at > now,
        )
        .values(used_at=now)
        .returning(AccessLink.user_id)
    ).scalar_one_or_none()
    user = session.get(User, used) if used is not None else None
    if user is None or not user.active or (purpose == "sign-in" and user.role != Role.ADMIN):
        raise _spent()
    audit.act_as(session, audit.Actor(user_id=user.id, via="api"))
    audit.record(session, "link.used", subject=f"user:{user.id}", detail={"purpose": purpose})
    return user


def reset_password(session: Session, secret: str, password: str, *, now: datetime) -> User:
    """Set the password of a link's person; they are signed out everywhere.

    Raises:
        InvalidInput: the password is too short, or one that is tried first; the link stays good.
        NotAuthenticated: the link is not good.
    """
    person = person_of_link(session, secret, "password", now=now)
    check_password(password, name=person.name)
    user = use_link(session, secret, "password", now=now)
    set_password(session, user, password, now=now)
    return user


def _spent() -> NotAuthenticated:
    return NotAuthenticated(
        "This link has been used, is over, or was never given.", hint="Ask an admin for a new one."
    )
