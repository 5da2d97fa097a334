"""A demo whose jobs are done on the spot: answers from a function, trainings that train nothing.

`StandInDemo` is what the scenarios are given in tests in place of a demo with a worker and models.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from backend.cli.common import Installation
from backend.cli.demo_steps import Demo, make_project
from backend.db import connect
from backend.engines.base import GenerationResult
from backend.services import generation, scoring
from backend.services.model_versions import register_base
from backend.settings import DEMO_BASE, Settings
from backend.tables.datasets import Example
from backend.tables.model_versions import ModelVersion
from backend.tables.training import TrainingRun

Writer = Callable[[str, Example], str]  # model name, example -> its answer
SHAPE = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"}
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
        names = {model.id: model.name for model in generation.get_run(session, run_id).models}
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
