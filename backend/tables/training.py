"""Training runs: a frozen set, a configuration, a manifest set before, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import DatedTable


class TrainingRun(DatedTable):
    """One training of one adapter; the adapter is registered when the trainer's result is whole.

    `start_model_id` is the model whose weights it went on from; None where it began anew. `base_id`
    is the base that its adapter is on; None for the project's.
    """

    __tablename__ = "training_runs"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    training_set_id: Mapped[int] = mapped_column(ForeignKey("training_sets.id"))
    manifest_id: Mapped[int] = mapped_column(ForeignKey("success_manifests.id"))
    start_model_id: Mapped[int | None] = mapped_column(
        ForeignKey("model_versions.id", use_alter=True)
    )
    base_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id", use_alter=True))
    adapter_name: Mapped[str] = mapped_column(String(80))
    config: Mapped[dict[str, Any]]
    output_dir: Mapped[str]
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    finished_at: Mapped[datetime | None]
