"""Jobs: long work as rows. A worker's reconciler hands what is queued here to the job engine.

The chunks of a job are rows too, so that several workers may share it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Base, DatedTable, NumberedTable


class JobState(StrEnum):
    """Where a job stands. STOPPED is resumable: what was saved stays; CANCELLED is by a person."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(DatedTable):
    """One piece of long work on one subject, for example (generate, run 7).

    `attempt` grows with each resumption and is part of the workflow id, `generate-7-1`.
    `cancelled_by_id` is who cancelled the present attempt, which `finished_at` dates.
    `processor_s` and `gpu_s` are seconds over all attempts and helpers
    (`backend.jobs.running.spending`); None where none are known.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("kind", "subject_id"),
        Index("ix_jobs_state_queue", "state", "queue"),
    )

    kind: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[int]
    queue: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), default=JobState.QUEUED)
    attempt: Mapped[int] = mapped_column(default=1)
    arguments: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error: Mapped[str | None]
    exit_code: Mapped[int | None]
    processor_s: Mapped[float | None]
    gpu_s: Mapped[float | None]
    executor_id: Mapped[str | None] = mapped_column(String(64))
    cancelled_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class ChunkState(StrEnum):
    """Where a chunk stands. A lease that has run out is as good as OPEN."""

    OPEN = "open"
    LEASED = "leased"
    DONE = "done"


class JobChunk(NumberedTable):
    """A range of what one attempt of a job has to do, which one worker at a time has leased.

    `part` tells apart what a job does in several ways; `first_id` to `last_id`, both included, are
    ids of what its kind goes through (generations, examples), `size` how much work that is at most.
    `fence` grows with each lease: what was leased under an older one can be marked done no more.
    """

    __tablename__ = "job_chunks"
    __table_args__ = (
        UniqueConstraint("job_id", "attempt", "part", "first_id"),
        Index("ix_job_chunks_unfinished", "job_id", "attempt", "state", "id"),
    )

    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    part: Mapped[str] = mapped_column(String(64), default="")
    first_id: Mapped[int]
    last_id: Mapped[int]
    size: Mapped[int]
    state: Mapped[str] = mapped_column(String(8), default=ChunkState.OPEN)
    fence: Mapped[int] = mapped_column(default=0)
    owner: Mapped[str | None] = mapped_column(String(76))
    lease_until: Mapped[datetime | None]


class Worker(Base):
    """A worker process and its heartbeat; jobs of a silent worker are taken over."""

    __tablename__ = "workers"

    executor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    queues: Mapped[list[Any]]
    pid: Mapped[int]
    host: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
