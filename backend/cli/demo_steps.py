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
    from backend.tables.review import ReviewQueue

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


def open_queue(
    demo: Demo, name: str, kind: str, run_id: int, models: Sequence[str], reviewers: Sequence[str]
) -> int:
    """A queue over what models of a run wrote, unless it is open already."""
    from backend.rubrics import find_rubric
    from backend.services import review, scoring
    from backend.services.model_versions import find_model
    from backend.services.users import find_user

    with demo.installation.sessions.begin() as session:
        queue = _find_queue(session, demo.project_id, name)
        people = [find_user(session, person).id for person in reviewers]
        if queue is None:
            library = "telecom_desk" if kind == "single" else "blind_pair"
            rubric = review.save_rubric(session, demo.project_id, find_rubric(library))
            queue = review.open_queue(
                session,
                project_id=demo.project_id,
                name=name,
                kind=kind,
                generation_run_id=run_id,
                rubric_version_id=rubric.id,
                model_ids=[find_model(session, demo.project_id, m).id for m in models],
                reviewer_ids=people,
                seed=SEED,
                score_run_id=scoring.list_score_runs(session, run_id)[-1].id,
                lease_seconds=demo.installation.settings.lease_seconds,
            )
        review.add_reviewers(session, queue.id, people)
        typer.echo(f"Review queue {name!r} is open.")
        return queue.id


def _find_queue(session: Session, project_id: int, name: str) -> ReviewQueue | None:
    from backend.services.review import list_queues

    return next((q for q in list_queues(session, project_id) if q.name == name), None)


def simulated_expert(demo: Demo) -> str:
    """The scripted reviewer; nobody can sign in as it. Returns its name."""
    from backend.services import users

    name = "simulated expert"
    with demo.installation.sessions.begin() as session:
        try:
            users.find_user(session, name)
        except NotFound:
            users.create_user(
                session, name, "expert", project_ids=[demo.project_id], simulated=True
            )
    return name


def simulate_reviews(demo: Demo, queue_name: str, reviewer: str) -> None:
    """Let the scripted reviewer answer what is left of a queue, through the services people use."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from backend.jobs.simulated_experts import answer_queue
    from backend.services.review import add_reviewers
    from backend.services.users import find_user

    with demo.installation.sessions.begin() as session:
        queue = _find_queue(session, demo.project_id, queue_name)
        if queue is None:
            raise NotFound(f"There is no queue {queue_name!r}.")
        queue_id, user_id = queue.id, find_user(session, reviewer).id
        add_reviewers(session, queue_id, [user_id])
        total = int(queue.design["n_items"])
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns) as bar:
        answering = bar.add_task(f"simulated reviews of {queue_name}", total=total)
        work = answer_queue(
            demo.installation.sessions,
            queue_id,
            user_id,
            seed=SEED,
            on_answer=lambda _: bar.advance(answering),
        )
    typer.echo(
        f"Simulated reviews of {queue_name!r}: {work.n_ratings} rated, {work.n_corrections} "
        f"corrected, {work.n_votes} votes; {work.n_slips} deliberate slips."
    )


def judge(demo: Demo, candidate: str, baseline: str) -> str:
    """Judge the candidate by the bar, promote or hold it, and say why; returns the verdict."""
    from backend.cli.common import print_table
    from backend.services import comparison
    from backend.services.model_versions import find_model
    from backend.services.projects import current_manifest
    from backend.services.promotion import (
        decide_promotion,
        get_comparison,
        list_promotions,
    )

    with demo.installation.sessions.begin() as session:
        old = find_model(session, demo.project_id, baseline)
        new = find_model(session, demo.project_id, candidate)
        decisions = [
            p for p in list_promotions(session, demo.project_id) if p.model_version_id == new.id
        ]
        if decisions:
            row = get_comparison(session, decisions[-1].comparison_id)
            decision = decisions[-1]
        else:
            row = comparison.compare_models(
                session,
                manifest_row=current_manifest(session, demo.project_id),
                score_run=comparison.newest_scores_of_both(session, demo.project_id, old, new),
                baseline=old,
                candidate=new,
                queue=comparison.newest_pair_queue(session, demo.project_id, old, new),
            )
            decision = decide_promotion(session, row, decided_by_id=None, simulated=True)
        print_table(row.lines, columns=["title", "verdict", "reason"])
        typer.echo(f"{row.verdict}: {new.label} is {decision.action} (simulated experts).")
        typer.echo(decision.reason)
        return row.verdict
