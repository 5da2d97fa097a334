"""Comparisons of a candidate with a baseline, and the verdict by the manifest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Base, utc_now


class Comparison(Base):
    """The evidence on two models on the same examples, line by line of one manifest.

    Attributes:
        n_simulated: votes by a script among those that a line rests on.
        preflight: what the check of the models before their run came to (services.evidence);
            None on rows older than that.
    """

    __tablename__ = "comparisons"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    manifest_id: Mapped[int] = mapped_column(ForeignKey("success_manifests.id"))
    score_run_id: Mapped[int] = mapped_column(ForeignKey("score_runs.id"))
    review_queue_id: Mapped[int | None] = mapped_column(ForeignKey("review_queues.id"))
    baseline_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    candidate_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    verdict: Mapped[str] = mapped_column(String(16))
    lines: Mapped[list[Any]]
    n_simulated: Mapped[int] = mapped_column(default=0, server_default="0")
    preflight: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
