"""The questions that lineage asks of the tables; each is one statement."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.tables.accounts import User
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.models import ModelVersion
from backend.tables.review import Review, ReviewItem, ReviewQueue, ReviewState
from backend.tables.runs import GenerationRun
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison, Promotion


@dataclass(frozen=True, slots=True)
class Contribution:
    """Rows of a set that one person gave in one queue; `withdrawn` of them since."""

    queue_id: int
    pseudonym: str
    simulated: bool
    source: str
    rows: int
    withdrawn: int


def contributions(session: Session, training_set_id: int) -> list[Contribution]:
    """Where the reviewed rows of a set come from, by queue, person and source."""
    columns = (ReviewItem.queue_id, User.pseudonym, User.simulated, TrainingSetRow.source)
    query = (
        select(*columns, func.count(), func.count(Review.withdrawn_at))
        .join(Review, Review.id == TrainingSetRow.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(User, User.id == Review.reviewer_id)
        .where(TrainingSetRow.training_set_id == training_set_id)
        .group_by(*columns)
        .order_by(*columns)
    )
    return [Contribution(*row) for row in session.execute(query)]


def replayed(session: Session, training_set_id: int) -> list[tuple[DatasetVersion, int]]:
    """References in a set, by dataset version."""
    query = (
        select(DatasetVersion, func.count())
        .join(Example, Example.dataset_version_id == DatasetVersion.id)
        .join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
        .where(
            TrainingSetRow.training_set_id == training_set_id, TrainingSetRow.review_id.is_(None)
        )
        .group_by(DatasetVersion.id)
        .order_by(DatasetVersion.id)
    )
    return [(version, n) for version, n in session.execute(query)]


def review_in_project(session: Session, project_id: int, review_id: int) -> Review | None:
    """A finished review of the project."""
    query = (
        select(Review)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .where(
            Review.id == review_id,
            Review.state == ReviewState.SUBMITTED,
            ReviewQueue.project_id == project_id,
        )
    )
    return session.scalar(query)


def example_of_review(session: Session, review: Review) -> Example:
    """The example whose answer was reviewed."""
    return session.get_one(Example, review.item.generation_a.example_id)


def adapters_of_set(session: Session, training_set_id: int) -> list[tuple[ModelVersion, int]]:
    """The adapters that were trained on a set, each with its training run."""
    query = (
        select(ModelVersion, TrainingRun.id)
        .join(TrainingRun, TrainingRun.id == ModelVersion.training_run_id)
        .where(TrainingRun.training_set_id == training_set_id)
        .order_by(ModelVersion.id)
    )
    return [(model, run_id) for model, run_id in session.execute(query)]


def runs_behind(session: Session, model_ids: Collection[int]) -> set[int]:
    """The training runs whose rows are in these models: their own, and those of their starts."""
    found: set[int] = set()
    wanted = set(model_ids)
    while wanted:
        query = (
            select(TrainingRun.id, TrainingRun.start_model_id)
            .join(ModelVersion, ModelVersion.training_run_id == TrainingRun.id)
            .where(ModelVersion.id.in_(wanted), TrainingRun.id.not_in(found))
        )
        rows = session.execute(query).all()
        found |= {run_id for run_id, _ in rows}
        wanted = {start for _, start in rows if start is not None}
    return found


def withdrawn_rows(session: Session, model_id: int) -> int:
    """How many rows that a model was trained on rest on a review that was withdrawn since.

    Rows of the models that it went on from are in it too.
    """
    query = (
        select(func.count())
        .select_from(TrainingRun)
        .join(TrainingSetRow, TrainingSetRow.training_set_id == TrainingRun.training_set_id)
        .join(Review, Review.id == TrainingSetRow.review_id)
        .where(
            TrainingRun.id.in_(runs_behind(session, [model_id])), Review.withdrawn_at.is_not(None)
        )
    )
    return session.scalar(query) or 0


def models_started_from(session: Session, model_id: int) -> list[ModelVersion]:
    """The models whose training went on from this one."""
    query = (
        select(ModelVersion)
        .join(TrainingRun, TrainingRun.id == ModelVersion.training_run_id)
        .where(TrainingRun.start_model_id == model_id)
    )
    return list(session.scalars(query.order_by(ModelVersion.id)))


def uses_of_model(session: Session, model_id: int) -> list[tuple[Comparison, Promotion | None]]:
    """The verdicts on a candidate, each with the promotion that followed from it, if one did."""
    query = (
        select(Comparison, Promotion)
        .outerjoin(Promotion, Promotion.comparison_id == Comparison.id)
        .where(Comparison.candidate_id == model_id)
        .order_by(Comparison.id, Promotion.id)
    )
    return [(comparison, promotion) for comparison, promotion in session.execute(query)]


def uses_of_run(session: Session, run_id: int) -> list[tuple[ReviewQueue, TrainingSet | None, str]]:
    """The queues over a run, each with the sets that took rows from it."""
    taken = (
        select(ReviewItem.queue_id, TrainingSetRow.training_set_id, func.count().label("rows"))
        .join(Review, Review.item_id == ReviewItem.id)
        .join(TrainingSetRow, TrainingSetRow.review_id == Review.id)
        .group_by(ReviewItem.queue_id, TrainingSetRow.training_set_id)
        .subquery()
    )
    query = (
        select(ReviewQueue, TrainingSet, taken.c.rows)
        .outerjoin(taken, taken.c.queue_id == ReviewQueue.id)
        .outerjoin(TrainingSet, TrainingSet.id == taken.c.training_set_id)
        .where(ReviewQueue.generation_run_id == run_id)
        .order_by(ReviewQueue.id, TrainingSet.id)
    )
    return [(queue, frozen, f"{rows} rows") for queue, frozen, rows in session.execute(query)]


def uses_of_version(
    session: Session, version_id: int
) -> list[tuple[GenerationRun | None, TrainingSet | None]]:
    """The runs on a dataset version, and the sets with rows of its examples."""
    runs = session.scalars(
        select(GenerationRun)
        .where(GenerationRun.dataset_version_id == version_id)
        .order_by(GenerationRun.id)
    )
    sets = session.scalars(
        select(TrainingSet)
        .where(
            TrainingSet.id.in_(
                select(TrainingSetRow.training_set_id)
                .join(Example, Example.id == TrainingSetRow.example_id)
                .where(Example.dataset_version_id == version_id)
            )
        )
        .order_by(TrainingSet.id)
    )
    return [*((run, None) for run in runs), *((None, frozen) for frozen in sets)]
