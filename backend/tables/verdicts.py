"""Comparisons of a candidate with a baseline, and the verdict by the manifest.

Promotions: an append-only log; the newest row of an alias says where it points.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import DatedTable


class Comparison(DatedTable):
    """The evidence on two models on the same examples, line by line of one manifest.

    Attributes:
        n_simulated: votes by a script among those that a line rests on.
        preflight: what the check of the models before their run came to (services.evidence);
            None on rows older than that.
    """

    __tablename__ = "comparisons"

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


class PromotionAction(StrEnum):
    """PROMOTED moves the alias; HELD records that it was not moved; ROLLED_BACK moves it back."""

    PROMOTED = "promoted"
    HELD = "held"
    ROLLED_BACK = "rolled_back"


class Promotion(DatedTable):
    """One decision about one model, with what it rests on; a trigger refuses every change.

    Attributes:
        override: why it was made without a passing preflight and verdict; None where both passed.
        evidence: verdict, preflight, digests and what the servers answered, as they were then.
    """

    __tablename__ = "promotions"
    __table_args__ = (Index("ix_promotions_project_alias", "project_id", "alias"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    alias: Mapped[str] = mapped_column(String(40))
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    action: Mapped[str] = mapped_column(String(16))
    comparison_id: Mapped[int | None] = mapped_column(ForeignKey("comparisons.id"))
    reason: Mapped[str]
    override: Mapped[str | None]
    evidence: Mapped[dict[str, Any] | None]
    simulated: Mapped[bool] = mapped_column(default=False)
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
