"""Queues with a history, for a lead's pages: days of work by scripted reviewers, disagreements.

Run alone, to look at the pages: python -m tests.browser.seed_reviews HOME
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from backend.db import connect, utc_now
from backend.rubrics import find_rubric
from backend.services.accounts.users import create_user
from backend.services.review import (
    Answer,
    Claim,
    Opening,
    QueueRules,
    claim_adjudication,
    claim_review_item,
    open_queue,
    save_rubric,
    submit_review,
)
from backend.services.review.opening.design import DesignKind, SamplingDesign
from backend.services.review.quality.gold_contests import contest
from backend.services.review.quality.gold_items import GoldRow, add_gold
from backend.settings import Settings
from backend.tables.models import ModelVersion
from backend.tables.review import GoldResult, ReviewItem
from backend.tables.runs import Generation
from tests.browser.seed import Seeded, seed_project

DAYS = 5
ROBOTS = ("robot-careful", "robot-quick", "robot-third")
RULES = QueueRules(
    gold_onboarding=2,
    gold_every=6,
    adjudicate_above=0.5,
    max_share=0.6,
    cost_per_hour=60.0,
    currency="EUR",
    minutes_budget=240.0,
)


@dataclass(frozen=True, slots=True)
class Watched:
    """Ids of the queues that were worked on."""

    rated_queue_id: int
    voted_queue_id: int


def seed_worked_queues(settings: Settings, made: Seeded) -> Watched:
    """Open a queue of ratings and one of votes, and let scripted reviewers work on both."""
    sessions = connect(settings)
    with sessions.begin() as session:
        people = [
            create_user(session, name, "expert", simulated=True, project_ids=[made.project_id]).id
            for name in ROBOTS
        ]
        rated, voted = _open_both(session, made, people)
        _add_known_answers(session, rated)
    with sessions.begin() as session:
        for at, who in _working_hours(people):
            _review(session, rated, who, at, odd=who == people[1])
            _vote(session, voted, who, at)
        _settle_one(session, rated, people)
        _contest_one(session)
    sessions.kw["bind"].dispose()
    return Watched(rated, voted)


def _open_both(session: Session, made: Seeded, people: list[int]) -> tuple[int, int]:
    models = {model.name: model.id for model in session.query(ModelVersion)}
    shared = {
        "project_id": made.project_id,
        "generation_run_id": made.run_id,
        "reviewer_ids": people,
        "seed": 11,
    }
    rated = open_queue(
        session,
        "faithfulness, round 1",
        Opening(
            kind="single",
            rubric_version_id=save_rubric(session, made.project_id, find_rubric("telecom_desk")).id,
            model_ids=[models["base"]],
            n_items=36,
            overlap=2,
            overlap_share=0.5,
            design=SamplingDesign(kind=DesignKind.STRATIFIED, by="task"),
            **shared,
        ),
        RULES,
    )
    voted = open_queue(
        session,
        "A/B, round 1",
        Opening(
            kind="pair",
            rubric_version_id=save_rubric(session, made.project_id, find_rubric("blind_pair")).id,
            model_ids=[models["base"], models["v1"]],
            overlap=2,
            overlap_share=1.0,
            **shared,
        ),
    )
    return rated.id, voted.id


def _add_known_answers(session: Session, queue_id: int) -> None:
    """Outputs that the queue does not ask about, known to be unfaithful."""
    used = session.query(ReviewItem.generation_a_id).filter_by(queue_id=queue_id)
    free = session.query(Generation).filter(Generation.id.not_in(used)).limit(5)
    known = {"ratings": {"faithful": "no"}}
    rows = [
        GoldRow(generation=one.id, answer=known, explanation="A number is not in the source.")
        for one in free
    ]
    add_gold(session, queue_id, rows, by=None)


def _working_hours(people: list[int]) -> Iterator[tuple[datetime, int]]:
    """Half-hours of the last days, one review each, everybody in turn."""
    start = utc_now() - timedelta(days=DAYS)
    for day in range(DAYS):
        for step in range(9):
            yield start + timedelta(days=day, minutes=4 * step), people[step % len(people)]


def _review(session: Session, queue_id: int, who: int, at: datetime, *, odd: bool) -> None:
    rng = random.Random(f"{queue_id}-{who}-{at}")
    claim = claim_review_item(session, queue_id, who, now=at)
    if claim is None:
        return
    faithful = "yes" if odd or rng.random() < 0.4 else "no"
    quality = 5 if odd else rng.choice([1, 2, 2, 3, 4])
    submit_review(
        session,
        slot_id=claim.slot_id,
        version=claim.version,
        user_id=who,
        answer=Answer(
            ratings={"faithful": faithful, "quality": quality, "problem": "none"},
            active_seconds=6.0 if odd else rng.uniform(40, 140),
        ),
        now=at + timedelta(minutes=2),
        simulated=True,
        annotator_kind="code",
    )


def _vote(session: Session, queue_id: int, who: int, at: datetime) -> None:
    rng = random.Random(f"{queue_id}-{who}-{at}")
    claim = claim_review_item(session, queue_id, who, now=at)
    if claim is None:
        return
    item = session.get_one(ReviewItem, claim.item_id)
    better = "left" if not item.a_is_left else "right"  # where v1 stands
    submit_review(
        session,
        slot_id=claim.slot_id,
        version=claim.version,
        user_id=who,
        answer=Answer(
            winner=better if rng.random() < 0.75 else rng.choice(["left", "right", "tie"]),
            active_seconds=rng.uniform(10, 40),
        ),
        now=at + timedelta(minutes=1),
        simulated=True,
        annotator_kind="code",
    )


def _settle_one(session: Session, queue_id: int, people: list[int]) -> None:
    """A verdict on the first disagreement that one of the people did not review."""
    now = utc_now()
    for who in people:
        claim = claim_adjudication(session, queue_id, who, now=now)
        if isinstance(claim, Claim):
            submit_review(
                session,
                slot_id=claim.slot_id,
                version=claim.version,
                user_id=who,
                answer=Answer(
                    ratings={"faithful": "no", "quality": 2, "problem": "wrong_fact"},
                    comment="The second number is not in the source.",
                    active_seconds=90.0,
                ),
                now=now,
                simulated=True,
                annotator_kind="code",
            )
            return


def _contest_one(session: Session) -> None:
    failed = session.query(GoldResult).filter_by(passed=False).order_by(GoldResult.id).first()
    if failed is not None:
        reason = "The number is in the second paragraph of the source."
        contest(session, failed.id, failed.user_id, reason=reason, now=utc_now())


if __name__ == "__main__":
    given = Settings(home=Path(sys.argv[1]))
    print(seed_worked_queues(given, seed_project(given)))
