"""Exports that were made: what left the house, so that an erasure can name it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from backend.services import audit
from backend.tables.erasure import ExportMade

STREAM = "stream"
LONGEST = 500


def note_export(
    session: Session,
    subject: str,
    format: str,
    *,
    project_id: int,
    target: str,
    now: datetime,
) -> None:
    """Write down an export before its first row goes out: one that breaks off was made, too.

    Args:
        subject: what is written out: `training_set:3`, `review_queue:2`.
        target: the file, or STREAM for an answer to whoever asked.
    """
    actor = audit.actor_of(session)
    session.add(
        ExportMade(
            project_id=project_id,
            user_id=actor.user_id,
            subject=subject,
            format=format[:40],
            target=target[:LONGEST],
            at=now,
        )
    )
    detail = {"format": format[:40], "to": "stream" if target == STREAM else "file"}
    audit.record(
        session, "export.made", subject=subject, project_id=project_id, detail=detail
    )
    session.flush()
