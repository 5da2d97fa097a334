"""Answers kept under a person's key, so that a request that is sent again creates nothing new."""

from __future__ import annotations

import hashlib

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from backend.errors import Conflict
from backend.services.accounts.sealing import Seal
from backend.tables.accounts import IdempotencyKey

LONGEST_WAIT = "30s"


def wait_for_turn(session: Session, user_id: int, key: str) -> None:
    """Wait until no other transaction works on the request of this key, for 30 seconds at most.

    On PostgreSQL by a lock that ends with the transaction or its connection, so that a first
    request that dies leaves none. On SQLite a transaction that may write has waited already.

    Raises:
        OperationalError: the other one takes longer.
    """
    if session.get_bind().dialect.name != "postgresql":
        return
    digest = hashlib.sha256(f"{user_id}:{key}".encode()).digest()
    number = int.from_bytes(digest[:8], signed=True)
    session.execute(text(f"SET LOCAL lock_timeout = '{LONGEST_WAIT}'"))
    session.execute(select(func.pg_advisory_xact_lock(number)))
    session.execute(text("SET LOCAL lock_timeout = DEFAULT"))


def keep_answer(
    session: Session, user_id: int, key: str, *, digest: str, status: int, body: str, seal: Seal
) -> None:
    """Keep an answer, sealed, in the transaction that made what it tells of."""
    sealed = seal.close(body)
    session.add(
        IdempotencyKey(user_id=user_id, key=key, request_digest=digest, status=status, body=sealed)
    )
    session.flush()


def find_answer(
    session: Session, user_id: int, key: str, *, digest: str, seal: Seal
) -> tuple[int, str] | None:
    """Status and body of the answer kept for this request, if it was answered before.

    Raises:
        Conflict: the key stands for another request.
    """
    found = session.scalar(
        select(IdempotencyKey).where(IdempotencyKey.user_id == user_id, IdempotencyKey.key == key)
    )
    if found is None:
        return None
    if found.request_digest != digest:
        raise Conflict("This Idempotency-Key was used for another request.", hint="Make a new key.")
    return found.status, seal.open(found.body)
