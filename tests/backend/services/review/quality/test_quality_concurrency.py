"""Verdicts and known answers when people act at the same moment, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.services import review
from backend.services.review import Answer, Claim
from backend.services.review.quality.gold_contests import withdraw_gold
from backend.services.review.quality.gold_items import GoldRow, add_gold
from backend.services.review.quality.pauses import results_that_count
from backend.tables.review import Adjudication, GoldAnswer, QueueMember, ReviewItem
from tests.fixtures_quality import KNOWN, add_known, answer_next, open_with, outputs_of
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk

ITEMS = 8
T = TypeVar("T")


@pytest.fixture
def desk(sessions: sessionmaker[Session]) -> Desk:
    with sessions.begin() as session:
        return build_desk(session, splits={"train": ITEMS}, n_experts=4)


def at_once(actions: list[Callable[[], T]]) -> list[T]:
    """Run all at the same moment, each in a thread."""
    barrier = Barrier(len(actions))

    def start(action: Callable[[], T]) -> T:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(start, actions))


def test_the_last_two_reviews_at_once_open_one_adjudication(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sessions.begin() as session:
        queue = open_with(
            session, desk, n_items=ITEMS, overlap=2, overlap_share=1.0, adjudicate_above=0.5
        )

    def answer(expert: int) -> None:
        with sessions.begin() as session:
            answer_next(session, queue, desk.experts[expert], (GOOD, BAD)[expert])

    for _ in range(ITEMS):
        at_once([lambda: answer(0), lambda: answer(1)])
    with sessions() as session:
        assert session.query(Adjudication).count() == ITEMS


def test_two_people_at_once_do_not_get_one_disagreement(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sessions.begin() as session:
        queue = open_with(
            session, desk, n_items=1, overlap=2, overlap_share=1.0, adjudicate_above=0.5
        )
        for user, ratings in zip(desk.experts, (GOOD, BAD), strict=False):
            answer_next(session, queue, user, ratings)

    def take(expert: int) -> Claim | None:
        with sessions.begin() as session:
            user_id = desk.experts[expert].id
            found = review.claim_adjudication(session, queue.id, user_id, now=NOW)
            return found if isinstance(found, Claim) else None

    taken = at_once([lambda: take(2), lambda: take(3)])
    assert sum(one is not None for one in taken) == 1


def test_leads_at_once_add_known_answers_without_a_clash(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sessions.begin() as session:
        queue = open_with(session, desk)
        rows = [
            GoldRow(answer=KNOWN, explanation="x", generation=output.id)
            for output in outputs_of(session, desk, 1)
        ]

    def add(row: GoldRow) -> int:
        with sessions.begin() as session:
            return add_gold(session, queue.id, [row], by=None)[0].item.position

    positions = at_once([lambda row=row: add(row) for row in rows[:4]])  # type: ignore[misc]
    assert sorted(positions) == [-4, -3, -2, -1]


def test_a_withdrawal_and_a_submit_at_once_leave_the_count_right(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sessions.begin() as session:
        queue = open_with(session, desk, gold_onboarding=ITEMS, gold_minimum=99)
        gold_ids = [one.id for one in add_known(session, queue, desk, ITEMS)]
    user = desk.experts[0]

    def answer() -> None:
        with sessions.begin() as session:
            claim = review.claim_review_item(session, queue.id, user.id, now=NOW)
            assert claim
            held = {"slot_id": claim.slot_id, "version": claim.version, "user_id": user.id}
            review.submit_review(session, **held, answer=Answer(BAD), now=NOW)  # type: ignore[arg-type]

    def withdraw(gold_id: int) -> None:
        with sessions.begin() as session:
            withdraw_gold(session, gold_id, by=None, reason="x", now=NOW)

    answer()
    for gold_id in gold_ids[:4]:
        at_once([answer, lambda gold_id=gold_id: withdraw(gold_id)])  # type: ignore[misc]
    with sessions() as session:
        standing = (
            session.query(GoldAnswer)
            .join(ReviewItem, ReviewItem.id == GoldAnswer.item_id)
            .filter(ReviewItem.queue_id == queue.id, GoldAnswer.withdrawn_at.is_(None))
        )
        assert standing.count() == ITEMS - 4
        counted = len(session.scalars(results_that_count(queue.id, user.id)).all())
        member = session.get_one(QueueMember, (queue.id, user.id))
        assert member.n_gold == counted
