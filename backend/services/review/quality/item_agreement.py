"""How far the reviewers of one item differ: what opens an adjudication, or asks for one more.

    nominal (yes or no, category, vote)     0 when equal, else 1
    ordinal (stars, verdict)                |rank - rank| / (ranks - 1)
    number                                  |a - b| / (max - min)
    several options                         1 - shared / named by either (Jaccard)
    text                                    not compared

The mean over pairs of people for each criterion, then over the criteria that two people answered.
These are distances of single items, not corrected for chance; `agreement` has the coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.rubrics import (
    Category,
    CheckedAnswer,
    Criterion,
    Multi,
    Number,
    Rubric,
    Stars,
    Text,
    Verdict,
    YesNo,
    chosen_options,
    rubric_from_content,
    value_in_words,
)
from backend.services.review.counted import counts
from backend.tables.review import (
    Preference,
    Rating,
    Review,
    ReviewItem,
    ReviewQueue,
    RubricVersion,
)

WINNER = "winner"
Answers = Mapping[str, CheckedAnswer]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far an item's reviews are apart: 0 all alike, 1 as far as can be; `reason` in words."""

    value: float
    reason: str


def item_disagreement(session: Session, item_id: int) -> Disagreement | None:
    """The disagreement of the reviews of an item that count; None when no two can be compared.

    Raises:
        NotFound: no such item.
    """
    return compare_answers(_rubric(session, item_id), _given(session, item_id))


def compare_answers(rubric: Rubric, given: Sequence[Answers]) -> Disagreement | None:
    """The disagreement of some people's answers, each by criterion; a vote is under `winner`."""
    scales: dict[str, Criterion | None] = {WINNER: None, **{c.name: c for c in rubric.criteria}}
    apart: dict[str, float] = {}
    for name, criterion in scales.items():
        said = [answers[name] for answers in given if name in answers]
        found = [distance(criterion, a, b) for a, b in combinations(said, 2)]
        known = [value for value in found if value is not None]
        if known:
            apart[name] = fmean(known)
    if not apart:
        return None
    return Disagreement(fmean(apart.values()), _reason(apart, given))


def distance(criterion: Criterion | None, a: CheckedAnswer, b: CheckedAnswer) -> float | None:
    """How far two answers are apart, 0 to 1; None for a scale that is not compared.

    A vote has no criterion.
    """
    match criterion:
        case YesNo() | Category() | None:
            return float(a.value != b.value)
        case Verdict():
            return _apart(a, b, 2.0)
        case Stars():
            return _apart(a, b, criterion.n - 1.0)
        case Number():
            return _apart(a, b, criterion.max - criterion.min)
        case Multi():
            one, other = set(chosen_options(a.value) or []), set(chosen_options(b.value) or [])
            return 1 - len(one & other) / len(one | other) if one | other else 0.0
        case Text():
            return None
        case _:
            assert_never(criterion)


def _apart(a: CheckedAnswer, b: CheckedAnswer, widest: float) -> float:
    if a.number is None or b.number is None:
        return float(a.value != b.value)
    return abs(a.number - b.number) / widest


def _reason(apart: Mapping[str, float], given: Sequence[Answers]) -> str:
    """Which answers differ, the widest apart first; by value, so that nobody can be told."""
    differing = sorted((name for name in apart if apart[name] > 0), key=lambda n: -apart[n])
    if not differing:
        return "The answers agree."
    said = {
        name: sorted(value_in_words(answers[name].value) for answers in given if name in answers)
        for name in differing
    }
    return "; ".join(f"{name}: {' / '.join(values)}" for name, values in said.items())


def _rubric(session: Session, item_id: int) -> Rubric:
    content = session.scalar(
        select(RubricVersion.content)
        .join(ReviewQueue, ReviewQueue.rubric_version_id == RubricVersion.id)
        .join(ReviewItem, ReviewItem.queue_id == ReviewQueue.id)
        .where(ReviewItem.id == item_id)
    )
    if content is None:
        raise NotFound("There is no such item.")
    return rubric_from_content(content)


def _given(session: Session, item_id: int) -> list[Answers]:
    """The answers of each review that counts."""
    counted = select(Review.id).where(Review.item_id == item_id, *counts()).order_by(Review.id)
    return list(answers_of(session, session.scalars(counted).all()).values())


def answers_of(session: Session, review_ids: Sequence[int]) -> dict[int, dict[str, CheckedAnswer]]:
    """What reviews say by criterion, a vote under `winner`; by the id of the review."""
    given: dict[int, dict[str, CheckedAnswer]] = {id_: {} for id_ in review_ids}
    ratings = select(Rating.review_id, Rating.criterion, Rating.value, Rating.number)
    for review_id, name, value, number in session.execute(
        ratings.where(Rating.review_id.in_(review_ids))
    ):
        given[review_id][name] = CheckedAnswer(value, number)
    votes = select(Preference.review_id, Preference.winner)
    for review_id, winner in session.execute(votes.where(Preference.review_id.in_(review_ids))):
        given[review_id][WINNER] = CheckedAnswer(winner, None)
    return given
