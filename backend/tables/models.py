"""Model versions (`base` or `base:adapter@rev`) and the preflights they went through."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Base, utc_now

BASE = "base"
"""The name of a project's base model; no adapter may have it."""


class ModelVersion(Base):
    """The base model of a project, or one revision of an adapter on it or of a full training.

    A fully trained model has a name like an adapter and is a base of its own: its `base_model` is
    its own folder, and it has no adapter. The digests are what registration found;
    `training_facts` is what training recorded in the folder (empty for what was made elsewhere).
    """

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("project_id", "name", "revision"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(80))
    revision: Mapped[int]
    base_model: Mapped[str]
    base_sha256: Mapped[str] = mapped_column(String(64))
    tokenizer_sha256: Mapped[str] = mapped_column(String(64))
    template_sha256: Mapped[str] = mapped_column(String(64))
    adapter_path: Mapped[str | None]
    adapter_sha256: Mapped[str | None] = mapped_column(String(64))
    adapter_rank: Mapped[int | None]
    training_facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    training_run_id: Mapped[int | None] = mapped_column(ForeignKey("training_runs.id"), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    @property
    def is_own_base(self) -> bool:
        """Whether all weights were trained, so that no other model can share its server."""
        return self.adapter_path is None and self.name != BASE

    @property
    def label(self) -> str:
        """How people write this model: `base`, `base:v1@2`, or `v1@2` for a fully trained one."""
        return self.serving_name if self.adapter_path is None else f"base:{self.serving_name}"

    @property
    def serving_name(self) -> str:
        """The name under which engines serve this model."""
        return BASE if self.name == BASE else f"{self.name}@{self.revision}"


class Preflight(Base):
    """The checks made before a run; `checks` holds each with its figures.

    Attributes:
        fingerprint: {"probes": messages of each probe, "first_tokens": {serving name: for each
            probe the likeliest first tokens with their log-probability}}; None where nothing was
            asked.
    """

    __tablename__ = "preflights"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    generation_run_id: Mapped[int | None] = mapped_column(
        ForeignKey("generation_runs.id"), index=True
    )
    engine: Mapped[str] = mapped_column(String(32))
    model_ids: Mapped[list[Any]]
    passed: Mapped[bool]
    checks: Mapped[list[Any]]
    fingerprint: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
