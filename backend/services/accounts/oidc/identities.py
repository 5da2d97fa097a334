"""Who a provider's subject is here. People are known by issuer and subject, never by name or mail:
whoever renames themselves there does not become somebody else here.

Each sign-in brings role and projects to what the groups say. Who has no group with a role any more
is barred: sessions end, tokens are revoked; a later sign-in with such a group lets them in again,
unless an admin barred them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from backend.errors import Conflict, Forbidden, StropError
from backend.services import audit
from backend.services.accounts.credentials import Secret, open_login_session
from backend.services.accounts.oidc.registration import Registration
from backend.services.accounts.oidc.roles import GroupAccess
from backend.services.accounts.oidc.tokens import LoggedOut
from backend.services.accounts.sealing import Seal
from backend.services.accounts.users import add_member, bar_user, create_user, reactivate_user
from backend.tables.accounts import LoginSession, Membership, User
from backend.tables.projects import Project
from backend.tables.sign_in import Identity, LogoutToken, ProviderSession

BY_PROVIDER = "provider"
LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Admission:
    """What came of a sign-in at the provider; what was changed is kept, also when it is refused.

    Attributes:
        left: ids of projects that the person no longer belongs to: their queues are to settle.
        known: the name here of who is refused; None for whom nobody here is known to be.
        taken: refused since somebody else here has the name.
    """

    identity: Identity | None = None
    refusal: StropError | None = None
    left: list[int] = field(default_factory=list)
    known: str | None = None
    taken: bool = False


def admit(
    session: Session,
    claims: Mapping[str, Any],
    access: GroupAccess,
    registration: Registration,
    *,
    now: datetime,
) -> Admission:
    """Let the subject of these claims in with what their groups give, or say why not."""
    subject = str(claims["sub"])
    identity = find_identity(session, registration.issuer, subject)
    if identity is None:
        if access.role is None:
            return Admission(refusal=_no_group())
        try:
            identity = _first_sign_in(session, claims, access.role, registration, now=now)
        except Conflict as error:
            return Admission(refusal=error, taken=True)
    return _admit_known(session, identity, access, registration, now=now)


def find_identity(session: Session, issuer: str, subject: str) -> Identity | None:
    """The account at the provider that we know by issuer and subject."""
    query = select(Identity).where(Identity.issuer == issuer, Identity.subject == subject)
    return session.scalar(query)


def link_identity(session: Session, user: User, issuer: str, subject: str) -> Identity:
    """Say that a subject at the provider is this person.

    Raises:
        Conflict: the subject is somebody else here already.
    """
    found = find_identity(session, issuer, subject)
    if found is not None and found.user_id != user.id:
        raise Conflict(f"That subject is {found.user.name} here already.")
    if found is None:
        found = Identity(user_id=user.id, issuer=issuer, subject=subject)
        session.add(found)
        session.flush()
        detail = {"issuer": issuer}
        audit.record(session, "identity.linked", subject=f"user:{user.id}", detail=detail)
    return found


def unlink_identities(session: Session, user: User, *, now: datetime) -> int:
    """Forget all accounts of a person at providers; returns how many. Their sessions end."""
    ids = list(session.scalars(select(Identity.id).where(Identity.user_id == user.id)))
    if ids:
        _end_sessions(session, ProviderSession.identity_id.in_(ids), now=now)
        session.execute(delete(ProviderSession).where(ProviderSession.identity_id.in_(ids)))
        session.execute(delete(Identity).where(Identity.id.in_(ids)))
        detail = {"accounts": len(ids)}
        audit.record(session, "identity.unlinked", subject=f"user:{user.id}", detail=detail)
    return len(ids)


def _first_sign_in(
    session: Session,
    claims: Mapping[str, Any],
    role: str,
    registration: Registration,
    *,
    now: datetime,
) -> Identity:
    name = _name_of(claims, registration)
    try:
        user = create_user(session, name, role)
    except Conflict:
        raise Conflict(
            f"There is somebody named {name!r} here already, who is not known to be you.",
            hint="An admin can say so: strop user link NAME --subject " + str(claims["sub"]),
        ) from None
    identity = Identity(
        user=user,
        issuer=registration.issuer,
        subject=str(claims["sub"]),
        created_at=now,
        last_seen_at=now,
    )
    session.add(identity)
    session.flush()
    return identity


def _name_of(claims: Mapping[str, Any], registration: Registration) -> str:
    """The name that the provider gives, where it can be one here; else the subject."""
    found = claims.get(registration.name_claim)
    name = " ".join(found.split()) if isinstance(found, str) else ""
    usable = name.isprintable() and 0 < len(name) <= LONGEST_NAME
    return name if usable else str(claims["sub"])[:LONGEST_NAME]


def _admit_known(
    session: Session,
    identity: Identity,
    access: GroupAccess,
    registration: Registration,
    *,
    now: datetime,
) -> Admission:
    user = identity.user
    if not user.active and user.barred_by != BY_PROVIDER:
        refusal = Forbidden("You are barred here.", hint="Ask an admin.")
        return Admission(refusal=refusal, known=user.name)
    if access.role is None:
        if user.active:
            bar_user(session, user, by=BY_PROVIDER, now=now)
        left = _set_projects(session, user, frozenset(), registration)
        return Admission(refusal=_no_group(), left=left, known=user.name)
    if not user.active:
        reactivate_user(session, user)
    user.role = access.role
    left = _set_projects(session, user, access.projects, registration)
    identity.last_seen_at = now
    session.flush()
    return Admission(identity=identity, left=left)


def _set_projects(
    session: Session, user: User, names: frozenset[str], registration: Registration
) -> list[int]:
    """Join the projects that the groups give, leave those that only groups give and these do not.

    Memberships of projects that no group is named for stay: an admin gave them.
    """
    managed = {name for projects in registration.projects.values() for name in projects}
    found = session.scalars(select(Project).where(Project.name.in_(managed))).all()
    left = []
    for project in found:
        if project.name in names:
            add_member(session, project.id, user.id)
            continue
        membership = session.scalar(
            select(Membership).where(
                Membership.project_id == project.id, Membership.user_id == user.id
            )
        )
        if membership is not None:
            session.delete(membership)
            left.append(project.id)
    session.flush()
    return left


def open_session(
    session: Session,
    identity: Identity,
    claims: Mapping[str, Any],
    id_token: str,
    *,
    seal: Seal,
    hours: int,
    now: datetime,
) -> Secret:
    """Sign the person in; what a sign-out there needs is kept, the token sealed."""
    secret = open_login_session(session, identity.user_id, hours=hours, now=now, method="oidc")
    sid = claims.get("sid")
    session.add(
        ProviderSession(
            session_id=secret.row_id,
            identity_id=identity.id,
            sid=sid if isinstance(sid, str) and 0 < len(sid) <= 255 else None,
            id_token=seal.close(id_token),
        )
    )
    session.flush()
    return secret


def id_token_of(session: Session, session_id: int, *, seal: Seal) -> str | None:
    """The ID token by which a session began; None for one that began otherwise."""
    found = session.get(ProviderSession, session_id)
    return None if found is None else seal.open(found.id_token)


def log_out(session: Session, asked: LoggedOut, issuer: str, *, now: datetime) -> int:
    """End the sessions that a logout token names; returns how many.

    Raises:
        Forbidden: the token has been heeded before.
    """
    session.execute(delete(LogoutToken).where(LogoutToken.expires_at < now))
    digest = hashlib.sha256(f"{issuer}\n{asked.jti}".encode("utf-8", "backslashreplace"))
    dialect = session.get_bind().dialect.name
    insert = postgres_insert if dialect == "postgresql" else sqlite_insert
    ends = datetime.fromtimestamp(asked.expires_at, tz=now.tzinfo)
    new = session.execute(
        insert(LogoutToken)
        .values(token_hash=digest.hexdigest(), expires_at=ends)
        .on_conflict_do_nothing()
        .returning(LogoutToken.token_hash)
    )
    if new.first() is None:
        raise Forbidden("This sign-out was told before.")
    known = select(Identity.id).where(Identity.issuer == issuer)
    if asked.subject is not None:
        known = known.where(Identity.subject == asked.subject)
    whose: ColumnElement[bool] = ProviderSession.identity_id.in_(known)
    if asked.sid is not None:
        whose = whose & (ProviderSession.sid == asked.sid)
    return _end_sessions(session, whose, now=now)


def _end_sessions(session: Session, whose: ColumnElement[bool], *, now: datetime) -> int:
    ids = select(ProviderSession.session_id).where(whose)
    rows = session.scalars(
        select(LoginSession).where(LoginSession.id.in_(ids), LoginSession.ended_at.is_(None))
    ).all()
    for row in rows:
        row.ended_at = now
    session.flush()
    return len(rows)


def _no_group() -> Forbidden:
    return Forbidden(
        "Your account is known, and none of your groups has a role in Strop.",
        hint="Ask whoever runs this server which group that would be.",
    )
