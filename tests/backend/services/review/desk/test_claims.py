"""Claims: order, resumption, leases, fencing, distinct people."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import Conflict, Forbidden, InvalidInput, LeaseLost, NotFound
from backend.services import review
from backend.services.review import Answer
from backend.services.review.desk.history import left_for
from backend.tables.review import QueueMember, Review, ReviewItem, ReviewSlot
from tests.fixtures_review import GOOD, NOW, Desk, build_desk, review_next, submit

LATER = NOW + timedelta(seconds=601)


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session)


def claim(session: Session, queue_id: int, user_id: int, **at: object) -> review.Claim | None:
    return review.claim_review_item(session, queue_id, user_id, **{"now": NOW, **at})  # type: ignore[arg-type]


def test_items_come_in_the_order_of_the_queue(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    user = desk.experts[0]
    seen = [review_next(session, queue, user, Answer(GOOD)).item_id for _ in range(6)]
    in_order = select(ReviewItem.id).order_by(ReviewItem.position)
    assert seen == list(session.scalars(in_order))
    assert claim(session, queue.id, user.id) is None


def test_two_people_get_different_items(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    first, second = (claim(session, queue.id, user.id) for user in desk.experts[:2])
    assert first
    assert second
    assert first.item_id != second.item_id


def test_what_is_held_comes_back_with_its_draft(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    user = desk.experts[0]
    held = claim(session, queue.id, user.id)
    assert held
    assert not held.resumed
    review.save_draft(session, held.slot_id, held.version, user.id, {"ratings": 1}, now=NOW)
    again = claim(session, queue.id, user.id, now=NOW + timedelta(seconds=100))
    assert again
    assert again.resumed
    assert (again.slot_id, again.version) == (held.slot_id, held.version)
    assert again.draft == {"ratings": 1}
    assert again.lease_until == NOW + timedelta(seconds=700)


def test_a_lapsed_lease_comes_back_while_nobody_took_it(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    user = desk.experts[0]
    held = claim(session, queue.id, user.id)
    again = claim(session, queue.id, user.id, now=LATER)
    assert held
    assert again
    assert again.version == held.version


def test_open_items_go_before_lapsed_ones(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=2)
    first, second = desk.experts[:2]
    lapsed = claim(session, queue.id, first.id)
    fresh = claim(session, queue.id, second.id, now=LATER)
    assert lapsed
    assert fresh
    assert fresh.item_id != lapsed.item_id
    submit(session, fresh, second, Answer(GOOD), now=LATER)
    taken = claim(session, queue.id, second.id, now=LATER)
    assert taken
    assert taken.slot_id == lapsed.slot_id
    assert taken.version == lapsed.version + 1


def test_a_live_lease_is_not_taken(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=1)
    assert claim(session, queue.id, desk.experts[0].id)
    assert claim(session, queue.id, desk.experts[1].id, now=NOW + timedelta(seconds=599)) is None


def test_a_heartbeat_keeps_the_lease(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=1)
    first, second = desk.experts[:2]
    held = claim(session, queue.id, first.id)
    assert held
    until = review.heartbeat(
        session, held.slot_id, held.version, first.id, now=NOW + timedelta(seconds=300)
    )
    assert until == NOW + timedelta(seconds=900)
    assert claim(session, queue.id, second.id, now=LATER) is None


def test_the_old_token_is_fenced_off(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=1)
    first, second = desk.experts[:2]
    old = claim(session, queue.id, first.id)
    new = claim(session, queue.id, second.id, now=LATER)
    assert old
    assert new
    with pytest.raises(LeaseLost, match="colleague"):
        review.heartbeat(session, old.slot_id, old.version, first.id, now=LATER)
    with pytest.raises(LeaseLost):
        review.save_draft(session, old.slot_id, old.version, first.id, {}, now=LATER)
    with pytest.raises(LeaseLost):
        review.skip_review(
            session,
            slot_id=old.slot_id,
            version=old.version,
            user_id=first.id,
            reason="late",
            now=LATER,
        )
    assert submit(session, old, first, Answer(GOOD), now=LATER).extra
    done = submit(session, new, second, Answer(GOOD), now=LATER)
    assert (done.repeated, done.extra) == (False, False)


def test_the_draft_of_a_lost_lease_is_kept(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=1)
    first, second = desk.experts[:2]
    old = claim(session, queue.id, first.id)
    assert old
    review.save_draft(session, old.slot_id, old.version, first.id, {"comment": "half"}, now=NOW)
    new = claim(session, queue.id, second.id, now=LATER)
    assert new
    assert new.draft == {}
    back = claim(session, queue.id, first.id, now=LATER + timedelta(seconds=601))
    assert back
    assert back.version == 3
    assert back.draft == {"comment": "half"}
    held = claim(session, queue.id, first.id, now=LATER + timedelta(seconds=602))
    assert held, "the new lease has it too, not its first claim alone"
    assert (held.version, held.resumed, held.draft) == (3, True, {"comment": "half"})


def test_a_token_of_somebody_else_is_no_token(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    held = claim(session, queue.id, desk.experts[0].id)
    assert held
    with pytest.raises(NotFound):
        submit(session, held, desk.experts[1], Answer(GOOD))
    with pytest.raises(NotFound):
        review.heartbeat(session, held.slot_id, held.version + 1, desk.experts[0].id, now=NOW)


def test_overlap_goes_to_distinct_people_first(session: Session, desk: Desk) -> None:
    queue = desk.open(session, overlap_share=0.5, overlap=2)
    by_item: dict[int, list[int]] = {}
    order = []
    for _ in range(9):
        for user in desk.experts:
            held = claim(session, queue.id, user.id)
            if held:
                by_item.setdefault(held.item_id, []).append(user.id)
                order.append(held.item_id)
                submit(session, held, user, Answer(GOOD))
    assert sorted(len(people) for people in by_item.values()) == [1, 1, 1, 2, 2, 2]
    assert all(len(set(people)) == len(people) for people in by_item.values())
    overlapping = {item for item, people in by_item.items() if len(people) == 2}
    assert set(order[:6]) == overlapping


def test_one_person_is_never_asked_twice(session: Session, desk: Desk) -> None:
    queue = desk.open(session, overlap_share=1.0, overlap=3)
    user = desk.experts[0]
    items = []
    while held := claim(session, queue.id, user.id):
        items.append(held.item_id)
        submit(session, held, user, Answer(GOOD))
    assert len(items) == len(set(items)) == 6


def test_the_other_slot_of_what_somebody_holds_is_not_for_them(
    session: Session, desk: Desk
) -> None:
    queue = desk.open(session, n_items=1, overlap=2, overlap_share=1.0)
    assert claim(session, queue.id, desk.experts[0].id)
    left = [left_for(session, queue.id, user.id, now=NOW) for user in desk.experts[:2]]
    assert left == [1, 1]


def test_a_skipped_item_reopens_for_others_only(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=1)
    first, second = desk.experts[:2]
    held = claim(session, queue.id, first.id)
    assert held
    skip = {"slot_id": held.slot_id, "version": held.version, "user_id": first.id, "now": NOW}
    with pytest.raises(InvalidInput):
        review.skip_review(session, reason="  ", **skip)  # type: ignore[arg-type]
    review.skip_review(session, reason="not my field", **skip)  # type: ignore[arg-type]
    review.skip_review(session, reason="not my field", **skip)  # type: ignore[arg-type]
    assert claim(session, queue.id, first.id) is None
    taken = claim(session, queue.id, second.id)
    assert taken
    assert taken.slot_id == held.slot_id
    with pytest.raises(Conflict):
        submit(session, held, first, Answer(GOOD))


def test_a_skipped_item_is_found_behind_the_cursor(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=3)
    first, second = desk.experts[:2]
    held = claim(session, queue.id, first.id)
    assert held
    for _ in range(2):
        review_next(session, queue, second, Answer(GOOD))
    review.skip_review(
        session,
        slot_id=held.slot_id,
        version=held.version,
        user_id=first.id,
        reason="unsure",
        now=NOW,
    )
    last = claim(session, queue.id, second.id)
    assert last
    assert last.slot_id == held.slot_id


def test_only_members_may_claim(session: Session, desk: Desk) -> None:
    queue = desk.open(session, reviewer_ids=[desk.experts[0].id])
    with pytest.raises(Forbidden):
        claim(session, queue.id, desk.experts[1].id)
    with pytest.raises(NotFound):
        claim(session, queue.id + 1, desk.experts[0].id)


def test_a_closed_queue_takes_what_is_held_and_gives_no_more(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    first, second = desk.experts[:2]
    held = claim(session, queue.id, first.id)
    assert held
    review.close_queue(session, queue.id, now=NOW)
    with pytest.raises(Conflict, match="closed"):
        claim(session, queue.id, second.id)
    again = claim(session, queue.id, first.id)
    assert again
    assert again.slot_id == held.slot_id
    submit(session, held, first, Answer(GOOD))
    with pytest.raises(Conflict, match="closed"):
        claim(session, queue.id, first.id)


def test_a_huge_draft_is_refused(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    user = desk.experts[0]
    held = claim(session, queue.id, user.id)
    assert held
    with pytest.raises(InvalidInput):
        review.save_draft(
            session, held.slot_id, held.version, user.id, {"comment": "x" * 2_000_001}, now=NOW
        )


def test_every_lease_has_its_review_row(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=1)
    claim(session, queue.id, desk.experts[0].id)
    claim(session, queue.id, desk.experts[1].id, now=LATER)
    versions = session.scalars(select(Review.slot_version).order_by(Review.id)).all()
    assert versions == [1, 2]


def test_the_cursor_moves_with_the_claims(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    for _ in range(3):
        review_next(session, queue, desk.experts[0], Answer(GOOD))
    session.expire_all()
    member = session.get_one(QueueMember, (queue.id, desk.experts[0].id))
    done = select(func.max(ReviewSlot.position)).where(ReviewSlot.state == "done")
    assert member.cursor == session.scalar(done) == 2
