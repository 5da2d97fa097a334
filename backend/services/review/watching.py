"""An A/B that may be looked at and stopped at any time: who is ahead, and is it decided?

The interval is a confidence sequence (evaluators.statistics.sequential): it holds at every look at
once, so that stopping as soon as it is decided is right. Votes enter in the order in which they
came; those of one group are averaged first, at the place of its first vote. A tie and "both bad"
count half, "cannot judge" not at all. The sequence needs pairs drawn with equal chances: of an
active design only the random anchor is watched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from backend.errors import CannotCompute, InvalidInput, NotFound
from backend.services.review.designs import ANCHOR
from backend.services.review.measured import Measured, unknown
from backend.services.review.queues import get_queue
from backend.services.review.vote_forecasts import VoteForecast, forecast_votes
from backend.services.review.votes import Vote, models_of_queue, queue_votes
from backend.tables.generation import Generation
from backend.tables.model_versions import ModelVersion
from backend.tables.review import Purpose, ReviewItem, Winner

Decided = Literal["better", "not_better", "undecided"]
POINTS = {Winner.TIE: 0.5, Winner.BOTH_BAD: 0.5}
SERIES = 200
# Stratified by proportion, chances differ by rounding only.
ALIKE = 1.1


@dataclass(frozen=True, slots=True)
class WatchPoint:
    """The state after so many votes."""

    votes: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Watch:
    """The A/B of two models; the rate is that of b.

    Attributes:
        decision: whether b's rate is above 1/2 + margin, below it, or not decided yet.
        planned: votes of the fixed plan (required reviews of the watched pairs).
        decided_at: votes given when it was decided; saved: what the plan asks for beyond them.
        more, more_low, more_high: further votes until decided if votes go on as so far: median
            and 80% range of simulations; None is more than `more_limit`.
    """

    model_a_id: int
    model_b_id: int
    model_a: str
    model_b: str
    margin: float
    figure: Measured
    decision: Decided
    sentence: str
    votes: int
    planned: int
    decided_at: int | None
    saved: int | None
    more: int | None
    more_low: int | None
    more_high: int | None
    more_limit: int | None
    n_simulated: int
    series: tuple[WatchPoint, ...]


@dataclass(frozen=True, slots=True)
class _Units:
    """Independent values in order, and how many votes had come when each of them appeared."""

    values: list[float]
    votes_at: list[int]


@dataclass(frozen=True, slots=True)
class _State:
    """What the votes say so far."""

    figure: Measured
    decision: Decided
    decided_at: int | None
    series: tuple[WatchPoint, ...]


def watch_queue(
    session: Session, queue_id: int, *, margin: float = 0.0, alpha: float = 0.05, seed: int = 0
) -> list[Watch]:
    """The state of the A/B of each two models of a queue.

    Args:
        margin: by how much b's win rate has to exceed one half, 0 to below 0.5.
        alpha: chance of ever deciding wrongly.

    Raises:
        NotFound: the queue shows no pairs.
        InvalidInput: margin or alpha is out of range.
        CannotCompute: pairs were drawn with unequal chances and there is no anchor.
    """
    if not 0 <= margin < 0.5 or not 0 < alpha < 1:
        raise InvalidInput("A margin lies from 0 to below 0.5, alpha between 0 and 1.")
    model_ids = models_of_queue(session, queue_id)
    queue = get_queue(session, queue_id)
    if queue.kind != "pair":
        raise NotFound(f"The queue {queue.name!r} shows no pairs.", hint="Name a queue of pairs.")
    watched = _watched_items(session, queue_id)
    votes = [vote for vote in queue_votes(session, queue_id) if vote.item_id in watched]
    found = []
    for a_id, b_id in combinations(model_ids, 2):
        a, b = session.get_one(ModelVersion, a_id), session.get_one(ModelVersion, b_id)
        planned = sum(n for pair, n in watched.values() if pair == (a_id, b_id))
        of_pair = [vote for vote in votes if vote.model_ids == (a_id, b_id)]
        found.append(_watch(of_pair, a, b, planned, margin=margin, alpha=alpha, seed=seed))
    return found


def _watched_items(session: Session, queue_id: int) -> dict[int, tuple[tuple[int, int], int]]:
    """Pairs of equal chances: item -> its models and the reviews asked for."""
    a, b = aliased(Generation), aliased(Generation)
    query = (
        select(
            ReviewItem.id,
            ReviewItem.stratum,
            ReviewItem.inclusion_probability,
            ReviewItem.required_reviews,
            a.model_version_id,
            b.model_version_id,
        )
        .join(a, a.id == ReviewItem.generation_a_id)
        .join(b, b.id == ReviewItem.generation_b_id)
        .where(ReviewItem.queue_id == queue_id, ReviewItem.purpose == Purpose.REVIEW)
    )
    rows = session.execute(query).all()
    chances = [row.inclusion_probability for row in rows]
    if chances and max(chances) > ALIKE * min(chances):
        rows = [row for row in rows if row.stratum == ANCHOR]
        if not rows:
            raise CannotCompute(
                "The pairs of this queue were drawn with unequal chances, for which there is no "
                "interval that may be watched.",
                hint="Watch a random queue, or an active one for its anchor; the weighted win "
                "rate is in `strop review status`.",
            )
    return {row[0]: ((row[4], row[5]), row.required_reviews) for row in rows}


def _watch(
    votes: Sequence[Vote],
    a: ModelVersion,
    b: ModelVersion,
    planned: int,
    *,
    margin: float,
    alpha: float,
    seed: int,
) -> Watch:
    judged = [vote for vote in votes if vote.winner is not Winner.CANNOT_JUDGE]
    units = _in_order(judged, b.id)
    state = _judge(units, threshold=0.5 + margin, alpha=alpha)
    forecast = None
    if state.decision == "undecided" and units.values:
        forecast = forecast_votes(
            units.values, len(judged), threshold=0.5 + margin, alpha=alpha, seed=seed
        )
    saved = None if state.decided_at is None else max(0, planned - state.decided_at)
    return Watch(
        model_a_id=a.id,
        model_b_id=b.id,
        model_a=a.label,
        model_b=b.label,
        margin=margin,
        figure=state.figure,
        decision=state.decision,
        sentence=state.figure.error
        or _sentence(_verdict(a.label, b.label, margin, state.decision), saved, planned, forecast),
        votes=len(votes),
        planned=planned,
        decided_at=state.decided_at,
        saved=saved,
        more=None if forecast is None else forecast.more,
        more_low=None if forecast is None else forecast.low,
        more_high=None if forecast is None else forecast.high,
        more_limit=None if forecast is None else forecast.limit,
        n_simulated=sum(vote.simulated for vote in votes),
        series=state.series,
    )


def _judge(units: _Units, *, threshold: float, alpha: float) -> _State:
    from evaluators.statistics.sequential import confidence_sequence, decide

    if not units.values:
        nobody = unknown("Nobody has voted on these models yet.")
        return _State(nobody, "undecided", None, ())
    sequence = confidence_sequence(units.values, alpha=alpha)
    stop = decide(sequence, threshold=threshold)
    decision = _DECISIONS[stop.decision]
    points = [
        WatchPoint(votes, float(mean), float(low), float(high))
        for votes, mean, low, high in zip(
            units.votes_at, sequence.mean, sequence.low, sequence.high, strict=True
        )
    ]
    last = points[-1]
    figure = Measured(
        last.value,
        last.low,
        last.high,
        n=len(points),
        level=1 - alpha,
        signature=f"win_rate|ties:half|{sequence.signature}",
    )
    decided_at = None if decision == "undecided" else units.votes_at[stop.n - 1]
    return _State(figure, decision, decided_at, tuple(_thinned(points)))


_DECISIONS: dict[str, Decided] = {
    "above": "better",
    "below": "not_better",
    "continue": "undecided",
}


def _in_order(votes: Sequence[Vote], b_id: int) -> _Units:
    """Votes of one group become one value, at the place of its first vote."""
    found: dict[str, list[float]] = {}
    votes_at = []
    for n, vote in enumerate(votes, start=1):
        if vote.cluster not in found:
            votes_at.append(n)
        won = float(vote.winner_id == b_id)
        found.setdefault(vote.cluster, []).append(POINTS.get(vote.winner, won))
    return _Units([sum(points) / len(points) for points in found.values()], votes_at)


def _thinned(points: Sequence[WatchPoint]) -> list[WatchPoint]:
    """About SERIES of the points, the last one among them."""
    step = max(1, math.ceil(len(points) / SERIES))
    kept = {*range(0, len(points), step), len(points) - 1}
    return [points[i] for i in sorted(kept)]


def _sentence(
    verdict: str | None, saved: int | None, planned: int, forecast: VoteForecast | None
) -> str:
    if verdict is not None:
        rest = f" You may stop: {saved} votes saved against the fixed plan of {planned}."
        return verdict + (rest if saved else "")
    if forecast is None:
        return "Not decided. It is too early to say how many votes it will take."
    return f"Not decided. {forecast.sentence}"


def _verdict(a: str, b: str, margin: float, decision: Decided) -> str | None:
    if decision == "undecided":
        return None
    if margin == 0:
        winner, loser = (b, a) if decision == "better" else (a, b)
        return f"{winner} is preferred to {loser}."
    is_or_not = "is" if decision == "better" else "is not"
    return f"{b} {is_or_not} preferred to {a} by the margin of {margin:g}."
