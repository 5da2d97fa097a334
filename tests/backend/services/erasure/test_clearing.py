"""What has outlived its use is cleared, a batch at a time, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.jobs import worker
from backend.jobs.running.parts import Workshop
from backend.services import queue
from backend.services.chunks import Range, lay_down_chunks
from backend.services.erasure.clearing import clear_outlived
from backend.services.webhooks.hooks import add_webhook, record_test
from backend.settings import Settings
from backend.tables.accounts import IdempotencyKey, LoginSession, User
from backend.tables.projects import Project
from backend.tables.queue import JobChunk
from backend.tables.webhooks import DeliveryState, WebhookDelivery
from tests.fixtures_review import NOW, SEAL

NOTHING = {
    "idempotency_keys": 0,
    "webhook_deliveries": 0,
    "login_sessions": 0,
    "job_chunks": 0,
}


@pytest.fixture
def user(sqlite_sessions: sessionmaker[Session]) -> User:
    with sqlite_sessions.begin() as session:
        user = User(name="eva", pseudonym="E-1", role="engineer")
        session.add(user)
    return user


def keep_keys(session: Session, user: User, *ages: timedelta) -> None:
    for number, age in enumerate(ages):
        key = f"key-{number}-{age}"
        session.add(
            IdempotencyKey(
                user_id=user.id,
                key=key,
                request_digest="0",
                status=201,
                body="{}",
                created_at=NOW - age,
            )
        )
    session.flush()


def sign_in(session: Session, user: User, name: str, *, ended: bool, left: timedelta) -> None:
    session.add(
        LoginSession(
            user_id=user.id,
            token_hash=name,
            expires_at=NOW + left,
            ended_at=NOW if ended else None,
        )
    )
    session.flush()


def test_that_keys_are_kept_for_seven_days(
    sqlite_sessions: sessionmaker[Session], user: User
) -> None:
    week = timedelta(days=7)
    second = timedelta(seconds=1)
    with sqlite_sessions.begin() as session:
        keep_keys(session, user, week + second, week - second, timedelta(0))
        assert clear_outlived(session, now=NOW) == {**NOTHING, "idempotency_keys": 1}
        assert session.query(IdempotencyKey).count() == 2


def test_that_sessions_that_ended_or_ran_out_are_cleared(
    sqlite_sessions: sessionmaker[Session], user: User
) -> None:
    hour = timedelta(hours=1)
    with sqlite_sessions.begin() as session:
        sign_in(session, user, "open", ended=False, left=hour)
        sign_in(session, user, "ended", ended=True, left=hour)
        sign_in(session, user, "ran out", ended=False, left=-hour)
        assert clear_outlived(session, now=NOW) == {**NOTHING, "login_sessions": 2}
        assert [one.token_hash for one in session.query(LoginSession)] == ["open"]


@pytest.mark.parametrize(
    ("state", "days", "cleared"),
    [
        (DeliveryState.DELIVERED, 31, 1),
        (DeliveryState.FAILED, 31, 1),
        (DeliveryState.PENDING, 31, 0),
        (DeliveryState.DELIVERED, 29, 0),
    ],
)
def test_that_told_deliveries_are_kept_for_a_month(
    sqlite_sessions: sessionmaker[Session], state: str, days: int, cleared: int
) -> None:
    with sqlite_sessions.begin() as session:
        project = Project(name="p", base_model="tiny")
        session.add(project)
        session.flush()
        hook = add_webhook(session, project.id, "https://example.org/", seal=SEAL).hook
        made = record_test(session, hook.id, now=NOW - timedelta(days=days))
        made.state = state
        session.flush()
        found = clear_outlived(session, now=NOW)
        assert found == {**NOTHING, "webhook_deliveries": cleared}
        assert session.query(WebhookDelivery).count() == 1 - cleared


def test_that_a_batch_is_bounded(sqlite_sessions: sessionmaker[Session], user: User) -> None:
    with sqlite_sessions.begin() as session:
        keep_keys(session, user, *[timedelta(days=n + 8) for n in range(5)])
        counts = [clear_outlived(session, now=NOW, batch=2)["idempotency_keys"] for _ in range(4)]
    assert counts == [2, 2, 1, 0]


def test_that_the_worker_clears_each_hour_and_at_once_while_there_is_more(
    sqlite_sessions: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [{"keys": worker.BATCH}, {"keys": 1}, {"keys": 0}]
    calls: list[datetime] = []

    def clear(_: Session, *, now: datetime) -> dict[str, int]:
        calls.append(now)
        return found[len(calls) - 1]

    monkeypatch.setattr(worker, "clear_outlived", clear)
    shop = Workshop(settings, sqlite_sessions, "w", worker.open_engine, worker.check_models, {})
    one = worker.WorkerProcess(shop, ["ctl"])
    moments = [NOW, NOW, NOW, NOW + timedelta(minutes=59), NOW + timedelta(minutes=61)]
    for now in moments:
        one._clear(now)
    assert calls == [NOW, NOW, moments[-1]]


def test_that_chunks_go_a_day_after_their_job_has_ended(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    ended = {1: NOW - timedelta(days=2), 2: NOW - timedelta(hours=2), 3: None}
    with sqlite_sessions.begin() as session:
        for subject, at in ended.items():
            job = queue.enqueue_job(session, "score", subject)
            job.finished_at = at
            lay_down_chunks(session, job.id, 1, [Range(1, 9, 9), Range(10, 12, 3)])
        assert clear_outlived(session, now=NOW) == {**NOTHING, "job_chunks": 2}
        left = session.scalars(select(JobChunk.job_id).distinct().order_by(JobChunk.job_id)).all()
        assert list(left) == [2, 3]
