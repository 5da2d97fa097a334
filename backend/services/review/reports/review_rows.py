"""The finished reviews of a queue as plain rows, for figures about time, order and people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, case, select
from sqlalchemy.orm import Session

from backend.services.review.counted import counts, stands
from backend.tables.accounts import User
from backend.tables.datasets import Example
from backend.tables.review import Purpose, Review, ReviewItem, ReviewState
from backend.tables.runs import Generation

BREAK = timedelta(minutes=30)


class ReviewRow(NamedTuple):
    """A submitted or skipped review. `counted`: it is part of what the queue measures.

    `stands` says of reviews of any purpose that they were submitted and neither withdrawn nor
    answered anew; `cluster` is the group of the example.
    """

    review_id: int
    item_id: int
    reviewer_id: int
    rater: str
    state: str
    purpose: str
    simulated: bool
    active_seconds: float
    seconds_by_criterion: dict[str, Any]
    started_at: datetime
    submitted_at: datetime
    counted: bool
    stands: bool
    cluster: str

    @property
    def is_gold(self) -> bool:
        """Whether the answer was known."""
        return self.purpose == Purpose.GOLD


def finished_rows(session: Session, queue_id: int) -> list[ReviewRow]:
    """All finished reviews of a queue in the order in which they came in."""
    query = (
        select(
            Review.id,
            Review.item_id,
            Review.reviewer_id,
            User.pseudonym,
            Review.state,
            Review.purpose,
            Review.simulated,
            Review.active_seconds,
            Review.seconds_by_criterion,
            Review.started_at,
            Review.submitted_at,
            case((and_(*counts()), 1), else_=0),
            case((and_(*stands()), 1), else_=0),
            Example.group,
            Example.id,
        )
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(Example, Example.id == Generation.example_id)
        .join(User, User.id == Review.reviewer_id)
        .where(
            ReviewItem.queue_id == queue_id,
            Review.state.in_([ReviewState.SUBMITTED, ReviewState.SKIPPED]),
            Review.submitted_at.is_not(None),
        )
        .order_by(Review.submitted_at, Review.id)
    )
    return [_row(*found) for found in session.execute(query)]


def _row(*found: Any) -> ReviewRow:
    plain, (counted, standing, group, example_id) = found[:11], found[11:]
    fields = (*plain, bool(counted), bool(standing), cluster_name(group, example_id))
    return ReviewRow._make(fields)


def cluster_name(group: str | None, example_id: int) -> str:
    """Outputs of one group, or of one example, are not independent."""
    return group if group is not None else f"example {example_id}"


class Placed(NamedTuple):
    """A review in its reviewer's session: which session, and hours since it began."""

    row: ReviewRow
    sitting: int
    hours: float


def place_in_sittings(rows: Sequence[ReviewRow]) -> list[Placed]:
    """Each review in the sitting of its reviewer: a pause of half an hour begins a new one."""
    placed: list[Placed] = []
    open_sittings: dict[int, tuple[int, datetime, datetime]] = {}
    n_sittings = 0
    for row in rows:
        sitting, began, last = open_sittings.get(row.reviewer_id, (-1, row.started_at, None))
        if last is None or row.submitted_at - last > BREAK:
            sitting, began = n_sittings, min(row.started_at, row.submitted_at)
            n_sittings += 1
        open_sittings[row.reviewer_id] = (sitting, began, row.submitted_at)
        placed.append(Placed(row, sitting, (row.submitted_at - began).total_seconds() / 3600))
    return placed
