"""The jobs of a checker: registered and measured after its training, preflighted before it scores.

The trainer's result is laid down by hand, and the engine is a fake.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import Message, ReadRequest, ReadResult, SamplingParams
from backend.engines.fake import FakeEngine
from backend.errors import EngineUnavailable, PreflightFailed
from backend.jobs.running.parts import Workshop
from backend.jobs.score import score_parts
from backend.jobs.train import train_parts
from backend.services import queue
from backend.services.checks.checkers import checkers
from backend.services.curation import Recipe
from backend.services.models.versions import register_base
from backend.services.queue import JobKind
from backend.services.runs import generation, scoring
from backend.services.training.files import run_files
from backend.settings import Settings
from backend.tables.models import ModelVersion, Preflight
from backend.tables.queue import Job
from backend.tables.runs import Generation, Score
from backend.tables.training import TrainingRun
from tests.fixtures_checkers import Notes, lay_down_notes, set_base
from tests.fixtures_models import byte_tokenizer, tiny_adapter
from training.config import load_config
from training.weights.digest import (
    adapter_sha256,
    model_sha256,
    template_sha256,
    tokenizer_sha256,
)

RECIPE = Recipe.model_validate({"dataset": "notes", "references": {}})
WRONG = "She takes 900 mg of aspirin."


def knows(request: ReadRequest) -> ReadResult:
    """Finds a sentence supported when each of its words stands in the source."""
    asked = request.messages[-1]["content"]
    source, _, rest = asked.partition("\n\nSentence:\n")
    sentence = rest.partition("\n\nDoes")[0]
    right = set(sentence.strip(".").split()) <= set(source.replace(".", " ").split())
    likely = -0.1 if right == (request.answer == "yes") else -2.5
    return ReadResult(request.key, (0,), (likely,))


def faked(**how: Any) -> FakeEngine:
    """An engine that renders as the tiny base does."""
    tokenizer = byte_tokenizer()

    def template(messages: Sequence[Message]) -> str:
        asked = [dict(message) for message in messages]
        return str(tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True))

    def tokenise(prompt: str) -> list[int]:
        return list(tokenizer(prompt, add_special_tokens=False)["input_ids"])

    return FakeEngine(template=template, tokenise=tokenise, **how)


@pytest.fixture
def laid(
    sqlite_sessions: sessionmaker[Session], settings: Settings, tiny_base: Path
) -> tuple[int, int, int]:
    """A checker whose trainer has left its result: project, training run, job."""
    with sqlite_sessions.begin() as session:
        notes: Notes = lay_down_notes(session)
        set_base(session, notes.project, str(tiny_base))
        base = register_base(session, notes.project)

        checker = checkers.train_checker(
            session, notes.project, "facts", RECIPE, config={}, settings=settings, most=40
        )
        run = session.get_one(TrainingRun, checker.training_run_id)
        job = queue.enqueue_job(session, JobKind.TRAIN, run.id)
        folder = tiny_adapter(Path(run.output_dir), tiny_base)
        _leave_result(folder, tiny_base, run, settings)
        assert base.name == "base"
        return notes.project, run.id, job.id


def _leave_result(folder: Path, base: Path, run: TrainingRun, settings: Settings) -> None:
    record: dict[str, Any] = {
        "base_model": str(base),
        "config": load_config(run_files(run, settings).config).model_dump(mode="json"),
        "train": {"rows": 40, "tokens": 900},
        "loss_curve": [],
        "weights": "lora",
        "base_sha256": model_sha256(base),
        "tokenizer_sha256": tokenizer_sha256(base),
        "template_sha256": template_sha256(base),
        "adapter_sha256": adapter_sha256(folder),
        "model_sha256": None,
    }
    (folder / "strop.json").write_text(json.dumps(record))


def work(
    sessions: sessionmaker[Session], settings: Settings, job_id: int, engine: FakeEngine, kind: Any
) -> Job:
    """Do the job to its end with one engine."""
    shop = Workshop(settings, sessions, "w1", lambda *_: engine, lambda *_, **__: None, {})
    with sessions.begin() as session:
        job = session.get_one(Job, job_id)
        queue.start_job(session, job.id, job.attempt, executor_id="w1", now=job.created_at)
    list(kind(shop, job))
    with sessions() as session:
        return session.get_one(Job, job_id)


def test_that_a_trained_checker_is_registered_preflighted_and_measured(
    sqlite_sessions: sessionmaker[Session], settings: Settings, laid: tuple[int, int, int]
) -> None:
    project, run_id, job_id = laid
    job = work(sqlite_sessions, settings, job_id, faked(likely=knows), train_parts)
    assert (job.state, job.error) == ("done", None)
    with sqlite_sessions() as session:
        trained = checkers.find_checker(session, project, "facts")
        assert (trained.model.label, trained.model.purpose) == ("base:check-facts@1", "check")
        assert trained.model.training_facts["config"]["check"]["yes"] == "yes"
        figures = trained.checker.figures
        assert figures is not None
        assert trained.checker.measured_at is not None
        told = {one["metric"]: one["value"] for one in figures["sentences"]}
        assert told["auroc"] > 0.6
        assert {one["predictor"] for one in figures["texts"]} == {"check", "invented", "overlap"}
        assert {one["predictor"] for one in figures["beside"]} == {"invented", "overlap"}
        assert figures["failed"] == 0
        assert figures["groups"] == 12
        row = session.scalars(select(Preflight)).one()
        assert (row.passed, row.model_ids) == (True, [trained.model.id])
        assert run_id == trained.checker.training_run_id


def test_that_an_engine_that_dies_leaves_the_checker_and_the_measurement_is_done_again(
    sqlite_sessions: sessionmaker[Session], settings: Settings, laid: tuple[int, int, int]
) -> None:
    project, _, job_id = laid
    with pytest.raises(EngineUnavailable):
        work(sqlite_sessions, settings, job_id, faked(likely=knows, dies_after=40), train_parts)
    with sqlite_sessions() as session:
        trained = checkers.find_checker(session, project, "facts")
        assert trained.checker.figures is None
    work(sqlite_sessions, settings, job_id, faked(likely=knows), train_parts)
    with sqlite_sessions() as session:
        again = checkers.find_checker(session, project, "facts")
        assert again.model.id == trained.model.id
        assert again.checker.figures is not None


def _scored(sessions: sessionmaker[Session], project: int) -> tuple[int, int]:
    """A run whose outputs are right but one, to be scored by the checker: score run and job."""
    with sessions.begin() as session:
        base = session.scalars(select(ModelVersion).where(ModelVersion.name == "base")).one()
        version = generation_version(session, project)
        run = generation.create_run(
            session,
            project_id=project,
            dataset_version_id=version,
            split="test",
            model_ids=[base.id],
            engine="fake",
            params=SamplingParams(),
        )
        for n, example in enumerate(generation.examples_of_run(session, run)):
            text = WRONG if n == 0 else str(example.references[0])
            session.add(
                Generation(
                    run_id=run.id, model_version_id=base.id, example_id=example.id, text=text
                )
            )
        session.flush()
        row = scoring.create_score_run(
            session, generation_run_id=run.id, metrics=["check:facts@1", "length"]
        )
        return row.id, queue.enqueue_job(session, JobKind.SCORE, row.id).id


def generation_version(session: Session, project: int) -> int:
    from backend.services.datasets.versions import get_dataset_version

    return get_dataset_version(session, project, "notes").id


def test_that_a_run_is_scored_by_the_least_supported_sentence(
    sqlite_sessions: sessionmaker[Session], settings: Settings, laid: tuple[int, int, int]
) -> None:
    project, _, job_id = laid
    work(sqlite_sessions, settings, job_id, faked(likely=knows), train_parts)
    score_run, job_id = _scored(sqlite_sessions, project)
    job = work(sqlite_sessions, settings, job_id, faked(likely=knows), score_parts)
    assert (job.state, job.error) == ("done", None)
    with sqlite_sessions() as session:
        query = select(Score).where(
            Score.score_run_id == score_run, Score.metric == "check:facts@1"
        )
        scores = list(session.scalars(query.order_by(Score.id)))
        assert len(scores) == 4
        assert scores[0].value == pytest.approx(1 / (1 + 2.718281828**2.4))
        assert scores[0].spans[0]["end"] == len(WRONG)
        assert "probability 0.08" in scores[0].spans[0]["reason"]
        assert "check-facts@1|adapter:" in scores[0].signature
        assert len(list(session.scalars(select(Preflight)))) == 2


def test_that_a_checker_that_is_not_what_was_trained_scores_nothing(
    sqlite_sessions: sessionmaker[Session], settings: Settings, laid: tuple[int, int, int]
) -> None:
    project, _, job_id = laid
    work(sqlite_sessions, settings, job_id, faked(likely=knows), train_parts)
    score_run, job_id = _scored(sqlite_sessions, project)
    careless = faked(likely=knows, ignores_adapters=True)
    with pytest.raises(PreflightFailed, match="check-facts@1"):
        work(sqlite_sessions, settings, job_id, careless, score_parts)
    with sqlite_sessions() as session:
        metrics = set(session.scalars(select(Score.metric).where(Score.score_run_id == score_run)))
        assert metrics == {"length"}
