"""What a candidate had been taught before its own training: by the models that it went on from."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.tables.curation import TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.training import TrainingRun


def taught_before(session: Session, candidate: ModelVersion) -> frozenset[str]:
    """Digests of the prompts in the sets of the models from which the candidate went on."""
    sets: set[int] = set()
    start_id = _start_of(session, candidate.training_run_id)
    while start_id is not None:
        run_id = session.get_one(ModelVersion, start_id).training_run_id
        if run_id is None:
            break
        sets.add(session.get_one(TrainingRun, run_id).training_set_id)
        start_id = _start_of(session, run_id)
    query = (
        select(Example.content_digest)
        .join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
        .where(TrainingSetRow.training_set_id.in_(sets))
    )
    return frozenset(session.scalars(query))


def _start_of(session: Session, training_run_id: int | None) -> int | None:
    if training_run_id is None:
        return None
    return session.get_one(TrainingRun, training_run_id).start_model_id
