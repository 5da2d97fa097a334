"""Fully trained models: registered as bases of their own, and written with beside adapters."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.engines import open_engine
from backend.engines.base import SamplingParams
from backend.errors import Forbidden, InvalidInput, PreflightFailed
from backend.jobs.generate import generate_parts
from backend.jobs.preflight import check_models, model_facts
from backend.jobs.running.parts import Workshop
from backend.services import queue
from backend.services.models.preflight.report import check_files
from backend.services.models.versions import (
    find_model,
    register_adapter,
    register_base,
    register_full_model,
    serving_groups,
)
from backend.services.runs import generation
from backend.services.training import runs as training
from backend.services.verification import _verify_results
from backend.settings import Settings
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion, Preflight
from backend.tables.projects import Project, SuccessManifest
from backend.tables.runs import Generation
from backend.tables.training import TrainingRun
from tests.backend.engines.scripted_server import ScriptedServer
from tests.fixtures_models import make_tiny_base, tiny_adapter
from tests.fixtures_runs import lay_down_project
from training.config import parse_config
from training.weights.digest import model_sha256, template_sha256, tokenizer_sha256

NOW = datetime(2026, 5, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def full_folder(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """What a full training leaves, as far as registration looks at it."""
    folder = make_tiny_base(tmp_path_factory.mktemp("full") / "full", seed=9)
    config = {"base_model": str(tiny_base), "train_file": "t", "output_dir": "o"}
    settings = parse_config({**config, "manifest_digest": "5" * 64, "weights": "full"})
    record: dict[str, Any] = {
        "base_model": str(tiny_base),
        "config": settings.model_dump(mode="json"),
        "train": {"rows": 1, "tokens": 9},
        "loss_curve": [],
        "weights": "full",
        "base_sha256": model_sha256(tiny_base),
        "tokenizer_sha256": tokenizer_sha256(folder),
        "template_sha256": template_sha256(folder),
        "adapter_sha256": None,
        "model_sha256": model_sha256(folder),
    }
    (folder / "strop.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def placed(full_folder: Path, settings: Settings) -> Path:
    """That folder below the artifact root."""
    return Path(shutil.copytree(full_folder, settings.artifacts / "full"))


@pytest.fixture
def project(sqlite_sessions: sessionmaker[Session], tiny_base: Path) -> int:
    """A project with examples on a base that is there."""
    with sqlite_sessions.begin() as session:
        laid = lay_down_project(session, adapters=-1)
        session.get_one(Project, laid.project).base_model = str(tiny_base)
        register_base(session, laid.project)
        return laid.project


def _register(session: Session, project: int, placed: Path, settings: Settings) -> ModelVersion:
    return register_full_model(session, project, "v2", placed, settings=settings)


def test_a_full_model_is_a_base_of_its_own(
    sqlite_sessions: sessionmaker[Session], project: int, placed: Path, settings: Settings
) -> None:
    with sqlite_sessions() as session:
        model = _register(session, project, placed, settings)
        assert (model.label, model.serving_name, model.is_own_base) == ("v2@1", "v2@1", True)
        assert (model.base_model, model.base_sha256) == (str(placed), model_sha256(placed))
        assert find_model(session, project, "v2") is model
        assert register_base(session, project).label == "base"


def test_another_tokeniser_a_pickle_and_another_place_are_refused(
    sqlite_sessions: sessionmaker[Session],
    project: int,
    placed: Path,
    full_folder: Path,
    settings: Settings,
) -> None:
    with sqlite_sessions() as session:
        with pytest.raises(Forbidden, match="outside the artifact root"):
            _register(session, project, full_folder, settings)
        (placed / "chat_template.jinja").write_text("other")
        with pytest.raises(InvalidInput, match="another chat template"):
            _register(session, project, placed, settings)
        (placed / "pytorch_model.bin").write_bytes(b"")
        with pytest.raises(InvalidInput, match="pickle"):
            _register(session, project, placed, settings)


def test_a_finished_full_training_registers_its_model(
    sqlite_sessions: sessionmaker[Session], project: int, placed: Path, settings: Settings
) -> None:
    with sqlite_sessions.begin() as session:
        frozen = TrainingSet(project_id=project, name="t", recipe={}, digest="a" * 64, n_rows=1)
        bar = SuccessManifest(project_id=project, version=1, digest="b" * 64, content={}, source="")
        session.add_all([frozen, bar])
        session.flush()
        run = TrainingRun(
            project_id=project,
            training_set_id=frozen.id,
            manifest_id=bar.id,
            adapter_name="v2",
            config={},
            output_dir=str(placed),
        )
        session.add(run)
        session.flush()
        models = [
            training.finish_training_run(session, run.id, settings=settings, now=NOW)
            for _ in range(2)
        ]
        assert models[0] is models[1]
        assert (models[0].label, models[0].training_run_id) == ("v2@1", run.id)
        run.result = run.result | {"training_set_digest": "a" * 64, "manifest_digest": "b" * 64}
        session.flush()
        wanted = f"training run {run.id}"
        for digest, same in ((models[0].base_sha256, True), ("0" * 64, False)):
            models[0].base_sha256 = digest
            session.flush()
            found = [one.same for one in _verify_results(session) if one.what == wanted]
            assert found == [same]


def _write_with(
    sessions: sessionmaker[Session], settings: Settings, project: int, model_ids: list[int]
) -> int:
    """A run of these models with the local engine, done; returns its id."""
    with sessions.begin() as session:
        run = generation.create_run(
            session,
            project_id=project,
            dataset_version_id=1,
            split="test",
            model_ids=model_ids,
            engine="local",
            params=SamplingParams(max_tokens=4),
        )
        job = queue.enqueue_job(session, queue.JobKind.GENERATE, run.id)
        run_id = run.id
    checks = partial(check_models, settings=settings)
    shop = Workshop(settings, sessions, "w", open_engine, checks, {})
    list(generate_parts(shop, job))
    shop.close_engines()
    return run_id


def test_a_run_of_base_adapter_and_full_model_is_written_with_two_bases(
    sqlite_sessions: sessionmaker[Session],
    project: int,
    placed: Path,
    tiny_base: Path,
    settings: Settings,
) -> None:
    adapter = tiny_adapter(settings.artifacts / "v1", tiny_base)
    with sqlite_sessions.begin() as session:
        models = [
            register_base(session, project),
            register_adapter(session, project, "v1", adapter, settings=settings),
            _register(session, project, placed, settings),
        ]
        groups = serving_groups(models[0], models)
        assert [[m.label for m in group] for group in groups] == [["base", "base:v1@1"], ["v2@1"]]
        ids = [model.id for model in models]
    _write_with(sqlite_sessions, settings, project, ids)
    with sqlite_sessions() as session:
        written: dict[str, list[float]] = {}
        for row in session.scalars(select(Generation).order_by(Generation.id)):
            label = session.get_one(ModelVersion, row.model_version_id).label
            written.setdefault(label, []).extend(row.token_logprobs[:1])
        checked = session.scalars(select(Preflight).order_by(Preflight.id)).all()
    assert {label: len(found) for label, found in written.items()} == {
        "base": 6,
        "base:v1@1": 6,
        "v2@1": 6,
    }
    assert len({tuple(found) for found in written.values()}) == 3
    assert [(row.passed, len(row.model_ids)) for row in checked] == [(True, 2), (True, 1)]
    assert "files of v2@1 since training" in {check["name"] for check in checked[1].checks}


def test_a_full_model_is_preflighted_alone_by_the_command(
    sqlite_sessions: sessionmaker[Session],
    project: int,
    placed: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with sqlite_sessions.begin() as session:
        model_id = _register(session, project, placed, settings).id
    asked = ["adapter", "preflight", "v2", "--dataset", "tickets", "--engine", "local", "--json"]
    with pytest.raises(SystemExit) as ended:
        main(asked)
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert ended.value.code in (0, None)
    assert checks["files of v2@1 since registration"]["passed"]
    with sqlite_sessions() as session:
        assert session.scalars(select(Preflight)).one().model_ids == [model_id]


def test_a_server_without_the_full_model_says_what_is_kept_and_how_to_go_on(
    sqlite_sessions: sessionmaker[Session], project: int, placed: Path, settings: Settings
) -> None:
    """One server holds one base: a run of two goes on when the other is served."""
    with sqlite_sessions.begin() as session:
        base, full = register_base(session, project), _register(session, project, placed, settings)
        run = generation.create_run(
            session,
            project_id=project,
            dataset_version_id=1,
            split="test",
            model_ids=[base.id, full.id],
            engine="vllm",
            params=SamplingParams(max_tokens=4),
        )
        job = queue.enqueue_job(session, queue.JobKind.GENERATE, run.id)
    for served, lacks, written in (("base", "v2@1", 6), ("v2@1", None, 12)):
        with ScriptedServer(base=served) as server:
            there = settings.model_copy(update={"vllm_url": server.url})
            shop = Workshop(there, sqlite_sessions, "w", open_engine, lambda *_, **__: None, {})
            if lacks is None:
                list(generate_parts(shop, job))
            else:
                with pytest.raises(PreflightFailed) as refused:
                    list(generate_parts(shop, job))
                assert f"Nothing was generated with {lacks}; what other" in str(refused.value)
                assert f"strop run --resume {run.id}" in str(refused.value)
            shop.close_engines()
        with sqlite_sessions() as session:
            assert generation.run_progress(session, run.id).done == written


def test_a_full_model_that_changed_on_disk_is_not_written_with(
    sqlite_sessions: sessionmaker[Session], project: int, placed: Path, settings: Settings
) -> None:
    with sqlite_sessions() as session:
        facts = model_facts(_register(session, project, placed, settings))
    assert [check.passed for check in check_files(facts, [])] == [True, True, True]
    make_tiny_base(placed, seed=10)
    assert [check.passed for check in check_files(facts, [])] == [False, False, True]


def test_another_base_is_registered_from_anywhere_and_written_with_beside_the_projects_own(
    sqlite_sessions: sessionmaker[Session],
    project: int,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    folder = make_tiny_base(tmp_path / "large", seed=11)
    with pytest.raises(SystemExit) as ended:
        main(["model", "add", "large", "--base", str(folder)])
    said = capsys.readouterr().out
    assert ended.value.code in (0, None)
    assert f"large@1: {folder}, sha256 {model_sha256(folder)[:12]}." in said
    with sqlite_sessions.begin() as session:
        models = [find_model(session, project, label) for label in ("base", "large")]
        ids = [model.id for model in models]
    run_id = _write_with(sqlite_sessions, settings, project, ids)
    with sqlite_sessions() as session:
        assert generation.run_progress(session, run_id).done == 12
        passed = [row.passed for row in session.scalars(select(Preflight))]
    assert passed == [True, True]
