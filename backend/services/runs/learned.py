"""What a metric has learned from: outputs on which it says nothing of how good it is.

A risk learns from reviews, a checker from texts and marks of examples. Neither may be held against
people's answers on those: it would look better than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from backend.db import portions
from backend.schemas.common import row_number
from backend.tables.checks.risk import RiskVersion
from backend.tables.curation import TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.models import CHECKER_PREFIX, ModelPurpose, ModelVersion
from backend.tables.review import Review, ReviewItem
from backend.tables.runs import Generation, ScoreRun
from backend.tables.training import TrainingRun


def taught_outputs(
    session: Session, project_id: int, metric: str, generation_ids: Sequence[int]
) -> set[int]:
    """Those of these outputs whose example, or its group, is in the set that taught a checker."""
    kind, _, label = metric.partition(":")
    if kind != "check":
        return set()
    name, _, revision = label.partition("@")
    taught = (
        select(TrainingSetRow.example_id)
        .join(TrainingRun, TrainingRun.training_set_id == TrainingSetRow.training_set_id)
        .join(ModelVersion, ModelVersion.training_run_id == TrainingRun.id)
        .where(
            ModelVersion.project_id == project_id,
            ModelVersion.purpose == ModelPurpose.CHECK,
            ModelVersion.name == f"{CHECKER_PREFIX}{name}",
        )
    )
    if revision:
        taught = taught.where(ModelVersion.revision == (row_number(revision) or 0))
    one = aliased(Example)
    kin = select(one.dataset_version_id, one.group).where(
        one.id.in_(taught), one.group.is_not(None)
    )
    of_group = tuple_(Example.dataset_version_id, Example.group).in_(kin)
    query = (
        select(Generation.id)
        .join(Example, Example.id == Generation.example_id)
        .where(or_(Example.id.in_(taught), of_group))
    )
    return _of(session, query, Generation.id, generation_ids)


def reviewed_by(session: Session, generation_ids: Sequence[int], at: datetime) -> set[int]:
    """Those of these outputs of which anybody had said something by then, whatever stands of it."""
    query = (
        select(ReviewItem.generation_a_id)
        .join(Review, Review.item_id == ReviewItem.id)
        .where(Review.submitted_at <= at)
    )
    return _of(session, query, ReviewItem.generation_a_id, generation_ids)


def taught_with(
    session: Session, project_id: int, metric: str, generation_ids: Sequence[int]
) -> set[int]:
    """Those of these outputs from whose reviews or examples a metric may have learned."""
    found = taught_outputs(session, project_id, metric, generation_ids)
    kind, _, version = metric.partition(":")
    row = None
    if kind == "risk":
        row = session.scalar(
            select(RiskVersion).where(
                RiskVersion.project_id == project_id,
                RiskVersion.version == (row_number(version) or 0),
            )
        )
    if row is not None:
        query = (
            select(Generation.id)
            .join(Example, Example.id == Generation.example_id)
            .join(ScoreRun, ScoreRun.generation_run_id == Generation.run_id)
            .where(Example.split.in_(row.splits), ScoreRun.id.in_(row.score_run_ids))
        )
        reviewed = reviewed_by(session, generation_ids, row.created_at)
        found |= _of(session, query, Generation.id, sorted(reviewed))
    return found


def _of(
    session: Session, query: Select[int], column: InstrumentedAttribute[int], ids: Sequence[int]
) -> set[int]:
    found: set[int] = set()
    for some in portions(ids):
        found.update(session.scalars(query.where(column.in_(some))))
    return found
