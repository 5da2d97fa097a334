"""The confidence sequence of an A/B as it could be seen after each vote, withdrawals and all.

What anybody could see is never unseen: the bounds after a vote hang on the votes up to it and on
the withdrawals before it, and on nothing that comes later.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING

from backend.services.review.reports.votes import Vote, points_of

if TYPE_CHECKING:
    from evaluators.statistics.sequential import ConfidenceSequence

EARLIEST = datetime.min.replace(tzinfo=UTC)


def sequence_as_seen(
    votes: Sequence[Vote], b_id: int, *, alpha: float, plan: Mapping[str, int] | None
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
    votes: Sequence[Vote], b_id: int, *, alpha: float, plan: Mapping[str, int] | None
) -> ConfidenceSequence:
    from evaluators.statistics.sequential import clustered_sequence

    points = [points_of(vote, b_id) for vote in votes]
    return clustered_sequence(points, [vote.cluster for vote in votes], planned=plan, alpha=alpha)


def _stretches(votes: Sequence[Vote]) -> list[tuple[int, int, set[int]]]:
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
