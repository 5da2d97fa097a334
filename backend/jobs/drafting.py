"""The drafting job: batch by batch, write what the ledger lacks, sift it, and store what was kept.

A batch is a generation run, with its preflight as any other; what is sifted is kept in rows of its
own, so that after a crash nothing is drafted and nothing is stored twice. No transaction is open
while a model works, nor while drafts are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from backend.db import reading, utc_now
from backend.executors.spread import spread_over
from backend.jobs.generate import write_missing
from backend.jobs.running.parts import Parts, Workshop
from backend.services import queue
from backend.services.datasets.prompts.shots import encoder_folder
from backend.services.metric_specs import allowed_metrics
from backend.services.models.adapter_files import project_artifacts
from backend.services.runs import generation
from backend.services.synthetic import batches, draftings, storing
from backend.services.synthetic.sifting import Bounds, Encode, sift
from backend.tables.queue import Job, JobState
from backend.tables.synthetic import DraftShape


def draft_parts(shop: Workshop, job: Job) -> Parts:
    """Draft until enough was kept, or no more comes; then store it and ask for its scoring.

    Raises:
        EngineUnavailable: the engine gave no answer; what was saved stays.
        PreflightFailed: the model that is served is not the model meant.
    """
    while True:
        with shop.sessions.begin() as session:
            run_id = batches.next_batch(session, job.subject_id)
        if run_id is None:
            break
        yield from write_missing(shop, job, run_id)
        yield
        _sift_batch(shop, job.subject_id, run_id)
        yield
    _finish(shop, job)


def _sift_batch(shop: Workshop, drafting_id: int, run_id: int) -> None:
    with reading(shop.sessions) as session:
        drafting = draftings.get_drafting(session, drafting_id)
        generation.require_complete(session, run_id)
        written, beside = batches.read_batch(session, drafting, run_id)
        shape = DraftShape(drafting.shape)
        bounds = Bounds(**drafting.asked["bounds"])
        encode = _encoder(shop, drafting.project_id, drafting.asked.get("encoder"))
    spread = spread_over(shop.executor())
    found = sift(written, beside, shape=shape, bounds=bounds, encode=encode, spread=spread)
    with shop.sessions.begin() as session:
        batches.save_drafts(session, drafting_id, found)


def _encoder(shop: Workshop, project_id: int, name: str | None) -> Encode | None:
    if name is None:
        return None
    folder = encoder_folder(project_artifacts(shop.settings, project_id), name)
    return partial(unit_vectors, folder=folder)


def unit_vectors(texts: Sequence[str], *, folder: Path) -> Any:
    """Mean-pooled last hidden states of an encoder, scaled to length 1."""
    import numpy as np

    from evaluators.metrics.encoders import encode

    states = encode(texts, str(folder))
    stacked = np.stack(
        [state.mean(0).numpy() if len(state) else np.zeros(state.shape[1]) for state in states]
    )
    length = np.linalg.norm(stacked, axis=1, keepdims=True)
    return stacked / np.where(length == 0, 1, length)


def _finish(shop: Workshop, job: Job) -> None:
    """Store what was kept and mark the job done, all or nothing."""
    with shop.sessions.begin() as session:
        if not queue.finish_job(
            session, job.id, job.attempt, JobState.DONE, now=utc_now(), exit_code=0
        ):
            return  # cancelled, or taken over: storing is not ours to do
        drafting = draftings.get_drafting(session, job.subject_id)
        allowed = allowed_metrics(shop.settings, drafting.project_id)
        scored = storing.finish(session, drafting.id, now=utc_now(), allowed=allowed)
        kept = queue.get_job(session, job.id)
        kept.arguments = {**kept.arguments, "then_score": scored}
