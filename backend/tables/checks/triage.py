"""What skipped review because its risk is low: by which certificate, and what became of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Base, NumberedTable, utc_now

AUDIT = "audit"
"""The stratum of items that are reviewed although they might have skipped it."""


class QueueRouting(Base):
    """By which certificate outputs of a queue skipped review; frozen when the queue was opened.

    Attributes:
        metric, score_run_id: whose scores are the risks.
        lower_is_better: outputs up to the threshold skipped; otherwise those from it on.
        epsilon, delta: at most this share of those that skipped is wrong, with 1 - delta.
        audit_share: of those that skipped, the part that is reviewed all the same.
        wrong_when: which answers count as wrong, as `backend.rubrics.wrong` reads it.
        n_without: outputs of the queue without a score, which are all reviewed.
        evidence: on which labels the certificate rests.
    """

    __tablename__ = "queue_routings"

    queue_id: Mapped[int] = mapped_column(ForeignKey("review_queues.id"), primary_key=True)
    metric: Mapped[str] = mapped_column(String(80))
    score_run_id: Mapped[int] = mapped_column(ForeignKey("score_runs.id"))
    threshold: Mapped[float]
    lower_is_better: Mapped[bool]
    epsilon: Mapped[float]
    delta: Mapped[float]
    audit_share: Mapped[float]
    wrong_when: Mapped[str]
    n_skipped: Mapped[int]
    n_audited: Mapped[int]
    n_without: Mapped[int]
    evidence: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class SkippedOutput(NumberedTable):
    """An output that the design took and that skipped review, so that nothing vanishes.

    Attributes:
        risk: its score.
        chance: with which the design took it.
        audited: it was drawn for the audit, and is an item of the queue.
    """

    __tablename__ = "skipped_outputs"
    __table_args__ = (UniqueConstraint("queue_id", "generation_id"),)

    queue_id: Mapped[int] = mapped_column(ForeignKey("review_queues.id"))
    generation_id: Mapped[int] = mapped_column(ForeignKey("generations.id"), index=True)
    risk: Mapped[float]
    chance: Mapped[float]
    audited: Mapped[bool] = mapped_column(default=False)


class RoutingEventKind(StrEnum):
    """WITHDRAWN: the audit refuted the guarantee. RETURNED: what skipped was put up for review."""

    WITHDRAWN = "withdrawn"
    RETURNED = "returned"


class RoutingEvent(NumberedTable):
    """What became of a queue's routing; each kind once, and never changed.

    Attributes:
        n, errors: outputs that the audit had looked at, and wrong ones among them.
        low: the share of wrong ones was at least this, with the confidence of the routing.
        user_id: who put the outputs up for review; None for what the audit did.
    """

    __tablename__ = "routing_events"
    __table_args__ = (UniqueConstraint("queue_id", "kind"),)

    queue_id: Mapped[int] = mapped_column(ForeignKey("review_queues.id"))
    kind: Mapped[str] = mapped_column(String(12))
    at: Mapped[datetime]
    n: Mapped[int]
    errors: Mapped[int]
    low: Mapped[float]
    sentence: Mapped[str]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
