"""How a queue stands: counted of this queue and person alone, on both databases."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.services import review
from backend.services.review import Answer
from backend.services.review.progress import as_progress, progress_of_queues
from backend.tables.checks.triage import RoutingEvent, RoutingEventKind
from backend.tables.review import Purpose, ReviewQueue, ReviewSlot, SlotState
from tests.fixtures_review import GOOD, NOW, build_desk, review_next


def row(**of: Any) -> Any:
    """What the statement gives of a queue of ten slots."""
    design = {"n_slots": 10, **of.pop("design", {})}
    counts = {"done": 0, "mine": 0, "leased": 0, "gold_in_hand": 0}
    events = {"withdrawn": False, "returned": False}
    return SimpleNamespace(design=json.dumps(design), **{**counts, **events, **of})


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ({"done": 4, "leased": 2}, {"total": 10, "leased": 2, "open": 4}),
        ({"done": 9, "leased": 3}, {"leased": 1, "open": 0}),  # one more reviewer was asked for
        ({"leased": 1, "gold_in_hand": 1}, {"leased": 2, "open": 8}),
        ({"design": {"n_extra": 3}}, {"total": 13, "open": 13}),
        ({"design": {"n_out": 4}, "done": 2}, {"total": 6, "open": 4}),
        ({"mine": 2, "done": 3}, {"mine": 2, "done": 3}),
        ({"design": {"routing": {"n_skipped": 0, "n_audited": 0}}}, {"skipping": ""}),
    ],
)
def test_what_is_open_is_what_is_neither_done_nor_held(
    of: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = as_progress(row(**of))
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize("withdrawn", [False, True])
@pytest.mark.parametrize("returned", [False, True])
def test_what_skipped_is_told_with_what_became_of_it(withdrawn: bool, returned: bool) -> None:
    design = {"routing": {"n_skipped": 8, "n_audited": 2}}
    said = as_progress(row(design=design, withdrawn=withdrawn, returned=returned)).skipping
    assert said.startswith("8 skipped by risk, 2 of them audited.")
    assert ("guarantee is withdrawn" in said) is withdrawn
    assert said.endswith("What skipped is up for review.") is returned


def test_queues_and_people_are_counted_apart(session: Session) -> None:
    desk = build_desk(session)
    one, other = desk.open(session, "one"), desk.open(session, "other")
    first, second, third = desk.experts
    review_next(session, one, first, Answer(GOOD))
    review_next(session, one, second, Answer(GOOD))
    review_next(session, other, first, Answer(GOOD))
    assert review.claim_review_item(session, one.id, third.id, now=NOW) is not None
    found = review.queue_progress(session, one.id, user_id=first.id)
    assert (found.total, found.done, found.mine, found.leased, found.open) == (6, 2, 1, 1, 3)
    assert review.queue_progress(session, one.id).mine == 0
    both = progress_of_queues(session, [one.id, other.id, 99])
    assert {queue: (p.done, p.leased) for queue, p in both.items()} == {
        one.id: (2, 1),
        other.id: (1, 0),
    }
    with pytest.raises(NotFound):
        review.queue_progress(session, 99)


def test_only_own_known_answers_in_hand_count_and_no_slot_whose_lease_was_ended(
    session: Session,
) -> None:
    desk = build_desk(session)
    queue = desk.open(session)
    first, second, _ = desk.experts
    review.claim_review_item(session, queue.id, first.id, now=NOW)
    held = select(ReviewSlot.id).where(ReviewSlot.state == SlotState.LEASED)
    [slot] = session.scalars(held)

    def told(**values: Any) -> dict[str, int]:
        session.execute(update(ReviewSlot).where(ReviewSlot.id == slot).values(**values))
        return {
            name: review.queue_progress(session, queue.id, user_id=user.id).leased
            for name, user in (("first", first), ("second", second))
        }

    assert told(lease_until=NOW + timedelta(hours=1)) == {"first": 1, "second": 1}
    assert told(lease_until=None) == {"first": 0, "second": 0}
    assert told(purpose=Purpose.GOLD) == {"first": 1, "second": 0}


def test_events_of_another_queue_are_none_of_this(session: Session) -> None:
    desk = build_desk(session)
    routing = {"routing": {"n_skipped": 3, "n_audited": 1}}
    queues = [desk.open(session, name) for name in ("kept", "returned", "withdrawn")]
    for queue in queues:
        new = {**queue.design, **routing}
        session.execute(update(ReviewQueue).where(ReviewQueue.id == queue.id).values(design=new))
    kinds = {queues[1].id: RoutingEventKind.RETURNED, queues[2].id: RoutingEventKind.WITHDRAWN}
    for queue_id, kind in kinds.items():
        event = {"n": 1, "errors": 1, "low": 0.1, "sentence": "s", "at": NOW}
        session.add(RoutingEvent(queue_id=queue_id, kind=kind, **event))
    session.flush()
    said = {i: p.skipping for i, p in progress_of_queues(session, [q.id for q in queues]).items()}
    assert ["up for review" in said[queue.id] for queue in queues] == [False, True, False]
    assert ["withdrawn" in said[queue.id] for queue in queues] == [False, False, True]
