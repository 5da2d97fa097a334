"""Rounds: one turn of the loop, as a row that waits for jobs and for people."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import NumberedTable, partial_index, utc_now


class Phase(StrEnum):
    """Where a round stands, in order; WAIT is for its time or for enough corrections."""

    WAIT = "wait"
    FREEZE = "freeze"
    TRAIN = "train"
    EVALUATE = "evaluate"
    REVIEW = "review"
    DECIDE = "decide"
    SIGN = "sign"
    END = "end"


class RoundState(StrEnum):
    """FAILED: a step could not be done, `error` says why; it may be taken up again."""

    ACTIVE = "active"
    PAUSED = "paused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class Round(NumberedTable):
    """One turn of the loop. What each phase made is named here in the transaction that made it.

    Attributes:
        plan: what was asked for (services.rounds.plans.RoundPlan).
        waits_for: what it waits for, in words; since when is `since`.
    """

    __tablename__ = "rounds"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        partial_index("ix_rounds_active", "state", where="state = 'active'"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]
    plan: Mapped[dict[str, Any]]
    phase: Mapped[str] = mapped_column(String(16), default=Phase.WAIT)
    state: Mapped[str] = mapped_column(String(16), default=RoundState.ACTIVE)
    waits_for: Mapped[str | None]
    since: Mapped[datetime] = mapped_column(default=utc_now)
    error: Mapped[str | None]
    training_set_id: Mapped[int | None] = mapped_column(ForeignKey("training_sets.id"))
    training_run_id: Mapped[int | None] = mapped_column(ForeignKey("training_runs.id"))
    candidate_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))
    generation_run_id: Mapped[int | None] = mapped_column(ForeignKey("generation_runs.id"))
    score_run_id: Mapped[int | None] = mapped_column(ForeignKey("score_runs.id"))
    review_queue_id: Mapped[int | None] = mapped_column(ForeignKey("review_queues.id"))
    comparison_id: Mapped[int | None] = mapped_column(ForeignKey("comparisons.id"))
    promotion_id: Mapped[int | None] = mapped_column(ForeignKey("promotions.id"))
    started_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]

    events: Mapped[list[RoundEvent]] = relationship(
        back_populates="round", order_by="RoundEvent.id"
    )


class RoundEvent(NumberedTable):
    """One thing that happened in a round; append-only."""

    __tablename__ = "round_events"

    round_id: Mapped[int] = mapped_column(ForeignKey("rounds.id"), index=True)
    at: Mapped[datetime] = mapped_column(default=utc_now)
    phase: Mapped[str] = mapped_column(String(16))
    text: Mapped[str]

    round: Mapped[Round] = relationship(back_populates="events")
