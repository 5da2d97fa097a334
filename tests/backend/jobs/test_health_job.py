"""The health job: part by part, kept once, and what ends it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.jobs.health import health_parts
from backend.jobs.running.parts import Workshop
from backend.services import queue
from backend.services.datasets.health.reports import HealthRequest, ask_report
from backend.settings import Settings
from backend.tables.health import HealthFinding, HealthReport
from tests.fixtures_review import build_desk


def _workshop(settings: Settings, sessions: sessionmaker[Session], name: str) -> Workshop:
    def none(*_: object, **__: object) -> object:
        raise AssertionError("no model is asked")

    kinds = {"health": health_parts}
    return Workshop(settings, sessions, name, none, none, kinds)  # type: ignore[arg-type]


def _ask(sessions: sessionmaker[Session], *kinds: str) -> tuple[int, int]:
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": 30, "test": 25})
        report = ask_report(session, desk.project.id, HealthRequest("tickets", kinds))
        return report.id, queue.enqueue_job(session, "health", report.id).id


def test_a_job_looks_for_one_kind_a_part_and_keeps_all(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    report_id, job_id = _ask(sessions, "empty", "cut", "residue")
    shop, parts = _workshop(settings, sessions, "w1"), 1
    while shop.take_part(job_id, 1):
        parts += 1
    assert parts == 4
    with sessions() as session:
        report = session.get_one(HealthReport, report_id)
        assert report.content is not None
        assert [one["kind"] for one in report.content["kinds"]] == ["residue", "empty", "cut"]
        assert queue.get_job(session, job_id).state == "done"


def test_a_job_that_was_cut_off_is_done_anew_and_nothing_is_kept_twice(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    report_id, job_id = _ask(sessions, "near_duplicates", "residue")
    assert _workshop(settings, sessions, "w1").take_part(job_id, 1)  # and it dies
    with sessions.begin() as session:
        assert queue.requeue_job(session, job_id, 1)
    shop = _workshop(settings, sessions, "w2")
    while shop.take_part(job_id, 2):
        pass
    with sessions() as session:
        report = session.get_one(HealthReport, report_id)
        assert report.finished_at is not None
        kept = session.scalars(select(HealthFinding.example_id)).all()
        flagged = sum(one["flagged"] for one in report.content["kinds"])  # type: ignore[index]
        assert len(set(kept)) == flagged
        assert len(kept) == len(set(kept))
