"""The questions that lineage asks of the tables; each is one statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from backend.tables.accounts import User
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.models import BASE, ModelVersion
from backend.tables.review import Review, ReviewItem, ReviewQueue, ReviewState
from backend.tables.runs import GenerationRun
from backend.tables.synthetic import Drafting
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
    """The training runs whose rows are in these models: their own, and those of their ancestors."""
    found = ancestors(session, model_ids)
    return {model.training_run_id for model in found if model.training_run_id is not None}


def ancestors(session: Session, model_ids: Collection[int]) -> list[ModelVersion]:
    """These models and all that they learned from: what their trainings went on from, another base
    that they are on, what they were merged of, and whatever has the same weights under another
    name."""
    found: dict[int, ModelVersion] = {}
    wanted = set(model_ids)
    while wanted:
        models = list(session.scalars(select(ModelVersion).where(ModelVersion.id.in_(wanted))))
        found |= {model.id: model for model in models}
        wanted = _learned_from(session, models) - found.keys()
    return list(found.values())


def _learned_from(session: Session, models: Collection[ModelVersion]) -> set[int]:
    """One step back from these models."""
    runs = {model.training_run_id for model in models if model.training_run_id is not None}
    starts = select(TrainingRun.start_model_id).where(
        TrainingRun.id.in_(runs), TrainingRun.start_model_id.is_not(None)
    )
    bases = {model.base_id for model in models if model.base_id is not None}
    digests = {d for m in models for d in (own_weights(m), *recorded_parents(m.training_facts))}
    same = select(ModelVersion.id).where(
        ModelVersion.project_id.in_({model.project_id for model in models}),
        is_of_weights(digests - {None}),
    )
    found = {id_ for query in (starts, same) for id_ in session.scalars(query) if id_ is not None}
    return found | bases


def own_weights(model: ModelVersion) -> str | None:
    """The digest of what was trained: of the adapter, or of a fully trained model; None of a
    base."""
    return model.base_sha256 if model.is_own_base else model.adapter_sha256


def is_of_weights(digests: Collection[str | None]) -> ColumnElement[bool]:
    """Whether a model version is an adapter or a fully trained model of one of these digests.

    Candidates with prompts, which are the same weights again, are left out.
    """
    full = ModelVersion.adapter_path.is_(None) & (ModelVersion.name != BASE)
    same = ModelVersion.adapter_sha256.in_(digests) | (full & ModelVersion.base_sha256.in_(digests))
    return ModelVersion.bare_id.is_(None) & same


def recorded_parents(facts: Mapping[str, Any] | None) -> list[str]:
    """Digests of the weights that a model's own record says it went on from or was merged of."""
    record = facts or {}
    start = record.get("start_from_sha256")
    merged = [parent["sha256"] for parent in record.get("merged_from") or ()]
    return [*([start] if start else []), *merged]


def has_unknown_part(session: Session, model: ModelVersion) -> bool:
    """Whether nobody knows what a model, or something that it learned from, was trained on."""
    found = [m for m in ancestors(session, [model.id]) if not m.is_base]
    trained = {own_weights(m) for m in found if m.training_run_id is not None}
    here = {own_weights(m) for m in found}
    return any(
        own_weights(m) not in trained and not _is_merge_of(m, here - {own_weights(m)})
        for m in found
    )


def _is_merge_of(model: ModelVersion, known: set[str | None]) -> bool:
    parents = {parent["sha256"] for parent in (model.training_facts or {}).get("merged_from") or ()}
    return bool(parents) and parents <= known


def merged_from(session: Session, model: ModelVersion) -> list[tuple[ModelVersion, str]]:
    """The models of its project that a model was merged of, each with how, in words."""
    facts = model.training_facts or {}
    found = []
    for parent in facts.get("merged_from") or ():
        query = select(ModelVersion).where(
            ModelVersion.project_id == model.project_id, is_of_weights([parent["sha256"]])
        )
        known = session.scalar(query.order_by(ModelVersion.id).limit(1))
        if known is not None:
            how = f"{parent.get('weight')} of it, merged by {facts.get('method')}"
            found.append((known, how))
    return found


def merges_of(session: Session, model: ModelVersion) -> list[tuple[ModelVersion, str]]:
    """The models that were merged of this one, each with how, in words."""
    query = select(ModelVersion).where(
        ModelVersion.project_id == model.project_id,
        ModelVersion.training_run_id.is_(None),
        ModelVersion.bare_id.is_(None),
    )
    return [
        (merged, how)
        for merged in session.scalars(query.order_by(ModelVersion.id))
        for parent, how in merged_from(session, merged)
        if parent.id == model.id
    ]


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


def adapters_on(session: Session, model_id: int) -> list[ModelVersion]:
    """The adapters on a base other than the project's own, without those with prompts."""
    query = select(ModelVersion).where(
        ModelVersion.base_id == model_id, ModelVersion.bare_id.is_(None)
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
    on_version = select(GenerationRun).where(GenerationRun.dataset_version_id == version_id)
    runs = session.scalars(on_version.order_by(GenerationRun.id))
    with_rows = (
        select(TrainingSetRow.training_set_id)
        .join(Example, Example.id == TrainingSetRow.example_id)
        .where(Example.dataset_version_id == version_id)
    )
    sets = session.scalars(
        select(TrainingSet).where(TrainingSet.id.in_(with_rows)).order_by(TrainingSet.id)
    )
    return [*((run, None) for run in runs), *((None, frozen) for frozen in sets)]


def drafting_of_run(session: Session, run_id: int) -> Drafting | None:
    """The drafting whose kept answers a run holds."""
    return session.scalar(select(Drafting).where(Drafting.run_id == run_id))


def sources_of_drafting(session: Session, drafting: Drafting) -> list[tuple[str, int]]:
    """What the kept drafts were drawn from, each with how many, the most first."""
    query = select(Example.provenance).where(
        Example.dataset_version_id == drafting.dataset_version_id
    )
    told = Counter(str((one or {}).get("source")) for one in session.scalars(query))
    return told.most_common()


def say_synthetic(facts: Mapping[str, Any]) -> str:
    """What a set says of its synthetic rows (`drafts.synthetic_facts`), as a sentence."""
    by = ", ".join(f"{n} {source}" for source, n in facts["by_source"].items()) or "none"
    people = ", ".join(facts["approved_by"]) or "nobody"
    models = ", ".join(facts["drafted_by"]) or "nobody"
    sources = list(facts["drawn_from"])
    drawn = ", ".join(sources[:3]) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")
    scripts = f", {facts['simulated']} of them by simulated reviews" if facts["simulated"] else ""
    left = f" {facts['left_out']} more were left out by the recipe." if facts["left_out"] else ""
    if not facts["rows"]:
        return f"No row is synthetic.{left}"
    return (
        f"Synthetic: {facts['rows']} of {facts['of']} rows ({facts['share']:.0%}; {by} by "
        f"{people}{scripts}), drafted by {models} from {drawn}.{left}"
    )
