"""Projects and their success manifests (the bar, versioned and hashed)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import DatedTable


class Project(DatedTable):
    """One body of work: a base model, its data, its adapters, its people."""

    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(String(120), unique=True)
    base_model: Mapped[str]


class SuccessManifest(DatedTable):
    """A version of the bar; never updated, a later edit is a later version."""

    __tablename__ = "success_manifests"
    __table_args__ = (UniqueConstraint("project_id", "version"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64), index=True)
    content: Mapped[dict[str, Any]]
    source: Mapped[str]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
