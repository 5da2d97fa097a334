"""The reviewed prompts of a training set: corrections and approved outputs, taught or held back.

What a candidate had been taught before its own training: by the models that it went on from.

Replays: a candidate answers the reviewed prompts of its set once more.

One generation run for each dataset version that the prompts come from, known by set, candidate and
dataset version: asking again gives the same runs, and a worker that died starts no second one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from backend.engines.base import SamplingParams
from backend.errors import InvalidInput, NotFound
from backend.rubrics import Category
from backend.services import queue
from backend.services.curation import get_training_set
from backend.services.derivation import runs_behind
from backend.services.models.candidates import require_answers
from backend.services.queue import JobKind
from backend.services.review import rubric_of
from backend.services.runs import generation
from backend.tables.curation import HeldBackRow, Replay, TrainingSet, TrainingSetRow
from backend.tables.datasets import Example, Split
from backend.tables.models import ModelPurpose, ModelVersion
from backend.tables.review import Review, ReviewItem
from backend.tables.runs import Generation
from backend.tables.training import TrainingRun

CORRECTED, APPROVED = "corrected", "approved"
NOTHING_WRONG = "none"
NOT_SAID = "not said"
MOST_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A prompt of a set, what was answered, and what an expert made of the answer.

    Attributes:
        source: corrected or approved.
        text: the correction, or the approved output.
        before: what was answered when it was reviewed.
        cluster: the group of the example, or the example where it has none.
        error_types: kinds of the marks; else what the reviewer said was wrong; else the answers
            to questions with categories.
    """

    review_id: int
    example: Example
    generation_id: int
    source: str
    text: str
    before: str
    held_back: bool
    cluster: str
    error_types: tuple[str, ...]
    active_seconds: float
    simulated: bool


def reviewed_prompts(session: Session, training_set_id: int) -> list[Reviewed]:
    """Each review that gave a correction or an approval to the set, once, in order of id.

    What has been withdrawn since says nothing any more and is left out.
    """
    found: dict[int, Reviewed] = {}
    for table in (TrainingSetRow, HeldBackRow):
        for one in _prompts_in(session, table, training_set_id):
            found.setdefault(one.review_id, one)
    return [found[review_id] for review_id in sorted(found)]


def _prompts_in(
    session: Session, table: type[TrainingSetRow | HeldBackRow], training_set_id: int
) -> list[Reviewed]:
    query = (
        select(table, Review, Example, Generation)
        .join(Review, Review.id == table.review_id)
        .join(Example, Example.id == table.example_id)
        .join(Generation, Generation.id == table.generation_id)
        .where(table.training_set_id == training_set_id)
        .where(table.source.in_([CORRECTED, APPROVED]), Review.withdrawn_at.is_(None))
        .options(
            selectinload(Review.spans),
            selectinload(Review.ratings),
            selectinload(Review.corrections),
            selectinload(Review.item).selectinload(ReviewItem.queue),
        )
        .order_by(table.position)
    )
    rows: Sequence[Any] = session.execute(query).all()
    return [
        Reviewed(
            review_id=review.id,
            example=example,
            generation_id=output.id,
            source=row.source,
            text=row.completion,
            before=output.text or "",
            held_back=table is HeldBackRow,
            cluster=example.content_digest if example.group is None else f"group:{example.group}",
            error_types=_error_types(review) if row.source == CORRECTED else (),
            active_seconds=review.active_seconds,
            simulated=review.simulated,
        )
        for row, review, example, output in rows
    ]


def _error_types(review: Review) -> tuple[str, ...]:
    marked = sorted({span.kind for span in review.spans})
    if marked:
        return tuple(marked)
    reason = " ".join((review.corrections[0].reason or "").split()) if review.corrections else ""
    if reason:
        return (reason[:MOST_CHARACTERS],)
    return tuple(_categories(review)) or (NOT_SAID,)


def _categories(review: Review) -> list[str]:
    asked = {c.name for c in rubric_of(review.item.queue).criteria if isinstance(c, Category)}
    answers = [r for r in review.ratings if r.criterion in asked and r.value != NOTHING_WRONG]
    return sorted(rating.value for rating in answers)


def taught_before(session: Session, candidate: ModelVersion) -> frozenset[str]:
    """Digests of the prompts in the sets of the models from which the candidate went on."""
    run_id = candidate.without_prompt.training_run_id
    start_id = None if run_id is None else session.get_one(TrainingRun, run_id).start_model_id
    runs = runs_behind(session, [start_id]) if start_id else set()
    sets = select(TrainingRun.training_set_id).where(TrainingRun.id.in_(runs))
    query = (
        select(Example.content_digest)
        .join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
        .where(TrainingSetRow.training_set_id.in_(sets))
    )
    return frozenset(session.scalars(query))


def candidate_set(session: Session, candidate: ModelVersion) -> TrainingSet:
    """The set that a candidate was trained on.

    Raises:
        InvalidInput: it is a checker.
        NotFound: it was trained elsewhere, or it is a base.
    """
    require_answers(candidate, "replay")
    training_run_id = candidate.without_prompt.training_run_id
    if training_run_id is None:
        raise NotFound(
            f"What {candidate.label} was trained on is not known, so it has no yield.",
            hint="Only adapters that were trained here have one.",
        )
    run = session.get_one(TrainingRun, training_run_id)
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
        InvalidInput: a set of another project, or one that teaches a checker.
    """
    require_answers(candidate, "replay")
    if frozen.purpose != ModelPurpose.ANSWER:
        raise InvalidInput(f"The set {frozen.name!r} taught a checker: it has no answers.")
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
