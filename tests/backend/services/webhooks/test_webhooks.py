"""The outbox of webhooks: what is recorded, for whom, when it is tried again, and what it says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput, NotFound, UnknownName
from backend.services.webhooks import hooks as webhook_deliveries
from backend.services.webhooks import hooks as webhooks
from backend.services.webhooks.hooks import Event
from backend.tables.review import Review, ReviewQueue
from backend.tables.webhooks import DeliveryState, Webhook, WebhookDelivery
from tests.fixtures_exchange import Reviewed, reviewed_pairs
from tests.fixtures_review import NOW, SEAL

URL = "https://hooks.example.org/strop?key=1"
SUBMITTED = {"review_id": 1, "item_id": 1}


@pytest.fixture
def found(sqlite_sessions: sessionmaker[Session]) -> Reviewed:
    return reviewed_pairs(sqlite_sessions, n_items=2)


def add(found: Reviewed, **options: Any) -> Webhook:
    with found.sessions.begin() as session:
        return webhooks.add_webhook(session, found.desk.project.id, URL, seal=SEAL, **options).hook


def record(found: Reviewed, key: str = "review:1", what: str = Event.REVIEW_SUBMITTED) -> int:
    with found.sessions.begin() as session:
        return webhooks.record(session, found.queue, what, key, SUBMITTED, NOW)


def delivery(found: Reviewed) -> WebhookDelivery:
    with found.sessions() as session:
        return session.query(WebhookDelivery).one()


def test_that_without_a_webhook_an_event_costs_one_select(found: Reviewed) -> None:
    asked: list[str] = []
    with found.sessions.begin() as session:
        session.execute(select(1))  # begin

        def note(*call: Any) -> None:
            asked.append(call[2])

        event.listen(session.get_bind(), "before_cursor_execute", note)
        try:
            queue = found.queue
            assert webhooks.record(session, queue, "review.submitted", "k", SUBMITTED, NOW) == 0
        finally:
            event.remove(session.get_bind(), "before_cursor_execute", note)
        plan = session.execute(
            text("EXPLAIN QUERY PLAN SELECT * FROM webhooks WHERE project_id = 1")
        ).all()
    assert len(asked) == 1
    assert asked[0].startswith("SELECT")
    assert "USING INDEX" in str(plan)


def test_that_an_event_is_told_once_to_each_who_asked(found: Reviewed) -> None:
    add(found)
    with found.sessions.begin() as session:
        project_id = found.desk.project.id
        webhooks.add_webhook(session, project_id, f"{URL}&b", seal=SEAL, events=["queue.finished"])
    assert [record(found), record(found), record(found, "review:2")] == [1, 0, 1]


def test_that_what_is_rolled_back_is_never_told(found: Reviewed) -> None:
    add(found)
    with found.sessions() as session:
        webhooks.record(session, found.queue, "review.submitted", "k", SUBMITTED, NOW)
        session.rollback()
        assert session.query(WebhookDelivery).count() == 0


def test_that_nothing_is_told_to_a_removed_webhook(found: Reviewed) -> None:
    hook = add(found)
    record(found)
    with found.sessions.begin() as session:
        webhooks.remove_webhook(session, hook.id)
    assert record(found, "review:2") == 0
    assert delivery(found).state == DeliveryState.FAILED


def test_that_people_are_told_by_pseudonym_and_models_not_before_the_end(found: Reviewed) -> None:
    add(found)
    with found.sessions.begin() as session:
        session.query(Review).update({"comment": "a secret"})
        session.query(ReviewQueue).update({"finished_at": None})
        told = {**SUBMITTED, "correction": "a secret", "model": "base"}
        webhooks.record(session, found.queue, "review.submitted", "k", told, NOW)
    said = json.dumps(delivery(found).payload)
    assert found.desk.experts[0].pseudonym in said
    assert found.desk.experts[0].name not in said
    assert "base" not in said
    assert "a secret" not in said


def test_that_models_are_named_when_the_queue_is_finished(found: Reviewed) -> None:
    add(found)
    record(found, "queue:1", Event.QUEUE_FINISHED)
    assert delivery(found).payload["models"] == ["base", "base:v1@1"]


def test_that_the_signature_is_hmac_over_id_time_and_body(found: Reviewed) -> None:
    hook = add(found)
    record(found)
    with found.sessions.begin() as session:
        (message,) = webhook_deliveries.claim_due(session, now=NOW)
    headers = message.headers(now=NOW, seal=SEAL)
    key = base64.b64decode(SEAL.open(hook.secret).removeprefix("whsec_"))
    stamp = str(int(NOW.timestamp()))
    signed = f"delivery_{message.delivery_id}.{stamp}.".encode() + message.body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"
    assert headers["webhook-timestamp"] == stamp
    assert headers["webhook-id"] == f"delivery_{message.delivery_id}"
    assert json.loads(message.body)["event"] == "review.submitted"


def test_that_a_claimed_delivery_is_nobody_elses_for_a_while(found: Reviewed) -> None:
    add(found)
    record(found)
    later = NOW + webhook_deliveries.HELD
    claimed = []
    for now in (NOW, NOW, later - timedelta(seconds=1), later):
        with found.sessions.begin() as session:
            claimed.append(webhook_deliveries.claim_due(session, now=now))
    assert [len(messages) for messages in claimed] == [1, 0, 0, 1]
    assert claimed[0][0].id == claimed[3][0].id
    assert claimed[0][0].body == claimed[3][0].body


def test_that_a_late_outcome_does_not_undo_a_later_attempt(found: Reviewed) -> None:
    add(found)
    record(found)
    with found.sessions.begin() as session:
        (first,) = webhook_deliveries.claim_due(session, now=NOW)
        later = NOW + webhook_deliveries.HELD
        (second,) = webhook_deliveries.claim_due(session, now=later)
        noted = [
            webhook_deliveries.record_outcome(session, one, status=200, error=None, now=later)
            for one in (first, second)
        ]
    assert noted == [False, True]


def test_that_attempts_end_after_the_stated_number(found: Reviewed) -> None:
    add(found)
    record(found)
    now, waits = NOW, []
    while delivery(found).state == DeliveryState.PENDING:
        with found.sessions.begin() as session:
            (message,) = webhook_deliveries.claim_due(session, now=now)
            webhook_deliveries.record_outcome(session, message, status=500, error=None, now=now)
        waits.append((delivery(found).next_attempt_at - now).total_seconds())
        now = delivery(found).next_attempt_at
    assert len(waits) == webhook_deliveries.MAX_ATTEMPTS == delivery(found).attempts
    for n, wait in enumerate(waits[:-1]):
        assert 0.8 * 30 * 3**n <= wait <= 1.2 * 30 * 3**n
    assert len({round(wait / 3**n, 3) for n, wait in enumerate(waits[:-1])}) > 1
    assert (delivery(found).last_status, delivery(found).last_error) == (500, "answered 500")


def test_that_a_failed_delivery_can_be_sent_again_under_its_id(found: Reviewed) -> None:
    add(found)
    record(found)
    one = delivery(found).id
    with found.sessions.begin() as session:
        with pytest.raises(Conflict, match="is pending"):
            webhook_deliveries.retry_delivery(session, one, now=NOW)
        session.query(WebhookDelivery).update({"state": DeliveryState.FAILED, "attempts": 8})
    with found.sessions.begin() as session:
        webhook_deliveries.retry_delivery(session, one, now=NOW)
        (message,) = webhook_deliveries.claim_due(session, now=NOW)
    assert (message.delivery_id, message.attempt) == (one, 1)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "javascript:alert(1)",
        "http://",
        "http:///path",
        "https://eva:pw@example.org/",
        "https://example.org/#x",
        "https://example.org/\r\nHost: evil",
        "https://ex ample.org/",
        "https://example.org:99999/",
        "https://[::1/",
        "file:///etc/passwd",
        "https://example.org/" + "a" * 2000,
        "http://2130706433/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://0x7f.1/",
        "http://127.0.0.0x1./",
        "http://127%2e0%2e0%2e1/",
        "http://[fe80::1%25eth0]/",
        "http://example.org:80:80/",
        "http://exa..mple/",
        "",
    ],
)
def test_that_a_webhook_is_a_plain_http_url(url: str) -> None:
    with pytest.raises(InvalidInput):
        webhooks.check_url(url)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"events": ["review.submited"]}, UnknownName),
        ({"events": []}, InvalidInput),
        ({"events": ["webhook.test"]}, UnknownName),
        ({"secret": "whsec_c2hvcnQ="}, InvalidInput),
        ({"secret": "whsec_***"}, InvalidInput),
        ({"secret": base64.b64encode(b"x" * 32).decode()}, InvalidInput),
    ],
)
def test_that_a_webhook_that_cannot_work_is_refused(
    found: Reviewed, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        add(found, **options)


def test_that_an_address_is_told_once_and_may_come_back(found: Reviewed) -> None:
    first = add(found)
    with pytest.raises(Conflict, match="tells this address already"):
        add(found)
    with found.sessions.begin() as session:
        webhooks.remove_webhook(session, first.id)
    again = add(found)
    assert (again.id, again.active) == (first.id, True)
    assert again.secret != first.secret


def test_that_nothing_is_found_where_nothing_is(found: Reviewed) -> None:
    with found.sessions() as session:
        for look in (webhooks.get_webhook, webhook_deliveries.get_delivery):
            with pytest.raises(NotFound):
                look(session, 99)
