"""Late answers, skips and revisions: nothing that was said is lost, and nothing counts twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput, NotFound
from backend.services import review
from backend.services.review import Answer, Claim, Reason
from backend.services.review.counted import counts
from backend.tables.accounts import User
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.review import QueueMember, Rating, Review, ReviewSlot
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, submit

LATER = NOW + timedelta(seconds=601)
MUCH_LATER = LATER + timedelta(seconds=601)


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


def claim(session: Session, queue_id: int, user: User, *, now: datetime = NOW) -> Claim:
    found = review.claim_next(session, queue_id, user.id, now=now)
    assert isinstance(found, Claim), found
    return found


def skip(session: Session, held: Claim, user: User, *, now: datetime = NOW) -> None:
    review.skip_review(
        session,
        slot_id=held.slot_id,
        version=held.version,
        user_id=user.id,
        reason="not now",
        now=now,
    )


def counted(session: Session) -> list[Review]:
    query = select(Review).where(*counts()).order_by(Review.id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


# late answers


def test_a_late_answer_is_kept_as_an_extra(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=1)
    first, second = desk.experts[:2]
    late = claim(session, queue_id, first)
    held = claim(session, queue_id, second, now=LATER)
    done = submit(session, late, first, Answer(BAD), now=LATER)
    assert (done.extra, done.repeated) == (True, False)
    stored = session.get_one(Review, done.review_id, populate_existing=True)
    assert (stored.extra, stored.state) == (True, "submitted")
    assert len(session.scalars(select(Rating.id)).all()) == 3
    assert submit(session, late, first, Answer(BAD), now=LATER) == replace(done, repeated=True)
    submit(session, held, second, Answer(GOOD), now=LATER)
    assert [found.reviewer_id for found in counted(session)] == [second.id]
    member = session.get_one(QueueMember, (queue_id, first.id), populate_existing=True)
    assert member.n_submitted == 0


def test_who_gave_an_extra_answer_is_not_asked_again(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=1)
    first, second = desk.experts[:2]
    late = claim(session, queue_id, first)
    claim(session, queue_id, second, now=LATER)
    submit(session, late, first, Answer(GOOD), now=LATER)
    found = review.claim_next(session, queue_id, first.id, now=MUCH_LATER)
    assert not isinstance(found, Claim)
    assert found.reason is Reason.OTHERS_AT_WORK


def test_a_late_answer_counts_when_the_item_came_back_to_its_person(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=1)
    first, second = desk.experts[:2]
    late = claim(session, queue_id, first)
    claim(session, queue_id, second, now=LATER)
    held = claim(session, queue_id, first, now=MUCH_LATER)
    assert held.version == 3
    done = submit(session, late, first, Answer(GOOD), now=MUCH_LATER)
    assert not done.extra
    again = submit(session, held, first, Answer(GOOD), now=MUCH_LATER)
    assert again == replace(done, repeated=True)
    assert submit(session, late, first, Answer(GOOD), now=MUCH_LATER).repeated
    with pytest.raises(Conflict, match="it stands"):
        submit(session, late, first, Answer(BAD), now=MUCH_LATER)
    (stored,) = counted(session)
    assert (stored.slot_version, stored.extra) == (held.version, False)  # under the lease held now


def test_a_late_answer_counts_for_the_other_slot_of_the_item(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=1, overlap=2, overlap_share=1.0)
    first, second, third = desk.experts
    late = claim(session, queue_id, first)
    other = claim(session, queue_id, second, now=NOW + timedelta(seconds=300))
    taken = claim(session, queue_id, third, now=LATER)
    assert taken.slot_id == late.slot_id
    skip(session, other, second, now=LATER)
    held = claim(session, queue_id, first, now=LATER)
    assert held.slot_id == other.slot_id
    assert not submit(session, late, first, Answer(GOOD), now=LATER).extra
    submit(session, taken, third, Answer(GOOD), now=LATER)
    assert sorted(found.reviewer_id for found in counted(session)) == [first.id, third.id]
    assert {slot.state for slot in session.scalars(select(ReviewSlot))} == {"done"}


# skips


def test_skipped_for_others_is_never_seen_again(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={"skip_policy": "others"}, n_items=1)
    first, second = desk.experts[:2]
    held = claim(session, queue_id, first)
    skip(session, held, first)
    assert not isinstance(review.claim_next(session, queue_id, first.id, now=NOW), Claim)
    assert claim(session, queue_id, second).slot_id == held.slot_id


def test_skipped_for_later_comes_back_to_the_same_person_last_with_its_draft(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={"skip_policy": "me"}, n_items=4)
    first, second = desk.experts[:2]
    skipped = []
    for _ in range(2):
        held = claim(session, queue_id, first)
        saved = {"comment": f"half of {held.item_id}"}
        review.save_draft(session, held.slot_id, held.version, first.id, saved, now=NOW)
        skip(session, held, first)
        skipped.append(held.item_id)
    others = []
    for _ in range(2):
        held = claim(session, queue_id, second)
        others.append(held.item_id)
        submit(session, held, second, Answer(GOOD))
    assert not set(others) & set(skipped)
    assert not isinstance(review.claim_next(session, queue_id, second.id, now=NOW), Claim)
    back = claim(session, queue_id, first)
    assert (back.item_id, back.version) == (skipped[0], 2)
    assert back.draft == {"comment": f"half of {skipped[0]}"}
    skip(session, back, first)
    assert claim(session, queue_id, first).item_id == skipped[1], "the other one is next"


def test_skipped_out_is_out_for_everybody_and_the_queue_can_finish(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={"skip_policy": "out"}, n_items=2)
    first, second = desk.experts[:2]
    held = claim(session, queue_id, first)
    skip(session, held, first)
    progress = review.queue_progress(session, queue_id)
    assert (progress.total, progress.done, progress.leased, progress.open) == (1, 0, 0, 1)
    submit(session, claim(session, queue_id, second), second, Answer(GOOD))
    found = review.claim_next(session, queue_id, second.id, now=NOW)
    assert not isinstance(found, Claim)
    assert found.reason is Reason.FINISHED


def test_the_last_item_that_goes_out_finishes_the_queue(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={"skip_policy": "out"}, n_items=1)
    held = claim(session, queue_id, desk.experts[0])
    skip(session, held, desk.experts[0], now=LATER)
    queue = review.get_queue(session, queue_id)
    session.refresh(queue)
    assert queue.finished_at == LATER


@pytest.mark.parametrize("reason", ["", "  ", "a\x00b"])
def test_a_skip_needs_a_reason(session: Session, desk: Desk, reason: str) -> None:
    queue_id = open_queue(session, desk, rules={})
    held = claim(session, queue_id, desk.experts[0])
    with pytest.raises(InvalidInput):
        review.skip_review(
            session,
            slot_id=held.slot_id,
            version=held.version,
            user_id=desk.experts[0].id,
            reason=reason,
            now=NOW,
        )


# revisions


def test_a_revision_takes_the_place_of_the_first_answer_when_it_is_submitted(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=1)
    person = desk.experts[0]
    answer = Answer(GOOD, correction="Better.", comment="seen", active_seconds=50.0)
    first = submit(session, claim(session, queue_id, person), person, answer)
    again = review.revise(session, first.review_id, person.id, now=LATER)
    assert again.draft["correction"] == "Better."
    assert again.draft["ratings"]["quality"] == "5"
    assert "active_seconds" not in again.draft
    back = claim(session, queue_id, person, now=LATER)
    assert (back.version, back.draft) == (again.version, again.draft), "it is saved as a draft"
    assert [found.id for found in counted(session)] == [first.review_id]
    progress = review.queue_progress(session, queue_id, user_id=person.id)
    assert (progress.done, progress.leased, progress.mine) == (1, 0, 1)
    second = submit(session, again, person, Answer(BAD), now=LATER)
    assert [found.id for found in counted(session)] == [second.review_id]
    old = session.get_one(Review, first.review_id, populate_existing=True)
    assert (old.state, old.superseded_at) == ("submitted", LATER)
    assert review.queue_progress(session, queue_id, user_id=person.id) == progress


def test_what_is_under_revision_comes_back_and_goes_to_nobody_else(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=1)
    person, other = desk.experts[:2]
    first = submit(session, claim(session, queue_id, person), person, Answer(GOOD))
    held = review.revise(session, first.review_id, person.id, now=NOW)
    review.save_draft(session, held.slot_id, held.version, person.id, {"comment": "x"}, now=NOW)
    far = NOW + timedelta(days=2)
    assert not isinstance(review.claim_next(session, queue_id, other.id, now=far), Claim)
    back = claim(session, queue_id, person, now=far)
    assert (back.slot_id, back.version, back.resumed) == (held.slot_id, held.version, True)
    assert back.draft == {"comment": "x"}
    same = review.revise(session, first.review_id, person.id, now=NOW)
    assert (same.version, same.draft) == (held.version, {"comment": "x"})


def test_a_revision_that_is_skipped_leaves_the_first_answer(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={"skip_policy": "out"}, n_items=2)
    person = desk.experts[0]
    first = submit(session, claim(session, queue_id, person), person, Answer(GOOD))
    held = review.revise(session, first.review_id, person.id, now=NOW)
    skip(session, held, person)
    assert [found.id for found in counted(session)] == [first.review_id]
    assert session.get_one(ReviewSlot, held.slot_id, populate_existing=True).state == "done"
    progress = review.queue_progress(session, queue_id)
    assert (progress.total, progress.done) == (2, 1)
    third = review.revise(session, first.review_id, person.id, now=NOW)
    assert third.version == held.version + 1


def test_a_skip_under_an_old_token_leaves_the_revision_alone(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=2)
    person = desk.experts[0]
    before = claim(session, queue_id, person)
    first = submit(session, before, person, Answer(GOOD))
    held = review.revise(session, first.review_id, person.id, now=NOW)
    with pytest.raises(Conflict, match="submitted"):
        skip(session, before, person)
    slot = session.get_one(ReviewSlot, held.slot_id, populate_existing=True)
    assert (slot.state, slot.version) == ("leased", held.version)


def test_another_item_that_is_held_waits_for_the_revision(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={})
    person = desk.experts[0]
    first = submit(session, claim(session, queue_id, person), person, Answer(GOOD))
    waiting = claim(session, queue_id, person)
    second = submit(session, waiting, person, Answer(GOOD))
    waiting = claim(session, queue_id, person)
    held = review.revise(session, first.review_id, person.id, now=NOW)
    with pytest.raises(Conflict, match="already"):
        review.revise(session, second.review_id, person.id, now=NOW)
    assert claim(session, queue_id, person).slot_id == held.slot_id
    submit(session, held, person, Answer(BAD))
    assert claim(session, queue_id, person).slot_id == waiting.slot_id


def freeze(session: Session, desk: Desk, review_id: int) -> None:
    frozen = TrainingSet(project_id=desk.project.id, name="t", recipe={}, digest="0" * 64, n_rows=1)
    session.add(frozen)
    session.flush()
    row = {"training_set_id": frozen.id, "position": 0, "kind": "sft", "prompt": []}
    session.add(
        TrainingSetRow(
            **row,
            completion="x",
            source="corrected",
            example_id=session.get_one(Review, review_id).item.generation_a.example_id,
            review_id=review_id,
        )
    )
    session.flush()


def test_what_cannot_be_revised_says_why(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={"revise_minutes": 30})
    person, other = desk.experts[:2]
    done = submit(session, claim(session, queue_id, person), person, Answer(GOOD))
    with pytest.raises(NotFound):
        review.revise(session, done.review_id, other.id, now=NOW)
    with pytest.raises(Conflict, match="30 minutes"):
        review.revise(session, done.review_id, person.id, now=NOW + timedelta(minutes=31))
    past = review.past_review(session, done.review_id, person.id)
    assert past.revisable_until == NOW + timedelta(minutes=30)
    freeze(session, desk, done.review_id)
    with pytest.raises(Conflict, match="training set"):
        review.revise(session, done.review_id, person.id, now=NOW)
    held = claim(session, queue_id, person)
    draft = session.scalars(select(Review.id).where(Review.state == "draft")).one()
    with pytest.raises(Conflict, match="counts"):
        review.revise(session, draft, person.id, now=NOW)
    second = submit(session, held, person, Answer(GOOD))
    review.close_queue(session, queue_id, now=NOW)
    with pytest.raises(Conflict, match="closed"):
        review.revise(session, second.review_id, person.id, now=NOW)


@pytest.mark.parametrize("settled", ["training set", "closed"])
def test_a_revision_that_came_too_late_leaves_the_first_answer(
    session: Session, desk: Desk, settled: str
) -> None:
    queue_id = open_queue(session, desk, rules={"revise_minutes": 30})
    person = desk.experts[0]
    first = submit(session, claim(session, queue_id, person), person, Answer(GOOD))
    held = review.revise(session, first.review_id, person.id, now=NOW)
    if settled == "closed":
        review.close_queue(session, queue_id, now=NOW)
    else:
        freeze(session, desk, first.review_id)
    with session.begin_nested() as attempt, pytest.raises(Conflict, match=settled):
        submit(session, held, person, Answer(BAD), now=LATER)
    assert not attempt.is_active
    assert [found.id for found in counted(session)] == [first.review_id]
    assert session.get_one(Review, first.review_id, populate_existing=True).superseded_at is None


def test_a_queue_without_revisions_has_none(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={"revise_minutes": 0})
    person = desk.experts[0]
    done = submit(session, claim(session, queue_id, person), person, Answer(GOOD))
    with pytest.raises(Conflict, match="final"):
        review.revise(session, done.review_id, person.id, now=NOW)
    assert review.past_review(session, done.review_id, person.id).revisable_until is None
