"""A small project with examples, a base and two adapters, laid down as rows.

`lay_down_project(session)` needs no model files: runs on it are made with the `fake` engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.engines.base import SamplingParams
from backend.services.runs import generation
from backend.tables.datasets import Dataset, DatasetVersion, Example
from backend.tables.models import ModelVersion, Preflight
from backend.tables.projects import Project
from backend.tables.runs import GenerationRun


@dataclass(frozen=True, slots=True)
class Laid:
    """Ids of what was laid down; `examples` are those of the test split, besides which there
    is one example to train on and one to validate with."""

    project: int
    version: int
    models: tuple[int, ...]
    examples: tuple[int, ...]


def lay_down_project(session: Session, *, examples: int = 6, adapters: int = 2) -> Laid:
    """A project `desk`; even examples are of the slice task=intent, odd ones of task=reply."""
    project = Project(name="desk", base_model="tiny")
    session.add(project)
    session.flush()
    dataset = Dataset(project_id=project.id, name="tickets")
    session.add(dataset)
    session.flush()
    version = DatasetVersion(
        dataset_id=dataset.id,
        number=1,
        digest="d" * 64,
        n_examples=examples,
        source_name="made",
        split_recipe={},
    )
    session.add(version)
    session.flush()
    rows = [_example(version.id, i) for i in range(examples)]
    trained = _example(version.id, examples, split="train")
    watched = _example(version.id, examples + 1, split="validation")
    session.add_all([*rows, trained, watched])
    models = [_model(project.id, i) for i in range(adapters + 1)]
    session.add_all(models)
    session.flush()
    return Laid(project.id, version.id, tuple(m.id for m in models), tuple(row.id for row in rows))


def _example(version_id: int, number: int, *, split: str = "test") -> Example:
    return Example(
        dataset_version_id=version_id,
        external_id=f"e{number}",
        input=f"say {number}",
        context=f"the number is {number}",
        references=[f"say {number}"],
        group=f"g{number // 2}",
        slices={"task": "reply" if number % 2 else "intent"},
        split=split,
        content_digest=f"{number:064d}",
    )


def _model(project_id: int, number: int) -> ModelVersion:
    return ModelVersion(
        project_id=project_id,
        name=f"v{number}" if number else "base",
        revision=1,
        base_model="tiny",
        base_sha256="a" * 64,
        tokenizer_sha256="b" * 64,
        template_sha256="c" * 64,
        adapter_path=f"/nowhere/v{number}" if number else None,
        adapter_sha256=f"{number:064d}" if number else None,
        adapter_rank=4 if number else None,
    )


def lay_down_run(
    session: Session, laid: Laid, *, models: int = 2, engine: str = "fake", samples: int = 1
) -> GenerationRun:
    """A run of the first models over the test split."""
    return generation.create_run(
        session,
        project_id=laid.project,
        dataset_version_id=laid.version,
        split="test",
        model_ids=laid.models[:models],
        engine=engine,
        params=SamplingParams(temperature=0.7 if samples > 1 else 0.0, seed=3),
        samples=samples,
    )


def lay_down_preflight(
    session: Session, run: GenerationRun, *, passed: bool = True, detail: str = "they differ"
) -> Preflight:
    """A preflight of all models of a run, with one check and one note."""
    row = Preflight(
        project_id=run.project_id,
        generation_run_id=run.id,
        engine=run.engine,
        model_ids=[model.id for model in run.models],
        passed=passed,
        checks=[
            {"name": "base and v1 differ", "passed": passed, "detail": detail, "figures": {"n": 8}},
            {"name": "noise", "passed": None, "detail": "0.0001 nats", "figures": {"probes": 8}},
        ],
        fingerprint={
            "probes": [[{"role": "user", "content": "say 1"}]],
            "first_tokens": {m.serving_name: [{"yes": -0.5, "no": -1.5}] for m in run.models},
        },
    )
    session.add(row)
    session.flush()
    return row
