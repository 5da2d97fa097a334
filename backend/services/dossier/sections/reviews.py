"""What people said, under codes: ratings and votes, and no free text unless it was asked for."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import select

from backend.services.dossier.content import DossierTable, SectionContent, as_json, not_measured
from backend.services.dossier.subject import DossierSubject
from backend.services.review.queues import rubric_of
from backend.tables.curation import TrainingSetRow
from backend.tables.review import Review, ReviewItem, ReviewQueue, ReviewState


def tell_reviews(subject: DossierSubject) -> SectionContent:
    """The queues of the verdict and of the training set."""
    queues = _queues(subject)
    if not queues:
        return not_measured("No review by people went into this verdict or its training set.")
    records = [_queue_record(subject, queue) for queue in queues]
    rows = [
        [
            queue.name,
            queue.kind,
            f"{queue.rubric.name} version {queue.rubric.version}",
            len(record["reviews"]),
            len({one["reviewer"] for one in record["reviews"]}),
            sum(one["simulated"] for one in record["reviews"]),
        ]
        for queue, record in zip(queues, records, strict=True)
    ]
    columns = ("queue", "kind", "rubric", "reviews", "reviewers", "simulated")
    simulated = sum(row[-1] for row in rows)
    said = ["Reviewers stand under codes of this dossier; names stand by decisions alone."]
    if not subject.with_texts:
        said.append("Comments, corrections and other free text are left out.")
    if simulated:
        said.append(f"{simulated} of the reviews are simulated: a script gave them, no person.")
    return SectionContent(said, [DossierTable(columns, rows)], {"reviews.json": as_json(records)})


def _queues(subject: DossierSubject) -> list[ReviewQueue]:
    ids = {subject.comparison.review_queue_id} - {None}
    if subject.training_set is not None:
        taught = (
            select(ReviewItem.queue_id)
            .join(Review, Review.item_id == ReviewItem.id)
            .join(TrainingSetRow, TrainingSetRow.review_id == Review.id)
            .where(TrainingSetRow.training_set_id == subject.training_set.id)
        )
        ids |= set(subject.session.scalars(taught.distinct()))
    return [subject.session.get_one(ReviewQueue, id_) for id_ in sorted(i for i in ids if i)]


def _queue_record(subject: DossierSubject, queue: ReviewQueue) -> dict[str, Any]:
    rubric = rubric_of(queue)
    closed = {c.name for c in rubric.criteria if c.level is not None}
    query = (
        select(Review)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(ReviewItem.queue_id == queue.id, Review.state != ReviewState.DRAFT)
        .order_by(ReviewItem.position, Review.id)
    )
    reviews = list(subject.session.scalars(query))
    return {
        "queue": queue.name,
        "kind": queue.kind,
        "rubric": {
            "name": queue.rubric.name,
            "version": queue.rubric.version,
            "sha256": queue.rubric.digest,
            "scales": {c.name: str(c.level) for c in rubric.criteria if c.level is not None},
        },
        "design": {k: v for k, v in queue.design.items() if isinstance(v, int | str)},
        "states": dict(Counter(review.state for review in reviews)),
        "reviews": [_review_record(subject, review, closed) for review in reviews],
    }


def _review_record(subject: DossierSubject, review: Review, closed: set[str]) -> dict[str, Any]:
    first, second = review.item.generation_a, review.item.generation_b
    record = {
        "item": review.item.position,
        "example": subject.examples.of(first.example_id),
        "models": [g.model_version.label for g in (first, second) if g is not None],
        "reviewer": subject.reviewers.of(review.reviewer.pseudonym),
        "simulated": review.simulated,
        "state": review.state,
        "purpose": review.purpose,
        "withdrawn": review.withdrawn_at is not None,
        "superseded": review.superseded_at is not None,
        "active_seconds": review.active_seconds,
        "ratings": {r.criterion: r.value for r in review.ratings if r.criterion in closed},
        "winner": next((vote.winner for vote in review.preferences), None),
        "marks": dict(Counter(span.kind for span in review.spans)),
        "corrected": bool(review.corrections),
    }
    return {**record, **_texts(review, closed)} if subject.with_texts else record


def _texts(review: Review, closed: set[str]) -> dict[str, Any]:
    return {
        "comment": review.comment,
        "correction": next((one.text for one in review.corrections), None),
        "answers": {r.criterion: r.value for r in review.ratings if r.criterion not in closed},
    }
