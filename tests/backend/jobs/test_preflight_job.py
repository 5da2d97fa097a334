"""What a run's preflight leaves behind: a row, also when nothing could be loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import ServedModel
from backend.engines.fake import FakeEngine
from backend.errors import EngineError, EngineUnavailable, PreflightFailed, StropError
from backend.jobs import preflight
from backend.jobs.generate import generate_parts
from backend.jobs.preflight import open_reference
from backend.jobs.running.parts import Workshop
from backend.services import queue
from backend.services.models.preflight.report import PreflightReport
from backend.services.queue import JobKind
from backend.settings import Settings
from backend.tables.models import Preflight
from backend.tables.queue import Job
from backend.tables.runs import Generation
from tests.fixtures_runs import lay_down_project, lay_down_run


class Refusing(FakeEngine):
    """Loads nothing."""

    def __init__(self, error: StropError) -> None:
        super().__init__()
        self.error = error

    def load(self, models: Sequence[ServedModel]) -> None:
        raise self.error


def work(sessions: sessionmaker[Session], settings: Settings, error: StropError) -> None:
    with sessions.begin() as session:
        run = lay_down_run(session, lay_down_project(session))
        job = queue.enqueue_job(session, JobKind.GENERATE, run.id)
    shop = Workshop(settings, sessions, "w1", lambda *_: Refusing(error), lambda *_, **__: None, {})
    with sessions() as session:
        asked = session.get_one(Job, job.id)
    list(generate_parts(shop, asked))


def test_models_that_are_not_taken_are_a_failed_preflight_of_the_run(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    error = EngineError("The server could not load 'v1@1': LoRA rank 64 is too large.")
    with pytest.raises(PreflightFailed, match="rank 64 is too large") as caught:
        work(sqlite_sessions, settings, error)
    assert caught.value.exit_code == 2
    with sqlite_sessions() as session:
        row = session.scalars(select(Preflight)).one()
        assert session.scalars(select(Generation)).all() == []
    assert (row.passed, row.generation_run_id, row.fingerprint) == (False, 1, None)
    failed = [check["name"] for check in row.checks if check["passed"] is False]
    assert failed == ["files of base", "files of v1@1", "loading"]


def test_a_server_that_is_away_is_no_finding(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    with pytest.raises(EngineUnavailable, match="go on with"):
        work(sqlite_sessions, settings, EngineUnavailable("It does not answer."))
    with sqlite_sessions() as session:
        assert session.scalars(select(Preflight)).all() == []


def test_what_may_begin_while_peft_computes_is_handed_on(
    sqlite_sessions: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a server would be idle meanwhile, and nothing else would show it."""
    with sqlite_sessions.begin() as session:
        run = lay_down_run(session, lay_down_project(session))
    rows: list[int] = []

    def begin() -> None:
        with sqlite_sessions() as session:
            rows.append(len(session.scalars(select(Preflight)).all()))

    def checked(*_: object, begin: Callable[[], None], **__: object) -> PreflightReport:
        begin()
        return PreflightReport(())

    monkeypatch.setattr(preflight.preflight, "run_preflight", checked)
    engine = FakeEngine()
    preflight.check_models(sqlite_sessions, engine, run.id, settings=settings, begin=begin)
    assert rows == [0], "before the verdict is on record"


@pytest.mark.parametrize(
    ("name", "spot_check", "reason"),
    [
        ("local", True, "runs in this process itself"),
        ("vllm", False, "spot_check is off"),
        ("vllm", True, ""),
    ],
)
def test_peft_is_the_reference_of_a_server_unless_it_is_switched_off(
    settings: Settings, name: str, spot_check: bool, reason: str
) -> None:
    chosen = settings.model_copy(update={"spot_check": spot_check})
    with open_reference(FakeEngine(name=name), chosen) as reference:
        assert reason in reference.reason
        assert (reference.engine is None) is bool(reason)
