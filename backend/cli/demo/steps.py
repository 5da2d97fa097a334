"""The steps of `strop demo`, each of which finds what an earlier start of it has left.

Nothing here is particular to the demo but the names and the numbers: every step is a service or a
job that a team uses for its own data.

The demo's rows: made by its world's own script, and imported as a team imports its data.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from sqlalchemy import select

from backend.cli.common import Installation
from backend.cli.terminal.waiting import run_jobs
from backend.errors import NotFound
from backend.tables.queue import JobState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.settings import Settings
    from backend.tables.curation import TrainingSet
    from backend.tables.datasets import DatasetVersion
    from backend.tables.runs import GenerationRun

DATASET = "desk"
Shares = tuple[float, float, float]


def import_examples(
    demo: Demo,
    *,
    name: str = DATASET,
    made_with: Sequence[str] = (),
    fractions: Shares | None = None,
) -> None:
    """Generate examples and import them, split by customer.

    Args:
        made_with: further options of `python -m training.demo.data`.
        fractions: of the three splits; those of the demo's scale by default.
    """
    from backend.services.datasets.importing.rows import ColumnMap, rows_from_table
    from backend.services.datasets.versions import import_dataset, split_counts
    from evaluators.files.readers import read_table

    size = ["--n", str(demo.scale.rows)] if name == DATASET else []
    file = make_data(demo, name, [*size, *made_with])
    rows = rows_from_table(read_table(file), ColumnMap())
    with demo.installation.sessions.begin() as session:
        version = import_dataset(
            session,
            demo.project_id,
            name,
            rows,
            source_name=file.name,
            seed=SEED,
            fractions=fractions or demo.scale.shares,
        )
        counts = split_counts(session, version.id)
    shown = ", ".join(f"{split} {n} ({g} customers)" for split, (n, g) in counts.items())
    typer.echo(f"Dataset {name} version {version.number}: {shown}.")


def make_data(demo: Demo, name: str, options: Sequence[str]) -> Path:
    """Write the world's rows to a file of the installation; the same options, the same rows."""
    stem = demo.scale.name if name == DATASET else name.replace(" ", "-")
    file = demo.installation.settings.home / f"{stem}.jsonl"
    command = [sys.executable, "-m", "training.demo.data", "--out", str(file), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return file


PROJECT = "demo"
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
RANK = 16
TRAINING: dict[str, Any] = {
    "epochs": 3,
    "learning_rate": 2e-3,
    "batch_size": 16,
    "group_by_length": True,  # short answers weigh more: intents are learned sooner
    "max_length": 512,
    "lora": {"rank": RANK, "alpha": 2 * RANK, "dropout": 0.0},
}
SEED = 7
MAX_TOKENS = 160


@dataclass(frozen=True, slots=True)
class DemoScale:
    """How much of everything a demo does, by what its base can bear.

    Attributes:
        name: of the project, and of the file of its rows.
        rows: examples that are generated.
        references: rows of the first training set.
        reviews: outputs that are put before the expert.
        training: keys of the training configuration in place of TRAINING's.
        again: the same of the second training, in place of those of the first.
        shares: of the rows that train, validate and test.
    """

    name: str
    rows: int
    references: int
    reviews: int
    training: Mapping[str, Any]
    again: Mapping[str, Any]
    shares: Shares = (0.8, 0.1, 0.1)


# The base copies first names all or nothing: after 3 epochs it depends on the split whether it
# does, after 5 it does.
OWN_BASE = DemoScale(
    "demo", rows=900, references=300, reviews=300, training={}, again={"epochs": 5}
)


@dataclass(frozen=True, slots=True)
class Demo:
    """One demo: where it lives, the project, the engine that writes its texts, its size."""

    installation: Installation
    project_id: int
    engine: str
    scale: DemoScale = field(default=OWN_BASE, kw_only=True)

    def run_job(self, kind: str, subject_id: int, **arguments: Any) -> None:
        """Queue a job and wait for it; one that is done costs nothing, one that ended resumes."""
        from backend.services.queue import enqueue_job, resume_job

        with self.installation.sessions.begin() as session:
            job = enqueue_job(session, kind, subject_id, arguments=arguments)
            if job.state in (JobState.STOPPED, JobState.FAILED, JobState.CANCELLED):
                resume_job(session, job.id)
        run_jobs(self.installation.sessions, self.installation.settings, [job.id])


def make_project(
    installation: Installation, base_model: str, *, name: str = PROJECT, bar: str | None = None
) -> int:
    """The project with its base model and its bar: the demo's, or a manifest as YAML text."""
    from backend.services.models.seen import see_base
    from backend.services.models.versions import register_base
    from backend.services.projects import create_project, get_project, set_manifest

    seen = see_base(base_model)
    with installation.sessions.begin() as session:
        try:
            project = get_project(session, name)
        except NotFound:
            project = create_project(session, name, base_model=base_model)
        base = register_base(session, project.id, seen=seen)
        manifest = set_manifest(session, project.id, bar or BAR.read_text(encoding="utf-8"))
        typer.echo(f"Base model {base.base_model} (sha256 {base.base_sha256[:12]}).")
        typer.echo(f"Bar set before training: manifest version {manifest.version}.")
        return project.id


def make_people(installation: Installation, project_id: int) -> dict[str, tuple[str, str]]:
    """A lead and an expert of the project, with new passwords: {role: (name, password)}."""
    from backend.db import utc_now
    from backend.services.accounts import passwords, users

    logins = {}
    with installation.sessions.begin() as session:
        for name, role in (("lead", "lead"), ("expert", "expert")):
            password = passwords.generate_password()
            try:
                user = users.find_user(session, name)
                users.set_password(session, user, password, now=utc_now())
                users.add_member(session, project_id, user.id)
            except NotFound:
                users.create_user(session, name, role, password=password, project_ids=[project_id])
            logins[role] = (name, password)
    return logins


def freeze_first_set(demo: Demo) -> None:
    """A set of references of the train split, as a team has before any review."""
    freeze(
        demo,
        "first",
        {"dataset": DATASET, "references": {"count": demo.scale.references}, "seed": SEED},
    )


def freeze_second_set(demo: Demo) -> None:
    """The first set's references, and what reviewers approved or corrected."""
    freeze(
        demo,
        "second",
        {
            "dataset": DATASET,
            "references": {"count": demo.scale.references},
            "seed": SEED,
            "queues": ["corrections"],
            "approved": {"criterion": "faithful", "equals": "yes"},
        },
    )


def freeze(demo: Demo, name: str, recipe: Mapping[str, Any]) -> None:
    """Freeze a set by a recipe, unless one of that name is there."""
    from backend.services import curation

    with demo.installation.sessions.begin() as session:
        frozen = find_set(session, demo.project_id, name) or curation.freeze_training_set(
            session,
            project_id=demo.project_id,
            name=name,
            recipe=curation.recipe_from_content(dict(recipe)),
        )
        simulated = " (simulated reviews in it)" if frozen.simulated else ""
        typer.echo(f"Training set {name}: {frozen.n_rows} rows, {frozen.digest[:12]}{simulated}.")


def find_set(session: Session, project_id: int, name: str) -> TrainingSet | None:
    """The frozen set of that name, if there is one."""
    from backend.tables.curation import TrainingSet

    query = select(TrainingSet).where(TrainingSet.project_id == project_id)
    return session.scalar(query.where(TrainingSet.name == name))


def train(
    demo: Demo, set_name: str, adapter: str, *, start: str | None = None, **changes: Any
) -> None:
    """Train an adapter on a frozen set, unless it was trained already.

    Args:
        start: the model to go on from; the base by default.
        changes: keys of the training configuration in place of the demo's own.
    """
    from backend.services.training.runs import create_training_run, list_training_runs

    settings = demo.installation.settings
    config = training_config(settings, **{**demo.scale.training, **changes})
    with demo.installation.sessions.begin() as session:
        known = {run.adapter_name: run for run in list_training_runs(session, demo.project_id)}
        frozen = find_set(session, demo.project_id, set_name)
        if frozen is None:
            raise NotFound(f"There is no training set {set_name!r}.")
        run = known.get(adapter) or create_training_run(
            session,
            project_id=demo.project_id,
            training_set_id=frozen.id,
            adapter_name=adapter,
            config=config,
            settings=settings,
            start=start,
        )
    demo.run_job("train", run.id)


def training_config(settings: Settings, **changes: Any) -> dict[str, Any]:
    """The demo's training configuration with changes; what is None is left out."""
    config = TRAINING | {"threads": settings.torch_threads} | changes
    return {key: value for key, value in config.items() if value is not None}


def generate_and_score(
    demo: Demo,
    models: Sequence[str],
    split: str,
    metrics: Sequence[str],
    *,
    dataset: str = DATASET,
    example_ids: Sequence[int] | None = None,
) -> int:
    """Run models on a split, or some examples of it, and score what they write.

    Returns the generation run; one that was made before is taken up again.
    """
    from backend.engines.base import SamplingParams
    from backend.services.datasets.versions import get_dataset_version
    from backend.services.models.versions import find_model
    from backend.services.runs import generation, scoring

    with demo.installation.sessions.begin() as session:
        version = get_dataset_version(session, demo.project_id, dataset)
        model_ids = [find_model(session, demo.project_id, name).id for name in models]
        run = _find_run(session, version, split, model_ids, demo.engine, example_ids)
        if run is None:
            run = generation.create_run(
                session,
                project_id=demo.project_id,
                dataset_version_id=version.id,
                split=split,
                model_ids=model_ids,
                engine=demo.engine,
                params=SamplingParams(max_tokens=MAX_TOKENS),
                example_ids=example_ids,
            )
            scoring.create_score_run(session, generation_run_id=run.id, metrics=list(metrics))
        score_runs = [row.id for row in scoring.list_score_runs(session, run.id)]
    demo.run_job("generate", run.id, then_score=score_runs)
    return run.id


def _find_run(
    session: Session,
    version: DatasetVersion,
    split: str,
    model_ids: Sequence[int],
    engine: str,
    example_ids: Sequence[int] | None,
) -> GenerationRun | None:
    from backend.tables.runs import GenerationRun

    query = select(GenerationRun).where(
        GenerationRun.dataset_version_id == version.id,
        GenerationRun.split == split,
        GenerationRun.engine == engine,
    )
    chosen = None if example_ids is None else list(example_ids)
    wanted = set(model_ids)
    found = (r for r in session.scalars(query) if {model.id for model in r.models} == wanted)
    return next((run for run in found if run.example_ids == chosen), None)


def untrained_examples(
    demo: Demo, *, dataset: str = DATASET, set_name: str = "first", limit: int | None = None
) -> list[int]:
    """Examples of the train split that are not in a training set, the earliest first."""
    from backend.services.datasets.versions import get_dataset_version, list_examples
    from backend.tables.curation import TrainingSetRow

    with demo.installation.sessions() as session:
        version = get_dataset_version(session, demo.project_id, dataset)
        known = find_set(session, demo.project_id, set_name)
        query = select(TrainingSetRow.example_id).where(
            TrainingSetRow.training_set_id == (known.id if known else 0)
        )
        seen = set(session.scalars(query))
        ids = [e.id for e in list_examples(session, version.id, "train") if e.id not in seen]
    return ids[: demo.scale.reviews if limit is None else limit]
