"""Review queues once they are open: finding them, their rubric, who may claim from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session, joinedload

from backend.errors import NotFound
from backend.rubrics import Rubric, rubric_from_content
from backend.services.review.statements import MEMBERS
from backend.tables.review import ReviewQueue


def add_reviewers(session: Session, queue_id: int, user_ids: Sequence[int]) -> None:
    """Let these people claim from the queue; those who may already stay as they are."""
    query = select(MEMBERS.c.user_id).where(MEMBERS.c.queue_id == queue_id)
    there = set(session.scalars(query))
    for user_id in dict.fromkeys(id_ for id_ in user_ids if id_ not in there):
        session.execute(insert(MEMBERS).values(queue_id=queue_id, user_id=user_id, cursor=-1))


def close_queue(session: Session, queue_id: int, *, now: datetime) -> ReviewQueue:
    """Give out no more items; what people hold they may still submit."""
    queue = get_queue(session, queue_id)
    queue.closed_at = queue.closed_at or now
    session.flush()
    return queue


def get_queue(session: Session, queue_id: int) -> ReviewQueue:
    """The queue, or NotFound."""
    queue = session.get(ReviewQueue, queue_id)
    if queue is None:
        raise NotFound("There is no such review queue.")
    return queue


def find_queue(session: Session, project_id: int, name: str) -> ReviewQueue:
    """A queue of a project by name; NotFound lists those that exist."""
    query = select(ReviewQueue).where(ReviewQueue.project_id == project_id)
    queues = session.scalars(query.order_by(ReviewQueue.id)).all()
    for queue in queues:
        if queue.name == name:
            return queue
    known = ", ".join(queue.name for queue in queues)
    raise NotFound(
        f"There is no review queue {name!r}.",
        hint=f"Known: {known}." if known else "Open one: strop review open",
    )


def list_queues(session: Session, project_id: int) -> list[ReviewQueue]:
    """All queues of a project with their rubrics, oldest first."""
    query = (
        select(ReviewQueue)
        .where(ReviewQueue.project_id == project_id)
        .options(joinedload(ReviewQueue.rubric))
    )
    return list(session.scalars(query.order_by(ReviewQueue.id)))


def rubric_of(queue: ReviewQueue) -> Rubric:
    """The rubric under which the queue is reviewed."""
    return rubric_from_content(queue.rubric.content)
