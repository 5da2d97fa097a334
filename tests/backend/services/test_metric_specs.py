"""What a project may name as a metric: built in, allowed by the settings, or below its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import GenerationResult
from backend.errors import Forbidden, InvalidInput
from backend.jobs.running.parts import Workshop
from backend.jobs.score import score_parts
from backend.services import queue
from backend.services.metric_specs import (
    BUILT_IN,
    AllowedMetrics,
    allowed_metrics,
    parse_metric_spec,
)
from backend.services.projects import set_manifest
from backend.services.runs import generation, scoring
from backend.settings import Settings
from backend.tables.queue import Job
from backend.tables.runs import Score, ScoreRun
from evaluators.registry import FACTORIES, METRICS, Takes
from tests.fixtures_runs import lay_down_project, lay_down_run

SCHEMA = {"type": "object", "required": ["total"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder with a schema, an encoder and a module; links lead out of it."""
    own = tmp_path / "artifacts" / "project-1"
    (own / "encoder").mkdir(parents=True)
    (own / "wer.py").write_text("raise SystemExit")
    (own / "bill.json").write_text(json.dumps(SCHEMA))
    secret = tmp_path / "artifacts" / "project-2"
    secret.mkdir()
    (secret / "theirs.json").write_text("{}")
    (own / "link.json").symlink_to(secret / "theirs.json")
    (own / "up").symlink_to(secret)
    return own


@pytest.mark.parametrize(
    ("text", "metric", "where"),
    [
        ("f1@task=intent", "f1", {"task": "intent"}),
        ("f1@mail=a@b", "f1", {"mail": "a@b"}),
        ("check:facts@1", "check:facts@1", {}),
        ("check:facts@12@task=intent", "check:facts@12", {"task": "intent"}),
        ("check:facts@task=intent", "check:facts", {"task": "intent"}),
        ("support:base", "support:base", {}),
    ],
)
def test_a_number_after_at_is_a_version_and_no_slice(
    text: str, metric: str, where: dict[str, str]
) -> None:
    (spec,) = parse_metric_spec(text, BUILT_IN)
    assert (spec.metric, dict(spec.slice)) == (metric, where)


@pytest.mark.parametrize("name", ["accuracy", "rouge", "chrf++", "regex:^[A-Z]+$", "regex:/etc"])
def test_what_is_built_in_may_be_used_by_everybody(name: str) -> None:
    assert BUILT_IN.resolve([name])


@pytest.mark.parametrize(
    "name",
    [
        "evaluate:wer",
        "evaluate:wer.py",
        "evaluate:{own}/wer.py",
        "evaluate:../../../evil",
        "json_schema:/etc/passwd",
        "json_schema:../project-2/theirs.json",
        "json_schema:link.json",
        "json_schema:up/theirs.json",
        "json_schema:encoder",
        "json_schema:absent.json",
        "json_schema:nul\x00.json",
        "json_schema:" + "a" * 5000,
        "json_schema:~/bill.json",
        "json_schema:file:///etc/passwd",
        "embedding:sentence-transformers/all-MiniLM-L6-v2",
        "embedding:/",
        "embedding:.",
        "embedding:bill.json",
        "bertscore:../project-2",
        "entailment:up",
        "self_consistency:/dev",
    ],
)
def test_other_files_models_and_code_are_refused_and_no_root_is_told(
    folder: Path, name: str
) -> None:
    allowed = AllowedMetrics(folder, frozenset({"evaluate:rouge_l"}))
    asked = name.format(own=folder)
    with pytest.raises(Forbidden) as caught:
        allowed.resolve(["accuracy", asked])
    assert str(folder.parent) not in str(caught.value).replace(asked, "")
    with pytest.raises(Forbidden):
        BUILT_IN.resolve([asked])


@pytest.mark.parametrize("kind", FACTORIES)
def test_every_metric_with_an_argument_says_what_it_takes(kind: str, folder: Path) -> None:
    """A new factory is refused to projects until its kind of argument is looked at."""
    takes = FACTORIES[kind].takes
    assert takes in set(Takes)
    if takes not in (Takes.PATTERN, Takes.SERVED, Takes.FITTED):  # which name no file
        with pytest.raises(Forbidden):
            AllowedMetrics(folder).resolve([f"{kind}:/etc/passwd"])
    assert kind not in METRICS or ":" not in kind


def test_files_below_the_own_folder_and_allowed_names_are_taken(folder: Path) -> None:
    allowed = AllowedMetrics(folder, frozenset({"evaluate:wer"}))
    names = ["json_schema:bill.json", f"json_schema:{folder}/bill.json", "evaluate:wer"]
    names += ["embedding:encoder"]
    assert [metric.name for metric in allowed.resolve(names)] == names


def test_the_settings_say_which_folder_and_names(settings: Settings) -> None:
    given = settings.model_copy(update={"metrics": " evaluate:wer, bertscore:a/b ,"})
    allowed = allowed_metrics(given, 7)
    assert allowed.folder == settings.artifacts / "project-7"
    assert allowed.names == {"evaluate:wer", "bertscore:a/b"}


def test_a_manifest_on_a_file_is_refused(session: Session) -> None:
    laid = lay_down_project(session)
    bar = "name: b\nlines: [{metric: 'json_schema:/etc/hosts', threshold: 1.0}]"
    with pytest.raises(Forbidden, match="may not use"):
        set_manifest(session, laid.project, bar)


def test_the_worker_looks_again_whatever_the_row_says(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    """A row from before, or of a metric that the settings have forgotten since, runs nothing."""
    with sessions.begin() as session:
        laid = lay_down_project(session)
        run = lay_down_run(session, laid)
        asked = generation.pending_requests(session, run.id)
        written = [GenerationResult(request.key, text="{}") for request in asked]
        generation.save_generations(session, run.id, written)
        forged = ScoreRun(
            generation_run_id=run.id,
            metrics=[{"metric": "evaluate:/tmp/evil", "slice": {}}],
            seed=7,
        )
        session.add(forged)
        session.flush()
        job_id = queue.enqueue_job(session, queue.JobKind.SCORE, forged.id).id
    shop = Workshop(settings, sessions, "w", _nothing, _nothing, {})
    with sessions() as session:
        job = session.get_one(Job, job_id)
    with pytest.raises(Forbidden, match="may not use"):
        list(score_parts(shop, job))
    with sessions() as session:
        assert session.scalars(select(Score)).all() == []


def test_a_schema_of_the_project_scores_by_its_relative_name(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sqlite_sessions.begin() as session:
        laid = lay_down_project(session)
        allowed = allowed_metrics(settings, laid.project)
        assert allowed.folder is not None
        allowed.folder.mkdir(parents=True)
        (allowed.folder / "bill.json").write_text(json.dumps(SCHEMA))
        run = lay_down_run(session, laid)
        asked = generation.pending_requests(session, run.id)
        texts = ['{"total": 1}' if i % 2 else "{}" for i in range(len(asked))]
        pairs = zip(asked, texts, strict=True)
        generation.save_generations(
            session, run.id, [GenerationResult(request.key, text=text) for request, text in pairs]
        )
        scores = scoring.create_score_run(
            session, generation_run_id=run.id, metrics=["json_schema:bill.json"], allowed=allowed
        )
        units = scoring.pending_units(session, scores.id)
        written = scoring.load_generations(session, [u.generation_id for u in units])
        rows = scoring.score_units(units, written, resolve=allowed.resolve)
    assert {row["metric"] for row in rows} == {"json_schema:bill.json"}
    assert {row["value"] for row in rows} == {0.0, 1.0}
    assert not any(str(allowed.folder) in json.dumps(row) for row in rows)


def test_an_unknown_metric_lists_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="accuracy"):
        BUILT_IN.resolve(["acuracy"])


def _nothing(*_: object, **__: object) -> None:
    raise AssertionError("no engine is needed")
