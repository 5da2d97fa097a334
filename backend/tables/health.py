"""What examinations of dataset versions found, and the queues in which experts look at it.

Findings hold ids, parts and places, and no text of an example but the names of classes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import Base, DatedTable, NumberedTable
from backend.tables.datasets import DatasetVersion


class HealthReport(DatedTable):
    """One examination of a dataset version; filled once, and never changed then.

    Attributes:
        asked: kinds, seed and encoder, as they were asked for.
        content: `Examination.as_dict` without rows; None until it is done.
        worst: the worst severity of what was found, None where nothing was.
    """

    __tablename__ = "health_reports"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    dataset_version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"), index=True)
    asked: Mapped[dict[str, Any]]
    content: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    worst: Mapped[str | None] = mapped_column(String(8))
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    finished_at: Mapped[datetime | None]

    dataset_version: Mapped[DatasetVersion] = relationship()


class HealthFinding(NumberedTable):
    """A row that a report flags: which part of it, where, and why.

    Attributes:
        start, end: in code points; None for all of the part.
        score: the higher, the surer, within one kind.
        others: ids of the file of further examples that the reason speaks of.
    """

    __tablename__ = "health_findings"
    __table_args__ = (Index("ix_health_findings_report_kind", "report_id", "kind"),)

    report_id: Mapped[int] = mapped_column(ForeignKey("health_reports.id"))
    kind: Mapped[str] = mapped_column(String(24))
    example_id: Mapped[int] = mapped_column(ForeignKey("examples.id"), index=True)
    part: Mapped[str] = mapped_column(String(12))
    why: Mapped[str]
    start: Mapped[int | None]
    end: Mapped[int | None]
    score: Mapped[float | None]
    others: Mapped[list[Any]]


class HealthQueue(Base):
    """A review queue on flagged examples, whose references are the outputs.

    Attributes:
        kinds: of the findings that brought its items.
        confirmed_when: which answers say that a finding is right (`backend.rubrics.wrong`).
    """

    __tablename__ = "health_queues"

    queue_id: Mapped[int] = mapped_column(ForeignKey("review_queues.id"), primary_key=True)
    report_id: Mapped[int] = mapped_column(ForeignKey("health_reports.id"), index=True)
    kinds: Mapped[list[Any]]
    confirmed_when: Mapped[str]
