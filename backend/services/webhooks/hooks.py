"""Webhooks: who is told of what, and the outbox of what is still to be told.

`record` writes a delivery for every address that asked for the event, in the transaction of the
event itself: what was rolled back is never told, and what was committed is told at least once. It
costs one indexed select where a project has none. How a delivery travels is known to
`backend.jobs.webhooks`; its states stand below.

What is told: ids, pseudonyms and figures. No text of anybody, and no name of a model before the
queue is finished, since the receiver may be somebody who still reviews.

The outbox at work: which deliveries are due, what is sent, and what became of it.

A delivery is claimed before it is sent: its next attempt is set a while ahead, so that two workers
rarely send the same, and a worker that is killed after sending leaves a delivery that is sent again
under the same id. Receivers keep the ids that they have seen (`webhook-id`).

Messages follow the Standard Webhooks specification 1.0: the headers webhook-id, webhook-timestamp
(Unix seconds) and webhook-signature, which is `v1,` and the base64 of HMAC-SHA256 over
`id.timestamp.body` under the bytes of the secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import random
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from sqlalchemy import literal_column, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound, UnknownName
from backend.services.accounts.sealing import Seal
from backend.services.ledger import insert_missing
from backend.tables.accounts import User
from backend.tables.models import ModelVersion
from backend.tables.review import Review, ReviewQueue
from backend.tables.webhooks import DeliveryState, Webhook, WebhookDelivery

SECRET_PREFIX = "whsec_"
SECRET_BYTES = (24, 64)
MAX_URL = 2000
TOLD = frozenset({"review_id", "item_id", "adjudication_id", "disagreement", "n_reviews"})


class Event(StrEnum):
    """What can be told. TEST is sent on request, whatever a webhook asked for."""

    REVIEW_SUBMITTED = "review.submitted"
    ADJUDICATION_DECIDED = "adjudication.decided"
    QUEUE_FINISHED = "queue.finished"
    ROUTING_WITHDRAWN = "routing.withdrawn"
    TEST = "webhook.test"


EVENTS = tuple(event.value for event in Event if event is not Event.TEST)


def record(
    session: Session,
    queue: ReviewQueue,
    event: str,
    key: str,
    payload: Mapping[str, Any],
    now: datetime,
) -> int:
    """Note an event of a queue for every webhook of its project that asked for it.

    Args:
        event: one of `EVENTS`.
        key: names the event, `review:7`; recorded a second time, it is told once.
        payload: the ids of what happened, of `TOLD`; other keys are not told.

    Returns how many deliveries are new; 0 at once where the project has no webhook.
    """
    asked = select(Webhook).where(Webhook.project_id == queue.project_id)
    hooks = [h for h in session.scalars(asked) if h.active and event in h.events]
    if not hooks:
        return 0
    told = _told(session, queue.id, Event(event), payload, now)
    return insert_missing(
        session,
        WebhookDelivery,
        [_delivery(hook.id, Event(event), key, told, now) for hook in hooks],
    )


def record_test(session: Session, webhook_id: int, *, now: datetime) -> WebhookDelivery:
    """A delivery that tells of nothing, so that a receiver can be tried. Raises NotFound."""
    hook = get_webhook(session, webhook_id)
    told = {"event": Event.TEST.value, "at": now.isoformat(), "project_id": hook.project_id}
    key = f"test:{uuid4().hex}"
    delivery = WebhookDelivery(**_delivery(hook.id, Event.TEST, key, told, now))
    session.add(delivery)
    session.flush()
    return delivery


class Added(NamedTuple):
    """A new webhook, and its secret as it is shown this once."""

    hook: Webhook
    secret: str


def add_webhook(
    session: Session,
    project_id: int,
    url: str,
    *,
    seal: Seal,
    events: Collection[str] = EVENTS,
    secret: str | None = None,
) -> Added:
    """Tell this address of these events; an address that was removed comes back with a new secret.

    Args:
        secret: `whsec_` and 24 to 64 bytes in base64; made here when None.

    Raises:
        InvalidInput: no http(s) URL, no event, or no such secret.
        UnknownName: an event that is not told.
        Conflict: the project tells this address already.
    """
    check_url(url)
    chosen = _check_events(events)
    key = secret if secret is not None else new_secret()
    secret_bytes(key)
    found = session.scalar(
        select(Webhook).where(Webhook.project_id == project_id, Webhook.url == url)
    )
    if found is not None and found.active:
        raise Conflict(
            f"Webhook {found.id} tells this address already.", hint="Remove it first, or keep it."
        )
    hook = found or Webhook(project_id=project_id, url=url)
    hook.secret, hook.events, hook.active = seal.close(key), chosen, True
    session.add(hook)
    session.flush()
    return Added(hook, key)


def remove_webhook(session: Session, webhook_id: int) -> Webhook:
    """Tell this address no more; what was recorded for it is not sent either."""
    hook = get_webhook(session, webhook_id)
    hook.active = False
    session.flush()
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.webhook_id == webhook_id)
        .where(WebhookDelivery.state == DeliveryState.PENDING)
        .values(state=DeliveryState.FAILED, last_error="The webhook was removed.")
    )
    return hook


def get_webhook(session: Session, webhook_id: int) -> Webhook:
    """The webhook, or NotFound."""
    hook = session.get(Webhook, webhook_id)
    if hook is None:
        raise NotFound("There is no such webhook.", hint="See: strop webhook list")
    return hook


def list_webhooks(session: Session, project_id: int) -> list[Webhook]:
    """The webhooks of a project, oldest first; removed ones are not active."""
    query = select(Webhook).where(Webhook.project_id == project_id)
    return list(session.scalars(query.order_by(Webhook.id)))


def new_secret() -> str:
    """256 random bits, written as receivers' libraries expect them."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_bytes(secret: str) -> bytes:
    """The key that a secret stands for. Raises InvalidInput."""
    least, most = SECRET_BYTES
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not least <= len(key) <= most:
        raise InvalidInput(
            f"A secret is {SECRET_PREFIX} and {least} to {most} bytes in base64.",
            hint="Leave it out, and one is made.",
        )
    return key


def check_url(url: str) -> None:
    """InvalidInput for what is no plain http(s) URL."""
    try:
        parts = urlsplit(url)
        port_is_good = parts.port != 0
    except ValueError:
        raise _no_url() from None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL
    named = parts.scheme in {"http", "https"} and _is_plain_host(parts.hostname or "")
    if not (plain and named and port_is_good):
        raise _no_url()
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidInput(
            "A webhook's URL has no user, no password and no fragment.",
            hint="The signature says who sends; a secret path or query may be part of the URL.",
        )


def _is_plain_host(host: str) -> bool:
    """Whether this is a name, or an IP address written in full.

    A host whose last part is a number is an address in disguise (`2130706433`, `127.1`,
    `0177.0.0.1`, `0x7f.1`): resolvers and guards read those differently.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        last = host.removesuffix(".").rpartition(".")[2]
        return _HOST.fullmatch(host) is not None and _NUMBER.fullmatch(last) is None
    return "%" not in host


_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def _no_url() -> InvalidInput:
    return InvalidInput(
        f"A webhook is told at an http or https URL of at most {MAX_URL} ASCII characters.",
        hint="Its host is a name, or an IP address written in full.",
    )


def _check_events(events: Collection[str]) -> list[str]:
    for event in events:
        if event not in EVENTS:
            raise UnknownName("event", event, EVENTS)
    if not events:
        raise InvalidInput("A webhook is told of something.", hint=f"Events: {', '.join(EVENTS)}.")
    return [event for event in EVENTS if event in events]


def _delivery(
    webhook_id: int, event: Event, key: str, told: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    return {
        "webhook_id": webhook_id,
        "event": event.value,
        "key": key,
        "payload": dict(told),
        "next_attempt_at": now,
        "created_at": now,
    }


def _told(
    session: Session, queue_id: int, event: Event, payload: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    queue = session.get_one(ReviewQueue, queue_id, populate_existing=True)
    told: dict[str, Any] = {
        "event": event.value,
        "at": now.isoformat(),
        "project_id": queue.project_id,
        "queue": {"id": queue.id, "name": queue.name, "kind": queue.kind},
        **{name: value for name, value in payload.items() if name in TOLD},
    }
    if (review_id := payload.get("review_id")) is not None:
        told["review"] = _review_told(session, int(review_id))
    if queue.finished_at is not None or event is Event.QUEUE_FINISHED:
        told["models"] = _model_names(session, queue)
    return told


def _review_told(session: Session, review_id: int) -> dict[str, Any]:
    found, pseudonym = session.execute(
        select(Review, User.pseudonym)
        .join(User, User.id == Review.reviewer_id)
        .where(Review.id == review_id)
        .execution_options(populate_existing=True)
    ).one()
    return {
        "id": found.id,
        "item_id": found.item_id,
        "reviewer": pseudonym,
        "purpose": found.purpose,
        "extra": found.extra,
        "simulated": found.simulated,
        "annotator_kind": found.annotator_kind,
        "active_seconds": found.active_seconds,
        "submitted_at": found.submitted_at.isoformat() if found.submitted_at else None,
    }


def _model_names(session: Session, queue: ReviewQueue) -> list[str]:
    ids = [int(model_id) for model_id in queue.design.get("model_ids", [])]
    return [session.get_one(ModelVersion, model_id).label for model_id in ids]


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
