"""Jobs and workers, as shown."""

from __future__ import annotations

from datetime import datetime

from backend.schemas.common import Shown


class JobShown(Shown):
    """A piece of long work on one subject; `error` says why it stopped or failed."""

    id: int
    kind: str
    subject_id: int
    queue: str
    state: str
    attempt: int
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
