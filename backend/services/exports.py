"""Files that commands wrote out, so that an erasure can name them.

Answers that stream to whoever asked stand in the audit log (`export.begun`), as these do.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from backend.services import audit
from backend.tables.erasure import ExportMade

LONGEST = 500


def note_export(
    session: Session, subject: str, format: str, *, project_id: int, target: str, now: datetime
) -> None:
    """Write down an export before its first row goes out: one that breaks off was made, too.

    Args:
        subject: what is written out: `training_set:3`, `review_queue:2`.
        target: the file.
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
    detail = {"route": "strop export", "of": subject.partition(":")[0], "format": format[:40]}
    audit.record(session, "export.begun", subject=subject, project_id=project_id, detail=detail)
    session.flush()
