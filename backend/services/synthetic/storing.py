"""The end of a drafting: what was kept becomes a dataset, and a run that holds the answers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.services import audit, queue
from backend.services.datasets.versions import (
    ExampleRow,
    list_examples,
    prepare_import,
    store_import,
)
from backend.services.ledger import add_to_run
from backend.services.metric_specs import BUILT_IN, AllowedMetrics
from backend.services.projects import lock_project
from backend.services.runs import generation, scoring
from backend.services.synthetic.batches import reason_to_stop
from backend.services.synthetic.draftings import drafts_of_drafting, get_drafting
from backend.services.synthetic.figures import count_drafts
from backend.tables.checks.risk import RiskVersion
from backend.tables.datasets import Example, Origin, Split
from backend.tables.runs import IMPORT, Generation, GenerationRun
from backend.tables.synthetic import Draft, Drafting


def finish(
    session: Session, drafting_id: int, *, now: datetime, allowed: AllowedMetrics = BUILT_IN
) -> list[int]:
    """Store what was kept as a dataset and a run with its answers; safe to repeat.

    Returns:
        The score run that is to be computed, if there is one: what the checks say of each draft,
        and the project's risk where it has one.
    """
    drafting = get_drafting(session, drafting_id)
    lock_project(session, drafting.project_id)
    session.refresh(drafting)
    if drafting.finished_at is not None:
        return []
    standing = {brief.id for brief in list_examples(session, drafting.briefs_version_id)}
    drafts = drafts_of_drafting(session, drafting_id)
    kept = [draft for draft in drafts if draft.reason is None and draft.brief_id in standing]
    scored: list[int] = []
    if kept:
        _store(session, drafting, kept)
        scored = _lay_down_scores(session, drafting, allowed)
    drafting.stopped = reason_to_stop(session, drafting) or "stopped"
    drafting.figures = count_drafts(drafts_of_drafting(session, drafting_id))
    drafting.finished_at = now
    audit.record(
        session,
        "drafting.finished",
        subject=f"drafting:{drafting.id}",
        project_id=drafting.project_id,
        detail={"kept": len(kept), "drafted": drafting.figures["drafted"]},
    )
    session.flush()
    return scored


def _store(session: Session, drafting: Drafting, kept: Sequence[Draft]) -> None:
    briefs = {e.id: e for e in list_examples(session, drafting.briefs_version_id)}
    rows = [_row(drafting, n, one, briefs[one.brief_id]) for n, one in enumerate(kept, start=1)]
    prepared = prepare_import(rows, source_name=f"drafts of {drafting.name}")
    version = store_import(session, drafting.project_id, drafting.name, prepared)
    examples = {e.external_id: e.id for e in list_examples(session, version.id)}
    digest = hashlib.sha256("\n".join(draft.answer or "" for draft in kept).encode()).hexdigest()
    run = GenerationRun(
        project_id=drafting.project_id,
        dataset_version_id=version.id,
        split=str(Split.TRAIN),
        engine=IMPORT,
        params={"source": f"drafts of {drafting.name}", "sha256": digest},
        created_by_id=drafting.created_by_id,
    )
    session.add(run)
    session.flush()
    generation.add_models(session, run, [drafting.model_version_id])
    written: list[dict[str, Any]] = [
        {
            "model_version_id": drafting.model_version_id,
            "example_id": examples[row.external_id],
            "sample": 0,
            "text": draft.answer,
            "finish_reason": "stop",
            "token_logprobs": [],
        }
        for row, draft in zip(rows, kept, strict=True)
    ]
    add_to_run(session, GenerationRun, run.id, written)
    query = select(Generation.example_id, Generation.id).where(Generation.run_id == run.id)
    answers = dict(session.execute(query).all())
    for row, draft in zip(rows, kept, strict=True):
        example_id = examples[row.external_id]
        stored = {"example_id": example_id, "answer_id": answers[example_id]}
        session.execute(update(Draft).where(Draft.id == draft.id).values(**stored))
    drafting.dataset_version_id, drafting.run_id = version.id, run.id
    session.flush()


def _row(drafting: Drafting, number: int, draft: Draft, brief: Example) -> ExampleRow:
    told = dict(brief.provenance or {})
    given = told.pop("given_input", None)
    slices = told.pop("slices", {})
    told |= {
        "drafting": drafting.id,
        "drafting_name": drafting.name,
        "model": drafting.model_version.label,
        "generation_id": draft.generation_id,
    }
    return ExampleRow(
        external_id=f"{drafting.name}-{number:05d}",
        input=given or draft.input or "",
        context=brief.context,
        group=brief.group,
        slices=slices,
        split=Split.TRAIN,
        origin=Origin.SYNTHETIC,
        provenance=told,
    )


def _lay_down_scores(session: Session, drafting: Drafting, allowed: AllowedMetrics) -> list[int]:
    """Grounding for the marks at the desk, and the project's risk, with the checks it rests on."""
    risk = session.scalar(
        select(RiskVersion.id).where(RiskVersion.project_id == drafting.project_id).limit(1)
    )
    assert drafting.run_id is not None
    row = scoring.create_score_run(
        session,
        generation_run_id=drafting.run_id,
        metrics=["grounding", "invented"] if risk is None else ["checks", "risk"],
        allowed=allowed,
    )
    queue.enqueue_job(session, queue.JobKind.SCORE, row.id)
    return [row.id]
