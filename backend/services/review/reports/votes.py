"""Votes on blind pairs, in terms of models: counts, win rates with intervals, and side bias.

A reviewer's latest vote on a pair counts; withdrawn ones do not. Ties, "both bad" and "cannot
judge" are stated and not shared out: a win rate is a share of the decided votes. Where the design
drew pairs with unequal chances, a vote weighs by the inverse of its pair's chance (Hajek).

The confidence sequence of an A/B as it could be seen after each vote, withdrawals and all.

What anybody could see is never unseen: the bounds after a vote hang on the votes up to it and on
the withdrawals before it, and on nothing that comes later.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate, combinations
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

from backend.errors import CannotCompute, NotFound
from backend.schemas.review.queues import PreferencesOut, WinRateOut
from backend.services.review.counted import measures, stands
from backend.services.review.opening.frames import identical_pairs
from backend.services.review.queues import get_queue
from backend.tables.accounts import User
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.review import Preference, Review, ReviewItem, ReviewQueue, ReviewState, Winner
from backend.tables.runs import Generation
from evaluators.statistics.intervals import wilson

if TYPE_CHECKING:
    from evaluators.statistics.sequential import ConfidenceSequence

VERSION = 1
_Sums = tuple[float, float]  # weighted wins and weight of a cluster


@dataclass(frozen=True, slots=True)
class PairVote:
    """One reviewer's vote on one pair.

    Attributes:
        winner_id: the model that was preferred; None when no side was.
        winner_left: whether the preferred text stood on the left; None when no side was.
        cluster: votes of one cluster (a group of examples) are not independent.
        probability: the chance with which the design took the pair.
        cast_at: when it was submitted here; None where it was imported, with a time of its own.
        withdrawn_at: when the person's answer to the pair was withdrawn.
    """

    review_id: int
    item_id: int
    model_ids: tuple[int, int]
    winner: Winner
    winner_id: int | None
    winner_left: bool | None
    cluster: str
    rater: str
    simulated: bool
    probability: float = 1.0
    cast_at: datetime | None = None
    withdrawn_at: datetime | None = None


def models_of_queue(session: Session, queue_id: int) -> list[int]:
    """Ids of the models whose outputs the queue shows, as they were named when it was opened."""
    return [int(model_id) for model_id in get_queue(session, queue_id).design["model_ids"]]


def queue_votes(session: Session, queue_id: int) -> list[PairVote]:
    """The votes that count: of each person the latest on a pair, in the order of submission."""
    answers = _answers(session, queue_id, stands())
    return list({(vote.item_id, vote.rater): vote for vote in answers}.values())


def cast_votes(session: Session, queue_id: int) -> list[PairVote]:
    """The votes as they were first cast, those that were withdrawn since among them.

    Nothing is ever taken out of this list, changed, or put in before its end: of a revised answer
    the first stands here, and `withdrawn_at` is that of the answer that took its place.
    """
    first: dict[tuple[int, str], PairVote] = {}
    for vote in _answers(session, queue_id, (Review.state == ReviewState.SUBMITTED,)):
        known = first.setdefault((vote.item_id, vote.rater), vote)
        first[vote.item_id, vote.rater] = replace(known, withdrawn_at=vote.withdrawn_at)
    return list(first.values())


def points_of(vote: PairVote, model_id: int) -> float | None:
    """What a model gets from a vote: 1, 1/2 or 0; None where the vote judges nothing."""
    if vote.winner is Winner.CANNOT_JUDGE:
        return None
    return 0.5 if vote.winner_id is None else float(vote.winner_id == model_id)


def cluster_name(group: str | None, example_id: int) -> str:
    """Outputs of one group, or of one example, are not independent."""
    return group if group is not None else f"example {example_id}"


def _answers(
    session: Session, queue_id: int, which: tuple[ColumnElement[bool], ...]
) -> Iterator[PairVote]:
    """Measured votes in the order of submission.

    A preference is stored when it is submitted, so that its id has that order; reviews begin with
    the lease, and imported ones bring their own times.
    """
    a, b = aliased(Generation), aliased(Generation)
    query = (
        select(Review, ReviewItem, Preference, a, b.model_version_id, Example.group, User.pseudonym)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(Preference, Preference.review_id == Review.id)
        .join(a, a.id == ReviewItem.generation_a_id)
        .join(b, b.id == ReviewItem.generation_b_id)
        .join(Example, Example.id == a.example_id)
        .join(User, User.id == Review.reviewer_id)
        .where(ReviewItem.queue_id == queue_id, *which, *measures())
        .order_by(Preference.id)
    )
    for review, item, preference, first, second_model_id, group, rater in session.execute(query):
        winner = Winner(preference.winner)
        models = (first.model_version_id, second_model_id)
        decided = winner in (Winner.A, Winner.B)
        yield PairVote(
            review_id=review.id,
            item_id=item.id,
            model_ids=models,
            winner=winner,
            winner_id=models[winner == Winner.B] if decided else None,
            winner_left=(winner == Winner.A) == item.a_is_left if decided else None,
            cluster=cluster_name(group, first.example_id),
            rater=rater,
            simulated=review.simulated,
            probability=item.inclusion_probability,
            cast_at=review.submitted_at if review.source == "desk" else None,
            withdrawn_at=review.withdrawn_at,
        )


def rate_of(votes: Sequence[PairVote], model_id: int) -> WinRateOut:
    """How often a model is preferred among these votes, with a 95% interval clustered by group.

    Wilson's interval at the effective sample size: the number of votes divided by the design
    effect of the clusters (Korn and Graubard 1998, Survey Methodology 24:193).

    Raises:
        CannotCompute: no decided vote.
    """
    decided = [vote for vote in votes if vote.winner_id is not None]
    if not decided:
        raise CannotCompute(
            f"No vote of {len(votes)} decides between the models.", hint="Gather more votes."
        )
    weights = _weights(decided)
    clusters: dict[str, _Sums] = {}
    for vote, weight in zip(decided, weights, strict=True):
        won, size = clusters.get(vote.cluster, (0.0, 0.0))
        clusters[vote.cluster] = won + weight * (vote.winner_id == model_id), size + weight
    n, total = len(decided), sum(weights)
    rate = sum(won for won, _ in clusters.values()) / total
    weighted = not _are_alike(weights)
    effective = _effective_size(list(clusters.values()), rate, n, weighted=weighted)
    low, high = wilson(rate * effective, effective)
    signature = (
        f"win_rate|version:{VERSION}|of:decided votes|interval:wilson, effective n "
        f"{effective:.1f}, clustered by group|level:0.95"
    )
    if weighted:
        signature += "|weights:inverse chance of the pair"
    return WinRateOut(
        value=rate, low=low, high=high, n=n, failed=len(votes) - n, signature=signature
    )


def _weights(votes: Sequence[PairVote]) -> list[float]:
    """Inverse chances, of mean 1; exactly 1 where all chances are alike."""
    chances = [vote.probability for vote in votes]
    if _are_alike(chances):
        return [1.0] * len(votes)
    inverse = [1 / chance for chance in chances]
    mean = sum(inverse) / len(inverse)
    return [weight / mean for weight in inverse]


def _are_alike(numbers: Sequence[float]) -> bool:
    return max(numbers) - min(numbers) < 1e-12


def preference_summary(session: Session, queue_id: int) -> list[PreferencesOut]:
    """The votes of a queue for each two of its models."""
    queue = get_queue(session, queue_id)
    ids = models_of_queue(session, queue_id)
    models = {model_id: session.get_one(ModelVersion, model_id) for model_id in ids}
    if len(models) < 2:
        raise NotFound(f"The queue {queue.name!r} shows no pairs.", hint="Name a queue of pairs.")
    votes = queue_votes(session, queue_id)
    identical = _identical_pairs(session, queue)
    return [
        _summarise(
            [vote for vote in votes if set(vote.model_ids) == {a, b}],
            models[a],
            models[b],
            n_identical=identical.get((a, b), 0),
        )
        for a, b in combinations(models, 2)
    ]


def _identical_pairs(session: Session, queue: ReviewQueue) -> Mapping[tuple[int, int], int]:
    """How many pairs of each two models were not shown since both wrote the same text.

    Queues of before kept only the sum; it is counted anew from what the models wrote.
    """
    design = queue.design
    if "identical" in design:
        return {(a, b): n for a, b, n in design["identical"]}
    if not design["n_identical"]:
        return {}
    return identical_pairs(session, queue.generation_run_id, design["model_ids"])


def _effective_size(clusters: Sequence[_Sums], rate: float, n: int, *, weighted: bool) -> float:
    """Votes divided by their design effect, of clusters and of weights.

    With no variance to see, the number of clusters; Kish's (1965) where the votes are weighted.
    """
    k, total = len(clusters), sum(size for _, size in clusters)
    if rate in (0.0, 1.0) or k < 2:
        return total**2 / sum(size**2 for _, size in clusters) if weighted else float(k)
    between = sum((won - rate * size) ** 2 for won, size in clusters)
    clustered = between / total**2 * k / (k - 1)
    simple = rate * (1 - rate) / (n - 1)
    return n / max(1.0, clustered / simple)


def _summarise(
    votes: Sequence[PairVote], a: ModelVersion, b: ModelVersion, *, n_identical: int
) -> PreferencesOut:
    answers = Counter(vote.winner for vote in votes)
    wins = Counter(vote.winner_id for vote in votes)
    rate, error = None, None
    try:
        rate = rate_of(votes, b.id)
    except CannotCompute as undefined:
        error = str(undefined)
    return PreferencesOut(
        model_a_id=a.id,
        model_b_id=b.id,
        model_a=a.label,
        model_b=b.label,
        wins_a=wins[a.id],
        wins_b=wins[b.id],
        ties=answers[Winner.TIE],
        both_bad=answers[Winner.BOTH_BAD],
        cannot_judge=answers[Winner.CANNOT_JUDGE],
        left_wins=sum(vote.winner_left is True for vote in votes),
        right_wins=sum(vote.winner_left is False for vote in votes),
        n_votes=len(votes),
        n_identical=n_identical,
        n_simulated=sum(vote.simulated for vote in votes),
        win_rate=rate,
        error=error,
    )


EARLIEST = datetime.min.replace(tzinfo=UTC)


def sequence_as_seen(
    votes: Sequence[PairVote], b_id: int, *, alpha: float, plan: Mapping[str, int] | None
) -> ConfidenceSequence:
    """Bounds after each vote, as they could be seen then.

    After a withdrawal the votes that still stood then are looked at beside all that were cast, and
    the wider bounds taken: a set of bounds around a valid one. What was seen before is kept.
    """
    import numpy as np

    whole = _sequence(votes, b_id, alpha=alpha, plan=plan)
    low, high = whole.low.copy(), whole.high.copy()
    for start, end, gone in _stretches(votes):
        at = [i for i in range(end) if i not in gone]
        left_low, left_high = [0.0], [1.0]  # before the first of the votes that are left
        if at:
            left = _sequence([votes[i] for i in at], b_id, alpha=alpha, plan=plan)
            left_low, left_high = [0.0, *left.low], [1.0, *left.high]
        number = np.searchsorted(at, np.arange(start, end), side="right")
        low[start:end] = np.minimum(low[start:end], np.asarray(left_low)[number])
        high[start:end] = np.maximum(high[start:end], np.asarray(left_high)[number])
    low, high = np.maximum.accumulate(low), np.minimum.accumulate(high)
    return replace(whole, low=low, high=high)


def _sequence(
    votes: Sequence[PairVote], b_id: int, *, alpha: float, plan: Mapping[str, int] | None
) -> ConfidenceSequence:
    from evaluators.statistics.sequential import clustered_sequence

    points = [points_of(vote, b_id) for vote in votes]
    return clustered_sequence(points, [vote.cluster for vote in votes], planned=plan, alpha=alpha)


def _stretches(votes: Sequence[PairVote]) -> list[tuple[int, int, set[int]]]:
    """Where votes were cast after a withdrawal: from, to, and which had been withdrawn by then."""
    times = list(accumulate((vote.cast_at or EARLIEST for vote in votes), max))
    starts: dict[int, set[int]] = {}
    gone: set[int] = set()
    withdrawn = [(v.withdrawn_at, i) for i, v in enumerate(votes) if v.withdrawn_at is not None]
    for when, i in sorted(withdrawn):
        gone.add(i)
        starts[bisect_right(times, when)] = set(gone)
    ends = [*starts, len(votes)][1:]
    return [(start, end, starts[start]) for start, end in zip(starts, ends, strict=True)]
