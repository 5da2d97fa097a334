"""A demo whose jobs are done on the spot: answers from a function, trainings that train nothing.

`StandInDemo` is what the scenarios are given in tests in place of a demo with a worker and models.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.cli.common import Installation
from backend.cli.demo.steps import Demo, make_project
from backend.db import connect, utc_now
from backend.engines.base import GenerationResult
from backend.services import queue, rounds
from backend.services.models.versions import register_base
from backend.services.runs import generation, scoring
from backend.settings import DEMO_BASE, Settings
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion, Preflight
from backend.tables.queue import Job, JobState
from backend.tables.training import TrainingRun

Writer = Callable[[str, Example], str]  # model name, example -> its answer
SHAPE = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": "all-linear"}
LEDGER = {"cpu_seconds": 3.0, "peak_memory_bytes": 2**30}


@dataclass(frozen=True)
class StandInDemo(Demo):
    """Does at once what a worker would do, with `write` in place of every model."""

    write: Writer = lambda name, example: ""
    trained: list[dict[str, Any]] = field(default_factory=list)

    def run_job(self, kind: str, subject_id: int, **arguments: Any) -> None:
        """Generate and score, or leave a model behind as a training does."""
        with self.installation.sessions.begin() as session:
            if kind == "generate":
                self._generate(session, subject_id)
            else:
                self._train(session, subject_id)

    def _generate(self, session: Session, run_id: int) -> None:
        run = generation.get_run(session, run_id)
        names = {model.id: model.name for model in run.models}
        session.add(
            Preflight(
                project_id=self.project_id,
                generation_run_id=run_id,
                engine=self.engine,
                model_ids=list(names),
                passed=True,
                checks=[],
            )
        )
        answers = []
        for request in generation.pending_requests(session, run_id):
            model_id, example_id, _ = generation.parse_unit_key(request.key)
            text = self.write(names[model_id], session.get_one(Example, example_id))
            answers.append(GenerationResult(request.key, text=text))
        generation.save_generations(session, run_id, answers)
        for row in scoring.list_score_runs(session, run_id):
            units = scoring.pending_units(session, row.id)
            if not units:
                continue
            written = scoring.load_generations(session, [unit.generation_id for unit in units])
            scoring.save_scores(session, row.id, scoring.score_units(units, written))

    def _train(self, session: Session, training_run_id: int) -> None:
        run = session.get_one(TrainingRun, training_run_id)
        if any(row["run"] == run.id for row in self.trained):
            return
        run.result = {"seconds": 1.0, "ledger": LEDGER}
        self.trained.append({"run": run.id, "adapter": run.adapter_name, **run.config})
        folder = Path(run.output_dir)
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text(json.dumps(SHAPE), encoding="utf-8")
        size = 1000 if run.config.get("weights") == "full" else 100
        save_file({"w": np.zeros(size, np.float32)}, folder / "weights.safetensors")
        base = register_base(session, run.project_id)
        session.add(
            ModelVersion(
                project_id=run.project_id,
                name=run.adapter_name,
                revision=1,
                base_model=base.base_model,
                base_sha256=base.base_sha256,
                tokenizer_sha256=base.tokenizer_sha256,
                template_sha256=base.template_sha256,
                adapter_path=str(folder),
                adapter_sha256=f"{run.id:064d}",
                training_run_id=run.id,
            )
        )

    @contextmanager
    def working(self) -> Iterator[None]:
        """A thread that moves rounds and does their jobs, as a worker would."""
        done = threading.Event()
        worker = threading.Thread(target=self._work, args=(done,), daemon=True)
        worker.start()
        try:
            yield
        finally:
            done.set()
            worker.join()

    def _work(self, done: threading.Event) -> None:
        while not done.wait(0.02):
            rounds.advance_rounds(
                self.installation.sessions, self.installation.settings, now=utc_now()
            )
            with self.installation.sessions() as session:
                due = select(Job).where(Job.state == JobState.QUEUED).order_by(Job.id)
                jobs = [(job.id, job.kind, job.subject_id) for job in session.scalars(due)]
            for job_id, kind, subject_id in jobs:
                if kind != "score":  # scored with the run that asks for it
                    self.run_job(kind, subject_id)
                with self.installation.sessions.begin() as session:
                    job = session.get_one(Job, job_id)
                    job.state = JobState.DONE
                    for score_run in job.arguments.get("then_score", ()):
                        queue.enqueue_job(session, "score", score_run)


def settings_in(folder: Path, template: Path) -> Settings:
    """Settings of an installation in a folder, with a copy of a migrated database."""
    shutil.copy(template, folder / "strop.db")
    return Settings(home=folder / "home", database_url=f"sqlite:///{folder / 'strop.db'}")


def stand_in_demo(settings: Settings, *, bar: str, write: Writer) -> StandInDemo:
    """A project on the demo's base with this bar, and answers by `write`."""
    settings.home.mkdir(parents=True, exist_ok=True)
    installation = Installation(settings, connect(settings))
    project_id = make_project(installation, DEMO_BASE, name="story", bar=bar)
    return StandInDemo(installation, project_id, "fake", write)
