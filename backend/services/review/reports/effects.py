"""What ought not to sway a review, and whether it does: side, length, order, fatigue.

Each is a figure with n, interval and p of no effect, and one sentence for the lead. A length effect
is no bias by itself: longer answers may be better. Nothing is corrected for the number of tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.services.review.counted import counts
from backend.services.review.queues import get_queue, rubric_of
from backend.services.review.reports.measured import Measured, unknown
from backend.services.review.reports.review_rows import Placed, finished_rows, place_in_sittings
from backend.services.review.reports.slopes import Slope, slope_within
from backend.services.review.reports.vote_effects import length_effect, side_effect
from backend.services.review.reports.votes import Vote, queue_votes
from backend.tables.quality import GoldAnswer, GoldResult
from backend.tables.review import (
    QueueKind,
    Rating,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewState,
)

EffectName = Literal["side", "length", "order", "fatigue"]
LEVEL_OF_NOTICE = 0.05


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect on one subject; `figure.error` says why there is none."""

    name: EffectName
    subject: str
    figure: Measured
    p: float | None
    sentence: str


def queue_effects(session: Session, queue_id: int) -> list[Effect]:
    """All effects that can be looked for in a queue of its kind."""
    queue = get_queue(session, queue_id)
    placed = place_in_sittings(finished_rows(session, queue_id))
    found: list[Effect] = []
    if queue.kind == QueueKind.PAIR:
        votes = queue_votes(session, queue_id)
        found += [_side(votes), _length(session, votes), *_vote_order(placed, votes)]
    found += _rating_order(session, queue, placed)
    return [*found, _speed(placed), _gold_accuracy(session, queue_id, placed)]


def _side(votes: Sequence[Vote]) -> Effect:
    try:
        found = side_effect(votes)
    except CannotCompute as error:
        return _none("side", "left", str(error))
    sentence = f"The left answer was preferred on {found.value:.0%} of {found.n} pairs: " + (
        "more than chance explains." if found.low > 0.5 or found.high < 0.5 else "as by chance."
    )
    measured = Measured(found.value, found.low, found.high, n=found.n, signature=found.signature)
    return Effect("side", "left", measured, found.p, sentence)


def _length(session: Session, votes: Sequence[Vote]) -> Effect:
    try:
        found = length_effect(session, votes)
    except CannotCompute as error:
        return _none("length", "longer answer", str(error))
    ratio = math.exp(found.value)
    measured = Measured(
        ratio,
        math.exp(found.low),
        math.exp(found.high),
        n=found.n,
        unit=f"odds ratio per {found.spread:.0f} characters",
        signature=found.signature,
    )
    told = (
        f"An answer {found.spread:.0f} characters longer has {ratio:.2f} times the odds of winning"
    )
    rest = (
        ", other things equal; longer may also be better."
        if found.p < LEVEL_OF_NOTICE
        else (", which chance alone would explain.")
    )
    return Effect("length", "longer answer", measured, found.p, told + rest)


def _vote_order(placed: Sequence[Placed], votes: Sequence[Vote]) -> list[Effect]:
    by_review = {vote.review_id: vote for vote in votes}
    sides = {i: float(v.winner_left) for i, v in by_review.items() if v.winner_left is not None}
    undecided = {i: float(v.winner_left is None) for i, v in by_review.items()}
    return [
        _drift("order", "choosing left", "votes", placed, sides, _points),
        _drift("order", "deciding nothing", "votes", placed, undecided, _points),
    ]


def _rating_order(session: Session, queue: ReviewQueue, placed: Sequence[Placed]) -> list[Effect]:
    """Items come in random order, so that a drift of ratings is of the people, not of the items."""
    query = (
        select(Rating.review_id, Rating.criterion, Rating.number)
        .join(Review, Review.id == Rating.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(ReviewItem.queue_id == queue.id, Rating.number.is_not(None), *counts())
    )
    by_criterion: dict[str, dict[int, float]] = {}
    for review_id, criterion, number in session.execute(query):
        by_criterion.setdefault(criterion, {})[review_id] = float(number or 0.0)
    names = [c.name for c in rubric_of(queue).criteria if c.name in by_criterion]
    return [_drift("order", name, "ratings", placed, by_criterion[name], _units) for name in names]


def _speed(placed: Sequence[Placed]) -> Effect:
    seconds = {
        p.row.review_id: math.log(p.row.active_seconds)
        for p in placed
        if p.row.state == ReviewState.SUBMITTED and p.row.active_seconds > 0
    }
    return _drift("fatigue", "time per review", "timed reviews", placed, seconds, _percent)


def _gold_accuracy(session: Session, queue_id: int, placed: Sequence[Placed]) -> Effect:
    query = (
        select(GoldResult.review_id, GoldResult.score)
        .join(GoldAnswer, GoldAnswer.id == GoldResult.gold_id)
        .join(ReviewItem, ReviewItem.id == GoldAnswer.item_id)
        .where(ReviewItem.queue_id == queue_id, GoldAnswer.withdrawn_at.is_(None))
    )
    scores = {row.review_id: row.score for row in session.execute(query)}
    return _drift("fatigue", "accuracy on known answers", "known answers", placed, scores, _points)


Wording = Callable[[Slope], tuple[float, float, float, str]]


def _units(slope: Slope) -> tuple[float, float, float, str]:
    return slope.value, slope.low, slope.high, "points per hour"


def _points(slope: Slope) -> tuple[float, float, float, str]:
    return slope.value * 100, slope.low * 100, slope.high * 100, "percentage points per hour"


def _percent(slope: Slope) -> tuple[float, float, float, str]:
    value, low, high = (
        math.expm1(min(s, 50.0)) * 100 for s in (slope.value, slope.low, slope.high)
    )
    return value, low, high, "percent per hour"


def _drift(
    name: EffectName,
    subject: str,
    what: str,
    placed: Sequence[Placed],
    values: dict[int, float],
    wording: Wording,
) -> Effect:
    used = [p for p in placed if p.row.review_id in values]
    try:
        slope = slope_within(
            [p.hours for p in used],
            [values[p.row.review_id] for p in used],
            [p.sitting for p in used],
            what=what,
        )
    except CannotCompute as error:
        return _none(name, subject, str(error))
    value, low, high, unit = wording(slope)
    measured = Measured(
        value, low, high, n=slope.n, unit=unit, rough=slope.n < 50, signature=slope.signature
    )
    if slope.p >= LEVEL_OF_NOTICE:
        sentence = f"No drift of {subject} within sittings is seen in {slope.n} {what}."
    else:
        way = "rises" if value > 0 else "falls"
        sentence = f"Within sittings {subject} {way} by {abs(value):.3g} {unit}."
    if any(p.row.simulated for p in used):
        sentence += " Simulated reviews are in it."
    return Effect(name, subject, measured, slope.p, sentence)


def _none(name: EffectName, subject: str, reason: str) -> Effect:
    return Effect(name, subject, unknown(reason), None, reason)
