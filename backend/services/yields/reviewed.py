"""The reviewed prompts of a training set: corrections and approved outputs, taught or held back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from backend.rubrics import Category
from backend.services.review import rubric_of
from backend.tables.curation import HeldBackRow, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.review import Review, ReviewItem
from backend.tables.runs import Generation

CORRECTED, APPROVED = "corrected", "approved"
NOTHING_WRONG = "none"
NOT_SAID = "not said"
MOST_CHARACTERS = 60
Kept = TypeVar("Kept", TrainingSetRow, HeldBackRow)


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
    for taught, review, example, output in _rows(session, TrainingSetRow, training_set_id):
        found.setdefault(review.id, _reviewed(taught, review, example, output, False))
    for held, review, example, output in _rows(session, HeldBackRow, training_set_id):
        found.setdefault(review.id, _reviewed(held, review, example, output, True))
    return [found[review_id] for review_id in sorted(found)]


def _rows(
    session: Session, table: type[Kept], training_set_id: int
) -> Iterator[tuple[Kept, Review, Example, Generation]]:
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
    return iter([(row[0], row[1], row[2], row[3]) for row in session.execute(query)])


def _reviewed(
    row: TrainingSetRow | HeldBackRow,
    review: Review,
    example: Example,
    output: Generation,
    held_back: bool,
) -> Reviewed:
    return Reviewed(
        review_id=review.id,
        example=example,
        generation_id=output.id,
        source=row.source,
        text=row.completion,
        before=output.text or "",
        held_back=held_back,
        cluster=example.content_digest if example.group is None else f"group:{example.group}",
        error_types=_error_types(review) if row.source == CORRECTED else (),
        active_seconds=review.active_seconds,
        simulated=review.simulated,
    )


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
