"""What keeps reviews honest: gold items with known answers, and verdicts where reviews disagree."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import Base, utc_now
from backend.tables.accounts import User
from backend.tables.review import SLOT_ID, Review, ReviewItem, ReviewSlot


class GoldAnswer(Base):
    """The known answer to an item; withdrawn when it was wrong, and then it judges nobody.

    `answer` has the shape of a review's answer (ratings by criterion, or a winner in terms of the
    item's a and b); criteria that it does not name are not judged.
    """

    __tablename__ = "gold_answers"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("review_items.id"), unique=True)
    answer: Mapped[dict[str, Any]]
    explanation: Mapped[str]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    withdrawn_reason: Mapped[str | None]

    item: Mapped[ReviewItem] = relationship()


class GoldResult(Base):
    """How one person's review of a gold item compares with the known answer.

    Attributes:
        score: share of the judged criteria that agree, 0 to 1.
        contest_reason: why the person holds the known answer to be wrong.
        resolution: what a lead made of it, upheld or withdrawn; `resolution_reason` says why.
    """

    __tablename__ = "gold_results"
    __table_args__ = (Index("ix_gold_results_user", "user_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    gold_id: Mapped[int] = mapped_column(ForeignKey("gold_answers.id"), index=True)
    review_id: Mapped[int] = mapped_column(ForeignKey("reviews.id"), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    score: Mapped[float]
    passed: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    contested_at: Mapped[datetime | None]
    contest_reason: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(String(16))
    resolution_reason: Mapped[str | None]
    resolved_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    gold: Mapped[GoldAnswer] = relationship()
    review: Mapped[Review] = relationship()
    user: Mapped[User] = relationship(foreign_keys=user_id)


class Adjudication(Base):
    """A disagreement that somebody is to decide; the verdict is a review beside the originals.

    Attributes:
        disagreement: one minus the agreement of the item's reviews, 0 to 1.
        reason: which answers differ, in words.
        slot_id: what the adjudicator claims; its review is the verdict.
    """

    __tablename__ = "adjudications"
    __table_args__ = (Index("ix_adjudications_open", "queue_id", "decided_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    queue_id: Mapped[int] = mapped_column(ForeignKey("review_queues.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("review_items.id"), unique=True)
    slot_id: Mapped[int] = mapped_column(SLOT_ID, ForeignKey("review_slots.id"), unique=True)
    disagreement: Mapped[float]
    reason: Mapped[str]
    opened_at: Mapped[datetime] = mapped_column(default=utc_now)
    decided_at: Mapped[datetime | None]
    review_id: Mapped[int | None] = mapped_column(ForeignKey("reviews.id"), unique=True)

    item: Mapped[ReviewItem] = relationship()
    slot: Mapped[ReviewSlot] = relationship()
    review: Mapped[Review | None] = relationship()
