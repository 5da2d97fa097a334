"""A desk whose outputs are right or wrong in a way that checks see, reviewed by simulated rules."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import utc_now
from backend.engines.base import Engine
from backend.jobs.running.parts import Workshop
from backend.jobs.score import score_parts
from backend.services import queue as jobs
from backend.services import review
from backend.services.queue import JobKind
from backend.services.runs import scoring
from backend.settings import Settings
from backend.tables.review import ReviewQueue
from backend.tables.runs import Generation, ScoreRun
from tests.fixtures_review import BAD, GOOD, Desk, build_desk, review_next

CHECKS = ("invented", "overlap", "own_words", "length")


def is_wrong(number: int) -> bool:
    """Which examples the first model gets wrong."""
    return number % 3 == 0


def build_judged_desk(
    session: Session, *, splits: Mapping[str, int] | None = None, name: str = "risky"
) -> Desk:
    """A desk of two models; the first states a price that is not in the source now and then."""
    desk = build_desk(session, splits=splits or {"train": 90}, n_experts=2, name=name)
    desk.run.split = desk.examples[0].split  # all of them are of one
    numbers = {example.id: n for n, example in enumerate(desk.examples)}
    for output in session.scalars(select(Generation).where(Generation.run_id == desk.run.id)):
        n, source = numbers[output.example_id], output.example.context or ""
        base = output.model_version_id == desk.models[0].id
        output.text = f"{source} now" if base else f"{source} indeed"
        if is_wrong(n) and base:
            output.text = f"Somebody pays EUR {n + 200}.50 now"
    session.flush()
    return desk


def review_all(session: Session, desk: Desk, name: str = "q", **options: object) -> ReviewQueue:
    """A queue over the first model's outputs, each reviewed by the first expert as it deserves."""
    queue = desk.open(session, name, **options)
    for _ in range(int(queue.design["n_slots"])):
        claim = review.claim_review_item(session, queue.id, desk.experts[0].id, now=utc_now())
        if claim is None:
            break
        shown = review.item_view(session, claim.slot_id, desk.experts[0].id)
        assert shown.output is not None
        answer = review.Answer(GOOD)
        if "Somebody" in shown.output.text:
            answer = review.Answer(BAD, spans=(review.SpanMark(0, 8, "invented_fact"),))
        review_next(session, queue, desk.experts[0], answer, now=utc_now())
    return queue


def score_run(session: Session, desk: Desk, metrics: tuple[str, ...] = CHECKS) -> ScoreRun:
    """A score run that waits to be scored."""
    return scoring.create_score_run(session, generation_run_id=desk.run.id, metrics=list(metrics))


def work_on(
    settings: Settings,
    sessions: sessionmaker[Session],
    score_run_id: int,
    engine: Engine | None = None,
) -> None:
    """Score it, as a worker does; `engine` holds the models that are asked."""
    with sessions.begin() as session:
        job = jobs.enqueue_job(session, JobKind.SCORE, score_run_id)
        session.expunge(job)
    shop = Workshop(settings, sessions, "w", lambda *_: engine, lambda *_, **__: None, {})  # type: ignore[arg-type, return-value]
    list(score_parts(shop, job))
