"""Judges over a small desk: scripted ones that score a run, and people who rated its outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import Engine, GenerationRequest
from backend.engines.fake import FakeEngine
from backend.jobs.running.parts import Workshop
from backend.jobs.score import score_parts
from backend.services import queue
from backend.services.metric_specs import allowed_metrics
from backend.services.runs import scoring
from backend.settings import Settings
from backend.tables.accounts import User
from backend.tables.review import Rating, Review, ReviewItem, ReviewQueue, ReviewSlot, ReviewState
from tests.fixtures_review import NOW, Desk, build_desk, run_over

Say = Callable[[GenerationRequest], str]


def judged_desk(session: Session, n: int, *, n_experts: int = 3) -> Desk:
    """A desk with a run of base and v1 over so many test examples."""
    desk = build_desk(session, splits={"test": n}, n_experts=n_experts)
    desk.run = run_over(session, desk, desk.version, split="test")
    return desk


def says(answer: object, reason: str = "so it is") -> str:
    """A rater's answer as JSON."""
    return json.dumps({"score": answer, "reason": reason})


def score_by_judge(
    sessions: sessionmaker[Session],
    settings: Settings,
    desk: Desk,
    metric: str,
    say: Say,
    *,
    dies_after: int | None = None,
) -> int:
    """Have a worker score the desk's run with a judge that answers by `say`; the score run's id."""
    with sessions.begin() as session:
        made = scoring.create_score_run(
            session,
            generation_run_id=desk.run.id,
            metrics=[metric],
            allowed=allowed_metrics(settings, desk.project.id),
        )
        job_id = queue.enqueue_job(session, queue.JobKind.SCORE, made.id).id
        score_run_id = made.id
    work(sessions, settings, job_id, FakeEngine(answer=say, dies_after=dies_after))
    return score_run_id


def work(sessions: sessionmaker[Session], settings: Settings, job_id: int, engine: Engine) -> None:
    """Do a scoring job as a worker would."""
    shop = Workshop(
        settings, sessions, "w", lambda *_: engine, lambda *_, **__: None, {"score": score_parts}
    )
    with sessions.begin() as session:
        attempt = queue.get_job(session, job_id).attempt
    while shop.take_part(job_id, attempt):
        pass
    shop.close_engines()


def rate_all(
    session: Session,
    opened: ReviewQueue,
    raters: Sequence[User],
    say: Callable[[int, int], Mapping[str, tuple[str, float | None]]],
    *,
    simulated: bool = False,
    start: int = 0,
) -> None:
    """Every rater rates every item of a queue, straight into the tables.

    Args:
        say: number of the item and of the rater -> criterion -> stored value and number.
        start: number of the first item.
    """
    query = select(ReviewItem, ReviewSlot).join(ReviewSlot, ReviewSlot.item_id == ReviewItem.id)
    rows = session.execute(
        query.where(ReviewItem.queue_id == opened.id, ReviewSlot.number == 0).order_by(
            ReviewItem.position
        )
    ).all()
    assert rows
    for number, (item, slot) in enumerate(rows, start):
        for j, rater in enumerate(raters):
            review = Review(
                item_id=item.id,
                slot_id=slot.id,
                slot_version=100 + j,
                reviewer_id=rater.id,
                state=ReviewState.SUBMITTED,
                submitted_at=NOW,
                simulated=simulated,
            )
            session.add(review)
            session.flush()
            for criterion, (value, stored) in say(number, j).items():
                session.add(
                    Rating(review_id=review.id, criterion=criterion, value=value, number=stored)
                )
    session.flush()
