"""When a queue will be done, at the pace of the days so far."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from backend.services.review.reports.measured import Measured, mean_of, scaled, unknown

LEAST_DAYS = 3
LEAST_REVIEWS = 10
LEVEL = 0.8
DRAWS = 1000
LONGEST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Forecast:
    """The finish of a queue; `error` says why it cannot be said yet.

    Attributes:
        per_active_day: reviews on a day on which anybody reviewed.
        earliest, latest: bounds of the finish with probability `level`.
        minutes_left: active minutes that the remaining reviews will take.
    """

    remaining: int
    active_days: int
    per_active_day: Measured
    finish_on: date | None
    earliest: date | None
    latest: date | None
    level: float
    minutes_left: Measured
    sentence: str
    error: str | None = None


def forecast_finish(
    per_day: Mapping[date, int],
    remaining: int,
    *,
    today: date,
    minutes_per_review: Measured,
    seed: int = 0,
) -> Forecast:
    """Days like those so far, idle ones included, are drawn until nothing remains.

    The days run from the first review to today; today counts only when it has reviews, since it is
    not over. Fewer than LEAST_DAYS active days or LEAST_REVIEWS reviews are no ground to go by.
    """
    active = [n for n in per_day.values() if n > 0]
    pace = _pace(active)
    left = _minutes_left(minutes_per_review, remaining)
    if remaining == 0:
        done = "Every required review is done."
        return Forecast(0, len(active), pace, None, None, None, LEVEL, left, done)
    if len(active) < LEAST_DAYS or sum(active) < LEAST_REVIEWS:
        reason = (
            f"Cannot say yet: {sum(active)} reviews on {_days(len(active))}; it takes "
            f"{LEAST_REVIEWS} reviews on {LEAST_DAYS} days."
        )
        return Forecast(remaining, len(active), pace, None, None, None, LEVEL, left, reason, reason)
    early, middle, late = (
        today + timedelta(days=days)
        for days in _days_needed(_every_day(per_day, today), remaining, seed)
    )
    sentence = (
        f"{remaining} reviews remain; at {sum(active) / len(active):.0f} a day of work they are "
        f"done about {middle} ({LEVEL:.0%} range {early} to {late})."
    )
    return Forecast(remaining, len(active), pace, middle, early, late, LEVEL, left, sentence)


def _days(n: int) -> str:
    return "1 day" if n == 1 else f"{n} days"


def _pace(active: Sequence[int]) -> Measured:
    if len(active) < LEAST_DAYS:
        reason = f"Reviews came on {_days(len(active))}; {LEAST_DAYS} are needed."
        return unknown(reason, n=len(active), unit="reviews per active day")
    return mean_of("pace", [float(n) for n in active], unit="reviews per active day")


def _minutes_left(minutes_per_review: Measured, remaining: int) -> Measured:
    left = scaled(minutes_per_review, remaining, unit="minutes")
    return left if left.low is None else replace(left, low=max(0.0, left.low))


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
