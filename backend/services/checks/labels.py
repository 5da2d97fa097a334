"""What a project's reviewers found wrong, output by output, as a risk may learn it.

Reviews that count (`counted`): submitted and standing, asked for by a design, of single outputs.
Several of one output go by majority, a tie as wrong. The chance with which a design took an output
is the one with which any of the queues took it; the output stands for its inverse.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.rubrics import CheckedAnswer, Rubric
from backend.services.checks.wrong_rule import Said, WrongRule, check_wrong, usual_rule
from backend.services.review.counted import counts
from backend.services.review.queues import rubric_of
from backend.tables.datasets import Example
from backend.tables.review import (
    Correction,
    QueueKind,
    Rating,
    Review,
    ReviewItem,
    ReviewQueue,
    Span,
)
from backend.tables.runs import Generation

SILENT = "reviews that do not say it"


@dataclass(frozen=True, slots=True)
class Label:
    """What people found of one output.

    Attributes:
        weight: how many outputs it stands for.
        n_reviews, n_simulated: reviews that say something of it, and those of them by scripts.
    """

    generation_id: int
    wrong: bool
    weight: float
    n_reviews: int
    n_simulated: int


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of some runs, when a review found an output wrong, and what was left out."""

    labels: Sequence[Label]
    wrong: str
    left_out: Mapping[str, int]


class _Reviewed(NamedTuple):
    review_id: int
    generation_id: int
    queue_id: int
    chance: float
    simulated: bool


def read_labels(
    session: Session, run_ids: Collection[int], *, wrong: WrongRule | None, splits: Collection[str]
) -> Labels:
    """What reviewers found of the outputs of these generation runs.

    Args:
        wrong: when a review finds an output wrong; by default as each rubric suggests.
        splits: of the examples whose reviews count; the others are counted as left out.

    Raises:
        InvalidInput: no rubric asks what the rule looks at.
    """
    queues = _queues(session, run_ids)
    rubrics = {queue.id: rubric_of(queue) for queue in queues}
    if wrong is not None:
        check_wrong(wrong, list(rubrics.values()))
    rules = _rules(rubrics, wrong)
    found, left_out = _reviews(session, [q.id for q in queues], splits)
    said = _said(session, [one.review_id for one in found])
    verdicts: list[tuple[_Reviewed, bool]] = []
    for one in found:
        rule = rules.get(one.queue_id)
        is_wrong = None if rule is None else rule.finds_wrong(said[one.review_id])
        if is_wrong is None:
            left_out["reviews that do not say it"] = (
                left_out.get("reviews that do not say it", 0) + 1
            )
        else:
            verdicts.append((one, is_wrong))
    words = " or ".join(dict.fromkeys(rule.text for rule in rules.values()))
    return Labels(_by_output(verdicts), words, left_out)


def _queues(session: Session, run_ids: Collection[int]) -> list[ReviewQueue]:
    query = select(ReviewQueue).where(
        ReviewQueue.generation_run_id.in_(list(run_ids)), ReviewQueue.kind == QueueKind.SINGLE
    )
    return list(session.scalars(query.order_by(ReviewQueue.id)))


def _rules(rubrics: Mapping[int, Rubric], wrong: WrongRule | None) -> dict[int, WrongRule]:
    """The rule of each queue whose rubric has one."""
    chosen = {
        queue: usual_rule(rubric) if wrong is None else wrong if wrong.fits(rubric) else None
        for queue, rubric in rubrics.items()
    }
    return {queue: rule for queue, rule in chosen.items() if rule is not None}


def _reviews(
    session: Session, queue_ids: Sequence[int], splits: Collection[str]
) -> tuple[list[_Reviewed], dict[str, int]]:
    """Reviews that count, of examples of these splits, and how many are of others."""
    query = (
        select(
            Review.id,
            ReviewItem.generation_a_id,
            ReviewItem.queue_id,
            ReviewItem.inclusion_probability,
            Review.simulated,
            Example.split,
        )
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(Example, Example.id == Generation.example_id)
        .where(ReviewItem.queue_id.in_(list(queue_ids)), *counts())
        .order_by(Review.id)
    )
    found, left_out = [], dict[str, int]()
    for row in session.execute(query):
        if row.split in splits:
            found.append(_Reviewed(*row[:-1]))
        else:
            what = f"reviews of the {row.split} split"
            left_out[what] = left_out.get(what, 0) + 1
    return found, left_out


def _said(session: Session, ids: Sequence[int]) -> dict[int, Said]:
    """Ratings, marks and corrections of reviews."""
    wanted = set(ids)
    answers: dict[int, dict[str, CheckedAnswer]] = {i: {} for i in ids}
    marks: dict[int, set[str]] = {i: set() for i in ids}
    ratings = select(Rating.review_id, Rating.criterion, Rating.value, Rating.number)
    for part in _parts(ids):
        for review_id, name, value, number in session.execute(
            ratings.where(Rating.review_id.in_(part))
        ):
            answers[review_id][name] = CheckedAnswer(value, number)
        spans = select(Span.review_id, Span.kind).where(Span.review_id.in_(part))
        for review_id, kind in session.execute(spans):
            marks[review_id].add(kind)
    corrected = {
        review_id
        for part in _parts(ids)
        for review_id in session.scalars(
            select(Correction.review_id).where(Correction.review_id.in_(part))
        )
    }
    return {i: Said(answers[i], frozenset(marks[i]), i in corrected) for i in wanted}


def _parts(ids: Sequence[int], *, size: int = 500) -> list[Sequence[int]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def _by_output(verdicts: Sequence[tuple[_Reviewed, bool]]) -> list[Label]:
    """One label for each output; a tie counts as wrong."""
    by_output: dict[int, list[tuple[_Reviewed, bool]]] = {}
    for one, is_wrong in verdicts:
        by_output.setdefault(one.generation_id, []).append((one, is_wrong))
    return [_label(generation_id, found) for generation_id, found in sorted(by_output.items())]


def _label(generation_id: int, found: Sequence[tuple[_Reviewed, bool]]) -> Label:
    chances = {one.queue_id: one.chance for one, _ in found}
    missed = 1.0
    for chance in chances.values():
        missed *= 1 - min(max(chance, 0.0), 1.0)
    return Label(
        generation_id,
        wrong=2 * sum(is_wrong for _, is_wrong in found) >= len(found),
        weight=1 / max(1 - missed, 1e-9),
        n_reviews=len(found),
        n_simulated=sum(one.simulated for one, _ in found),
    )
