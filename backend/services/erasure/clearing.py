"""What is kept for a while only: answers under idempotency keys, ended sessions, told deliveries,
chunks of jobs that ended.

The most that any project keeps of them; what a project keeps for less, or clears of its drafts,
is in `backend.services.erasure.retention`.

Keys and deliveries are in the order of their making, so that a look at the oldest few tells whether
there is anything to clear: clearing costs what it clears.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from backend.tables.accounts import IdempotencyKey, LoginSession
from backend.tables.queue import Job, JobChunk
from backend.tables.webhooks import DeliveryState, WebhookDelivery

KEEP_KEYS = timedelta(days=7)
KEEP_DELIVERIES = timedelta(days=30)
KEEP_CHUNKS = timedelta(days=1)
BATCH = 500


def clear_outlived(session: Session, *, now: datetime, batch: int = BATCH) -> dict[str, int]:
    """Delete up to `batch` rows of each kind that have outlived their use; returns how many.

    Idempotency keys after 7 days, deliveries 30 days after they were made unless they are still
    tried, sign-in sessions that ended or ran out, chunks a day after the end of their job.
    """
    return {
        "idempotency_keys": _clear_old_keys(session, now - KEEP_KEYS, batch),
        "webhook_deliveries": _clear_old_deliveries(session, now - KEEP_DELIVERIES, batch),
        "login_sessions": _clear_sessions(session, now, batch),
        "job_chunks": _clear_chunks(session, now - KEEP_CHUNKS, batch),
    }


def _clear_old_keys(session: Session, before: datetime, batch: int) -> int:
    oldest = session.execute(
        select(IdempotencyKey.id, IdempotencyKey.created_at)
        .order_by(IdempotencyKey.id)
        .limit(batch)
    )
    return _delete(session, IdempotencyKey.id, [row.id for row in oldest if row[1] < before])


def _clear_old_deliveries(session: Session, before: datetime, batch: int) -> int:
    oldest = session.execute(
        select(WebhookDelivery.id, WebhookDelivery.created_at)
        .where(WebhookDelivery.state != DeliveryState.PENDING)
        .order_by(WebhookDelivery.id)
        .limit(batch)
    )
    return _delete(session, WebhookDelivery.id, [row.id for row in oldest if row[1] < before])


def _clear_chunks(session: Session, before: datetime, batch: int) -> int:
    ended = select(Job.id).where(Job.finished_at < before)
    ids = session.scalars(select(JobChunk.id).where(JobChunk.job_id.in_(ended)).limit(batch)).all()
    return _delete(session, JobChunk.id, list(ids))


def _clear_sessions(session: Session, now: datetime, batch: int) -> int:
    over = or_(LoginSession.ended_at.is_not(None), LoginSession.expires_at <= now)
    ids = session.scalars(select(LoginSession.id).where(over).limit(batch)).all()
    return _delete(session, LoginSession.id, list(ids))


def _delete(session: Session, key: InstrumentedAttribute[int], ids: list[int]) -> int:
    if ids:
        session.execute(delete(key.class_).where(key.in_(ids)))
    return len(ids)
