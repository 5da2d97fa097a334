"""The outbox at work: which deliveries are due, what is sent, and what became of it.

A delivery is claimed before it is sent: its next attempt is set a while ahead, so that two workers
rarely send the same, and a worker that is killed after sending leaves a delivery that is sent again
under the same id. Receivers keep the ids that they have seen (`webhook-id`).

Messages follow the Standard Webhooks specification 1.0: the headers webhook-id, webhook-timestamp
(Unix seconds) and webhook-signature, which is `v1,` and the base64 of HMAC-SHA256 over
`id.timestamp.body` under the bytes of the secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import literal_column, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, NotFound
from backend.services.accounts.sealing import Seal
from backend.services.webhooks.hooks import secret_bytes
from backend.tables.webhooks import DeliveryState, Webhook, WebhookDelivery

MAX_ATTEMPTS = 8
FIRST_DELAY = timedelta(seconds=30)
GROWTH = 3  # 30 s, 90 s, 4.5 min ... 6 h; all eight attempts take nine hours
JITTER = 0.2
HELD = timedelta(seconds=60)  # longer than one attempt may take
AT_ONCE = 16
MAX_ERROR = 500

_PENDING = WebhookDelivery.state == literal_column(f"'{DeliveryState.PENDING.value}'")


@dataclass(frozen=True, slots=True)
class Message:
    """One attempt at a delivery; the secret is sealed until it signs.

    `body` is what is signed and sent, byte for byte.
    """

    delivery_id: int
    attempt: int
    url: str
    secret: str
    event: str
    body: bytes

    @property
    def id(self) -> str:
        """The id by which a receiver knows a delivery that comes again."""
        return f"delivery_{self.delivery_id}"

    def headers(self, *, now: datetime, seal: Seal) -> dict[str, str]:
        """The headers under which it is sent at that moment."""
        stamp = str(int(now.timestamp()))
        return {
            "Content-Type": "application/json",
            "User-Agent": "Strop-Webhooks/1",
            "webhook-id": self.id,
            "webhook-timestamp": stamp,
            "webhook-signature": sign(seal.open(self.secret), self.id, stamp, self.body),
        }


def sign(secret: str, message_id: str, stamp: str, body: bytes) -> str:
    """The value of `webhook-signature`."""
    content = f"{message_id}.{stamp}.".encode() + body
    digest = hmac.new(secret_bytes(secret), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def any_due(session: Session, *, now: datetime) -> bool:
    """Whether something is to be sent; one look at an index of what is pending."""
    due = select(WebhookDelivery.id).where(_PENDING, WebhookDelivery.next_attempt_at <= now)
    return session.scalar(due.limit(1)) is not None


def claim_due(session: Session, *, now: datetime, limit: int = AT_ONCE) -> list[Message]:
    """Up to `limit` deliveries that are due, oldest first, each held for this attempt."""
    due = (
        select(WebhookDelivery)
        .where(_PENDING, WebhookDelivery.next_attempt_at <= now)
        .order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [_hold(session, delivery, now) for delivery in session.scalars(due).all()]


def claim_one(session: Session, delivery_id: int, *, now: datetime) -> Message:
    """This delivery, whether or not it is due. Raises NotFound."""
    return _hold(session, get_delivery(session, delivery_id), now)


def _hold(session: Session, delivery: WebhookDelivery, now: datetime) -> Message:
    delivery.attempts += 1
    delivery.next_attempt_at = now + HELD
    session.flush()
    hook = session.get_one(Webhook, delivery.webhook_id)
    return Message(
        delivery_id=delivery.id,
        attempt=delivery.attempts,
        url=hook.url,
        secret=hook.secret,
        event=delivery.event,
        body=json.dumps(delivery.payload, ensure_ascii=False, sort_keys=True).encode(),
    )


def record_outcome(
    session: Session, message: Message, *, status: int | None, error: str | None, now: datetime
) -> bool:
    """Note what became of an attempt; False when a later attempt has taken its place.

    A status of 200 to 299 is delivered. Anything else is tried again after `delay_after`, until
    MAX_ATTEMPTS were made; then it has failed.
    """
    delivered = status is not None and 200 <= status < 300
    if delivered:
        state, after = DeliveryState.DELIVERED, now
    elif message.attempt >= MAX_ATTEMPTS:
        state, after = DeliveryState.FAILED, now
    else:
        state = DeliveryState.PENDING
        after = now + delay_after(message.delivery_id, message.attempt)
    noted = session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == message.delivery_id)
        .where(WebhookDelivery.attempts == message.attempt)
        .where(WebhookDelivery.state == DeliveryState.PENDING)
        .values(
            state=state,
            next_attempt_at=after,
            last_status=status,
            last_error=None if delivered else (error or f"answered {status}")[:MAX_ERROR],
            delivered_at=now if delivered else None,
        )
        .returning(WebhookDelivery.id)
    )
    return noted.first() is not None


def delay_after(delivery_id: int, attempt: int) -> timedelta:
    """The wait after a failed attempt: exponential, spread by 20% either way, seeded by the id."""
    spread = random.Random(f"{delivery_id}:{attempt}").uniform(1 - JITTER, 1 + JITTER)
    return FIRST_DELAY * (float(GROWTH ** (attempt - 1)) * spread)


def get_delivery(session: Session, delivery_id: int) -> WebhookDelivery:
    """The delivery, or NotFound."""
    delivery = session.get(WebhookDelivery, delivery_id)
    if delivery is None:
        raise NotFound("There is no such delivery.", hint="See: strop webhook deliveries")
    return delivery


def retry_delivery(session: Session, delivery_id: int, *, now: datetime) -> WebhookDelivery:
    """Send a failed delivery again, under its id, with all attempts before it.

    Raises:
        NotFound: there is none.
        Conflict: it was delivered, is still tried, or its webhook was removed.
    """
    delivery = get_delivery(session, delivery_id)
    if not delivery.webhook.active:
        raise Conflict("The webhook was removed.", hint="Add it again first.")
    if delivery.state != DeliveryState.FAILED:
        raise Conflict(f"The delivery is {delivery.state}.", hint="Only failed ones are retried.")
    delivery.state, delivery.attempts = DeliveryState.PENDING, 0
    delivery.next_attempt_at = now
    session.flush()
    return delivery
