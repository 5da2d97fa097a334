"""The steps of `strop demo`, each of which finds what an earlier start of it has left.

Nothing here is particular to the demo but the names and the numbers: every step is a service or a
job that a team uses for its own data.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from sqlalchemy import select

from backend.cli.common import Installation
from backend.cli.waiting import run_jobs
from backend.errors import NotFound
from backend.tables.queue import JobState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.tables.curation import TrainingSet
    from backend.tables.datasets import DatasetVersion
    from backend.tables.generation import GenerationRun

PROJECT = "demo"
DATASET = "desk"
BAR = Path(__file__).with_name("demo_bar.yaml")
METRICS = (
    "accuracy@task=intent",
    "f1@task=intent",
    "rouge@task=summary",
    "grounding@task=summary",
    "invented@task=summary",
    "bleu@task=translation",
    "chrf@task=translation",
    "ter@task=translation",
)
FIRST_REFERENCES = 300
REVIEWS = 300
TRAINING = {
    "epochs": 3,
    "learning_rate": 2e-3,
    "batch_size": 16,
    "max_length": 512,
    "lora": {"rank": 16, "alpha": 32, "dropout": 0.0},
}
SEED = 7


@dataclass(frozen=True, slots=True)
class Demo:
    """One demo: where it lives, the project, the engine that writes its texts."""

    installation: Installation
    project_id: int
    engine: str

    def run_job(self, kind: str, subject_id: int, **arguments: Any) -> None:
        """Queue a job and wait for it; one that is done costs nothing, one that ended resumes."""
        from backend.services.queue import enqueue_job, resume_job

        with self.installation.sessions.begin() as session:
            job = enqueue_job(session, kind, subject_id, arguments=arguments)
            if job.state in (JobState.STOPPED, JobState.FAILED):
                resume_job(session, job.id)
        run_jobs(self.installation.sessions, self.installation.settings, [job.id])


def make_project(installation: Installation, base_model: str) -> int:
    """The project with its base model and its bar."""
    from backend.services.model_versions import register_base
    from backend.services.projects import create_project, get_project, set_manifest

    with installation.sessions.begin() as session:
        try:
            project = get_project(session, PROJECT)
        except NotFound:
            project = create_project(session, PROJECT, base_model=base_model)
        base = register_base(session, project.id)
        manifest = set_manifest(session, project.id, BAR.read_text(encoding="utf-8"))
        typer.echo(f"Base model {base.base_model} (sha256 {base.base_sha256[:12]}).")
        typer.echo(f"Bar set before training: manifest version {manifest.version}.")
        return project.id


def make_people(installation: Installation, project_id: int) -> dict[str, tuple[str, str]]:
    """A lead (who is an engineer) and an expert, with new passwords: {role: (name, password)}."""
    from backend.db import utc_now
    from backend.services import users

    logins = {}
    with installation.sessions.begin() as session:
        for name, role in (("lead", "engineer"), ("expert", "expert")):
            password = users.generate_password()
            try:
                users.set_password(session, users.find_user(session, name), password, now=utc_now())
            except NotFound:
                users.create_user(session, name, role, password=password, project_ids=[project_id])
            logins[role] = (name, password)
    return logins


def import_examples(demo: Demo) -> None:
    """Generate the demo's examples and import them, split by customer."""
    from backend.services.dataset_rows import ColumnMap, rows_from_records
    from backend.services.datasets import import_dataset, split_counts
    from evaluators.readers import read_records

    file = demo.installation.settings.home / "demo.jsonl"
    command = [sys.executable, "-m", "training.demo.data", "--out", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = rows_from_records(read_records(file), ColumnMap(), source_name=file.name)
    with demo.installation.sessions.begin() as session:
        version = import_dataset(
            session, demo.project_id, DATASET, rows, source_name=file.name, seed=SEED
        )
        counts = split_counts(session, version.id)
    shown = ", ".join(f"{split} {n} ({g} customers)" for split, (n, g) in counts.items())
    typer.echo(f"Dataset {DATASET} version {version.number}: {shown}.")


def freeze_first_set(demo: Demo) -> None:
    """A set of references of the train split, as a team has before any review."""
    _freeze(
        demo,
        "first",
        {"dataset": DATASET, "references": {"count": FIRST_REFERENCES}, "seed": SEED},
    )


def freeze_second_set(demo: Demo) -> None:
    """The first set's references, and what reviewers approved or corrected."""
    _freeze(
        demo,
        "second",
        {
            "dataset": DATASET,
            "references": {"count": FIRST_REFERENCES},
            "seed": SEED,
            "queues": ["corrections"],
            "approved": {"criterion": "faithful", "equals": "yes"},
        },
    )


def _freeze(demo: Demo, name: str, recipe: dict[str, Any]) -> None:
    from backend.services import curation

    with demo.installation.sessions.begin() as session:
        frozen = _find_set(session, demo.project_id, name) or curation.freeze_training_set(
            session,
            project_id=demo.project_id,
            name=name,
            recipe=curation.recipe_from_content(recipe),
        )
        simulated = " (simulated reviews in it)" if frozen.simulated else ""
        typer.echo(f"Training set {name}: {frozen.n_rows} rows, {frozen.digest[:12]}{simulated}.")


def _find_set(session: Session, project_id: int, name: str) -> TrainingSet | None:
    from backend.tables.curation import TrainingSet

    query = select(TrainingSet).where(TrainingSet.project_id == project_id)
    return session.scalar(query.where(TrainingSet.name == name))


def train(demo: Demo, set_name: str, adapter: str) -> None:
    """Train an adapter on a frozen set, unless it was trained already."""
    from backend.services.training import create_training_run, list_training_runs

    settings = demo.installation.settings
    config = TRAINING | ({"threads": settings.torch_threads} if settings.torch_threads else {})
    with demo.installation.sessions.begin() as session:
        known = {run.adapter_name: run for run in list_training_runs(session, demo.project_id)}
        frozen = _find_set(session, demo.project_id, set_name)
        if frozen is None:
            raise NotFound(f"There is no training set {set_name!r}.")
        run = known.get(adapter) or create_training_run(
            session,
            project_id=demo.project_id,
            training_set_id=frozen.id,
            adapter_name=adapter,
            config=config,
            settings=settings,
        )
    demo.run_job("train", run.id)


def generate_and_score(
    demo: Demo, models: Sequence[str], split: str, metrics: Sequence[str], *, fresh: bool = False
) -> int:
    """Run models on a split and score what they write; returns the generation run.

    Args:
        fresh: take examples that are not in the first training set, at most REVIEWS.
    """
    from backend.engines.base import SamplingParams
    from backend.services import generation, scoring
    from backend.services.datasets import get_dataset_version
    from backend.services.model_versions import find_model

    with demo.installation.sessions.begin() as session:
        version = get_dataset_version(session, demo.project_id, DATASET)
        model_ids = [find_model(session, demo.project_id, name).id for name in models]
        run = _find_run(session, version, split, model_ids, demo.engine)
        if run is None:
            run = generation.create_run(
                session,
                project_id=demo.project_id,
                dataset_version_id=version.id,
                split=split,
                model_ids=model_ids,
                engine=demo.engine,
                params=SamplingParams(max_tokens=160),
                example_ids=_untrained(session, demo, version) if fresh else None,
            )
            scoring.create_score_run(session, generation_run_id=run.id, metrics=list(metrics))
        score_runs = [row.id for row in scoring.list_score_runs(session, run.id)]
    demo.run_job("generate", run.id, then_score=score_runs)
    return run.id


def _find_run(
    session: Session, version: DatasetVersion, split: str, model_ids: Sequence[int], engine: str
) -> GenerationRun | None:
    from backend.tables.generation import GenerationRun

    query = select(GenerationRun).where(
        GenerationRun.dataset_version_id == version.id,
        GenerationRun.split == split,
        GenerationRun.engine == engine,
    )
    wanted = set(model_ids)
    found = (r for r in session.scalars(query) if {model.id for model in r.models} == wanted)
    return next(found, None)


def _untrained(session: Session, demo: Demo, version: DatasetVersion) -> list[int]:
    """Examples of the train split that the first adapter has not seen."""
    from backend.services.datasets import list_examples
    from backend.tables.curation import TrainingSetRow

    first = _find_set(session, demo.project_id, "first")
    query = select(TrainingSetRow.example_id).where(
        TrainingSetRow.training_set_id == (first.id if first else 0)
    )
    seen = set(session.scalars(query))
    ids = [e.id for e in list_examples(session, version.id, "train") if e.id not in seen]
    return ids[:REVIEWS]
