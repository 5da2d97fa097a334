"""A budget in reviewer minutes, turned into items by what reviews took so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute, InvalidInput
from backend.services.review.counted import counts
from backend.tables.review import QueueKind, Review, ReviewItem, ReviewQueue, RubricVersion

LEAST_TIMED = 5


@dataclass(frozen=True, slots=True)
class Pace:
    """Active seconds that a review takes, and where that is known from."""

    seconds: float
    source: str


def measured_pace(
    session: Session, project_id: int, rubric: RubricVersion, kind: QueueKind
) -> Pace | None:
    """Mean active time of people's counted reviews under any version of this rubric.

    None when fewer than LEAST_TIMED of them were timed; simulated ones tell nothing of people.
    """
    query = (
        select(func.count(), func.avg(Review.active_seconds))
        .select_from(Review)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .join(RubricVersion, RubricVersion.id == ReviewQueue.rubric_version_id)
        .where(
            ReviewQueue.project_id == project_id,
            ReviewQueue.kind == kind,
            RubricVersion.name == rubric.name,
            Review.active_seconds > 0,
            Review.simulated.is_(False),
            *counts(),
        )
    )
    n, mean = session.execute(query).one()
    if n < LEAST_TIMED:
        return None
    return Pace(float(mean), f"the mean of {n} earlier reviews under {rubric.name}")


def expected_pace(measured: Pace | None, stated_minutes: float | None) -> Pace | None:
    """The measured pace, else the stated one, else None."""
    if measured is not None or stated_minutes is None:
        return measured
    return Pace(stated_minutes * 60, "stated when the queue was opened")


def affordable_items(
    minutes: float, pace: Pace | None, *, overlap_share: float, overlap: int
) -> int:
    """How many items fit into so many active minutes, reviews by several people included.

    Raises:
        CannotCompute: nothing is known of how long a review takes.
        InvalidInput: not even one item fits.
    """
    if pace is None:
        raise CannotCompute(
            f"Fewer than {LEAST_TIMED} reviews under this rubric were timed, so minutes cannot be "
            "turned into items.",
            hint="State the minutes per review, or give a number of items.",
        )
    reviews = minutes * 60 / pace.seconds
    items = math.floor(reviews / (1 + overlap_share * (overlap - 1)) + 1e-9)
    if items < 1:
        raise InvalidInput(
            f"{minutes:g} minutes are less than one review of {pace.seconds / 60:.1f} minutes.",
            hint="Give more minutes.",
        )
    return items
