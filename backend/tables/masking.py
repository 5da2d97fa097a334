"""Masking: policies in versions, where surrogates stand, and what stood there before."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Base, DatedTable


class MaskingPolicyVersion(DatedTable):
    """A version of a project's masking policy; never updated, a later edit is a later version.

    Attributes:
        key_id: the name of the key from which its surrogates are drawn, which tells nothing of it.
    """

    __tablename__ = "masking_policies"
    __table_args__ = (UniqueConstraint("project_id", "version"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    content: Mapped[dict[str, Any]]
    source: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(String(16))
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))


class ExampleMask(Base):
    """That an example is masked: by which policy, and where its surrogates stand.

    Attributes:
        spans: [{"field", "start", "end", "kind"}, ...] of the masked texts, in code points.
    """

    __tablename__ = "example_masks"
    __table_args__ = (Index("ix_example_masks_policy_id", "policy_id"),)

    example_id: Mapped[int] = mapped_column(ForeignKey("examples.id"), primary_key=True)
    policy_id: Mapped[int] = mapped_column(ForeignKey("masking_policies.id"))
    spans: Mapped[list[Any]] = mapped_column(JSON)


class MaskedOriginal(Base):
    """The row from which a masked example was made, encrypted; none where the policy drops it.

    Attributes:
        key_id: the name of the key that opens it.
        sealed: the row as JSON, encrypted.
    """

    __tablename__ = "masked_originals"

    example_id: Mapped[int] = mapped_column(ForeignKey("examples.id"), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(16))
    sealed: Mapped[str] = mapped_column(Text)
