"""What was erased, on whose word and what it left; how long things are kept; what left the house.

No text of what was erased is here: ids, digests and counts alone.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import NumberedTable, utc_now


class ErasureKind(StrEnum):
    """What is erased: examples with all that hangs on them, or a person who reviewed."""

    EXAMPLE = "example"
    PERSON = "person"


class ErasureState(StrEnum):
    """ASKED: nothing is gone yet. ERASED: rows and files hold the texts no more, freed pages of the
    database may. DONE: those neither."""

    ASKED = "asked"
    ERASED = "erased"
    DONE = "done"


class Erasure(NumberedTable):
    """One request to erase, which is taken up again until it is DONE.

    Attributes:
        subject: what was named, in ids: `calls:r17`, `person 4`.
        example_ids: database ids of the examples; of a person none.
        keys: digests by which what was erased is known when it comes in again:
            {"groups": [SHA-256, ...]}.
        found: what it came to (`backend.services.erasure.requests.ErasureScope.as_dict`).
    """

    __tablename__ = "erasures"
    __table_args__ = (Index("ix_erasures_state", "state"),)

    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    subject: Mapped[str] = mapped_column(String(400))
    reason: Mapped[str]
    example_ids: Mapped[list[Any]] = mapped_column(default=list)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    keys: Mapped[dict[str, Any]] = mapped_column(default=dict)
    found: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(8), default=ErasureState.ASKED)
    asked_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    asked_at: Mapped[datetime] = mapped_column(default=utc_now)
    erased_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]


class ErasedRow(NumberedTable):
    """The digest that one row of a frozen thing had before it was erased; append-only.

    `subject` names the frozen thing (`dataset_version:3`, `training_set:2`), `part` the row in it
    (an example's id, `row:0`, `held:1`). `digest` is SHA-256 of the line by which the row counts in
    the digest of the whole.
    """

    __tablename__ = "erased_rows"
    __table_args__ = (UniqueConstraint("subject", "part"),)

    erasure_id: Mapped[int] = mapped_column(ForeignKey("erasures.id"), index=True)
    subject: Mapped[str] = mapped_column(String(40))
    part: Mapped[str] = mapped_column(String(24))
    digest: Mapped[str] = mapped_column(String(64))


class ErasureSeal(NumberedTable):
    """What stands in for the digest of a frozen thing once a row of it was erased; append-only.

    Attributes:
        digest: SHA-256 over the digests of all rows of the thing, the erased ones included.
        intact: whether the thing's own digest held in the moment before the first erasure.
    """

    __tablename__ = "erasure_seals"

    subject: Mapped[str] = mapped_column(String(40), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    intact: Mapped[bool]
    sealed_at: Mapped[datetime] = mapped_column(default=utc_now)


class ExportMade(NumberedTable):
    """A file of texts that a command wrote out; what an answer streamed is in the audit log.

    `subject` is what was written out (`training_set:3`, `review_queue:2`), `target` the file.
    """

    __tablename__ = "exports_made"
    __table_args__ = (Index("ix_exports_made_subject", "subject"),)

    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    subject: Mapped[str] = mapped_column(String(40))
    format: Mapped[str] = mapped_column(String(40))
    target: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=utc_now)


class RetentionRule(NumberedTable):
    """For how many days a project keeps one kind of thing (`backend.services.erasure.retention`).

    A kind without a row is kept by its default.
    """

    __tablename__ = "retention_rules"
    __table_args__ = (UniqueConstraint("project_id", "kind"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(String(40))
    days: Mapped[int]
    set_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    set_at: Mapped[datetime] = mapped_column(default=utc_now)
