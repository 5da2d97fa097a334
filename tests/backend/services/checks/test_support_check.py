"""`support:MODEL` of a run, by a worker: every model of the project, a server that dies."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import Engine, ReadRequest, ReadResult
from backend.engines.fake import FakeEngine
from backend.errors import InvalidInput, NotFound, UnknownName
from backend.jobs.running.parts import Workshop
from backend.jobs.score import score_parts
from backend.services import queue
from backend.services.checks.model_checks import find_model_check
from backend.services.metric_specs import allowed_metrics
from backend.services.models.others import register_served
from backend.services.runs import scoring
from backend.settings import Settings
from backend.tables.models import ModelVersion
from backend.tables.queue import Job, JobState
from backend.tables.runs import Score
from tests.backend.jobs.test_checker_jobs import faked
from tests.fixtures_checkers import set_base
from tests.fixtures_models import tiny_adapter
from tests.fixtures_review import Desk, build_desk, run_over
from training.weights.digest import adapter_sha256


def likelier_after_text(request: ReadRequest) -> ReadResult:
    """Two tokens, each 2.5 nats likelier after a prompt that shows a source."""
    told = -0.5 if "Read this text" in request.messages[-1]["content"] else -3.0
    return ReadResult(request.key, (0, 1), (told, told))


@pytest.fixture
def desk(sessions: sessionmaker[Session]) -> Desk:
    """A desk with a run of base and v1 over 20 test examples."""
    with sessions.begin() as session:
        made = build_desk(session, splits={"test": 20})
        made.run = run_over(session, made, made.version, split="test")
        return made


def enqueue(sessions: sessionmaker[Session], settings: Settings, desk: Desk, metric: str) -> int:
    with sessions.begin() as session:
        made = scoring.create_score_run(
            session,
            generation_run_id=desk.run.id,
            metrics=[metric],
            allowed=allowed_metrics(settings, desk.project.id),
        )
        return queue.enqueue_job(session, queue.JobKind.SCORE, made.id).id


def work(sessions: sessionmaker[Session], settings: Settings, job_id: int, engine: Engine) -> None:
    shop = Workshop(
        settings, sessions, "w", lambda *_: engine, lambda *_, **__: None, {"score": score_parts}
    )
    with sessions.begin() as session:
        attempt = queue.get_job(session, job_id).attempt
    while shop.take_part(job_id, attempt):
        pass
    shop.close_engines()


@pytest.fixture
def stands(sessions: sessionmaker[Session], desk: Desk, tiny_base: Path, tmp_path: Path) -> None:
    """The models have files, by which an adapter is checked before it is asked."""
    folder = tiny_adapter(tmp_path / "v1", tiny_base)
    with sessions.begin() as session:
        set_base(session, desk.project.id, str(tiny_base))
        base, v1 = (session.get_one(ModelVersion, model.id) for model in desk.models)
        for column in ("base_model", "base_sha256", "tokenizer_sha256", "template_sha256"):
            setattr(v1, column, getattr(base, column))
        v1.adapter_path, v1.adapter_sha256 = str(folder), adapter_sha256(folder)
        v1.adapter_rank = 4


@pytest.mark.usefixtures("stands")
@pytest.mark.parametrize("model", ["base", "v1", "v1@1"])
def test_any_model_of_the_project_reads_all_outputs(
    sessions: sessionmaker[Session], settings: Settings, desk: Desk, model: str
) -> None:
    engine = faked(likely=likelier_after_text)
    work(sessions, settings, enqueue(sessions, settings, desk, f"support:{model}"), engine)
    with sessions() as session:
        rows = list(session.scalars(select(Score)))
    assert len(rows) == 40
    assert {row.metric for row in rows} == {f"support:{model}"}
    assert {(row.value, row.error) for row in rows} == {(5 / 6, None)}
    name = model if model == "base" else "v1@1"
    assert all(f"model:{name}|adapter:" in row.signature for row in rows)
    assert sum(key.isdigit() for key in engine.asked) == 2 * 40  # the others are a preflight's


def test_a_server_that_dies_stops_the_job_and_what_was_read_stays(
    sessions: sessionmaker[Session], settings: Settings, desk: Desk
) -> None:
    job_id = enqueue(sessions, settings, desk, "support:base")
    work(sessions, settings, job_id, FakeEngine(dies_after=70))
    with sessions() as session:
        state = session.get_one(Job, job_id).state
        assert (state, session.scalar(select(func.count(Score.id)))) == (JobState.STOPPED, 32)
    with sessions.begin() as session:
        again = queue.resume_job(session, job_id).id
    engine = FakeEngine()
    work(sessions, settings, again, engine)
    with sessions() as session:
        assert session.get_one(Job, again).state == JobState.DONE
        assert session.scalar(select(func.count(Score.id))) == 40
    assert len(engine.asked) == 2 * 8


def test_what_cannot_be_read_is_an_error_of_its_score(
    sessions: sessionmaker[Session], settings: Settings, desk: Desk
) -> None:
    job_id = enqueue(sessions, settings, desk, "support:base")
    work(sessions, settings, job_id, FakeEngine(failing={"3": "The prompt is too long."}))
    with sessions() as session:
        errors = list(session.scalars(select(Score.error).where(Score.error.is_not(None))))
    assert errors == ["The prompt is too long."] * 2  # the fourth of each chunk


def test_a_model_that_cannot_read_is_refused_before_anything_starts(
    session: Session,
) -> None:
    desk = build_desk(session)
    register_served(session, desk.project.id, "gpt", served_as="gpt-4")
    with pytest.raises(InvalidInput, match=r"no weights of gpt.* to read outputs with"):
        find_model_check(session, desk.project.id, "support:gpt")
    with pytest.raises(NotFound, match="no model 'ghost'"):
        find_model_check(session, desk.project.id, "support:ghost")
    with pytest.raises(UnknownName):
        find_model_check(session, desk.project.id, "nothing:base")
