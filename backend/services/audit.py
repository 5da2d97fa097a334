"""Who did what: entries are added in the transaction of the act, so that neither is without the
other. Who acts is said once for a session, by whoever opened it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from backend.tables.audit import AuditEntry

_ACTOR = "actor"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts in a session.

    Attributes:
        user_id: None for a command on this machine and for the worker.
        token_id: the token by which a program came, None for a person.
        via: `api`, `cli` or `worker`.
    """

    user_id: int | None = None
    token_id: int | None = None
    via: str = "cli"


def act_as(session: Session, actor: Actor) -> None:
    """Say who acts in this session from now on."""
    session.info[_ACTOR] = actor


def actor_of(session: Session) -> Actor:
    """Who acts in this session; a command on this machine where nobody said."""
    found: Actor = session.info.get(_ACTOR, Actor())
    return found


def record(
    session: Session,
    action: str,
    *,
    subject: str = "",
    project_id: int | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add an entry to this transaction.

    Args:
        action: a noun and what happened to it, as `promotion.made`.
        subject: what was acted upon, as `model:7`.
        detail: names, ids, counts and digests; no text of a person.
    """
    actor = actor_of(session)
    session.add(
        AuditEntry(
            action=action,
            user_id=actor.user_id,
            token_id=actor.token_id,
            via=actor.via,
            project_id=project_id,
            subject=subject,
            detail=detail or {},
        )
    )
