"""The desk under real concurrency: threads and processes, on both databases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import TypeVar

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import open_database, session_factory
from backend.services import review
from backend.services.review import Answer, Claim, Submitted
from backend.services.review.lease import add_slot
from backend.tables.review import Purpose, Rating, Review, ReviewItem, ReviewQueue, ReviewSlot
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk

ROOT = Path(__file__).parents[5]
LATER = NOW + timedelta(seconds=601)
PEOPLE = 8
T = TypeVar("T")


@pytest.fixture
def desk(sessions: sessionmaker[Session]) -> Desk:
    with sessions.begin() as session:
        return build_desk(session, splits={"train": 40}, n_experts=PEOPLE)


def open_queue(sessions: sessionmaker[Session], desk: Desk, **options: object) -> int:
    with sessions.begin() as session:
        return desk.open(session, **options).id


def claim(sessions: sessionmaker[Session], queue_id: int, user_id: int) -> Claim | None:
    with sessions.begin() as session:
        return review.claim_review_item(session, queue_id, user_id, now=NOW)


def submit(sessions: sessionmaker[Session], held: Claim, user_id: int) -> Submitted:
    with sessions.begin() as session:
        return review.submit_review(
            session,
            slot_id=held.slot_id,
            version=held.version,
            user_id=user_id,
            answer=Answer(GOOD),
            now=NOW,
        )


def at_once(actions: list[Callable[[], T]]) -> list[T]:
    """Run all at the same moment, each in a thread."""
    barrier = Barrier(len(actions))

    def start(action: Callable[[], T]) -> T:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(start, actions))


def check_all_done(sessions: sessionmaker[Session], queue_id: int) -> None:
    """Every item has its required reviews, each by another person; no slot has two."""
    with sessions() as session:
        required = {
            item.id: item.required_reviews
            for item in session.scalars(select(ReviewItem).where(ReviewItem.queue_id == queue_id))
        }
        submitted = select(Review).where(Review.state == "submitted")
        reviews = list(session.scalars(submitted.where(Review.item_id.in_(required))))
        assert Counter(r.item_id for r in reviews) == required
        assert len({(r.item_id, r.reviewer_id) for r in reviews}) == len(reviews)
        assert len({r.slot_id for r in reviews}) == len(reviews)
        states = session.scalars(select(ReviewSlot.state).where(ReviewSlot.queue_id == queue_id))
        assert set(states) == {"done"}


def test_people_at_once_finish_a_queue_without_doubles(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    queue_id = open_queue(sessions, desk, overlap_share=0.5, overlap=3)

    def work(user_id: int) -> int:
        done = 0
        while held := claim(sessions, queue_id, user_id):
            submit(sessions, held, user_id)
            done += 1
        return done

    done = at_once([lambda user=user: work(user.id) for user in desk.experts])  # type: ignore[misc]
    assert sum(done) == 20 * 3 + 20
    check_all_done(sessions, queue_id)


def test_a_rush_on_the_last_item_gives_it_to_one(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    queue_id = open_queue(sessions, desk, n_items=1)
    rush = [lambda user=user: claim(sessions, queue_id, user.id) for user in desk.experts]
    assert sum(held is not None for held in at_once(rush)) == 1  # type: ignore[arg-type]


def test_a_rush_on_a_lapsed_item_gives_it_to_one(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    queue_id = open_queue(sessions, desk, n_items=1)
    assert claim(sessions, queue_id, desk.experts[0].id)

    def take(user_id: int) -> Claim | None:
        with sessions.begin() as session:
            return review.claim_review_item(session, queue_id, user_id, now=LATER)

    rush = [lambda user=user: take(user.id) for user in desk.experts[1:]]
    taken = [held for held in at_once(rush) if held]  # type: ignore[arg-type]
    assert [held.version for held in taken] == [2]


def test_one_person_in_many_tabs_holds_one_item(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    queue_id = open_queue(sessions, desk)
    person = desk.experts[0].id
    for _ in range(5):
        held = at_once([lambda: claim(sessions, queue_id, person)] * 6)
        assert len({(h.slot_id, h.version) for h in held if h}) == 1
        assert held[0]
        submit(sessions, held[0], person)


def test_a_submit_sent_many_times_at_once_is_stored_once(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    queue_id = open_queue(sessions, desk)
    person = desk.experts[0].id
    for _ in range(5):
        held = claim(sessions, queue_id, person)
        assert held
        sent = at_once([lambda: submit(sessions, held, person)] * 4)  # noqa: B023
        assert [s.repeated for s in sent].count(False) == 1
        assert len({s.review_id for s in sent}) == 1
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Rating)) == 5 * len(GOOD)


def test_the_last_answers_at_once_finish_the_queue_once(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    for round_ in range(4):
        queue_id = open_queue(sessions, desk, name=f"last {round_}", n_items=PEOPLE)
        held = [(claim(sessions, queue_id, user.id), user.id) for user in desk.experts]
        at_once(
            [lambda one=one, user=user: submit(sessions, one, user) for one, user in held]  # type: ignore[misc]
        )
        with sessions() as session:
            assert session.get_one(ReviewQueue, queue_id).finished_at == NOW


def test_the_last_answers_of_an_item_at_once_ask_for_one_more_and_no_further(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    for round_ in range(4):
        with sessions.begin() as session:
            queue = desk.open(session, f"more {round_}", n_items=1, overlap=3, overlap_share=1.0)
            queue.rules = {"extra_below": 0.95}
            queue_id = queue.id
        people = [user.id for user in desk.experts[:3]]
        held = [claim(sessions, queue_id, user) for user in people]

        def answer(n: int, held: list[Claim | None] = held) -> Submitted:
            one = held[n]
            assert one is not None
            with sessions.begin() as session:
                return review.submit_review(
                    session,
                    slot_id=one.slot_id,
                    version=one.version,
                    user_id=people[n],  # noqa: B023
                    answer=Answer(GOOD if n else BAD),
                    now=NOW,
                )

        at_once([lambda n=n: answer(n) for n in range(3)])  # type: ignore[misc]
        with sessions() as session:
            slots = select(ReviewSlot.number).where(ReviewSlot.queue_id == queue_id)
            assert sorted(session.scalars(slots)) == [0, 1, 2, 3]
            assert review.queue_progress(session, queue_id).total == 4


def test_slots_added_to_one_item_at_once_have_numbers_of_their_own(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    queue_id = open_queue(sessions, desk, n_items=1)
    with sessions() as session:
        item_id = session.scalars(
            select(ReviewItem.id).where(ReviewItem.queue_id == queue_id)
        ).one()

    def add() -> int:
        with sessions.begin() as session:
            return add_slot(session.connection(), item_id, purpose=Purpose.GOLD)

    assert len(set(at_once([add] * PEOPLE))) == PEOPLE


def hold_in_a_process(url: str, queue_id: int, user_id: int) -> tuple[int, int]:
    """The number of a process that holds an item for the person, and the slot that it holds."""
    told, tells = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            held = claim(session_factory(open_database(url)), queue_id, user_id)
            os.write(tells, b"" if held is None else str(held.slot_id).encode())
            signal.pause()
        finally:
            os._exit(1)  # an error must not go on as a second run of the tests
    os.close(tells)
    slot_id = int(os.read(told, 100))
    os.close(told)
    return child, slot_id


def start_process(url: str, queue_id: int, user_id: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.claim_process", url, str(queue_id), str(user_id)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_at_once_finish_a_queue_without_doubles(
    sessions: sessionmaker[Session], desk: Desk, database_url: str
) -> None:
    queue_id = open_queue(sessions, desk, overlap_share=0.5, overlap=2)
    processes = [start_process(database_url, queue_id, user.id) for user in desk.experts[:2]]
    claimed = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert len({*claimed[0], *claimed[1]}) == len(claimed[0]) + len(claimed[1]) == 60
    check_all_done(sessions, queue_id)


def test_what_a_killed_process_held_goes_to_the_next(
    sessions: sessionmaker[Session], desk: Desk, database_url: str
) -> None:
    queue_id = open_queue(sessions, desk, n_items=1)
    first, second = desk.experts[:2]
    sessions.kw["bind"].dispose()
    process, slot_id = hold_in_a_process(database_url, queue_id, first.id)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    assert claim(sessions, queue_id, second.id) is None
    with sessions.begin() as session:
        taken = review.claim_review_item(session, queue_id, second.id, now=LATER)
    assert taken
    assert taken.slot_id == slot_id
    submit(sessions, taken, second.id)
    check_all_done(sessions, queue_id)
