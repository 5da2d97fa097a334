"""Numbers that older rows lack are counted from what is there when the server is upgraded."""

from __future__ import annotations

from alembic import command
from sqlalchemy import select, update

from backend.db import alembic_config, connect, utc_now
from backend.services import review
from backend.services.projects import set_manifest
from backend.services.review import Answer
from backend.services.verdicts.comparison import compare_models
from backend.settings import Settings
from backend.tables.review import QueueMember, ReviewQueue
from backend.tables.verdicts import Comparison
from tests.fixtures_review import (
    GOOD,
    NOW,
    build_desk,
    review_next,
    run_over,
    score_answers,
    vote_on_pairs,
)


def test_an_upgrade_counts_what_was_done_before(settings: Settings) -> None:
    sessions = connect(settings)
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": 4})
        half = desk.open(session, "half").id
        whole = desk.open(session, "whole", n_items=1).id
        queue = review.get_queue(session, half)
        for person in desk.experts[:2]:
            review_next(session, queue, person, Answer(GOOD, active_seconds=30.0))
        review_next(session, review.get_queue(session, whole), desk.experts[0], Answer(GOOD))
        before = review.queue_progress(session, half, user_id=desk.experts[0].id)
        session.execute(update(QueueMember).values(n_submitted=0, n_timed=0, timed_seconds=0))
        session.execute(update(ReviewQueue).values(finished_at=None))
    command.downgrade(alembic_config(settings.url), "0004")
    command.upgrade(alembic_config(settings.url), "head")
    with sessions() as session:
        assert review.queue_progress(session, half, user_id=desk.experts[0].id) == before
        member = session.get_one(QueueMember, (half, desk.experts[0].id))
        assert (member.n_timed, member.timed_seconds) == (1, 30.0)
        assert session.get_one(ReviewQueue, whole).finished_at == NOW
        assert session.get_one(ReviewQueue, half).finished_at is None


def test_an_upgrade_counts_the_simulated_votes_of_verdicts(settings: Settings) -> None:
    sessions = connect(settings)
    bars = {"votes": "{metric: win_rate, threshold: 0.5}", "scores": BAR_OF_SCORES}
    with sessions.begin() as session:
        desk = build_desk(session, splits={"test": 12})
        run = run_over(session, desk, desk.version, split="test")
        queue = desk.open(session, "blind", kind="pair", generation_run_id=run.id)
        vote_on_pairs(session, desk, queue, "v", now=NOW)
        vote_on_pairs(session, desk, queue, "vbv", now=NOW, simulated=True)
        scores = score_answers(session, run, "exact_match")
        for name, line in bars.items():
            compare_models(
                session,
                manifest_row=set_manifest(
                    session, desk.project.id, f"name: {name}\nlines: [{line}]"
                ),
                score_run=scores,
                baseline=desk.models[0],
                candidate=desk.models[1],
                queue=queue,
            )
        vote_on_pairs(session, desk, queue, "vv", now=utc_now(), simulated=True)
    command.downgrade(alembic_config(settings.url), "0012")
    command.upgrade(alembic_config(settings.url), "head")
    with sessions() as session:
        counted = session.scalars(select(Comparison.n_simulated).order_by(Comparison.id)).all()
        assert list(counted) == [3, 0]


BAR_OF_SCORES = "{metric: exact_match, threshold: 0.5}"
