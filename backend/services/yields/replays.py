"""Replays: a candidate answers the reviewed prompts of its set once more.

One generation run for each dataset version that the prompts come from, known by set, candidate and
dataset version: asking again gives the same runs, and a worker that died starts no second one.
"""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.engines.base import SamplingParams
from backend.errors import InvalidInput, NotFound
from backend.services import queue
from backend.services.curation import get_training_set
from backend.services.queue import JobKind
from backend.services.runs import generation
from backend.services.yields.reviewed import reviewed_prompts
from backend.tables.curation import Replay, TrainingSet
from backend.tables.datasets import Split
from backend.tables.models import ModelVersion
from backend.tables.training import TrainingRun


def candidate_set(session: Session, candidate: ModelVersion) -> TrainingSet:
    """The set that a candidate was trained on.

    Raises:
        NotFound: it was trained elsewhere, or it is a base.
    """
    if candidate.training_run_id is None:
        raise NotFound(
            f"What {candidate.label} was trained on is not known, so it has no yield.",
            hint="Only adapters that were trained here have one.",
        )
    run = session.get_one(TrainingRun, candidate.training_run_id)
    return get_training_set(session, run.training_set_id)


def replays_of(session: Session, training_set_id: int, candidate_id: int) -> list[Replay]:
    """The replays of a set on a candidate, in order of id."""
    query = select(Replay).where(
        Replay.training_set_id == training_set_id, Replay.candidate_id == candidate_id
    )
    return list(session.scalars(query.order_by(Replay.id)))


def start_replays(
    session: Session,
    frozen: TrainingSet,
    candidate: ModelVersion,
    *,
    engine: str,
    params: SamplingParams,
    created_by_id: int | None = None,
) -> list[Replay]:
    """Lay down and queue the replays that are lacking; returns all of them.

    A set without corrections and approved outputs has none.

    Raises:
        InvalidInput: a set of another project.
    """
    if frozen.project_id != candidate.project_id:
        raise InvalidInput("The set and the candidate are of two projects.")
    wanted: dict[int, set[int]] = defaultdict(set)
    for prompt in reviewed_prompts(session, frozen.id):
        wanted[prompt.example.dataset_version_id].add(prompt.example.id)
    known = {one.dataset_version_id for one in replays_of(session, frozen.id, candidate.id)}
    for version_id in sorted(set(wanted) - known):
        run = generation.create_run(
            session,
            project_id=frozen.project_id,
            dataset_version_id=version_id,
            split=Split.TRAIN,
            model_ids=[candidate.id],
            engine=engine,
            params=params,
            example_ids=sorted(wanted[version_id]),
            created_by_id=created_by_id,
        )
        session.add(
            Replay(
                training_set_id=frozen.id,
                candidate_id=candidate.id,
                dataset_version_id=version_id,
                generation_run_id=run.id,
            )
        )
        queue.enqueue_job(session, JobKind.GENERATE, run.id)
    session.flush()
    return replays_of(session, frozen.id, candidate.id)
