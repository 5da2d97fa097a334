"""What reviews took: active minutes, for each item and in all, and money by the queues' rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from backend.schemas.costs import CostTotal, ReviewCost
from backend.services.costs.totals import MINUTES, at_price, counted
from backend.services.review.reports.effects import finished_rows
from backend.services.review.reports.progress import review_time
from backend.services.review.rules import QueueRules, rules_from
from backend.tables.review import Review, ReviewItem, ReviewQueue

NO_TIME = "No active time is recorded of some reviews, as of imported or simulated ones."
NO_EXPERT_PRICE = "The queue does not say what an hour costs."


def review_costs(session: Session, queue_ids: Sequence[int]) -> list[ReviewCost]:
    """What the reviews of each of these queues took, in the order in which they are named."""
    query = select(ReviewQueue).where(ReviewQueue.id.in_(queue_ids))
    queues = {queue.id: queue for queue in session.scalars(query)}
    return [_review_cost(session, queues[i]) for i in queue_ids if i in queues]


def _review_cost(session: Session, queue: ReviewQueue) -> ReviewCost:
    rules = rules_from(queue.rules)
    rows = finished_rows(session, queue.id)
    time = review_time(rows, rules)
    timed = sum(row.active_seconds > 0 for row in rows)
    minutes = counted(time.total_minutes, MINUTES, n=timed, of=len(rows), lacking=NO_TIME)
    return ReviewCost(
        queue_id=queue.id,
        name=queue.name,
        kind=queue.kind,
        reviews=len(rows),
        n_simulated=sum(row.simulated for row in rows),
        minutes=minutes,
        money=_money(minutes, rules),
        minutes_per_item=time.minutes_per_verdict,
        money_per_item=time.cost_per_verdict,
    )


@dataclass(frozen=True, slots=True)
class MinutesOfQueue:
    """Active minutes of some reviews of one queue, with their money."""

    minutes: CostTotal
    money: CostTotal
    n_simulated: int


def minutes_by_queue(session: Session, *where: ColumnElement[bool]) -> list[MinutesOfQueue]:
    """Active minutes of the reviews that meet `where`, for each queue, which has its own price."""
    query = (
        select(
            ReviewItem.queue_id,
            func.count(),
            func.sum(case((Review.active_seconds > 0, 1), else_=0)),
            func.sum(Review.active_seconds),
            func.sum(case((Review.simulated, 1), else_=0)),
        )
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(*where)
        .group_by(ReviewItem.queue_id)
        .order_by(ReviewItem.queue_id)
    )
    rows = session.execute(query).all()
    ids = [row[0] for row in rows]
    asked = select(ReviewQueue.id, ReviewQueue.rules).where(ReviewQueue.id.in_(ids))
    rules = {queue_id: rules_from(content) for queue_id, content in session.execute(asked)}
    found = []
    for queue_id, n, timed, seconds, simulated in rows:
        minutes = counted((seconds or 0.0) / 60, MINUTES, n=int(timed), of=n, lacking=NO_TIME)
        found.append(MinutesOfQueue(minutes, _money(minutes, rules[queue_id]), int(simulated)))
    return found


def _money(minutes: CostTotal, rules: QueueRules) -> CostTotal:
    hour = rules.cost_per_hour
    each = None if hour is None else hour / 60
    return at_price(minutes, each, rules.currency or "", lacking=NO_EXPERT_PRICE)
