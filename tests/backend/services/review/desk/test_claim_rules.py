"""Who is given what by the queue's rules, and the reason where nobody is given anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.services import review
from backend.services.review import Answer, Claim, NoItem, Reason
from backend.services.review.quality.pauses import GOLD_PAUSE
from backend.tables.accounts import Membership, User
from backend.tables.review import QueueMember, ReviewQueue, ReviewSlot
from tests.fixtures_review import GOOD, NOW, Desk, build_desk, submit

TIMED = Answer(GOOD, active_seconds=100.0)


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Any:
    with sqlite_sessions.begin() as opened:
        yield opened


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session)


def open_queue(session: Session, desk: Desk, *, rules: dict[str, Any], **options: Any) -> int:
    queue = desk.open(session, **options)
    queue.rules = rules
    session.flush()
    return queue.id


def ask(session: Session, queue_id: int, user: User, **at: Any) -> Claim | NoItem:
    return review.claim_next(session, queue_id, user.id, **{"now": NOW, **at})


def claim(session: Session, queue_id: int, user: User, **at: Any) -> Claim:
    found = ask(session, queue_id, user, **at)
    assert isinstance(found, Claim), found
    return found


def reason(session: Session, queue_id: int, user: User, **at: Any) -> Reason:
    found = ask(session, queue_id, user, **at)
    assert isinstance(found, NoItem), found
    assert found.message.endswith(".")
    return found.reason


# the life of a lease


@pytest.mark.parametrize(
    ("seconds", "n", "expected"),
    [
        ([], 0, 600),
        ([100.0] * 2, 2, 600),
        ([100.0] * 3, 3, 300),
        ([0.0] * 5, 0, 600),
        ([1.0] * 3, 3, 120),
        ([9000.0] * 3, 3, 7200),
    ],
)
def test_a_lease_lives_three_times_the_mean_active_time(
    session: Session, desk: Desk, seconds: list[float], n: int, expected: float
) -> None:
    queue_id = open_queue(session, desk, rules={})
    person = desk.experts[0]
    for active in seconds:
        held = claim(session, queue_id, person)
        submit(session, held, person, Answer(GOOD, active_seconds=active))
    held = claim(session, queue_id, person)
    assert held.lease_until == NOW + timedelta(seconds=expected)
    assert held.heartbeat_seconds == expected / 2
    until = review.heartbeat(session, held.slot_id, held.version, person.id, now=NOW)
    assert until == NOW + timedelta(seconds=expected)
    assert session.get_one(QueueMember, (queue_id, person.id), populate_existing=True).n_timed == n


def test_leases_of_a_queue_that_does_not_adapt_live_as_it_says(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={"adaptive_leases": False}, lease_seconds=60)
    person = desk.experts[0]
    for _ in range(3):
        submit(session, claim(session, queue_id, person), person, TIMED)
    assert claim(session, queue_id, person).lease_until == NOW + timedelta(seconds=60)


# shares


def test_nobody_gives_more_than_their_share(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={"max_share": 0.5})
    first, second = desk.experts[:2]
    for _ in range(3):
        submit(session, claim(session, queue_id, first), first, TIMED)
    assert reason(session, queue_id, first) is Reason.SHARE_REACHED
    for _ in range(3):
        submit(session, claim(session, queue_id, second), second, TIMED)
    assert reason(session, queue_id, desk.experts[2]) is Reason.FINISHED


def test_a_tiny_share_is_one_review(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={"max_share": 0.01})
    person = desk.experts[0]
    held = claim(session, queue_id, person)
    assert claim(session, queue_id, person).resumed
    submit(session, held, person, TIMED)
    assert reason(session, queue_id, person) is Reason.SHARE_REACHED


# assignment and skills


def test_an_assigned_slot_is_for_its_person_alone(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=1)
    first, second = desk.experts[:2]
    session.execute(update(ReviewSlot).values(assigned_to_id=second.id))
    assert reason(session, queue_id, first) is Reason.OTHERS_AT_WORK
    submit(session, claim(session, queue_id, second), second, TIMED)
    assert reason(session, queue_id, second) is Reason.FINISHED


def test_a_lapsed_lease_of_an_assigned_slot_goes_to_nobody_else(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=1)
    first, second = desk.experts[:2]
    session.execute(update(ReviewSlot).values(assigned_to_id=second.id))
    claim(session, queue_id, second)
    later = NOW + timedelta(hours=3)
    assert reason(session, queue_id, first, now=later) is Reason.OTHERS_AT_WORK
    assert claim(session, queue_id, second, now=later).resumed


def test_a_slot_that_asks_for_a_skill_is_for_people_who_have_it(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=2)
    session.execute(
        update(ReviewSlot).where(ReviewSlot.position == 0).values(required_skill="cardiology")
    )
    able, other = desk.experts[:2]
    for person, skills in ((able, ["law", "cardiology"]), (other, ["law"])):
        session.execute(
            update(Membership).where(Membership.user_id == person.id).values(skills=skills)
        )
    plain = claim(session, queue_id, other)
    assert session.get_one(ReviewSlot, plain.slot_id).position == 1
    submit(session, plain, other, TIMED)
    assert reason(session, queue_id, other) is Reason.OTHERS_AT_WORK
    assert reason(session, queue_id, desk.experts[2]) is Reason.OTHERS_AT_WORK
    wanted = claim(session, queue_id, able)
    assert session.get_one(ReviewSlot, wanted.slot_id).position == 0
    lapsed = NOW + timedelta(hours=3)
    assert reason(session, queue_id, other, now=lapsed) is Reason.OTHERS_AT_WORK


# reasons


def test_paused_people_are_told_kindly_and_keep_what_they_hold(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={})
    first, second = desk.experts[:2]
    held = claim(session, queue_id, first)
    session.execute(
        update(QueueMember).values(paused_at=NOW, pause_reason=f"{GOLD_PAUSE} (Met: 1 of 4.)")
    )
    assert claim(session, queue_id, first).slot_id == held.slot_id
    found = ask(session, queue_id, second)
    assert isinstance(found, NoItem)
    assert found.reason is Reason.PAUSED
    assert "Nothing that you did is lost" in found.message
    assert "1 of 4" not in found.message
    session.execute(update(QueueMember).values(pause_reason="slow, I think"))
    found = ask(session, queue_id, second)
    assert isinstance(found, NoItem)
    assert "your lead" in found.message
    assert "slow" not in found.message


def test_a_closed_queue_says_so(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={})
    held = claim(session, queue_id, desk.experts[0])
    review.close_queue(session, queue_id, now=NOW)
    assert reason(session, queue_id, desk.experts[1]) is Reason.CLOSED
    assert claim(session, queue_id, desk.experts[0]).slot_id == held.slot_id


def test_what_others_hold_is_no_finished_queue(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=1)
    held = claim(session, queue_id, desk.experts[0])
    assert reason(session, queue_id, desk.experts[1]) is Reason.OTHERS_AT_WORK
    submit(session, held, desk.experts[0], TIMED)
    assert reason(session, queue_id, desk.experts[1]) is Reason.FINISHED


def test_the_queue_is_finished_once_by_the_last_answer(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=2)
    person = desk.experts[0]
    finished = select(ReviewQueue.finished_at).where(ReviewQueue.id == queue_id)
    submit(session, claim(session, queue_id, person), person, TIMED)
    assert session.scalar(finished) is None
    last = NOW + timedelta(minutes=5)
    held = claim(session, queue_id, person, now=last)
    submit(session, held, person, TIMED, now=last)
    assert session.scalar(finished) == last
    assert submit(session, held, person, TIMED, now=last + timedelta(hours=1)).repeated
    assert session.scalar(finished) == last


def test_a_finish_that_nobody_noted_is_noted_by_the_next_claim(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=1)
    person = desk.experts[0]
    submit(session, claim(session, queue_id, person), person, TIMED)
    session.execute(update(ReviewQueue).values(finished_at=None))
    assert reason(session, queue_id, person) is Reason.FINISHED
    assert session.scalar(select(ReviewQueue.finished_at)) == NOW
