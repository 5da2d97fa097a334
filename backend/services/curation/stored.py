"""Reading frozen sets: which there are, their rows with provenance, what they hold back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.services.curation.formats import BY_LOSS, TrainingRow
from backend.services.curation.recipes import Order
from backend.tables.accounts import User
from backend.tables.curation import HeldBackRow, TrainingSet, TrainingSetRow
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.models import ModelVersion
from backend.tables.review import Review
from backend.tables.runs import Generation

READ_ROWS = 500


def training_rows(session: Session, training_set_id: int) -> Iterator[TrainingRow]:
    """The rows of a frozen set in order, each with its provenance."""
    asked = get_training_set(session, training_set_id).recipe.get("asked", {})
    order = Order(asked.get("order", Order.SHUFFLED))
    query = (
        select(TrainingSetRow, Example, DatasetVersion, ModelVersion, Review, User)
        .join(Example, Example.id == TrainingSetRow.example_id)
        .join(DatasetVersion, DatasetVersion.id == Example.dataset_version_id)
        .outerjoin(Generation, Generation.id == TrainingSetRow.generation_id)
        .outerjoin(ModelVersion, ModelVersion.id == Generation.model_version_id)
        .outerjoin(Review, Review.id == TrainingSetRow.review_id)
        .outerjoin(User, User.id == Review.reviewer_id)
        .where(TrainingSetRow.training_set_id == training_set_id)
        .order_by(TrainingSetRow.position)
        .execution_options(yield_per=READ_ROWS)
    )
    for row, example, version, model, review, reviewer in session.execute(query):
        yield TrainingRow(
            kind=row.kind,
            prompt=row.prompt,
            completion=row.completion,
            rejected=row.rejected,
            label=row.label,
            weight=row.weight,
            order=_place(order, row),
            provenance={
                "training_set_id": training_set_id,
                "position": row.position,
                "source": row.source,
                "example": example.external_id,
                "group": example.group,
                "dataset": f"{version.dataset.name}@{version.number}",
                "generation_id": row.generation_id,
                "model": model.label if model else None,
                "review_id": row.review_id,
                "reviewer": reviewer.pseudonym if reviewer else None,
                "simulated": bool(review and review.simulated),
            },
        )


def _place(order: Order, row: TrainingSetRow) -> int | str | None:
    """What a trainer is told of the order: a row's place, or that it has to find it by the loss."""
    match order:
        case Order.SHUFFLED:
            return None
        case Order.SHORT_TO_LONG:
            return row.position
        case Order.EASY_TO_HARD:
            return BY_LOSS
        case _:
            assert_never(order)


def held_back_rows(session: Session, training_set_id: int) -> list[HeldBackRow]:
    """What a set keeps from training, in the order in which it was stored."""
    query = select(HeldBackRow).where(HeldBackRow.training_set_id == training_set_id)
    return list(session.scalars(query.order_by(HeldBackRow.position)))


def get_training_set(session: Session, training_set_id: int) -> TrainingSet:
    """The set, or NotFound."""
    found = session.get(TrainingSet, training_set_id)
    if found is None:
        raise NotFound(f"There is no training set {training_set_id}.")
    return found


def find_training_set(session: Session, project_id: int, name: str) -> TrainingSet:
    """A set of a project by name; NotFound lists those that exist."""
    sets = list_training_sets(session, project_id)
    for found in sets:
        if found.name == name:
            return found
    known = ", ".join(found.name for found in sets)
    raise NotFound(
        f"There is no training set {name!r}.",
        hint=f"Known: {known}." if known else "Make one: strop set freeze",
    )


def list_training_sets(session: Session, project_id: int) -> list[TrainingSet]:
    """All sets of a project, oldest first."""
    query = select(TrainingSet).where(TrainingSet.project_id == project_id)
    return list(session.scalars(query.order_by(TrainingSet.id)))


def sets_with_review(session: Session, review_id: int) -> list[TrainingSet]:
    """The sets that a review went into."""
    holding = select(TrainingSetRow.training_set_id).where(TrainingSetRow.review_id == review_id)
    query = select(TrainingSet).where(TrainingSet.id.in_(holding)).order_by(TrainingSet.id)
    return list(session.scalars(query))
