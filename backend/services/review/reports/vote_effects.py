"""Does the side, or the length, of an answer sway the votes on blind pairs?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from backend.errors import CannotCompute
from backend.services.review.reports.votes import Vote
from backend.tables.review import ReviewItem, Winner
from backend.tables.runs import Generation

if TYPE_CHECKING:
    from evaluators.statistics.votes import Vote as FileVote

LEAST = 6
CHUNK = 500


@dataclass(frozen=True, slots=True)
class SideEffect:
    """Share of pairs whose left answer was preferred, with the exact p of one half."""

    value: float
    low: float
    high: float
    p: float
    n: int
    signature: str


@dataclass(frozen=True, slots=True)
class LengthEffect:
    """Log odds of winning for `spread` characters more (one standard deviation), models apart."""

    value: float
    low: float
    high: float
    p: float
    n: int
    spread: float
    signature: str


def side_effect(votes: Sequence[Vote]) -> SideEffect:
    """Exact binomial test that sides are alike, each pair counting once.

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
    return SideEffect(
        value=sum(sides) / len(sides),
        low=float(interval.low),
        high=float(interval.high),
        p=float(test.pvalue),
        n=len(sides),
        signature="side|strop:1|test:exact-binomial|unit:pair|ci:clopper-pearson|level:0.95",
    )


def length_effect(session: Session, votes: Sequence[Vote]) -> LengthEffect:
    """Length as a covariate beside the models' strengths and the side (Bradley-Terry, Davidson).

    Raises:
        CannotCompute: too few votes, no spread in lengths, or one model won everything.
    """
    from statistics import NormalDist

    from evaluators.errors import EvaluatorError
    from evaluators.statistics.preference import bradley_terry

    lengths = _lengths(session, {vote.item_id for vote in votes})
    shown = [_as_shown(vote, lengths[vote.item_id]) for vote in votes if _tells(vote)]
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
    return LengthEffect(
        found.value, found.low, found.high, p, len(shown), spread, f"length|{fit.signature}"
    )


def _tells(vote: Vote) -> bool:
    return vote.winner is not Winner.CANNOT_JUDGE


def _as_shown(vote: Vote, shown: _Shown) -> FileVote:
    """The vote as the evaluators take it, the answer on the left being a."""
    from evaluators.statistics.votes import Vote as FileVote
    from evaluators.statistics.votes import Winner as FileWinner

    models = vote.model_ids if shown.a_is_left else vote.model_ids[::-1]
    sizes = shown.lengths if shown.a_is_left else shown.lengths[::-1]
    winner = FileWinner.TIE
    if vote.winner_left is not None:
        winner = FileWinner.A if vote.winner_left else FileWinner.B
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
class _Shown:
    a_is_left: bool
    lengths: tuple[int, int]


def _lengths(session: Session, item_ids: set[int]) -> dict[int, _Shown]:
    """Characters of both answers of each pair, and which stood on the left."""
    a, b = aliased(Generation), aliased(Generation)
    ids = sorted(item_ids)
    found: dict[int, _Shown] = {}
    for start in range(0, len(ids), CHUNK):
        query = (
            select(
                ReviewItem.id,
                ReviewItem.a_is_left,
                func.length(a.text),
                func.length(b.text),
            )
            .join(a, a.id == ReviewItem.generation_a_id)
            .join(b, b.id == ReviewItem.generation_b_id)
            .where(ReviewItem.id.in_(ids[start : start + CHUNK]))
        )
        for item_id, a_is_left, of_a, of_b in session.execute(query):
            found[item_id] = _Shown(a_is_left, (of_a or 0, of_b or 0))
    return found
