"""What has outlived its days is cleared, as each project says, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import InvalidInput, StropError
from backend.services.datasets.health.reports import HealthRequest, ask_report
from backend.services.erasure.retention import KINDS, retention_periods, set_rule, sweep
from backend.services.queue import JobKind
from backend.services.synthetic.asking import lay_down
from backend.settings import Settings
from backend.tables.accounts import IdempotencyKey, LoginSession
from backend.tables.audit import AuditEntry
from backend.tables.queue import Job
from backend.tables.review import Review
from backend.tables.webhooks import DeliveryState, WebhookDelivery
from tests.backend.services.erasure.conftest import build_house, everything_in, told
from tests.fixtures_review import NOW
from tests.fixtures_synthetic import ask_documents

DAY = timedelta(days=1)


def age(session: Session, house: object, by: timedelta) -> int:
    """Have everything that may be swept happen so long before NOW; returns the project."""
    then = NOW - by
    project_id = house.desk.project.id  # type: ignore[attr-defined]
    session.execute(update(Review).values(started_at=then))
    delivered = {"state": DeliveryState.DELIVERED, "created_at": then}
    session.execute(update(WebhookDelivery).values(**delivered))
    session.execute(update(IdempotencyKey).values(created_at=then))
    failed = {"kind": "train", "subject_id": 1, "state": "failed", "finished_at": then}
    session.execute(update(Job).values(**failed))
    user = house.desk.experts[0]  # type: ignore[attr-defined]
    session.add(
        LoginSession(user_id=user.id, token_hash="t", last_seen_at=then, expires_at=NOW + DAY)
    )
    session.flush()
    return int(project_id)


def test_each_kind_goes_after_its_days_and_not_before(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sessions.begin() as session:
        house = build_house(session, settings)
        project_id = age(session, house, 10 * DAY)
        for kind in KINDS:
            set_rule(session, project_id, kind, 11, by_id=None, now=NOW)
        assert sum(one.n for one in sweep(session, now=NOW)) == 0
        for kind in KINDS:
            set_rule(session, project_id, kind, 9, by_id=None, now=NOW)
        counted = {one.kind: one.n for one in sweep(session, now=NOW, dry_run=True)}
        assert counted == dict.fromkeys(KINDS, 1)
        assert told("Draft") in everything_in(session)
        swept = {one.kind: one.n for one in sweep(session, now=NOW)}
        assert swept == counted
        assert {one.kind: one.n for one in sweep(session, now=NOW)} == dict.fromkeys(KINDS, 0)
        session.flush()
        assert told("Draft") not in everything_in(session)
        assert session.scalars(select(Job)).one().error is None
        entries = select(AuditEntry).where(AuditEntry.action == "retention.swept")
        assert len(session.scalars(entries).all()) == len(KINDS)


def test_a_project_without_a_rule_keeps_by_default(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sqlite_sessions.begin() as session:
        house = build_house(session, settings)
        project_id = age(session, house, 3000 * DAY)
        by_kind = {
            one.kind: (one.days, one.is_default) for one in retention_periods(session, project_id)
        }
        assert by_kind["drafts"] == (None, True)
        assert by_kind["deliveries"] == (30, True)
        swept = {one.kind: one.n for one in sweep(session, now=NOW)}
        assert swept == {"deliveries": 1, "answers": 1}


def test_the_rule_of_one_project_touches_no_other(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    from tests.fixtures_review import build_desk

    with sqlite_sessions.begin() as session:
        house = build_house(session, settings)
        age(session, house, 10 * DAY)
        other = build_desk(session, name="other")
        set_rule(session, other.project.id, "drafts", 1, by_id=None, now=NOW)
        assert [one.n for one in sweep(session, now=NOW, project_id=other.project.id)] == [0, 0]
        set_rule(session, other.project.id, "answers", 1, by_id=None, now=NOW)
        assert {one.kind: one.n for one in sweep(session, now=NOW) if one.n} == {"answers": 1}


@pytest.mark.parametrize(
    ("kind", "days"), [("drafts", 0), ("drafts", -1), ("drafts", 36_501), ("nothing", 3), ("", 3)]
)
def test_what_is_no_rule_is_refused(
    sqlite_sessions: sessionmaker[Session], settings: Settings, kind: str, days: int
) -> None:
    from tests.fixtures_review import build_desk

    with sqlite_sessions.begin() as session:
        desk = build_desk(session)
        with pytest.raises((InvalidInput, StropError)):
            set_rule(session, desk.project.id, kind, days, by_id=None, now=NOW)


@pytest.mark.parametrize("kind", list(JobKind))
def test_why_a_job_of_any_kind_failed_goes(
    sqlite_sessions: sessionmaker[Session], settings: Settings, kind: JobKind
) -> None:
    with sqlite_sessions.begin() as session:
        house = build_house(session, settings)
        project_id = age(session, house, 10 * DAY)
        asked = HealthRequest("tickets", kinds=("duplicates",))
        subjects = {
            JobKind.HEALTH: ask_report(session, project_id, asked).id,
            JobKind.DRAFT: lay_down(session, project_id, ask_documents(n=2)).drafting.id,
        }
        session.execute(update(Job).values(kind=str(kind), subject_id=subjects.get(kind, 1)))
        set_rule(session, project_id, "job-errors", 9, by_id=None, now=NOW)
        swept = {one.kind: one.n for one in sweep(session, now=NOW)}
        assert swept["job-errors"] == 1
