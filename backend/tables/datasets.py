"""Datasets, their immutable versions, and examples with their frozen splits."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import DatedTable, NumberedTable, utc_now


class Split(StrEnum):
    """Only TRAIN may ever be trained on."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Origin(StrEnum):
    """Where a row comes from that no person brought; the mark is never taken off.

    SYNTHETIC was drafted by a model: it is trained on only as an expert approved or corrected it.
    BRIEF asks a model for a draft: it is never trained on.
    """

    SYNTHETIC = "synthetic"
    BRIEF = "brief"


class Dataset(DatedTable):
    """A named source of examples in a project."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(120))


class DatasetVersion(DatedTable):
    """Immutable content of a dataset; `digest` covers every example with its split."""

    __tablename__ = "dataset_versions"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    number: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64), index=True)
    n_examples: Mapped[int]
    source_name: Mapped[str]
    split_recipe: Mapped[dict[str, Any]]

    dataset: Mapped[Dataset] = relationship()


class Example(NumberedTable):
    """One example. `external_id` is the id in the imported file; `group` is the unit of clustering.

    `content_digest` covers the prompt (input and context), so that the same text under another id
    or in another dataset is recognised.

    Attributes:
        messages: the conversation that is to be answered, [{"role", "content"}, ...], where it is
            more than one message; `input` is then its transcript.
        origin: an `Origin`; None for what people brought.
        provenance: of what has an origin: the document or the example that it was drawn from, the
            examples that were shown, the model and the prompt.
        erasure_id: of an example that was erased; its texts then say when and why instead.
    """

    __tablename__ = "examples"
    __table_args__ = (
        UniqueConstraint("dataset_version_id", "external_id"),
        Index("ix_examples_version_split", "dataset_version_id", "split"),
    )

    dataset_version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"))
    external_id: Mapped[str] = mapped_column(String(200))
    input: Mapped[str]
    messages: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    context: Mapped[str | None]
    references: Mapped[list[Any]]
    group: Mapped[str | None] = mapped_column(String(200))
    slices: Mapped[dict[str, Any]] = mapped_column(default=dict)
    split: Mapped[str] = mapped_column(String(16))
    content_digest: Mapped[str] = mapped_column(String(64), index=True)
    origin: Mapped[str | None] = mapped_column(String(16))
    provenance: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    erasure_id: Mapped[int | None] = mapped_column(ForeignKey("erasures.id"))

    dataset_version: Mapped[DatasetVersion] = relationship()


class AcceptedLeak(NumberedTable):
    """A person's word that two prompts, one trained on and one held out, may stand as they do.

    The prompts are known by their content digests, so that the word holds in every dataset.
    """

    __tablename__ = "accepted_leaks"
    __table_args__ = (UniqueConstraint("project_id", "train_digest", "held_out_digest"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    train_digest: Mapped[str] = mapped_column(String(64))
    held_out_digest: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(8))
    similarity: Mapped[float]
    reason: Mapped[str]
    accepted_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    accepted_at: Mapped[datetime] = mapped_column(default=utc_now)
