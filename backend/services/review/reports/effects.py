"""What ought not to sway a review, and whether it does: side, length, order, fatigue.

Each is a figure with n, interval and p of no effect, and one sentence for the lead. A length effect
is no bias by itself: longer answers may be better. Nothing is corrected for the number of tests.

The finished reviews of a queue as plain rows, for figures about time, order and people.

Does the side, or the length, of an answer sway the votes on blind pairs?
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session, aliased

from backend.errors import CannotCompute
from backend.schemas.review.reports import EffectOut, Measured
from backend.services.review.counted import counts, stands
from backend.services.review.quality.pauses import gold_results
from backend.services.review.queues import get_queue, rubric_of
from backend.services.review.reports.measured import unknown
from backend.services.review.reports.slopes import slope_within
from backend.services.review.reports.votes import PairVote, cluster_name, queue_votes
from backend.tables.accounts import User
from backend.tables.datasets import Example
from backend.tables.review import (
    GoldResult,
    Purpose,
    QueueKind,
    Rating,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewState,
    Winner,
)
from backend.tables.runs import Generation
from evaluators.spread import cut

if TYPE_CHECKING:
    from evaluators.statistics.votes import Vote as FileVote

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


LEAST = 6
CHUNK = 500


def side_effect(votes: Sequence[PairVote]) -> EffectOut:
    """Share of pairs whose left answer was preferred; exact binomial test that sides are alike.

    Several people's votes on a pair share its better answer, so they are one trial: the side that
    most of them prefer; a draw is left out. Interval by Clopper and Pearson (1934).

    Raises:
        CannotCompute: fewer than LEAST pairs have a preferred side.
    """
    from scipy.stats import binomtest

    balance: dict[int, int] = {}
    for vote in votes:
        if vote.winner_left is not None:
            balance[vote.item_id] = balance.get(vote.item_id, 0) + (1 if vote.winner_left else -1)
    sides = [score > 0 for score in balance.values() if score != 0]
    if len(sides) < LEAST:
        raise CannotCompute(f"Cannot say yet: {len(sides)} pairs are decided; {LEAST} are needed.")
    test = binomtest(sum(sides), len(sides), 0.5)
    interval = test.proportion_ci(confidence_level=0.95, method="exact")
    figure = Measured(
        value=sum(sides) / len(sides),
        low=float(interval.low),
        high=float(interval.high),
        n=len(sides),
        signature="side|strop:1|test:exact-binomial|unit:pair|ci:clopper-pearson|level:0.95",
    )
    chance = interval.low <= 0.5 <= interval.high
    sentence = f"The left answer was preferred on {figure.value:.0%} of {figure.n} pairs: " + (
        "as by chance." if chance else "more than chance explains."
    )
    return EffectOut(
        name="side", subject="left", figure=figure, p=float(test.pvalue), sentence=sentence
    )


def length_effect(session: Session, votes: Sequence[PairVote]) -> EffectOut:
    """Odds of winning for so many characters more (one standard deviation of the difference).

    Length is a covariate beside the models' strengths and the side (Bradley-Terry, Davidson).

    Raises:
        CannotCompute: too few votes, no spread in lengths, or one model won everything.
    """
    from statistics import NormalDist

    from evaluators.errors import EvaluatorError
    from evaluators.statistics.preference import bradley_terry

    lengths = _lengths(session, {vote.item_id for vote in votes})
    judged = [vote for vote in votes if vote.winner is not Winner.CANNOT_JUDGE]
    shown = [_as_shown(vote, lengths[vote.item_id]) for vote in judged]
    if len(shown) < LEAST:
        raise CannotCompute(f"Cannot say yet: {len(shown)} votes; {LEAST} are needed.")
    apart = [(vote.length_a or 0.0) - (vote.length_b or 0.0) for vote in shown]
    spread = (sum(d * d for d in apart) / len(apart)) ** 0.5
    try:
        fit = bradley_terry(shown, side=True, length=True)
    except EvaluatorError as error:
        raise CannotCompute(error.message, hint=error.hint) from error
    found = next(effect for effect in fit.effects if effect.name == "length")
    if found.error <= 0:
        raise CannotCompute("The effect of length cannot be told from that of the models.")
    p = 2 * NormalDist().cdf(-abs(found.value) / found.error)
    figure = Measured(
        value=math.exp(found.value),
        low=math.exp(found.low),
        high=math.exp(found.high),
        n=len(shown),
        unit=f"odds ratio per {spread:.0f} characters",
        signature=f"length|{fit.signature}",
    )
    told = (
        f"An answer {spread:.0f} characters longer has {figure.value:.2f} times the odds of winning"
    )
    rest = (
        ", other things equal; longer may also be better."
        if p < LEVEL_OF_NOTICE
        else ", which chance alone would explain."
    )
    return EffectOut(
        name="length", subject="longer answer", figure=figure, p=p, sentence=told + rest
    )


def _as_shown(vote: PairVote, shown: _SideRow) -> FileVote:
    """The vote as the evaluators take it, the answer on the left being a."""
    from evaluators.statistics.votes import Vote as FileVote
    from evaluators.statistics.votes import VoteWinner

    models = vote.model_ids if shown.a_is_left else vote.model_ids[::-1]
    sizes = shown.lengths if shown.a_is_left else shown.lengths[::-1]
    winner = VoteWinner.TIE
    if vote.winner_left is not None:
        winner = VoteWinner.A if vote.winner_left else VoteWinner.B
    return FileVote(
        item=str(vote.item_id),
        rater=vote.rater,
        model_a=str(models[0]),
        model_b=str(models[1]),
        winner=winner,
        length_a=float(sizes[0]),
        length_b=float(sizes[1]),
    )


@dataclass(frozen=True, slots=True)
class _SideRow:
    a_is_left: bool
    lengths: tuple[int, int]


def _lengths(session: Session, item_ids: set[int]) -> dict[int, _SideRow]:
    """Characters of both answers of each pair, and which stood on the left."""
    a, b = aliased(Generation), aliased(Generation)
    found: dict[int, _SideRow] = {}
    lengths = func.length(a.text), func.length(b.text)
    for some in cut(sorted(item_ids), CHUNK):
        query = (
            select(ReviewItem.id, ReviewItem.a_is_left, *lengths)
            .join(a, a.id == ReviewItem.generation_a_id)
            .join(b, b.id == ReviewItem.generation_b_id)
            .where(ReviewItem.id.in_(some))
        )
        for item_id, a_is_left, of_a, of_b in session.execute(query):
            found[item_id] = _SideRow(a_is_left, (of_a or 0, of_b or 0))
    return found


EffectName = Literal["side", "length", "order", "fatigue"]
LEVEL_OF_NOTICE = 0.05


def queue_effects(session: Session, queue_id: int) -> list[EffectOut]:
    """All effects that can be looked for in a queue of its kind."""
    queue = get_queue(session, queue_id)
    placed = place_in_sittings(finished_rows(session, queue_id))
    found: list[EffectOut] = []
    if queue.kind == QueueKind.PAIR:
        votes = queue_votes(session, queue_id)
        found += [
            _or_why_not("side", "left", lambda: side_effect(votes)),
            _or_why_not("length", "longer answer", lambda: length_effect(session, votes)),
            *_vote_order(placed, votes),
        ]
    found += _rating_order(session, queue, placed)
    return [*found, _speed(placed), _gold_accuracy(session, queue_id, placed)]


def _or_why_not(name: EffectName, subject: str, measure: Callable[[], EffectOut]) -> EffectOut:
    """The effect, or the reason why it cannot be told yet."""
    try:
        return measure()
    except CannotCompute as error:
        return _why_not(name, subject, error)


def _why_not(name: EffectName, subject: str, error: CannotCompute) -> EffectOut:
    said = str(error)
    return EffectOut(name=name, subject=subject, figure=unknown(said), sentence=said)


def _vote_order(placed: Sequence[Placed], votes: Sequence[PairVote]) -> list[EffectOut]:
    by_review = {vote.review_id: vote for vote in votes}
    sides = {i: float(v.winner_left) for i, v in by_review.items() if v.winner_left is not None}
    undecided = {i: float(v.winner_left is None) for i, v in by_review.items()}
    return [
        _drift("order", "choosing left", "votes", placed, sides, _POINTS),
        _drift("order", "deciding nothing", "votes", placed, undecided, _POINTS),
    ]


def _rating_order(
    session: Session, queue: ReviewQueue, placed: Sequence[Placed]
) -> list[EffectOut]:
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
    return [_drift("order", name, "ratings", placed, by_criterion[name], _UNITS) for name in names]


def _speed(placed: Sequence[Placed]) -> EffectOut:
    seconds = {
        p.row.review_id: math.log(p.row.active_seconds)
        for p in placed
        if p.row.state == ReviewState.SUBMITTED and p.row.active_seconds > 0
    }
    return _drift("fatigue", "time per review", "timed reviews", placed, seconds, _PERCENT)


def _gold_accuracy(session: Session, queue_id: int, placed: Sequence[Placed]) -> EffectOut:
    query = gold_results(queue_id, GoldResult.review_id, GoldResult.score)
    scores = {row.review_id: row.score for row in session.execute(query)}
    return _drift("fatigue", "accuracy on known answers", "known answers", placed, scores, _POINTS)


class Wording(NamedTuple):
    """In which unit a slope is told, and how it is turned into that."""

    unit: str
    read: Callable[[float], float]


_UNITS = Wording("points per hour", lambda slope: slope)
_POINTS = Wording("percentage points per hour", lambda slope: slope * 100)
_PERCENT = Wording("percent per hour", lambda slope: math.expm1(min(slope, 50.0)) * 100)


def _drift(
    name: EffectName,
    subject: str,
    what: str,
    placed: Sequence[Placed],
    values: dict[int, float],
    wording: Wording,
) -> EffectOut:
    used = [p for p in placed if p.row.review_id in values]
    said = [values[p.row.review_id] for p in used]
    hours, sittings = [p.hours for p in used], [p.sitting for p in used]
    try:
        slope = slope_within(hours, said, sittings, what=what)
    except CannotCompute as error:
        return _why_not(name, subject, error)
    value, low, high = map(wording.read, (slope.value, slope.low, slope.high))
    figure = Measured(
        value=value,
        low=low,
        high=high,
        n=slope.n,
        unit=wording.unit,
        rough=slope.n < 50,
        signature=slope.signature,
    )
    if slope.p >= LEVEL_OF_NOTICE:
        sentence = f"No drift of {subject} within sittings is seen in {slope.n} {what}."
    else:
        way = "rises" if value > 0 else "falls"
        sentence = f"Within sittings {subject} {way} by {abs(value):.3g} {wording.unit}."
    if any(p.row.simulated for p in used):
        sentence += " Simulated reviews are in it."
    return EffectOut(name=name, subject=subject, figure=figure, p=slope.p, sentence=sentence)
