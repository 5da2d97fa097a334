"""A person who leaves and asks to be erased: name, secrets, drafts and what they wrote in passing.

Their ratings, corrections and decisions are the work of the house and stay, under the pseudonym by
which everybody knew them; a correction that is to go, too, is withdrawn first (`strop lineage`
names the reviews). The log of acts names people by id alone, so that it tells nothing any more.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput
from backend.services.erasure.requests import ErasureScope
from backend.tables.accounts import IdempotencyKey, LoginSession, Membership, Role, Token, User
from backend.tables.erasure import Erasure, ErasureKind
from backend.tables.queue import Job
from backend.tables.review import (
    GoldResult,
    QueueMember,
    Review,
    ReviewSlot,
    ReviewState,
    SlotState,
)
from backend.tables.rounds import RoundEvent
from backend.tables.sign_in import (
    AccessLink,
    Identity,
    ProviderSession,
    RecoveryCode,
    SecondFactor,
)

NAMELESS = "erased person"
OWN: tuple[Any, ...] = (
    LoginSession,
    IdempotencyKey,
    Membership,
    Identity,
    SecondFactor,
    RecoveryCode,
    AccessLink,
)
"""Tables whose rows are one person's alone, and go with them."""


def ask_person_erasure(
    session: Session, user: User, *, reason: str, by_id: int | None, now: datetime
) -> Erasure:
    """Lay down that a person is to be erased.

    Raises:
        Conflict: nobody would be left who may do everything, or they were erased before.
    """
    if user.name == name_of(user.id):
        raise Conflict(f"Person {user.id} was erased already.")
    others = select(User.id).where(
        User.role == Role.ADMIN, User.active.is_(True), User.id != user.id
    )
    if user.role == Role.ADMIN and session.scalar(others.limit(1)) is None:
        raise Conflict(
            "This is the last admin: nobody could look after the installation.",
            hint="Make somebody else an admin first: strop user role NAME admin",
        )
    erasure = Erasure(
        kind=ErasureKind.PERSON,
        subject=f"person {user.id}",
        reason=reason,
        person_id=user.id,
        asked_by_id=by_id,
        asked_at=now,
    )
    session.add(erasure)
    session.flush()
    return erasure


def name_of(user_id: int) -> str:
    """What an erased person is called."""
    return f"{NAMELESS} {user_id}"


def erase_person(session: Session, erasure: Erasure, *, now: datetime) -> ErasureScope:
    """Erase a person in this transaction."""
    if erasure.person_id is None:
        raise InvalidInput("No person is named.")
    user = session.get_one(User, erasure.person_id)
    found = ErasureScope()
    old = user.name
    found.rows["users"] = 1
    _leave(session, user, now, found)
    _forget_texts(session, user.id, found)
    found.slots = _give_back(session, user.id)
    found.elsewhere = _unname(session, old, name_of(user.id))
    user.name, user.password_hash, user.active = name_of(user.id), None, False
    session.flush()
    return found


def _leave(session: Session, user: User, now: datetime, found: ErasureScope) -> None:
    identities = select(Identity.id).where(Identity.user_id == user.id)
    own = ProviderSession.identity_id.in_(identities)
    _count(found, "provider_sessions", session.execute(delete(ProviderSession).where(own)))
    for table in OWN:
        gone = session.execute(delete(table).where(table.user_id == user.id))
        _count(found, table.__tablename__, gone)
    _set(session, AccessLink, AccessLink.made_by_id == user.id, made_by_id=None)
    own_tokens = Token.user_id == user.id
    revoked = _set(session, Token, own_tokens, name="erased", revoked_at=now, prefix="")
    _count(found, "tokens", revoked)


def _forget_texts(session: Session, user_id: int, found: ErasureScope) -> None:
    own = Review.reviewer_id == user_id
    _count(found, "reviews", _set(session, Review, own, comment=None, draft={}))
    _set(session, Review, own, Review.skip_reason.is_not(None), skip_reason="erased")
    withdrawn = Review.withdrawn_by_id == user_id, Review.withdrawn_reason.is_not(None)
    _set(session, Review, *withdrawn, withdrawn_reason="erased")
    contests = GoldResult.user_id == user_id, GoldResult.contest_reason.is_not(None)
    gone = _set(session, GoldResult, *contests, contest_reason="erased")
    _count(found, "gold_results", gone)
    _set(session, QueueMember, QueueMember.user_id == user_id, pause_reason=None)


def _give_back(session: Session, user_id: int) -> int:
    """What they hold goes back to its queue; a draft of theirs is no answer of anybody."""
    query = select(ReviewSlot).where(
        ReviewSlot.owner_id == user_id, ReviewSlot.state == SlotState.LEASED
    )
    slots = session.scalars(query.with_for_update()).all()
    for slot in slots:
        revised = slot.lease_until is None
        slot.state = SlotState.DONE if revised else SlotState.OPEN
        slot.owner_id = slot.owner_id if revised else None
        slot.lease_until, slot.version = None, slot.version + 1
    drafts = Review.reviewer_id == user_id, Review.state == ReviewState.DRAFT
    _set(session, Review, *drafts, state=ReviewState.SKIPPED, skip_reason="erased")
    assigned = ReviewSlot.assigned_to_id == user_id, ReviewSlot.state == SlotState.OPEN
    _set(session, ReviewSlot, *assigned, assigned_to_id=None)
    session.flush()
    return len(slots)


def _unname(session: Session, old: str, new: str) -> dict[str, int]:
    """Sentences that the program wrote with a name in them: why a job was cancelled, for one."""
    name = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)")
    counts: dict[str, int] = {}
    columns: tuple[tuple[Any, str], ...] = ((Job, "error"), (RoundEvent, "text"))
    for table, column in columns:
        named = getattr(table, column).contains(old, autoescape=True)
        for row in session.scalars(select(table).where(named)):
            setattr(row, column, name.sub(new, getattr(row, column)))
            counts[table.__tablename__] = counts.get(table.__tablename__, 0) + 1
    return counts


def _set(session: Session, table: Any, *rows: ColumnElement[bool], **values: Any) -> Any:
    return session.execute(update(table).where(*rows).values(**values))


def _count(found: ErasureScope, table: str, result: Any) -> None:
    if result.rowcount:
        found.rows[table] = result.rowcount
