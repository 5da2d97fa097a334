"""Sign-ins in the audit log: good ones, and bad ones as far as they do not flood it.

Of an address the network is kept (/24 of IPv4, /48 of IPv6): enough to tell attempts from one place
apart from those of another, too little to name a home. The name that was typed is not kept where
nobody has it: people type passwords into the wrong field.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import utc_now
from backend.services.audit import Actor, act_as, record
from backend.services.audit.acts import SIGN_IN
from backend.tables.accounts import User
from backend.tables.audit import AuditEntry

PREFIX = {4: 24, 6: 48}
MOST_REFUSED = 30  # entries in a minute, of all processes together
WINDOW = timedelta(minutes=1)


def network_of(address: str) -> str:
    """The network of an address; `unknown` for what is none."""
    try:
        found = ip_address(address)
    except ValueError:
        return "unknown"
    if found.version == 6 and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ip_network(f"{found}/{PREFIX[found.version]}", strict=False))


def sign_in_from(
    session: Session, address: str, *, method: str = "password", factor: str = ""
) -> None:
    """Say how the person comes whose login session is opened here; its entry tells it."""
    shown = {"factor": factor} if factor else {}
    session.info[SIGN_IN] = {"method": method, "network": network_of(address), **shown}


def note_refusal(
    session: Session, name: str, *, address: str, reason: str, not_written: int = 0
) -> bool:
    """A sign-in was refused; False where this minute has enough entries and none was added.

    Args:
        not_written: refusals of before that were not written, to be told with this one.
    """
    if _refused_lately(session) >= MOST_REFUSED:
        return False
    user_id = session.scalar(select(User.id).where(User.name == name))
    act_as(session, Actor(via="api"))  # whoever it was, they are not known to be this person
    detail = {"reason": reason, "network": network_of(address), "known": user_id is not None}
    if not_written:
        detail["not_written"] = not_written
    subject = "" if user_id is None else f"user:{user_id}"
    record(session, "signin.refused", subject=subject, detail=detail)
    return True


@dataclass(slots=True)
class Refusals:
    """Refused sign-ins of one process: those that found the minute full are counted, and told with
    the next that is written."""

    _not_written: int = 0

    def note(self, sessions: sessionmaker[Session], name: str, address: str, reason: str) -> None:
        """Write one entry, or count it."""
        with sessions.begin() as session:
            told = self._not_written
            written = note_refusal(session, name, address=address, reason=reason, not_written=told)
        self._not_written = self._not_written - told if written else self._not_written + 1


def note_token(session: Session, token_id: int) -> None:
    """A program came by this token; once a day, whichever process sees it first."""
    today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    seen = select(AuditEntry.id).where(
        AuditEntry.action == "token.used",
        AuditEntry.created_at >= today,
        AuditEntry.token_id == token_id,
    )
    if session.scalar(seen.limit(1)) is None:
        record(session, "token.used", subject=f"token:{token_id}")


def _refused_lately(session: Session) -> int:
    lately = (
        select(AuditEntry.id)
        .where(AuditEntry.action == "signin.refused", AuditEntry.created_at > utc_now() - WINDOW)
        .limit(MOST_REFUSED)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(lately)) or 0
