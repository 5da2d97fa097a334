"""Jobs and workers, as shown."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from backend.schemas.common import RequestBody, ResponseBody


class JobOut(ResponseBody):
    """A piece of long work on one subject; `error` says why it stopped or failed, or who cancelled
    it, at `finished_at`, and why."""

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


class JobCancelled(RequestBody):
    """Why a run, a scoring or a training is to stop; may be left out."""

    reason: str | None = Field(None, min_length=1, max_length=2_000)
