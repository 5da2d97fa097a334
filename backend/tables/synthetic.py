"""Synthetic candidates: what a model was asked to draft, what became of each draft, and its queue.

A draft that is kept is an example of origin `synthetic` with its answer as a generation, so that
queues, checks and curation take it as they take anything else.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import Base, DatedTable, NumberedTable
from backend.tables.datasets import DatasetVersion
from backend.tables.models import ModelVersion


class SourceKind(StrEnum):
    """What drafts are drawn from."""

    DOCUMENTS = "documents"
    FAILURES = "failures"
    SLICE = "slice"


class DraftShape(StrEnum):
    """What the model writes: the answer to a given input, or an input with its answer."""

    ANSWER = "answer"
    PAIR = "pair"


class Drafting(DatedTable):
    """One request for drafts.

    Attributes:
        asked: what was asked for, with the bounds of the checks.
        model_version_id: the candidate that drafts, a model with its prompt.
        wanted: drafts that are to survive the checks.
        briefs_version_id: the dataset version whose examples ask for the drafts.
        dataset_version_id, run_id: the drafts that were kept, and the run that holds their
            answers; None until the drafting has ended, or where none was kept.
        stopped: why it ended.
        figures: what was counted at the end.
    """

    __tablename__ = "draftings"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    source_kind: Mapped[str] = mapped_column(String(16))
    shape: Mapped[str] = mapped_column(String(8))
    asked: Mapped[dict[str, Any]]
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    engine: Mapped[str] = mapped_column(String(32))
    params: Mapped[dict[str, Any]]
    wanted: Mapped[int]
    briefs_version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"))
    dataset_version_id: Mapped[int | None] = mapped_column(ForeignKey("dataset_versions.id"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("generation_runs.id"), unique=True)
    stopped: Mapped[str | None]
    figures: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    finished_at: Mapped[datetime | None]

    model_version: Mapped[ModelVersion] = relationship()
    briefs_version: Mapped[DatasetVersion] = relationship(foreign_keys=[briefs_version_id])


class DraftingBatch(NumberedTable):
    """A generation run in which some of the briefs are answered; the key makes each one once."""

    __tablename__ = "drafting_batches"
    __table_args__ = (UniqueConstraint("drafting_id", "number"),)

    drafting_id: Mapped[int] = mapped_column(ForeignKey("draftings.id"))
    number: Mapped[int]
    generation_run_id: Mapped[int] = mapped_column(ForeignKey("generation_runs.id"), unique=True)


class Draft(DatedTable):
    """What became of one text that a model drafted.

    Attributes:
        generation_id: the text as the model wrote it.
        brief_id: the example that asked for it.
        reason: why it was dropped, a `DropReason`; None: it was kept.
        detail: what it is too like, what its source lacks, or what could not be checked.
        prompt_digest: by which the draft is known again under any name.
        answer_digest: of the answer; None where no answer could be read.
        own_input: the model wrote the input, so that the prompt alone tells a draft.
        example_id, answer_id: the example and its answer, where it was kept and has been stored.
    """

    __tablename__ = "drafts"
    __table_args__ = (
        UniqueConstraint("generation_id"),
        Index("ix_drafts_project_prompt", "project_id", "prompt_digest"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    drafting_id: Mapped[int] = mapped_column(ForeignKey("draftings.id"), index=True)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generations.id"))
    brief_id: Mapped[int] = mapped_column(ForeignKey("examples.id"))
    reason: Mapped[str | None] = mapped_column(String(24))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    input: Mapped[str | None]
    answer: Mapped[str | None]
    prompt_digest: Mapped[str | None] = mapped_column(String(64))
    answer_digest: Mapped[str | None] = mapped_column(String(64))
    own_input: Mapped[bool] = mapped_column(default=False)
    example_id: Mapped[int | None] = mapped_column(ForeignKey("examples.id"), unique=True)
    answer_id: Mapped[int | None] = mapped_column(ForeignKey("generations.id"), unique=True)


class SyntheticQueue(Base):
    """A review queue in which experts approve or correct the drafts of one drafting.

    An answer approves a draft when its rating of `criterion` is `approves`. Only reviews of such
    a queue let a draft into a training set.
    """

    __tablename__ = "synthetic_queues"

    queue_id: Mapped[int] = mapped_column(ForeignKey("review_queues.id"), primary_key=True)
    drafting_id: Mapped[int] = mapped_column(ForeignKey("draftings.id"), index=True)
    criterion: Mapped[str] = mapped_column(String(80))
    approves: Mapped[str]
