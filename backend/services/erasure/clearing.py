"""What is kept for a while only: answers under idempotency keys, ended sessions, told deliveries,
chunks of jobs that ended.

The most that any project keeps of them; what a project keeps for less, or clears of its drafts,
is in `backend.services.erasure.retention`.

Keys and deliveries are in the order of their making, so that a look at the oldest few tells whether
there is anything to clear: clearing costs what it clears.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import Session

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
    told = WebhookDelivery.state != DeliveryState.PENDING
    over = or_(LoginSession.ended_at.is_not(None), LoginSession.expires_at <= now)
    ended = select(Job.id).where(Job.finished_at < now - KEEP_CHUNKS)
    return {
        "idempotency_keys": _clear_oldest(session, IdempotencyKey, batch, now - KEEP_KEYS),
        "webhook_deliveries": _clear_oldest(
            session, WebhookDelivery, batch, now - KEEP_DELIVERIES, told
        ),
        "login_sessions": _clear(session, LoginSession, batch, over),
        "job_chunks": _clear(session, JobChunk, batch, JobChunk.job_id.in_(ended)),
    }


def _clear_oldest(session: Session, table: Any, batch: int, before: datetime, *of: Any) -> int:
    query = select(table.id, table.created_at).where(*of).order_by(table.id).limit(batch)
    rows = session.execute(query)
    return _delete(session, table, [id_ for id_, created_at in rows if created_at < before])


def _clear(session: Session, table: Any, batch: int, outlived: ColumnElement[bool]) -> int:
    ids = session.scalars(select(table.id).where(outlived).limit(batch))
    return _delete(session, table, list(ids))


def _delete(session: Session, table: Any, ids: list[int]) -> int:
    if ids:
        session.execute(delete(table).where(table.id.in_(ids)))
    return len(ids)
