"""What a round came to: its verdict, its rows, and the expert time that went into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.services.review import stands
from backend.tables.comparison import Comparison
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.review import Review, ReviewItem
from backend.tables.rounds import Round


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """Figures of a round; None until known.

    Attributes:
        expert_minutes: active minutes of the reviews behind its rows and of its blind votes.
    """

    verdict: str | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    rows: int | None = None
    expert_minutes: float | None = None
    simulated: bool = False


def round_outcome(session: Session, row: Round) -> RoundOutcome:
    """The figures of a round as they are now."""
    comparison = session.get(Comparison, row.comparison_id) if row.comparison_id else None
    frozen = session.get(TrainingSet, row.training_set_id) if row.training_set_id else None
    return RoundOutcome(
        verdict=None if comparison is None else comparison.verdict,
        lines=[] if comparison is None else list(comparison.lines),
        rows=None if frozen is None else frozen.n_rows,
        expert_minutes=None if frozen is None else _minutes(session, row),
        simulated=frozen is not None and frozen.simulated,
    )


def _minutes(session: Session, row: Round) -> float:
    taught = (
        select(TrainingSetRow.review_id)
        .where(TrainingSetRow.training_set_id == row.training_set_id)
        .where(TrainingSetRow.review_id.is_not(None))
    )
    seconds = select(func.coalesce(func.sum(Review.active_seconds), 0.0))
    total = session.scalar(seconds.where(Review.id.in_(taught))) or 0.0
    if row.review_queue_id is not None:
        votes = seconds.join(ReviewItem, ReviewItem.id == Review.item_id).where(
            ReviewItem.queue_id == row.review_queue_id, *stands()
        )
        total += session.scalar(votes) or 0.0
    return round(total / 60, 1)
