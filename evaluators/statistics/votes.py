"""Votes between two outputs: who won, in a form that does not depend on the side shown.

`both_bad` counts as a tie wherever only the order of the two matters.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np

from evaluators.errors import UndefinedFigure
from evaluators.statistics.clusters import number_clusters, sum_clusters
from evaluators.statistics.intervals import Interval, mean_interval, rate_interval


class VoteWinner(StrEnum):
    """What a vote says."""

    A = "a"
    B = "b"
    TIE = "tie"
    BOTH_BAD = "both_bad"


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's choice between the outputs of two models for one item; a is shown first."""

    item: str
    rater: str
    model_a: str
    model_b: str
    winner: VoteWinner
    length_a: float | None = None
    length_b: float | None = None
    simulated: bool = False  # a script voted

    @property
    def pair(self) -> tuple[str, str]:
        """The two models in alphabetical order."""
        first, second = sorted((self.model_a, self.model_b))
        return first, second

    @property
    def better(self) -> str | None:
        """The model that won; None for a tie or both bad."""
        if self.winner is VoteWinner.A:
            return self.model_a
        return self.model_b if self.winner is VoteWinner.B else None


@dataclass(frozen=True, slots=True)
class WinRate:
    """How often a model beats another (or all others, against=None); a tie counts half.

    `n` votes on `items` items; the interval is clustered by item.
    """

    model: str
    against: str | None
    value: float
    low: float | None
    high: float | None
    n: int
    items: int
    wins: int
    losses: int
    ties: int
    method: str
    rough: bool


def win_rates(votes: Sequence[Vote], *, seed: int = 0, level: float = 0.95) -> list[WinRate]:
    """Every model against every other and against all, ties as half a win.

    Raises:
        UndefinedFigure: no votes.
    """
    if not votes:
        raise UndefinedFigure("There are no votes.")
    models = sorted({model for vote in votes for model in vote.pair})
    rows = []
    for model in models:
        mine = [vote for vote in votes if model in vote.pair]
        rows.append(_win_rate(model, None, mine, seed, level))
        for other in models:
            both = [vote for vote in mine if other in vote.pair and other != model]
            if both:
                rows.append(_win_rate(model, other, both, seed, level))
    return rows


def _win_rate(
    model: str, other: str | None, votes: Sequence[Vote], seed: int, level: float
) -> WinRate:
    points = [0.5 if v.better is None else float(v.better == model) for v in votes]
    wins, losses = points.count(1.0), points.count(0.0)
    items = [vote.item for vote in votes]
    interval = share_interval(points, items, seed=seed, level=level)
    return WinRate(
        model=model,
        against=other,
        value=float(np.mean(points)),
        low=interval.low,
        high=interval.high,
        n=len(votes),
        items=len(set(items)),
        wins=wins,
        losses=losses,
        ties=len(points) - wins - losses,
        method=interval.method,
        rough=interval.rough,
    )


def share_interval(
    points: Sequence[float], items: Sequence[str | None], *, seed: int = 0, level: float = 0.95
) -> Interval:
    """Interval of a mean of points between 0 and 1, clustered by item."""
    rows = np.column_stack([points, np.ones(len(points))])
    sums = sum_clusters(rows, number_clusters(items))
    if all(point in (0.0, 1.0) for point in points):
        return rate_interval(sums, level=level)
    return mean_interval(sums, scale=1.0, seed=seed, resamples=1000, level=level)


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """Share of equal verdicts of two kinds of voters; ties counted as a verdict, or left out."""

    between: str
    by: str
    ties: str
    agree: int
    n: int
    value: float
    low: float | None
    high: float | None
    items: int


def judge_agreement(
    votes: Sequence[Vote], judge: str, *, level: float = 0.95
) -> list[JudgeAgreement]:
    """The judge against people and people against people, with ties and without.

    `by` is "vote" (every pair of votes on the same item and models) or "majority" (the judge's
    verdict against the people's majority; no majority is a tie). Intervals are clustered by item.

    Raises:
        UndefinedFigure: the judge, or people, did not vote on any item that the other voted on.
    """
    places: dict[tuple[str, tuple[str, str]], list[Vote]] = defaultdict(list)
    for vote in votes:
        places[(vote.item, vote.pair)].append(vote)
    if not any(vote.rater == judge for vote in votes):
        known = ", ".join(sorted({vote.rater for vote in votes})[:8])
        raise UndefinedFigure(f"{judge!r} has no vote.", hint=f"Raters are {known}.")
    rows = []
    for between, by, pairs in (
        (f"{judge} - human", "vote", _judge_pairs),
        ("human - human", "vote", _human_pairs),
        (f"{judge} - human", "majority", _majority_pairs),
    ):
        found = list(_verdict_pairs(places, judge, pairs))
        rows += [_agreement_row(between, by, found, drop, level) for drop in (False, True)]
    kept = [row for row in rows if row is not None]
    if not kept:
        raise UndefinedFigure("No item has votes of the judge and of people.")
    return kept


VerdictPair = tuple[str | None, str | None]


def _verdict_pairs(
    places: dict[tuple[str, tuple[str, str]], list[Vote]],
    judge: str,
    pairs: Callable[[list[Vote], list[Vote]], Iterable[VerdictPair]],
) -> Iterable[tuple[str, VerdictPair]]:
    for (item, _), votes in places.items():
        people = [vote for vote in votes if vote.rater != judge]
        judged = [vote for vote in votes if vote.rater == judge]
        for pair in pairs(judged, people):
            yield item, pair


def _judge_pairs(judged: list[Vote], people: list[Vote]) -> Iterable[VerdictPair]:
    return [(j.better, p.better) for j in judged for p in people]


def _human_pairs(judged: list[Vote], people: list[Vote]) -> Iterable[VerdictPair]:
    return [(a.better, b.better) for a, b in combinations(people, 2)]


def _majority_pairs(judged: list[Vote], people: list[Vote]) -> Iterable[VerdictPair]:
    return [(majority(judged), majority(people))] if judged and people else []


def majority(votes: Sequence[Vote]) -> str | None:
    """The verdict with most votes; None (a tie) where no verdict has more than the others."""
    ranked = Counter(vote.better for vote in votes).most_common(2)
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        return None
    return ranked[0][0]


def _agreement_row(
    between: str, by: str, found: list[tuple[str, VerdictPair]], drop: bool, level: float
) -> JudgeAgreement | None:
    kept = [(item, pair) for item, pair in found if not (drop and None in pair)]
    if not kept:
        return None
    equal = [float(a == b) for _, (a, b) in kept]
    items = [item for item, _ in kept]
    interval = share_interval(equal, items, level=level)
    return JudgeAgreement(
        between=between,
        by=by,
        ties="left out" if drop else "counted",
        agree=int(sum(equal)),
        n=len(equal),
        value=float(np.mean(equal)),
        low=interval.low,
        high=interval.high,
        items=len(set(items)),
    )
