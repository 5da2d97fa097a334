"""A queue for its lead: progress, forecast, minutes and cost per verdict, and who did how much.

The forecast says when it will be done, at the pace of the days so far.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session

from backend.schemas.review.queues import ReviewerProgress
from backend.schemas.review.reports import (
    CriterionTimeOut,
    DayOut,
    ForecastOut,
    Measured,
    QueueReportOut,
    TimeOut,
)
from backend.services.review.counted import counts, measures
from backend.services.review.progress import queue_progress
from backend.services.review.queues import get_queue
from backend.services.review.reports.effects import ReviewRow, finished_rows
from backend.services.review.reports.measured import mean_of, scaled, unknown
from backend.services.review.rules import QueueRules, rules_from
from backend.tables.accounts import User
from backend.tables.review import QueueMember, Review, ReviewItem, ReviewState


def reviewer_progress(session: Session, queue_id: int) -> list[ReviewerProgress]:
    """Every reviewer of a queue with what they did, the most diligent first."""
    return reviewers_of_queues(session, [queue_id])[queue_id]


def reviewers_of_queues(
    session: Session, queue_ids: Sequence[int]
) -> dict[int, list[ReviewerProgress]]:
    """The reviewers of several queues, each as `reviewer_progress` has them, in one question."""
    submitted = func.sum(case((and_(*counts()), 1), else_=0))
    left = and_(Review.state == ReviewState.SKIPPED, *measures())
    skipped = func.sum(case((left, 1), else_=0))
    counted = (
        select(
            ReviewItem.queue_id,
            Review.reviewer_id,
            submitted.label("submitted"),
            skipped.label("skipped"),
            func.sum(Review.active_seconds).label("active_seconds"),
        )
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(ReviewItem.queue_id.in_(queue_ids))
        .group_by(ReviewItem.queue_id, Review.reviewer_id)
        .subquery()
    )
    rows = session.execute(
        select(
            QueueMember.queue_id,
            User,
            counted.c.submitted,
            counted.c.skipped,
            counted.c.active_seconds,
        )
        .join(QueueMember, QueueMember.user_id == User.id)
        .outerjoin(
            counted,
            and_(counted.c.reviewer_id == User.id, counted.c.queue_id == QueueMember.queue_id),
        )
        .where(QueueMember.queue_id.in_(queue_ids))
        .order_by(func.coalesce(counted.c.submitted, 0).desc(), User.id)
    )
    found: dict[int, list[ReviewerProgress]] = {queue_id: [] for queue_id in queue_ids}
    for queue_id, user, done, left, seconds in rows:
        found[queue_id].append(
            ReviewerProgress(
                pseudonym=user.pseudonym,
                simulated=user.simulated,
                submitted=int(done or 0),
                skipped=int(left or 0),
                active_seconds=seconds or 0.0,
            )
        )
    return found


LEAST_DAYS = 3
LEAST_REVIEWS = 10
LEVEL = 0.8
DRAWS = 1000
LONGEST_DAYS = 3650
MANY_RATERS = 10  # enough to be the units between which times vary


def forecast_finish(
    per_day: Mapping[date, int],
    remaining: int,
    *,
    today: date,
    minutes_per_review: Measured,
    seed: int = 0,
) -> ForecastOut:
    """Days like those so far, idle ones included, are drawn until nothing remains.

    The days run from the first review to today; today counts only when it has reviews, since it is
    not over. Fewer than LEAST_DAYS active days or LEAST_REVIEWS reviews are no ground to go by.
    """
    active = [n for n in per_day.values() if n > 0]
    told = partial(
        ForecastOut,
        remaining=remaining,
        active_days=len(active),
        per_active_day=_pace(active),
        level=LEVEL,
        minutes_left=_minutes_left(minutes_per_review, remaining),
    )
    if remaining == 0:
        done = "Every required review is done."
        return told(sentence=done)
    if len(active) < LEAST_DAYS or sum(active) < LEAST_REVIEWS:
        reason = (
            f"Cannot say yet: {sum(active)} reviews on {_days(len(active))}; it takes "
            f"{LEAST_REVIEWS} reviews on {LEAST_DAYS} days."
        )
        return told(sentence=reason, error=reason)
    early, middle, late = (
        today + timedelta(days=days)
        for days in _days_needed(_every_day(per_day, today), remaining, seed)
    )
    sentence = (
        f"{remaining} reviews remain; at {sum(active) / len(active):.0f} a day of work they are "
        f"done about {middle} ({LEVEL:.0%} range {early} to {late})."
    )
    return told(finish_on=middle, earliest=early, latest=late, sentence=sentence)


def _days(n: int) -> str:
    return "1 day" if n == 1 else f"{n} days"


def _pace(active: Sequence[int]) -> Measured:
    if len(active) < LEAST_DAYS:
        reason = f"Reviews came on {_days(len(active))}; {LEAST_DAYS} are needed."
        return unknown(reason, n=len(active), unit="reviews per active day")
    return mean_of("pace", [float(n) for n in active], unit="reviews per active day")


def _minutes_left(minutes_per_review: Measured, remaining: int) -> Measured:
    left = scaled(minutes_per_review, remaining, unit="minutes")
    return left if left.low is None else left.model_copy(update={"low": max(0.0, left.low)})


def _every_day(per_day: Mapping[date, int], today: date) -> list[int]:
    first = min(day for day, n in per_day.items() if n > 0)
    counts = Counter(per_day)
    days = [counts[first + timedelta(days=i)] for i in range((today - first).days + 1)]
    return days if days[-1] > 0 else days[:-1]


def _days_needed(days: Sequence[int], remaining: int, seed: int) -> tuple[int, int, int]:
    """Lower bound, median and upper bound of the calendar days until nothing remains."""
    import numpy as np

    rng = np.random.default_rng(seed)
    # Twice what the slowest resample could plausibly need, and never without end.
    length = min(LONGEST_DAYS, math.ceil(6 * remaining / (sum(days) / len(days))) + 30)
    paths = np.cumsum(rng.choice(np.asarray(days), size=(DRAWS, length)), axis=1)
    reached = paths >= remaining
    needed = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, length)
    low, middle, high = np.quantile(
        needed, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], method="higher"
    )
    return int(low), int(middle), int(high)


def queue_report(session: Session, queue_id: int, *, now: datetime) -> QueueReportOut:
    """Where a queue stands at `now`."""
    queue = get_queue(session, queue_id)
    progress = queue_progress(session, queue_id)
    rows = finished_rows(session, queue_id)
    counted = [row for row in rows if row.counted]
    days = _work_by_day(counted)
    time = review_time(rows, rules_from(queue.rules))
    return QueueReportOut.of(
        progress,
        queue_id=queue_id,
        n_reviews=len(counted),
        n_simulated=sum(row.simulated for row in counted),
        finished_at=queue.finished_at,
        days=days,
        forecast=forecast_finish(
            {day.day: day.reviews for day in days},
            progress.leased + progress.open,
            today=now.date(),
            minutes_per_review=time.minutes_per_review,
        ),
        time=time,
    )


def _work_by_day(counted: Sequence[ReviewRow]) -> list[DayOut]:
    reviews: dict[date, int] = defaultdict(int)
    seconds: dict[date, float] = defaultdict(float)
    for row in counted:
        reviews[row.submitted_at.date()] += 1
        seconds[row.submitted_at.date()] += row.active_seconds
    return [
        DayOut(day=day, reviews=reviews[day], minutes=seconds[day] / 60) for day in sorted(reviews)
    ]


def review_time(rows: Sequence[ReviewRow], rules: QueueRules) -> TimeOut:
    """Minutes per review and per verdict, and their cost by the queue's rules."""
    timed = [row for row in rows if row.counted and row.active_seconds > 0]
    raters = [row.rater for row in timed]
    gold = sum(row.active_seconds for row in rows if row.is_gold) / 60
    per_verdict = _minutes_per_verdict(rows)
    return TimeOut(
        minutes_per_review=mean_of(
            "minutes_per_review",
            [row.active_seconds for row in timed],
            clusters=raters if len(set(raters)) >= MANY_RATERS else None,
            unit="minutes",
            factor=1 / 60,
        ),
        minutes_per_verdict=per_verdict,
        cost_per_verdict=_cost(per_verdict, rules),
        currency=rules.currency,
        total_minutes=sum(row.active_seconds for row in rows) / 60,
        gold_minutes=gold,
        budget_minutes=rules.minutes_budget,
        by_criterion=_by_criterion(timed),
    )


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
    signature = f"{minutes.signature}|per_hour:{rules.cost_per_hour:g}"
    return cost.model_copy(update={"signature": signature})


def _by_criterion(timed: Sequence[ReviewRow]) -> list[CriterionTimeOut]:
    found: dict[str, list[float]] = defaultdict(list)
    for row in timed:
        for criterion, seconds in row.seconds_by_criterion.items():
            found[criterion].append(float(seconds))
    return [
        CriterionTimeOut(
            criterion=criterion, seconds=mean_of(f"seconds:{criterion}", seconds, unit="seconds")
        )
        for criterion, seconds in sorted(found.items())
    ]
