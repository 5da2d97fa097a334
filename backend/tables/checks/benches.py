"""Benches of checks: what was measured on planted errors, by when and on what. Append-only."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import DatedTable
from backend.tables.datasets import DatasetVersion


class CheckBench(DatedTable):
    """One bench of checks on the right outputs of a dataset version.

    Attributes:
        splits: the parts of the dataset whose outputs were used.
        checks: names of the checks that were measured.
        sources: how many right outputs are references, corrections and approved outputs, and how
            many of them come from simulated reviews.
        digest: SHA-256 over the outputs and their sources.
        report: `evaluators.checks.planting.figures.BenchReport.as_dict`.
    """

    __tablename__ = "check_benches"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    dataset_version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"))
    splits: Mapped[list[Any]]
    checks: Mapped[list[Any]]
    sources: Mapped[dict[str, Any]]
    seed: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    report: Mapped[dict[str, Any]]

    dataset_version: Mapped[DatasetVersion] = relationship()
