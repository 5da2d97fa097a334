"""A small project for browser tests: real services and tables, texts instead of a model.

Run alone, to look at the pages: python -m tests.browser.seed HOME
"""

from __future__ import annotations

import json
import math
import random
import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from backend.db import connect, migrate, utc_now
from backend.rubrics import find_rubric
from backend.services.accounts.users import create_user
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.projects import create_project, set_manifest
from backend.services.review import Opening, open_queue, save_rubric
from backend.services.runs import scoring
from backend.services.verdicts.comparison import compare_models
from backend.settings import Settings
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.models import ModelVersion, Preflight
from backend.tables.projects import Project
from backend.tables.queue import Job
from backend.tables.review import ReviewItem, ReviewQueue
from backend.tables.runs import Generation, GenerationRun
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Promotion
from training.demo.data import TASKS, demo_examples

PASSWORD = "a-long-password"
TRAIN = 30
ITEMS = 24
HOSTILE = (
    "<script>alert('script')</script><img src=x onerror=alert(1)> "
    "![image](http://evil.example/pixel.png) [link](javascript:alert(2)) **bold** $x^2$ :red[r] "
    "\x1b[31mred\x1b[0m \u202eoverride\u202c </div><h1>out</h1>"
)
MANIFEST = """
name: demo bar
baseline: base
lines:
  - {metric: f1, slice: {task: intent}, margin: 0.05}
  - {metric: rougeL, slice: {task: summary}, margin: 0.02}
  - {metric: grounding, slice: {task: summary}, threshold: 0.9}
  - {metric: win_rate, threshold: 0.5}
"""
METRICS = [
    "f1@task=intent",
    "rougeL@task=summary",
    "grounding@task=summary",
    "bleu@task=translation",
]


@dataclass(frozen=True, slots=True)
class Seeded:
    """Ids of what was made."""

    project_id: int
    run_id: int
    single_queue_id: int
    pair_queue_id: int


def seed_project(
    settings: Settings, *, ordinary: int = 60, hostile: int = 0, simulated: bool = True
) -> Seeded:
    """Migrate the database and fill it.

    Args:
        ordinary: test examples of the demo generator.
        hostile: test examples whose texts, and what the models made of them, try to be markup.
        simulated: whether a scripted reviewer votes on a few pairs.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    migrate(settings.url)
    sessions = connect(settings)
    with sessions.begin() as session:
        made = _seed(session, settings, _rows(ordinary, hostile))
    if simulated:
        with sessions.begin() as session:
            _vote_by_script(session, made)
            _judge(session, made)
    return made


def _seed(session: Session, settings: Settings, rows: list[ExampleRow]) -> Seeded:
    project = create_project(session, "telecom-desk", base_model="demo-base")
    version = import_dataset(
        session, project.id, "demo", rows, source_name="demo.jsonl", drop_leaks=True
    )
    base, adapter = _models(session, project)
    run = _run(session, project, version, [base, adapter])
    scores = _score(session, run)
    _preflight(session, run)
    create_user(session, "lena", "engineer", password=PASSWORD, project_ids=[project.id])
    create_user(session, "lea", "lead", password=PASSWORD, project_ids=[project.id])
    anna = create_user(session, "anna", "expert", password=PASSWORD, project_ids=[project.id])
    robot = create_user(session, "robot", "expert", simulated=True, project_ids=[project.id])
    set_manifest(session, project.id, MANIFEST)
    shared = {
        "project_id": project.id,
        "generation_run_id": run.id,
        "seed": 7,
        "score_run_id": scores.id,
        "reviewer_ids": [anna.id, robot.id],
    }
    single = _queue(session, "summaries", "single", "telecom_desk", [adapter.id], **shared)
    pair = _queue(session, "base-or-v1", "pair", "blind_pair", [base.id, adapter.id], **shared)
    _training(session, project, settings)
    return Seeded(project.id, run.id, single.id, pair.id)


def _preflight(session: Session, run: GenerationRun) -> None:
    """A preflight as a real server gave it, figures and all."""
    checks = [
        (
            "files of v1 since training",
            True,
            "v1: the adapter as at training.",
            {"base": "ab" * 32},
        ),
        ("chat template", True, "The engine renders 8 prompts byte for byte.", {"prompts": 8}),
        ("noise of the base", None, "Asked twice, 0.0000 nats.", {"largest_nats": 0.0}),
        (
            "v1 at the server and in PEFT",
            True,
            "v1: 45 of 45 greedy tokens equal, first tokens 0.012 nats apart on 8 probes.",
            {"probes": 8, "median_nats": 0.0119, "tokens": 45, "equal_tokens": 45},
        ),
    ]
    session.add(
        Preflight(
            project_id=run.project_id,
            generation_run_id=run.id,
            engine="vllm",
            model_ids=[model.id for model in run.models],
            passed=True,
            checks=[
                {"name": name, "passed": passed, "detail": detail, "figures": figures}
                for name, passed, detail, figures in checks
            ],
        )
    )


def _queue(
    session: Session, name: str, kind: str, rubric: str, model_ids: list[int], **shared: Any
) -> ReviewQueue:
    stored = save_rubric(session, shared["project_id"], find_rubric(rubric))
    return open_queue(
        session,
        name,
        Opening(
            kind=kind,
            rubric_version_id=stored.id,
            model_ids=model_ids,
            n_items=ITEMS,
            **shared,
        ),
    )


def _rows(ordinary: int, hostile: int) -> list[ExampleRow]:
    demo = [
        ExampleRow(
            external_id=e["id"],
            input=e["input"],
            context=e["context"],
            references=(e["reference"],),
            group=e["group"],
            slices=e["slices"],
            split="train" if i < TRAIN else "test",
        )
        for i, e in enumerate(demo_examples(TRAIN + ordinary, seed=3))
    ]
    return demo + [
        ExampleRow(
            external_id=f"hostile-{i}",
            input=HOSTILE,
            context=f"{HOSTILE} {i}",
            references=("safe",),
            group=f"group-{i}",
            slices={"task": TASKS[i % 3]},
            split="test",
        )
        for i in range(hostile)
    ]


def _models(session: Session, project: Project) -> tuple[ModelVersion, ModelVersion]:
    shared = {
        "project_id": project.id,
        "base_model": "demo-base",
        "base_sha256": "ab" * 32,
        "tokenizer_sha256": "cd" * 32,
        "template_sha256": "ef" * 32,
    }
    base = ModelVersion(name="base", revision=1, **shared)
    adapter = ModelVersion(
        name="v1", revision=1, adapter_path="v1", adapter_sha256="12" * 32, adapter_rank=8, **shared
    )
    session.add_all([base, adapter])
    session.flush()
    return base, adapter


def _run(
    session: Session, project: Project, version: DatasetVersion, models: list[ModelVersion]
) -> GenerationRun:
    run = GenerationRun(
        project_id=project.id,
        dataset_version_id=version.id,
        split="test",
        example_ids=None,
        engine="fake",
        params={"max_tokens": 128, "temperature": 0.0},
    )
    session.add(run)
    session.flush()
    _attach(session, run, models)
    rng = random.Random(1)
    examples = session.query(Example).filter_by(dataset_version_id=version.id, split="test")
    for example in examples.order_by(Example.id):
        for model, error_rate in zip(models, (0.7, 0.25), strict=True):
            session.add(_generation(run, model, example, rng, error_rate))
    session.add(_job("generate", run.id))
    session.flush()
    return run


def _attach(session: Session, run: GenerationRun, models: list[ModelVersion]) -> None:
    from backend.tables.runs import GenerationRunModel

    for position, model in enumerate(models):
        session.add(GenerationRunModel(run_id=run.id, model_version_id=model.id, position=position))
    session.flush()
    session.refresh(run)


def _generation(
    run: GenerationRun, model: ModelVersion, example: Example, rng: random.Random, error_rate: float
) -> Generation:
    reference = str(example.references[0])
    text = _spoilt(reference, rng) if rng.random() < error_rate else reference
    if example.external_id.startswith("hostile"):
        text = f"{HOSTILE} by {model.name}"
    return Generation(
        run_id=run.id,
        model_version_id=model.id,
        example_id=example.id,
        text=text,
        finish_reason="stop",
        prompt_tokens=120,
        completion_tokens=len(text.split()),
        latency_s=0.4,
    )


def _spoilt(text: str, rng: random.Random) -> str:
    """The text with its numbers changed, or another label where there is none."""
    changed = re.sub(r"\d+", lambda m: str(int(m[0]) + rng.randint(1, 9)), text)
    return changed if changed != text else rng.choice(["billing", "fault", "upgrade", "no answer"])


def _score(session: Session, run: GenerationRun) -> Any:
    score_run = scoring.create_score_run(session, generation_run_id=run.id, metrics=METRICS)
    units = scoring.pending_units(session, score_run.id)
    generations = scoring.load_generations(session, [unit.generation_id for unit in units])
    scoring.save_scores(session, score_run.id, scoring.score_units(units, generations))
    session.add(_job("score", score_run.id))
    session.flush()
    return score_run


def _job(kind: str, subject_id: int) -> Job:
    now = utc_now()
    return Job(
        kind=kind,
        subject_id=subject_id,
        queue="gen",
        state="done",
        started_at=now - timedelta(seconds=42),
        finished_at=now,
    )


def _training(session: Session, project: Project, settings: Settings) -> None:
    example = session.query(Example).filter_by(split="train").order_by(Example.id).first()
    assert example is not None
    made = TrainingSet(project_id=project.id, name="round-1", recipe={}, digest="9" * 64, n_rows=1)
    session.add(made)
    session.flush()
    session.add(
        TrainingSetRow(
            training_set_id=made.id,
            position=0,
            kind="sft",
            prompt=[{"role": "user", "content": example.input}],
            completion=str(example.references[0]),
            source="reference",
            example_id=example.id,
        )
    )
    folder = settings.artifacts / "v1-training"
    folder.mkdir(parents=True)
    (folder / "progress.jsonl").write_text("".join(_loss_lines()), encoding="utf-8")
    run = TrainingRun(
        project_id=project.id,
        training_set_id=made.id,
        manifest_id=1,
        adapter_name="v1",
        config={"rank": 8, "alpha": 16, "learning_rate": 0.001, "epochs": 3, "seed": 7},
        output_dir=str(folder),
        created_at=utc_now() - timedelta(seconds=95),
        finished_at=utc_now(),
    )
    session.add(run)
    session.flush()
    session.add(_job("train", run.id))


def _loss_lines() -> list[str]:
    lines = []
    for step in range(5, 125, 5):
        loss = 0.4 + 1.9 * math.exp(-step / 40) + 0.05 * math.sin(step)
        line = {"step": step, "epoch": step / 40, "loss": loss, "learning_rate": 1e-3}
        if step % 40 == 0:
            check = {"step": step, "epoch": step / 40, "eval_loss": loss + 0.12}
            lines.append(json.dumps(check) + "\n")
        lines.append(json.dumps(line) + "\n")
    return lines


def _vote_by_script(session: Session, made: Seeded) -> None:
    from backend.services.accounts.users import find_user
    from backend.services.review import Answer, claim_review_item, submit_review

    robot, rng = find_user(session, "robot"), random.Random(2)
    items = session.query(ReviewItem).filter_by(queue_id=made.pair_queue_id).count()
    for _ in range(items // 2):
        claim = claim_review_item(session, made.pair_queue_id, robot.id, now=utc_now())
        if claim is None:
            return
        winner = rng.choice(["left", "right", "right", "tie", "both_bad"])
        submit_review(
            session,
            slot_id=claim.slot_id,
            version=claim.version,
            user_id=robot.id,
            answer=Answer(winner=winner, active_seconds=3.0),
            now=utc_now(),
            simulated=True,
            annotator_kind="code",
        )


def _judge(session: Session, made: Seeded) -> None:
    from backend.services.projects import current_manifest

    models = {m.name: m for m in session.query(ModelVersion)}
    comparison = compare_models(
        session,
        manifest_row=current_manifest(session, made.project_id),
        score_run=scoring.list_score_runs(session, made.run_id)[0],
        baseline=models["base"],
        candidate=models["v1"],
        queue=session.get(ReviewQueue, made.pair_queue_id),
    )
    session.add(
        Promotion(
            project_id=made.project_id,
            alias="champion",
            model_version_id=models["v1"].id,
            action="held",
            comparison_id=comparison.id,
            reason=f"The verdict is {comparison.verdict}.",
            simulated=True,
        )
    )


if __name__ == "__main__":
    print(seed_project(Settings(home=Path(sys.argv[1]))))
