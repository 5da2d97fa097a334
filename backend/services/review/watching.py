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
from typing import Literal, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from backend.errors import CannotCompute, InvalidInput, NotFound
from backend.services.review.designs import ANCHOR
from backend.services.review.measured import Measured, unknown
from backend.services.review.queues import get_queue
from backend.services.review.votes import Vote, models_of_queue, queue_votes
from backend.tables.generation import Generation
from backend.tables.model_versions import ModelVersion
from backend.tables.review import Purpose, ReviewItem, Winner

T = TypeVar("T")
Decided = Literal["better", "not_better", "undecided"]
POINTS = {Winner.TIE: 0.5, Winner.BOTH_BAD: 0.5}
SERIES = 200
LEAST_TO_FORECAST = 10
HORIZON = 2000
DRAWS = 300
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
class _Forecast:
    more: int | None
    low: int | None
    high: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class _Units:
    """Independent values in order, and how many votes had come when each of them appeared."""

    values: list[float]
    votes_at: list[int]


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
    from evaluators.statistics.sequential import confidence_sequence, decide

    judged = [vote for vote in votes if vote.winner is not Winner.CANNOT_JUDGE]
    units = _in_order(judged, b.id)
    figure: Measured = unknown("Nobody has voted on these models yet.")
    decision: Decided = "undecided"
    decided_at, forecast = None, None
    series: tuple[WatchPoint, ...] = ()
    if units.values:
        sequence = confidence_sequence(units.values, alpha=alpha)
        figure = Measured(
            value=float(sequence.mean[-1]),
            low=float(sequence.low[-1]),
            high=float(sequence.high[-1]),
            n=len(units.values),
            level=1 - alpha,
            signature=f"win_rate|of:{b.label}|against:{a.label}|{sequence.signature}",
        )
        stop = decide(sequence, threshold=0.5 + margin)
        decision = _DECISIONS[stop.decision]
        if decision != "undecided":
            decided_at = units.votes_at[stop.n - 1]
        else:
            forecast = forecast_votes(
                units.values, len(judged), threshold=0.5 + margin, alpha=alpha, seed=seed
            )
        series = tuple(
            WatchPoint(units.votes_at[i], *map(float, (sequence.mean[i], low, high)))
            for i, (low, high) in _thinned(list(zip(sequence.low, sequence.high, strict=True)))
        )
    saved = None if decided_at is None else max(0, planned - decided_at)
    return Watch(
        model_a_id=a.id,
        model_b_id=b.id,
        model_a=a.label,
        model_b=b.label,
        margin=margin,
        figure=figure,
        decision=decision,
        sentence=_sentence(a.label, b.label, margin, decision, saved, planned, forecast, figure),
        votes=len(votes),
        planned=planned,
        decided_at=decided_at,
        saved=saved,
        more=None if forecast is None else forecast.more,
        more_low=None if forecast is None else forecast.low,
        more_high=None if forecast is None else forecast.high,
        more_limit=None if forecast is None else forecast.limit,
        n_simulated=sum(vote.simulated for vote in votes),
        series=series,
    )


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


def _thinned(points: Sequence[T]) -> list[tuple[int, T]]:
    """About SERIES of the points, the last one among them, with their numbers."""
    step = max(1, math.ceil(len(points) / SERIES))
    kept = {*range(0, len(points), step), len(points) - 1}
    return [(i, points[i]) for i in sorted(kept)]


def forecast_votes(
    values: Sequence[float], n_votes: int, *, threshold: float, alpha: float, seed: int
) -> _Forecast | None:
    """How many more votes until decided, if the coming ones are like those seen.

    What is seen is drawn from with weights of the Bayesian bootstrap (Rubin 1981), with half a win
    and half a loss added so that a unanimous start is not taken for certainty. None while there
    are too few values to go by.
    """
    import numpy as np

    from evaluators.statistics.sequential import log_capital

    if len(values) < LEAST_TO_FORECAST:
        return None
    rng = np.random.default_rng(seed)
    seen = np.array([*values, 0.0, 1.0])
    prior = np.array([1.0] * len(values) + [0.5, 0.5])
    shares = rng.dirichlet(prior, DRAWS)
    future = np.stack([rng.choice(seen, HORIZON, p=share) for share in shares])
    paths = np.hstack([np.tile(np.asarray(values), (DRAWS, 1)), future])
    clear = log_capital(paths, threshold, alpha=alpha)[:, len(values) :] >= math.log(1 / alpha)
    needed = np.where(clear.any(axis=1), clear.argmax(axis=1) + 1.0, np.inf)
    per_value = n_votes / len(values)
    low, middle, high = (
        None if math.isinf(q) else math.ceil(q * per_value)
        for q in np.quantile(needed, [0.1, 0.5, 0.9], method="higher")
    )
    return _Forecast(middle, low, high, math.floor(HORIZON * per_value))


def _sentence(
    a: str,
    b: str,
    margin: float,
    decision: Decided,
    saved: int | None,
    planned: int,
    forecast: _Forecast | None,
    figure: Measured,
) -> str:
    if figure.error is not None:
        return figure.error
    if decision != "undecided":
        verdict = _verdict(a, b, margin, decision)
        rest = f"{saved} votes saved against the fixed plan of {planned}."
        return f"{verdict} You may stop: {rest}" if saved else verdict
    if forecast is None:
        return "Not decided. It is too early to say how many votes it will take."
    if forecast.more is None:
        return f"Not decided. It would take more than {forecast.limit} votes at the present rate."
    upper = f"{forecast.high}" if forecast.high is not None else f"over {forecast.limit}"
    return (
        f"Not decided. About {forecast.more} more votes at the present rate "
        f"(80% range {forecast.low} to {upper}; simulated)."
    )


def _verdict(a: str, b: str, margin: float, decision: Decided) -> str:
    if margin == 0:
        winner, loser = (b, a) if decision == "better" else (a, b)
        return f"{winner} is preferred to {loser}."
    by = f"by the margin of {margin:g}"
    is_or_not = "is" if decision == "better" else "is not"
    return f"{b} {is_or_not} preferred to {a} {by}."
