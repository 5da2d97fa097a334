"""People and programs: users, tokens of programs, sign-in sessions, membership of projects."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import DatedTable, NumberedTable, utc_now


class Role(StrEnum):
    """What a user may do. A lead is an engineer who signs promotions; an admin may too."""

    ADMIN = "admin"
    LEAD = "lead"
    ENGINEER = "engineer"
    EXPERT = "expert"


class User(DatedTable):
    """A person. `pseudonym` is what other people and exports see.

    `barred_by` says who barred a person who is not active: `admin`, or `provider` where their
    groups there give no role any more, which a later sign-in may undo.
    """

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(String(120), unique=True)
    pseudonym: Mapped[str] = mapped_column(String(40), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None]
    active: Mapped[bool] = mapped_column(default=True)
    barred_by: Mapped[str | None] = mapped_column(String(16))
    second_factor_required: Mapped[bool] = mapped_column(default=False, server_default=false())
    simulated: Mapped[bool] = mapped_column(default=False)

    memberships: Mapped[list[Membership]] = relationship(back_populates="user")


class Membership(NumberedTable):
    """A user's access to a project; admins need none.

    `skills` and `groups` are names of the project's own, by which reviewers are asked for.
    """

    __tablename__ = "memberships"
    __table_args__ = (UniqueConstraint("project_id", "user_id"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    skills: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    groups: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")

    user: Mapped[User] = relationship(back_populates="memberships")


class Token(DatedTable):
    """A program's bearer token, stored as a SHA-256 hash of 256 random bits."""

    __tablename__ = "tokens"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    prefix: Mapped[str] = mapped_column(String(12))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()


class LoginSession(DatedTable):
    """A signed-in browser; the cookie's secret is stored as a SHA-256 hash.

    `method` is how the person came in: `password`, `oidc` or `link`.
    """

    __tablename__ = "login_sessions"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    method: Mapped[str] = mapped_column(String(16), default="password", server_default="password")
    last_seen_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()


class IdempotencyKey(DatedTable):
    """The stored answer of a creating request, given again when the request is resent."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("user_id", "key"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    key: Mapped[str] = mapped_column(String(200))
    request_digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[str]
