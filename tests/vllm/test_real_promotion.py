"""One adapter is preflighted, promoted and rolled back on the real server, by the commands."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.db import connect
from backend.engines.base import GenerationRequest, Message, SamplingParams
from backend.engines.base import ServedModel as Model
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.serve import RunningServer
from backend.services.accounts.users import create_user
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.models.versions import alias_target, register_adapter, register_base
from backend.services.projects import create_project, set_manifest
from backend.settings import Settings
from backend.tables.datasets import DatasetVersion
from backend.tables.models import ModelVersion, Preflight
from backend.tables.runs import GenerationRun, GenerationRunModel, ScoreRun
from backend.tables.verdicts import Comparison, Promotion

pytestmark = pytest.mark.vllm

BAR = "name: desk\nlines: [{metric: f1, threshold: 0.7}]"


class Desk:
    """A project on the demo's base with two adapters, both judged PASS, and a lead."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self.sessions = sessions

    def furnish(self, base: Model, adapters: dict[str, Model], prompts: Any, root: Path) -> None:
        settings = Settings(artifact_root=root)
        with self.sessions.begin() as session:
            project = create_project(session, "desk", base_model=base.base_model)
            create_user(session, "lea", "lead", project_ids=[project.id])
            bar = set_manifest(session, project.id, BAR)
            rows = [
                ExampleRow(str(i), p[0]["content"], split="test") for i, p in enumerate(prompts)
            ]
            version = import_dataset(session, project.id, "d", rows, source_name="d.jsonl")
            scores = self._scores(session, project.id, version)
            before = register_base(session, project.id)
            self._measure(session, scores, before)
            for name in ("one", "two"):
                path = adapters[name].adapter_path
                assert path is not None
                model = register_adapter(session, project.id, name, path, settings=settings)
                self._measure(session, scores, model)
                session.add(
                    Comparison(
                        project_id=project.id,
                        manifest_id=bar.id,
                        score_run_id=scores.id,
                        baseline_id=before.id,
                        candidate_id=model.id,
                        verdict="PASS",
                        preflight={"verdict": "PASS", "reason": "all passed"},
                        lines=[],
                    )
                )
                before = model  # two is judged over one, which is champion when it is promoted

    def _scores(self, session: Session, project_id: int, version: DatasetVersion) -> ScoreRun:
        run = GenerationRun(
            project_id=project_id, dataset_version=version, split="test", engine="vllm", params={}
        )
        scores = ScoreRun(generation_run=run, metrics=[])
        session.add(scores)
        session.flush()
        return scores

    @staticmethod
    def _measure(session: Session, scores: ScoreRun, model: ModelVersion) -> None:
        """Let the model be one of the scored run: only such scores are evidence of it."""
        run_id = scores.generation_run_id
        position = session.query(GenerationRunModel).filter_by(run_id=run_id).count()
        session.add(GenerationRunModel(run_id=run_id, model_version_id=model.id, position=position))
        session.flush()

    def champion(self) -> str | None:
        with self.sessions() as session:
            model = alias_target(session, 1, "champion")
            return None if model is None else model.serving_name


@pytest.fixture
def desk(
    server: RunningServer,
    settings: Settings,
    base: Model,
    adapters: dict[str, Model],
    prompts: Sequence[Sequence[Message]],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    assert adapters["one"].adapter_path is not None
    root = adapters["one"].adapter_path.parent
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    monkeypatch.setenv("STROP_ARTIFACT_ROOT", str(root))
    monkeypatch.setenv("STROP_VLLM_URL", server.url)
    monkeypatch.setenv("STROP_TORCH_THREADS", "1")
    made = Desk(connect(settings))
    made.furnish(base, adapters, prompts, root)
    return made


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def first_token(server: RunningServer, model: str, prompt: Sequence[Message]) -> Any:
    """What a program gets that asks the server for a model by name."""
    body = {
        "model": model,
        "messages": [dict(message) for message in prompt],
        "max_tokens": 8,
        "temperature": 0,
    }
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, trust_env=False, timeout=60)
    return answer.json().get("choices", [{}])[0].get("message", {}).get("content")


def test_an_adapter_is_promoted_on_the_server_and_taken_back(
    server: RunningServer,
    desk: Desk,
    adapters: dict[str, Model],
    prompts: Sequence[Sequence[Message]],
) -> None:
    assert strop("adapter", "preflight", "one", "--dataset", "d", "--engine", "vllm") == 0
    assert strop("promote", "one", "--as", "lea") == 0
    wanted = first_token(server, f"one@1#{(adapters['one'].adapter_sha256 or '')[:12]}", prompts[0])
    assert wanted
    assert (desk.champion(), first_token(server, "champion", prompts[0])) == ("one@1", wanted)

    assert strop("promote", "two", "--as", "lea") == 0
    assert desk.champion() == "two@1"
    assert first_token(server, "champion", prompts[0]) != wanted

    assert strop("rollback", "--as", "lea", "--reason", "it was a trial") == 0
    assert (desk.champion(), first_token(server, "champion", prompts[0])) == ("one@1", wanted)
    with desk.sessions() as session:
        promoted, *_ = session.scalars(select(Promotion).order_by(Promotion.id))
        checks = [row.checks for row in session.scalars(select(Preflight))]
    (served,) = (promoted.evidence or {})["serving"]["servers"]
    assert (served["ok"], served["probes"]) == (True, 8)
    assert "as evaluated" in served["detail"]
    print(json.dumps(served), [c["detail"] for c in checks[0] if "PEFT" in c["name"]])


def test_a_server_that_holds_another_adapter_under_the_name_stops_the_promotion(
    server: RunningServer, desk: Desk, adapters: dict[str, Model]
) -> None:
    """The fingerprint of two is taken for that of one: what is served is not what was evaluated."""
    assert strop("adapter", "preflight", "two", "--dataset", "d", "--engine", "vllm") == 0
    with desk.sessions.begin() as session:
        row = session.scalars(select(Preflight)).one()
        assert row.fingerprint is not None
        tokens = row.fingerprint["first_tokens"]
        row.fingerprint = {
            **row.fingerprint,
            "first_tokens": {"base": tokens["base"], "one@1": tokens["two@1"]},
        }
        row.model_ids = [1, 2]
    assert strop("promote", "one", "--as", "lea") == 1
    assert desk.champion() is None
    assert strop("promote", "one", "--as", "lea", "--allow-unserved", "it restarts") == 0
    assert desk.champion() == "one@1"


def test_an_alias_moves_under_requests_and_the_base_never_answers(
    server: RunningServer,
    base: Model,
    adapters: dict[str, Model],
    prompts: Sequence[Sequence[Message]],
) -> None:
    """Every answer while the name moves is of the one or of the other, and after each move of the
    right one."""
    params = SamplingParams(max_tokens=12)

    def ask(engine: VllmEngine, model: str) -> list[str | None]:
        asked = [GenerationRequest(str(i), model, p) for i, p in enumerate(prompts)]
        answers = sorted(engine.generate(asked, params), key=lambda answer: int(answer.key))
        assert [answer.error for answer in answers] == [None] * len(prompts)
        return [answer.text for answer in answers]

    with VllmEngine([server.url]) as mover, VllmEngine([server.url]) as asker:
        for engine in (mover, asker):
            engine.load([base, adapters["one"], adapters["two"]])
            engine.serve_as("moving", adapters["one"])
        own = {name: ask(mover, name) for name in ("one", "two", "base")}
        seen: list[list[str | None]] = []
        done = threading.Event()

        def keep_asking() -> None:
            while not done.is_set():
                seen.append(ask(asker, "moving"))

        thread = threading.Thread(target=keep_asking)
        thread.start()
        try:
            for name in ("two", "one", "two", "one"):
                mover.serve_as("moving", adapters[name])
                assert ask(mover, "moving") == own[name]
        finally:
            done.set()
            thread.join()
        mover.serve_as("moving", None)
    assert seen
    for answers in seen:
        for text, one, two, plain in zip(answers, own["one"], own["two"], own["base"], strict=True):
            assert text in {one, two}
            assert text != plain or plain in {one, two}
