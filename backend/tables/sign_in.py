"""Ways in: accounts at a provider, the second factor, links that an admin gives, failed tries."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import Base, DatedTable, NumberedTable, utc_now
from backend.tables.accounts import User


class Identity(DatedTable):
    """A person's account at an OpenID provider; they are known by issuer and subject alone."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(255))
    last_seen_at: Mapped[datetime] = mapped_column(default=utc_now)

    user: Mapped[User] = relationship()


class ProviderSession(Base):
    """A sign-in session that came of a provider: the session there, and the sealed ID token."""

    __tablename__ = "provider_sessions"

    session_id: Mapped[int] = mapped_column(ForeignKey("login_sessions.id"), primary_key=True)
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id"), index=True)
    sid: Mapped[str | None] = mapped_column(String(255), index=True)
    id_token: Mapped[str]

    identity: Mapped[Identity] = relationship()


class LogoutToken(Base):
    """A logout token that has been heeded, so that it counts once; gone after it has expired."""

    __tablename__ = "logout_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SecondFactor(Base):
    """An authenticator (TOTP) of a local account; its secret is sealed.

    `confirmed_at` is None until a first code was right. `last_step` is the step of 30 seconds whose
    code was used last: it and those before it count no more.
    """

    __tablename__ = "second_factors"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    secret: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int | None] = mapped_column(BigInteger)


class RecoveryCode(NumberedTable):
    """A code that stands in for the authenticator once, stored as a SHA-256 hash of 80 bits."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    used_at: Mapped[datetime | None]


class AccessLink(DatedTable):
    """A link that an admin gives to a person, good once; stored as a hash of 256 random bits.

    `purpose` is `password` (set a new one) or `sign-in` (an admin's way in at the machine).
    """

    __tablename__ = "access_links"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    purpose: Mapped[str] = mapped_column(String(16))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(foreign_keys=[user_id])


class FailedTries(NumberedTable):
    """Failed tries of one kind by one key (a name, an address), counted for all API processes.

    The key is kept as a hash: people type passwords where names belong.
    """

    __tablename__ = "failed_tries"
    __table_args__ = (UniqueConstraint("kind", "key_hash"),)

    kind: Mapped[str] = mapped_column(String(20))
    key_hash: Mapped[str] = mapped_column(String(64))
    failures: Mapped[int] = mapped_column(default=0)
    last_at: Mapped[datetime] = mapped_column(index=True)
    blocked_until: Mapped[datetime | None]
