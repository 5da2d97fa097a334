"""Queues of one item each for tests of the desk: texts that are hard to mark, and every scale.

Run alone, to look at the pages: python -m tests.browser.seed_desk HOME
"""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy.orm import Session

from backend.db import connect, migrate
from backend.rubrics import find_rubric, parse_rubric
from backend.services.accounts.users import create_user
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.projects import create_project
from backend.services.review import Opening, QueueRules, open_queue, save_rubric
from backend.services.review.quality.gold_items import GoldRow, add_gold
from backend.settings import Settings
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.models import ModelVersion
from backend.tables.projects import Project
from backend.tables.runs import Generation, GenerationRun, GenerationRunModel
from tests.browser.seed import HOSTILE, PASSWORD, Seeded

EXPERTS = ("anna", "bert")
NOTE = (
    "Call of 3 May 2026. Patient Viktor Beck, 61, denies chest pain. Takes 5 mg ramipril daily. "
    "Blood pressure 150/95. Letter T-48231 follows on Monday."
)
LONG = "\n\n".join(
    f"{n}. On visit {n} the pressure was {120 + n}/80 and Zoë slept {n % 9} hours."
    for n in range(90)
)
CASES = {
    "plain": (NOTE, "Viktor Beck, 61, takes 10 mg ramipril daily. Letter T-48231 on Monday."),
    "emoji": ("Zoë paid 39 EUR.", "👩\u200d⚕️ Zoe\u0308 👍🏽 paid 93 EUR 🇩🇪 twice."),
    "rtl": ("המטופל שילם 39 EUR", "המטופל שילם 93 EUR ביום שני"),
    "long": (LONG, "The pressure on the last visit was 209/80, and 999 mg were given."),
    "hostile": (HOSTILE, f"39 EUR {HOSTILE} \x1b[1mend"),
    "scales": (NOTE, "Viktor Beck takes 5 mg ramipril daily."),
    "digits": (NOTE, "Viktor Beck takes 5 mg ramipril twice."),
}
BOTH = {"overlap": 2, "overlap_share": 1.0}  # every item is reviewed by both experts
SCALES = """
name: every_scale
guidelines: Answer everything.
severities:
  - {name: minor, label: Minor, weight: 1}
  - {name: severe, label: Severe, weight: 25}
span_kinds: [wrong_fact, left_out]
criteria:
  - {name: safe, scale: verdict, question: "Is it safe?", critical: Somebody could be harmed.}
  - {name: good, scale: stars, n: 5, question: "How good is it?"}
  - name: faults
    scale: multi
    question: "What is wrong?"
    options:
      - {name: none, label: Nothing}
      - {name: dose, label: A dose}
      - {name: name, label: A name}
    alone: none
  - {name: minutes, scale: number, min: 0, max: 60, step: 1, question: "Minutes to mend it?"}
  - {name: words, scale: text, required: false, question: In words}
"""


def seed_desk(settings: Settings, *, shared: int = 0) -> Seeded:
    """Migrate the database and open the queues of `CASES`, one item each, for both experts.

    Args:
        shared: items of two further queues, `shared` (every item by both) and `pairs`.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    migrate(settings.url)
    sessions = connect(settings)
    with sessions.begin() as session:
        project = create_project(session, "clinic", base_model="demo-base")
        people = [
            create_user(session, name, "expert", password=PASSWORD, project_ids=[project.id]).id
            for name in EXPERTS
        ]
        models = _models(session, project)
        for name, (source, output) in CASES.items():
            run = make_run(session, project, name, models, [(source, output, output)])
            open_one(session, project, name, run, people, models[1:], **BOTH)
        made = _open_shared(session, project, people, models, shared) if shared else (0, 0, 0)
        found = Seeded(project.id, *made)
    sessions.kw["bind"].dispose()
    return found


def open_one(
    session: Session,
    project: Project,
    name: str,
    run: GenerationRun,
    people: list[int],
    models: list[ModelVersion],
    rules: QueueRules = QueueRules(),
    **more: object,
) -> int:
    scales = parse_rubric(SCALES)
    rubrics = {"scales": scales, "digits": scales, "pairs": find_rubric("blind_pair")}
    rubric = rubrics.get(name, find_rubric("clinical_note"))
    queue = open_queue(
        session,
        name,
        Opening(
            project_id=project.id,
            kind="pair" if len(models) > 1 else "single",
            generation_run_id=run.id,
            rubric_version_id=save_rubric(session, project.id, rubric).id,
            model_ids=[model.id for model in models],
            reviewer_ids=people,
            seed=7,
            **more,  # type: ignore[arg-type]
        ),
        rules,
    )
    return queue.id


def _open_shared(
    session: Session, project: Project, people: list[int], models: list[ModelVersion], n: int
) -> tuple[int, int, int]:
    """A queue that both experts work through, with known answers in it, and one of pairs."""
    rows = [
        (f"{NOTE} Visit {i}.", f"Beck took {i} mg on visit {i}.", f"Mr Beck: {i} mg, visit {i}.")
        for i in range(n + 1)
    ]
    run = make_run(session, project, "shared", models, rows)
    rules = QueueRules(gold_onboarding=1, gold_minimum=9)
    single = open_one(
        session, project, "shared", run, people, models[1:], n_items=n, rules=rules, **BOTH
    )
    pair = open_one(session, project, "pairs", run, people, models, n_items=n, **BOTH)
    generation = (
        session.query(Generation)
        .filter_by(run_id=run.id, model_version_id=models[0].id)
        .order_by(Generation.id)
        .first()
    )
    assert generation is not None
    known = {"ratings": {find_rubric("clinical_note").criteria[0].name: "fail"}}
    row = GoldRow(generation=generation.id, answer=known, explanation="The dose is invented.")
    add_gold(session, single, [row], by=None)
    return run.id, single, pair


def _models(session: Session, project: Project) -> list[ModelVersion]:
    digests = {
        "base_sha256": "ab" * 32,
        "tokenizer_sha256": "cd" * 32,
        "template_sha256": "ef" * 32,
    }
    shared = {"project_id": project.id, "base_model": "demo-base", "revision": 1, **digests}
    models = [
        ModelVersion(name="base", **shared),
        ModelVersion(
            name="v1", adapter_path="v1", adapter_sha256="12" * 32, adapter_rank=8, **shared
        ),
    ]
    session.add_all(models)
    session.flush()
    return models


def make_run(
    session: Session,
    project: Project,
    name: str,
    models: list[ModelVersion],
    texts: list[tuple[str, str, str]],
) -> GenerationRun:
    """A run over (source, output of the base, output of v1)."""
    rows = [
        ExampleRow(
            external_id=f"{name}-{i}",
            input="Summarise the note.",
            context=source,
            references=("-",),
            group=f"{name}-{i}",
            slices={},
            split="test",
        )
        for i, (source, _, _) in enumerate(texts)
    ]
    version = import_dataset(session, project.id, name, rows, source_name=f"{name}.jsonl")
    run = GenerationRun(
        project_id=project.id, dataset_version_id=version.id, split="test", example_ids=None,
        engine="fake", params={},
    )  # fmt: skip
    session.add(run)
    session.flush()
    for position, model in enumerate(models):
        session.add(GenerationRunModel(run_id=run.id, model_version_id=model.id, position=position))
    _write(session, run, version, models, texts)
    session.flush()
    session.refresh(run)
    return run


def _write(
    session: Session,
    run: GenerationRun,
    version: DatasetVersion,
    models: list[ModelVersion],
    texts: list[tuple[str, str, str]],
) -> None:
    found = session.query(Example).filter_by(dataset_version_id=version.id).order_by(Example.id)
    by_name = {example.external_id: example for example in found}
    for i, (_, *outputs) in enumerate(texts):
        example = by_name[f"{version.dataset.name}-{i}"]
        for model, text in zip(models, outputs, strict=True):
            session.add(
                Generation(
                    run_id=run.id, model_version_id=model.id, example_id=example.id, text=text,
                    finish_reason="stop", prompt_tokens=9, completion_tokens=9, latency_s=0.1,
                )
            )  # fmt: skip


if __name__ == "__main__":
    print(seed_desk(Settings(home=Path(sys.argv[1])), shared=6))
