"""Score runs, and one score per (score run, generation, metric) with its signature."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import Base, utc_now
from backend.tables.runs import Generation, GenerationRun


class ScoreRun(Base):
    """Metrics computed over one generation run.

    `metrics` is a list of {"metric": name, "slice": {key: value}}; an empty slice is every example.
    """

    __tablename__ = "score_runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    generation_run_id: Mapped[int] = mapped_column(ForeignKey("generation_runs.id"), index=True)
    metrics: Mapped[list[Any]]
    seed: Mapped[int] = mapped_column(default=7)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    generation_run: Mapped[GenerationRun] = relationship()


class Score(Base):
    """What a metric said of one generation: a value, or an error, or not applicable.

    `stats` are the per-example sufficient statistics from which aggregates are computed; `spans`
    are code-point offsets in the generated text with a reason each.
    """

    __tablename__ = "scores"
    __table_args__ = (
        UniqueConstraint("score_run_id", "generation_id", "metric"),
        Index("ix_scores_generation", "generation_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    score_run_id: Mapped[int] = mapped_column(ForeignKey("score_runs.id"))
    generation_id: Mapped[int] = mapped_column(ForeignKey("generations.id"))
    metric: Mapped[str] = mapped_column(String(80))
    value: Mapped[float | None]
    error: Mapped[str | None]
    not_applicable: Mapped[bool] = mapped_column(default=False)
    label: Mapped[str | None]
    explanation: Mapped[str | None]
    spans: Mapped[list[Any]] = mapped_column(default=list)
    stats: Mapped[list[Any]] = mapped_column(default=list)
    signature: Mapped[str]
    annotator_kind: Mapped[str] = mapped_column(String(8), default="code")

    generation: Mapped[Generation] = relationship()
