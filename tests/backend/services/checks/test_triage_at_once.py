"""What skips review when two leads act at the same moment, on both databases."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict
from backend.services.review import queue_progress
from backend.services.review.routing import find_routing, return_skipped
from backend.tables.checks.triage import RoutingEvent, SkippedOutput
from backend.tables.review import ReviewItem, ReviewQueue
from tests.backend.services.review.quality.test_quality_concurrency import at_once
from tests.fixtures_review import NOW
from tests.fixtures_triage import Risky, answer_all, build_risky


@pytest.fixture
def risky(sessions: sessionmaker[Session]) -> Risky:
    with sessions.begin() as session:
        return build_risky(session)


def open_routed(sessions: sessionmaker[Session], risky: Risky, name: str) -> int | None:
    """A queue that routes, or None where its name was taken meanwhile."""
    try:
        with sessions.begin() as session:
            return risky.open(session, name, risky.certify(session, audit=0.25)).id
    except (Conflict, IntegrityError):  # the second is answered as a conflict by the API
        return None


def skipped_of(session: Session, queue_id: int) -> Counter[int]:
    query = select(SkippedOutput.generation_id).where(SkippedOutput.queue_id == queue_id)
    return Counter(session.scalars(query))


def test_two_queues_opened_at_once_each_hold_the_certified_set_once(
    sessions: sessionmaker[Session], risky: Risky
) -> None:
    """And labels that both gather of one output are one label of the next certificate."""
    opened = at_once([lambda n=n: open_routed(sessions, risky, n) for n in ("one", "two")])  # type: ignore[misc]
    with sessions.begin() as session:
        one, two = (skipped_of(session, id_ or 0) for id_ in opened)
        assert one == two
        assert set(one.values()) == {1}
        for id_ in opened:
            progress, routing = queue_progress(session, id_ or 0), find_routing(session, id_ or 0)
            assert progress.skipped == routing.n_skipped == len(one)
        before = risky.certify(session).evidence["labels"]
        for id_, expert in zip(opened, risky.desk.experts, strict=False):
            answer_all(session, session.get_one(ReviewQueue, id_), expert, risky.wrong)
        items = select(ReviewItem.generation_a_id).where(ReviewItem.queue_id.in_(opened))
        seen = session.scalars(items).all()
        evidence = risky.certify(session).evidence
        assert len(set(seen)) < len(seen)  # outputs that both queues showed
        assert evidence["labels"] + evidence["n_left_out"] == before + len(set(seen))


def test_one_name_at_once_gives_one_queue(sessions: sessionmaker[Session], risky: Risky) -> None:
    opened = at_once([lambda: open_routed(sessions, risky, "same")] * 2)
    assert sum(id_ is not None for id_ in opened) == 1
    with sessions() as session:
        there = session.scalars(select(SkippedOutput.generation_id)).all()
        assert len(there) == len(set(there)) > 0


def test_what_skipped_is_put_up_once(sessions: sessionmaker[Session], risky: Risky) -> None:
    queue_id = open_routed(sessions, risky, "routed") or 0

    def put_up() -> bool:
        try:
            with sessions.begin() as session:
                return_skipped(session, queue_id, user_id=None, now=NOW)
        except Conflict:
            return False
        return True

    assert sorted(at_once([put_up] * 3)) == [False, False, True]
    with sessions() as session:
        items = session.scalars(
            select(ReviewItem.generation_a_id).where(ReviewItem.queue_id == queue_id)
        ).all()
        assert len(items) == len(set(items)) == 60
        assert len(session.scalars(select(RoutingEvent)).all()) == 1
