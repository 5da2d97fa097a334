"""Which reviewed outputs are wrong: the labels that risk models and triage are made from.

One function, so that all that is learned or certified from people's reviews has one notion of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from backend.rubrics.wrong import WrongWhen
from backend.services.review.counted import counts, judge_reviews, stands
from backend.services.review.quality.adjudication import overruled
from backend.services.review.reports.estimates import chances_of
from backend.services.review.reports.votes import cluster_name
from backend.services.runs.learned import taught_outputs
from backend.tables.checks.triage import QueueRouting
from backend.tables.datasets import Example
from backend.tables.review import Purpose, QueueKind, Review, ReviewItem, ReviewQueue
from backend.tables.runs import Generation


class ReviewedOutput(NamedTuple):
    """What the reviews of an output say of it.

    Attributes:
        wrong: at least half of the reviews that say something say that it is wrong.
        group: outputs of one group are not independent; an example without one is its own.
        chance: with which the design of its queue took it, in (0, 1]; comparable within a queue.
        simulated: a script wrote at least one of the reviews.
        at: when the last of the reviews came in.
    """

    wrong: bool
    group: str
    chance: float
    simulated: bool
    queue_id: int
    run_id: int
    at: datetime


class _OutputReviews(NamedTuple):
    id: int
    simulated: bool
    at: datetime | None
    generation_id: int
    queue_id: int
    chance: float
    run_id: int
    group: str | None
    example_id: int


def wrong_outputs(
    session: Session, project_id: int, when: WrongWhen, *, but_queues: Collection[int] = ()
) -> dict[int, ReviewedOutput]:
    """Of each output of the project that was reviewed alone, whether it is wrong; by its id.

    Reviews that stand and were asked for by a queue's design count; where an adjudication decided,
    its verdict stands in their place. Of an output that several queues show, the newest counts.
    Outputs of whose reviews none says whether they are wrong are left out.

    Args:
        when: which answers count as wrong.
        but_queues: reviews of these are not read.
    """
    reviews = _reviews(session, project_id, but_queues)
    said = judge_reviews(session, [review.id for review in reviews], when)
    by_item: dict[tuple[int, int], list[_OutputReviews]] = defaultdict(list)
    for review in reviews:
        if review.id in said:
            by_item[review.generation_id, review.queue_id].append(review)
    return {  # of one output the newest queue comes last
        generation_id: _together(rows, [said[row.id] for row in rows])
        for (generation_id, _), rows in sorted(by_item.items())
    }


def _reviews(
    session: Session, project_id: int, but_queues: Collection[int]
) -> list[_OutputReviews]:
    verdict = and_(Review.purpose == Purpose.ADJUDICATION, Review.extra.is_(False), *stands())
    review = (Review.id, Review.simulated, Review.submitted_at)
    item = (ReviewItem.generation_a_id, ReviewItem.queue_id, ReviewItem.inclusion_probability)
    query = (
        select(*review, *item, ReviewQueue.generation_run_id, Example.group, Example.id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(Example, Example.id == Generation.example_id)
        .where(
            ReviewQueue.project_id == project_id,
            ReviewQueue.kind == QueueKind.SINGLE,
            ReviewQueue.id.not_in(but_queues),
            or_(and_(*counts(), ~overruled()), verdict),
        )
        .order_by(Review.id)
    )
    return _with_chances(session, [_OutputReviews(*row) for row in session.execute(query)])


def _with_chances(session: Session, reviews: Sequence[_OutputReviews]) -> list[_OutputReviews]:
    """With the chances that hold once what skipped review is up for it (`chances_of`).

    An audited output has then no smaller chance than the others that had skipped.
    """
    by_queue: dict[int, set[int]] = defaultdict(set)
    for review in reviews:
        by_queue[review.queue_id].add(review.generation_id)
    routed = session.scalars(select(QueueRouting.queue_id))
    chances = {id_: chances_of(session, id_, by_queue[id_]) for id_ in routed if id_ in by_queue}
    return [
        review._replace(chance=chances[review.queue_id].get(review.generation_id, review.chance))
        if review.queue_id in chances
        else review
        for review in reviews
    ]


def _together(rows: Sequence[_OutputReviews], said: Sequence[bool]) -> ReviewedOutput:
    last = rows[-1]
    return ReviewedOutput(
        wrong=2 * sum(said) >= len(said),
        group=cluster_name(last.group, last.example_id),
        chance=last.chance,
        simulated=any(row.simulated for row in rows),
        queue_id=last.queue_id,
        run_id=last.run_id,
        at=max(row.at for row in rows if row.at is not None),
    )


def untaught(
    session: Session, project_id: int, names: Sequence[str], judged: Mapping[int, ReviewedOutput]
) -> tuple[dict[int, ReviewedOutput], dict[str, int]]:
    """Labels of outputs that taught none of the checks, and how many taught one.

    A checker says of what it was taught with what people said of it: a risk that learns from that
    trusts it too much, and its out-of-fold figures are too good.
    """
    kept, left_out = dict(judged), {}
    for name in names:
        if found := taught_outputs(session, project_id, name, sorted(kept)):
            kept = {i: one for i, one in kept.items() if i not in found}
            left_out[f"reviewed outputs that {name} was taught with"] = len(found)
    return kept, left_out
