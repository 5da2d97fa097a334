"""A run of candidates, preflight and all: one load of weights, each asked with its own prompt."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines import open_engine
from backend.engines.base import SamplingParams
from backend.errors import LeakRefused, PreflightFailed
from backend.jobs.generate import generate_parts
from backend.jobs.preflight import check_models
from backend.jobs.running.parts import Workshop
from backend.services import queue
from backend.services.datasets.prompts.prompts import add_prompt, parse_prompt
from backend.services.models.versions import find_model, register_adapter, register_base
from backend.services.runs import generation
from backend.settings import Settings
from backend.tables.datasets import Example
from backend.tables.models import Preflight
from backend.tables.projects import Project
from backend.tables.queue import Job
from backend.tables.runs import Generation
from tests.fixtures_models import tiny_adapter
from tests.fixtures_runs import Laid, lay_down_project

BRIEF = "system: Be brief."
LONG = f"{BRIEF}\nshots: {{k: 1}}"


@pytest.fixture
def laid(sqlite_sessions: sessionmaker[Session], tiny_base: Path, settings: Settings) -> Laid:
    """A project with an adapter and two prompts, on a base that is there."""
    folder = tiny_adapter(settings.artifacts / "v1", tiny_base)
    with sqlite_sessions.begin() as session:
        laid = lay_down_project(session, adapters=-1, examples=2)
        session.get_one(Project, laid.project).base_model = str(tiny_base)
        register_base(session, laid.project)
        register_adapter(session, laid.project, "v1", folder, settings=settings)
        add_prompt(session, laid.project, "brief", parse_prompt(BRIEF))
        add_prompt(session, laid.project, "long", parse_prompt(LONG))
    return laid


def work(
    sessions: sessionmaker[Session], settings: Settings, laid: Laid, *labels: str
) -> list[int]:
    """Run these candidates with the local engine; returns their ids."""
    with sessions.begin() as session:
        ids = [find_model(session, laid.project, label).id for label in labels]
        run = generation.create_run(
            session,
            project_id=laid.project,
            dataset_version_id=laid.version,
            split="test",
            model_ids=ids,
            engine="local",
            params=SamplingParams(max_tokens=4),
        )
        job_id = queue.enqueue_job(session, queue.JobKind.GENERATE, run.id).id
    check = partial(check_models, settings=settings)
    shop = Workshop(settings, sessions, "w1", open_engine, check, {})
    with sessions() as session:
        job = session.get_one(Job, job_id)
    try:
        list(generate_parts(shop, job))
    finally:
        shop.close_engines()
    return ids


def test_each_is_asked_with_its_prompt_and_checked_once(
    sqlite_sessions: sessionmaker[Session], settings: Settings, laid: Laid
) -> None:
    labels = ("base", "base+brief", "v1+brief", "v1+long")
    ids = work(sqlite_sessions, settings, laid, *labels)
    with sqlite_sessions() as session:
        written = session.scalars(select(Generation)).all()
        checked = session.scalars(select(Preflight)).one()
    sizes = [{w.prompt_tokens for w in written if w.model_version_id == id_} for id_ in ids]
    (bare, brief, of_v1, long) = (min(size) for size in sizes)
    assert bare < brief == of_v1 < long
    assert (len(written), checked.passed, checked.model_ids) == (8, True, ids)
    assert checked.fingerprint is not None
    asked = [len(probe) for probe in checked.fingerprint["probes"]]
    assert set(asked) == {1, 2, 4}  # bare, with a system message, with a shot


def test_a_prompt_that_tells_what_was_held_out_since_is_not_asked_with(
    sqlite_sessions: sessionmaker[Session], settings: Settings, laid: Laid
) -> None:
    told = "Where is the parcel that was promised for last Tuesday?"
    with sqlite_sessions.begin() as session:
        add_prompt(session, laid.project, "tells", parse_prompt(f"system: 'One asked: {told}'"))
        session.get_one(Example, laid.examples[0]).input = told
        session.get_one(Example, laid.examples[0]).context = None
    with pytest.raises(LeakRefused, match="The prompt tells@1 holds the text of 'e0'"):
        work(sqlite_sessions, settings, laid, "base", "base+tells")


def test_a_model_asked_otherwise_than_trained_is_refused(
    sqlite_sessions: sessionmaker[Session], settings: Settings, laid: Laid
) -> None:
    with sqlite_sessions.begin() as session:
        trained = {"name": "brief", "version": 1, "digest": parse_prompt(BRIEF).digest}
        model = find_model(session, laid.project, "v1")
        model.training_facts = {"config": {"prompt": trained}}
    with pytest.raises(PreflightFailed, match=r"that was trained is base:v1@1\+brief@1\."):
        work(sqlite_sessions, settings, laid, "base", "v1")
    with sqlite_sessions() as session:
        assert session.scalars(select(Generation)).all() == []
    work(sqlite_sessions, settings, laid, "base", "v1+brief")
