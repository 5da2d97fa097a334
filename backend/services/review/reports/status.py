"""How a queue stands for its lead: progress, forecast, minutes and cost per verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.orm import Session

from backend.services.review.queues import get_queue
from backend.services.review.reports.forecasts import Forecast, forecast_finish
from backend.services.review.reports.measured import Measured, mean_of, scaled, unknown
from backend.services.review.reports.progress import queue_progress
from backend.services.review.reports.review_rows import ReviewRow, finished_rows
from backend.services.review.rules import QueueRules, rules_from


@dataclass(frozen=True, slots=True)
class Day:
    """Counted reviews and active minutes of one day (UTC)."""

    day: date
    reviews: int
    minutes: float


@dataclass(frozen=True, slots=True)
class CriterionTime:
    """Active seconds that one question takes."""

    criterion: str
    seconds: Measured


@dataclass(frozen=True, slots=True)
class ReviewTime:
    """What reviews take and cost.

    A verdict is an item with at least one counted review; all active time on it counts, that of
    skips, extra answers and adjudications too. Known answers come on top.
    """

    minutes_per_review: Measured
    minutes_per_verdict: Measured
    cost_per_verdict: Measured
    currency: str | None
    total_minutes: float
    gold_minutes: float
    budget_minutes: float | None
    by_criterion: tuple[CriterionTime, ...]


@dataclass(frozen=True, slots=True)
class QueueReport:
    """A queue's progress with its forecast and its cost."""

    queue_id: int
    total: int
    done: int
    leased: int
    open: int
    n_reviews: int
    n_simulated: int
    finished_at: datetime | None
    days: tuple[Day, ...]
    forecast: Forecast
    time: ReviewTime


def queue_report(session: Session, queue_id: int, *, now: datetime) -> QueueReport:
    """Where a queue stands at `now`."""
    queue = get_queue(session, queue_id)
    progress = queue_progress(session, queue_id)
    rows = finished_rows(session, queue_id)
    counted = [row for row in rows if row.counted]
    days = _days(counted)
    time = review_time(rows, rules_from(queue.rules))
    return QueueReport(
        queue_id=queue_id,
        total=progress.total,
        done=progress.done,
        leased=progress.leased,
        open=progress.open,
        n_reviews=len(counted),
        n_simulated=sum(row.simulated for row in counted),
        finished_at=queue.finished_at,
        days=tuple(days),
        forecast=forecast_finish(
            {day.day: day.reviews for day in days},
            progress.leased + progress.open,
            today=now.date(),
            minutes_per_review=time.minutes_per_review,
        ),
        time=time,
    )


def _days(counted: Sequence[ReviewRow]) -> list[Day]:
    reviews: dict[date, int] = defaultdict(int)
    seconds: dict[date, float] = defaultdict(float)
    for row in counted:
        reviews[row.submitted_at.date()] += 1
        seconds[row.submitted_at.date()] += row.active_seconds
    return [Day(day, reviews[day], seconds[day] / 60) for day in sorted(reviews)]


def review_time(rows: Sequence[ReviewRow], rules: QueueRules) -> ReviewTime:
    """Minutes per review and per verdict, and their cost by the queue's rules."""
    timed = [row for row in rows if row.counted and row.active_seconds > 0]
    gold = sum(row.active_seconds for row in rows if row.is_gold) / 60
    per_verdict = _minutes_per_verdict(rows)
    return ReviewTime(
        minutes_per_review=mean_of(
            "minutes_per_review",
            [row.active_seconds for row in timed],
            clusters=[row.rater for row in timed] if _many_raters(timed) else None,
            unit="minutes",
            factor=1 / 60,
        ),
        minutes_per_verdict=per_verdict,
        cost_per_verdict=_cost(per_verdict, rules),
        currency=rules.currency,
        total_minutes=sum(row.active_seconds for row in rows) / 60,
        gold_minutes=gold,
        budget_minutes=rules.minutes_budget,
        by_criterion=tuple(_by_criterion(timed)),
    )


def _many_raters(rows: Sequence[ReviewRow]) -> bool:
    """Whether people are enough to be the units between which times vary."""
    return len({row.rater for row in rows}) >= 10


def _minutes_per_verdict(rows: Sequence[ReviewRow]) -> Measured:
    seconds: dict[int, float] = defaultdict(float)
    for row in rows:
        seconds[row.item_id] += row.active_seconds
    # An item with a known answer has no counted review, so that it is none of these.
    judged = {row.item_id: row.cluster for row in rows if row.counted}
    timed = [item for item in judged if seconds[item] > 0]
    return mean_of(
        "minutes_per_verdict",
        [seconds[item] for item in timed],
        clusters=[judged[item] for item in timed],
        unit="minutes",
        factor=1 / 60,
    )


def _cost(minutes: Measured, rules: QueueRules) -> Measured:
    unit = rules.currency or ""
    if rules.cost_per_hour is None:
        return unknown("The queue does not say what an hour costs.", n=minutes.n)
    cost = scaled(minutes, rules.cost_per_hour / 60, unit=unit)
    if minutes.value is None:
        return cost
    return replace(cost, signature=f"{minutes.signature}|per_hour:{rules.cost_per_hour:g}")


def _by_criterion(timed: Sequence[ReviewRow]) -> list[CriterionTime]:
    found: dict[str, list[float]] = defaultdict(list)
    for row in timed:
        for criterion, seconds in row.seconds_by_criterion.items():
            found[criterion].append(float(seconds))
    return [
        CriterionTime(criterion, mean_of(f"seconds:{criterion}", seconds, unit="seconds"))
        for criterion, seconds in sorted(found.items())
    ]
