"""An A/B that may be looked at and stopped at any time: who is ahead, and is it decided?

The interval is a confidence sequence (evaluators.statistics.sequential): it holds at every look at
once, so that stopping as soon as it is decided is right. Votes enter in the order in which they
were submitted, those of one group in batches that are closed when they are full. A tie and "both
bad" count half, "cannot judge" not at all. The sequence needs pairs drawn with equal chances, in
random order: of an active design only the random anchor is watched.

What was decided stays decided. The test takes votes as they were first cast: taken out in sight of
the state, withdrawn votes could steer it, and its error would be nobody's. Yet nothing is decided
by votes that were withdrawn before: from then on the bounds are the wider ones of the votes as cast
and of those that stand. The value beside the interval is that of the votes that stand now.

How many more votes an A/B takes until it is decided, if they go on as so far; simulated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import fmean
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from backend.errors import CannotCompute, InvalidInput, NotFound
from backend.schemas.review.reports import Measured, WatchOut, WatchPoint
from backend.services.metric_specs import MetricSpec
from backend.services.review.opening.design import ANCHOR
from backend.services.review.queues import get_queue
from backend.services.review.reports.measured import unknown
from backend.services.review.reports.votes import (
    PairVote,
    cast_votes,
    cluster_name,
    models_of_queue,
    points_of,
    queue_votes,
    sequence_as_seen,
)
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.review import Purpose, ReviewItem, Winner
from backend.tables.runs import Generation

LEAST = 10
HORIZON = 2000
DRAWS = 300


@dataclass(frozen=True, slots=True)
class VoteForecast:
    """Median and 80% range of the further votes; None is more than `more_limit`."""

    more: int | None
    more_low: int | None
    more_high: int | None
    more_limit: int

    @property
    def sentence(self) -> str:
        """For the lead."""
        if self.more is None:
            at_least = self.more_limit
            return f"It would take more than {at_least} votes at the present rate (simulated)."
        upper = f"over {self.more_limit}" if self.more_high is None else f"{self.more_high}"
        return (
            f"About {self.more} more votes at the present rate "
            f"(80% range {self.more_low} to {upper}; simulated)."
        )


def forecast_clusters(
    points: Mapping[str, Sequence[float]],
    planned: Mapping[str, int],
    n_votes: int,
    *,
    threshold: float,
    alpha: float,
    seed: int,
) -> VoteForecast | None:
    """How many votes on further clusters until decided, by the batches that are nearest to it.

    Args:
        points: votes of each cluster in order; planned: how many the design asks for.
        n_votes: all votes so far, those that judge nothing among them.
    """
    from evaluators.statistics.sequential import batch_sizes

    sizes = batch_sizes(planned)
    found = []
    for size in sizes:
        full = {cluster: min(size, planned.get(cluster, 1)) for cluster in points}
        means = [fmean(seen[: full[c]]) for c, seen in points.items() if len(seen) >= full[c]]
        cost = n_votes / max(len(points), 1) if size == 1 else fmean(full.values())
        share = alpha / len(sizes)
        took = round(cost * len(means))
        found.append(forecast_votes(means, took, threshold=threshold, alpha=share, seed=seed))
    known = [forecast for forecast in found if forecast is not None]
    return min(known, key=lambda f: math.inf if f.more is None else f.more, default=None)


def forecast_votes(
    values: Sequence[float], n_votes: int, *, threshold: float, alpha: float, seed: int
) -> VoteForecast | None:
    """How many more votes until decided, if the coming ones are like those seen.

    The values are independent, one for each cluster; `n_votes` is what it took to have them.

    What is seen is drawn from with weights of the Bayesian bootstrap (Rubin 1981), with half a win
    and half a loss added so that a unanimous start is not taken for certainty. None while there
    are too few values to go by.
    """
    import numpy as np

    from evaluators.statistics.sequential import log_capital

    if len(values) < LEAST:
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
    return VoteForecast(middle, low, high, math.floor(HORIZON * per_value))


Decided = Literal["better", "not_better", "undecided"]
SERIES = 200
# Stratified by proportion, chances differ by rounding only.
ALIKE = 1.1
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class _Watched:
    """A pair of equal chance: its models, its cluster, and the reviews asked for."""

    pair: tuple[int, int]
    cluster: str
    required: int


@dataclass(frozen=True, slots=True)
class _State:
    """What the votes say so far."""

    decision: Decided
    decided_at: int | None
    low: float
    high: float
    signature: str
    series: list[WatchPoint]


def watch_queue(
    session: Session,
    queue_id: int,
    *,
    margin: float = 0.0,
    alpha: float = 0.05,
    slice: Mapping[str, str] | None = None,
    seed: int = 0,
) -> list[WatchOut]:
    """The state of the A/B of each two models of a queue.

    Args:
        margin: by how much b's win rate has to exceed one half, 0 to below 0.5.
        alpha: chance of ever deciding wrongly.
        slice: only pairs on examples of this slice; all by default.

    Raises:
        NotFound: the queue shows no pairs.
        InvalidInput: margin or alpha is out of range.
        CannotCompute: pairs were drawn with unequal chances and there is no anchor, or none is in
            the slice.
    """
    if not 0 <= margin < 0.5 or not 0 < alpha < 1:
        raise InvalidInput("A margin lies from 0 to below 0.5, alpha between 0 and 1.")
    queue = get_queue(session, queue_id)
    if queue.kind != "pair":
        raise NotFound(f"The queue {queue.name!r} shows no pairs.", hint="Name a queue of pairs.")
    return [
        _watch(session, pair, margin=margin, alpha=alpha, seed=seed)
        for pair in votes_by_pair(session, queue_id, slice=slice)
    ]


@dataclass(frozen=True, slots=True)
class PairVotes:
    """All that the A/B of two models rests on.

    Attributes:
        cast: as they were cast, in that order, those that were withdrawn since among them.
        standing: the votes that stand now.
        plan: votes planned in each cluster.
    """

    models: tuple[int, int]
    cast: list[PairVote]
    standing: list[PairVote]
    plan: Counter[str]


def votes_by_pair(
    session: Session, queue_id: int, *, slice: Mapping[str, str] | None = None
) -> list[PairVotes]:
    """The votes of a queue of pairs for each two of its models; errors as `watch_queue`."""
    watched = _watched_items(session, queue_id, slice or {})
    cast = [vote for vote in cast_votes(session, queue_id) if vote.item_id in watched]
    standing = [vote for vote in queue_votes(session, queue_id) if vote.item_id in watched]
    found = []
    for models in combinations(models_of_queue(session, queue_id), 2):
        plan: Counter[str] = Counter()
        for item in watched.values():
            if item.pair == models:
                plan[item.cluster] += item.required
        mine = [vote for vote in cast if vote.model_ids == models]
        left = [vote for vote in standing if vote.model_ids == models]
        found.append(PairVotes(models, mine, left, plan))
    return found


def _watched_items(
    session: Session, queue_id: int, slice: Mapping[str, str]
) -> dict[int, _Watched]:
    """Pairs of equal chances, by item."""
    a, b = aliased(Generation), aliased(Generation)
    query = (
        select(
            ReviewItem.id,
            ReviewItem.stratum,
            ReviewItem.inclusion_probability,
            ReviewItem.required_reviews,
            a.model_version_id,
            b.model_version_id,
            Example.group,
            Example.id,
            Example.slices,
        )
        .join(a, a.id == ReviewItem.generation_a_id)
        .join(b, b.id == ReviewItem.generation_b_id)
        .join(Example, Example.id == a.example_id)
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
    wanted = MetricSpec("win_rate", slice)
    rows = [row for row in rows if wanted.covers(row.slices)]
    if slice and not rows:
        raise CannotCompute(f"No pair of the queue is in the slice of {wanted.label}.")
    return {
        row[0]: _Watched((row[4], row[5]), cluster_name(row.group, row[7]), row.required_reviews)
        for row in rows
    }


def _watch(
    session: Session, pair: PairVotes, *, margin: float, alpha: float, seed: int
) -> WatchOut:
    """The state of one A/B."""
    a, b = (session.get_one(ModelVersion, model_id) for model_id in pair.models)
    stands, planned, threshold = pair.standing, pair.plan.total(), 0.5 + margin
    state = _judge(pair, threshold=threshold, alpha=alpha)
    figure = _figure(stands, b.id, state, alpha)
    forecast = None
    if state is None or state.decision == "undecided":
        points = _in_order(stands, b.id)
        forecast = forecast_clusters(
            points, pair.plan, len(stands), threshold=threshold, alpha=alpha, seed=seed
        )
    decided_at = None if state is None else state.decided_at
    decision: Decided = "undecided" if state is None else state.decision
    saved = None if decided_at is None else max(0, planned - decided_at)
    withdrawn = sum(vote.withdrawn_at is not None for vote in pair.cast)
    verdict = _verdict(a.label, b.label, margin, decision)
    return WatchOut(
        model_a_id=a.id,
        model_b_id=b.id,
        model_a=a.label,
        model_b=b.label,
        margin=margin,
        figure=figure,
        decision=decision,
        sentence=_sentence(verdict, saved, planned, forecast, figure.error)
        + _since(withdrawn, decided_at)
        + (f" {figure.note}" if figure.note else ""),
        votes=len(stands),
        cannot_judge=sum(vote.winner is Winner.CANNOT_JUDGE for vote in stands),
        withdrawn=withdrawn,
        planned=planned,
        decided_at=decided_at,
        saved=saved,
        **({} if forecast is None else asdict(forecast)),
        n_simulated=sum(vote.simulated for vote in stands),
        series=[] if state is None else state.series,
    )


def _judge(pair: PairVotes, *, threshold: float, alpha: float) -> _State | None:
    """The test on the votes as cast; None where nobody has judged."""
    from evaluators.statistics.sequential import decide

    if all(vote.winner is Winner.CANNOT_JUDGE for vote in pair.cast):
        return None
    sequence = sequence_as_seen(pair.cast, pair.models[1], alpha=alpha, plan=pair.plan)
    stop = decide(sequence, threshold=threshold)
    points = [
        WatchPoint(votes=n, value=float(mean), low=float(low), high=float(high))
        for n, (mean, low, high) in enumerate(
            zip(sequence.mean, sequence.low, sequence.high, strict=True), start=1
        )
        if not math.isnan(mean)
    ]
    decision = _DECISIONS[stop.decision]
    return _State(
        decision=decision,
        decided_at=None if decision == "undecided" else stop.n,
        low=points[-1].low,
        high=points[-1].high,
        signature=f"win_rate|ties:half|{sequence.signature}",
        series=_thinned(points),
    )


_DECISIONS: dict[str, Decided] = {"above": "better", "below": "not_better", "continue": "undecided"}


def _in_order(votes: Sequence[PairVote], b_id: int) -> dict[str, list[float]]:
    """The points of each cluster, in the order of its votes and of its first one."""
    found: dict[str, list[float]] = {}
    for vote in votes:
        if (points := points_of(vote, b_id)) is not None:
            found.setdefault(vote.cluster, []).append(points)
    return found


def _figure(votes: Sequence[PairVote], b_id: int, state: _State | None, alpha: float) -> Measured:
    """The mean over clusters of the votes that stand, beside the bounds of the test."""
    points = list(_in_order(votes, b_id).values())
    if state is None or not points:
        return unknown("Nobody has voted on these models yet.")
    value = fmean(fmean(of_cluster) for of_cluster in points)
    outside = not state.low - ROUNDING <= value <= state.high + ROUNDING
    return Measured(
        value=value,
        low=state.low,
        high=state.high,
        n=len(points),
        level=1 - alpha,
        rough=outside,
        note=OUTSIDE if outside else "",
        signature=state.signature,
    )


OUTSIDE = (
    "The votes that stand now lie outside the interval, which later votes and withdrawals never "
    "widen: people's answers changed on the way."
)


def _thinned(points: Sequence[WatchPoint]) -> list[WatchPoint]:
    """About SERIES of the points, the last one among them."""
    step = max(1, math.ceil(len(points) / SERIES))
    kept = {*range(0, len(points), step), len(points) - 1}
    return [points[i] for i in sorted(kept)]


def _sentence(
    verdict: str | None,
    saved: int | None,
    planned: int,
    forecast: VoteForecast | None,
    error: str | None,
) -> str:
    if verdict is not None:
        rest = f" You may stop: {saved} votes saved against the fixed plan of {planned}."
        return verdict + (rest if saved else "")
    if error is not None:
        return error
    too_early = "It is too early to say how many votes it will take."
    return f"Not decided. {too_early if forecast is None else forecast.sentence}"


def _since(withdrawn: int, decided_at: int | None) -> str:
    """What has to be known of withdrawn votes, as a sentence behind the others."""
    if not withdrawn:
        return ""
    votes = "1 vote was" if withdrawn == 1 else f"{withdrawn} votes were"
    if decided_at is None:
        return f" {votes} withdrawn; nothing is decided on them."
    return f" {votes} withdrawn; a decision stands as it was made."


def _verdict(a: str, b: str, margin: float, decision: Decided) -> str | None:
    if decision == "undecided":
        return None
    if margin == 0:
        winner, loser = (b, a) if decision == "better" else (a, b)
        return f"{winner} is preferred to {loser}."
    is_or_not = "is" if decision == "better" else "is not"
    return f"{b} {is_or_not} preferred to {a} by the margin of {margin:g}."
