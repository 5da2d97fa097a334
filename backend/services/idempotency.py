"""Answers kept under a person's key, so that a request that is sent again creates nothing new."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict
from backend.services.sealing import Seal
from backend.tables.users import IdempotencyKey


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
