"""Webhooks: where a project wants to be told, and what is still to be told (an outbox)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import DatedTable, partial_index, utc_now


class DeliveryState(StrEnum):
    """FAILED: every attempt was refused; a person may ask for another."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Webhook(DatedTable):
    """An address that is told of events; `secret` signs what is sent."""

    __tablename__ = "webhooks"
    __table_args__ = (UniqueConstraint("project_id", "url"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    url: Mapped[str] = mapped_column(String(2000))
    secret: Mapped[str] = mapped_column(String(500))
    events: Mapped[list[Any]]
    active: Mapped[bool] = mapped_column(default=True)


class WebhookDelivery(DatedTable):
    """One event for one address, written in the transaction of the event itself.

    `key` names the event (a review submitted, an adjudication decided, a queue finished), so that
    it is told once however often it is recorded.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("webhook_id", "key"),
        partial_index("ix_webhook_deliveries_due", "next_attempt_at", where="state = 'pending'"),
    )

    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhooks.id"))
    event: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(80))
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(12), default=DeliveryState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    delivered_at: Mapped[datetime | None]

    webhook: Mapped[Webhook] = relationship()
