"""Who did what: entries that are only ever added, and then sealed once into a chain.

Triggers of the database let nothing else happen to them (migration 0025).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Base, partial_index, utc_now

BIG = BigInteger().with_variant(Integer, "sqlite")


class AuditEntry(Base):
    """One act of a person or a program; holds no text of anybody, only names, ids and digests.

    People, tokens and projects are named by number and by no foreign key: an entry outlives them.

    Attributes:
        seq: place in the chain, from 1 without a gap; None until the entry is sealed.
        digest: SHA-256 over the digest before it and over its own content; None until sealed.
        via: how it came in: api, cli or worker.
        who: of a command the name of the system's user, of a worker its own name; else empty.
        subject: what was acted upon, as `model:7`.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_action_created_at", "action", "created_at"),
        partial_index("ix_audit_entries_unsealed", "id", where="seq IS NULL"),
        {"sqlite_autoincrement": True},  # a number that was cut off is not given again
    )

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    seq: Mapped[int | None] = mapped_column(BIG, unique=True)
    digest: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[int | None] = mapped_column(index=True)
    token_id: Mapped[int | None]
    via: Mapped[str] = mapped_column(String(16))
    who: Mapped[str] = mapped_column(String(80), default="")
    project_id: Mapped[int | None] = mapped_column(index=True)
    subject: Mapped[str] = mapped_column(String(120), default="", index=True)
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
