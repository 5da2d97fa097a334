"""A queue always ends, or says for whom it waits; a skip can be taken back; who has work left."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput
from backend.services import review
from backend.services.accounts.users import remove_member
from backend.services.review import Answer, Claim
from backend.services.review.desk.history import left_for, next_queue_for
from backend.services.review.desk.submit import settle_queues
from backend.services.review.opening.assignment import Assignment
from backend.services.review.rules import QueueRules
from backend.services.review.waiting import queue_waits_for
from backend.tables.accounts import Membership, User
from backend.tables.datasets import Example
from backend.tables.review import QueueMember, ReviewQueue, ReviewSlot
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, review_next, submit

MEDICAL = Assignment(skills={"task=note": "medical"})


def notes(session: Session, desk: Desk, *skilled: int) -> None:
    """Every example is a note, for which these experts have the skill."""
    for example in session.scalars(select(Example)):
        example.slices = {"task": "note"}
    for number in skilled:
        mine = Membership.user_id == desk.experts[number].id
        session.execute(update(Membership).where(mine).values(skills=["medical"]))
    session.flush()


def claim(session: Session, queue: ReviewQueue, user: User) -> Any:
    return review.claim_next(session, queue.id, user.id, now=NOW)


def skip(session: Session, held: Claim, user: User) -> int:
    token = {"slot_id": held.slot_id, "version": held.version, "user_id": user.id}
    return review.skip_review(session, **token, reason="unsure", now=NOW).review_id


@pytest.mark.parametrize("seed", range(12))
def test_a_queue_ends_or_says_for_whom_it_waits(session: Session, seed: int) -> None:
    """People answer, skip and leave at random until nobody is given anything any more."""
    rng = random.Random(seed)
    desk = build_desk(session, splits={"train": 4}, n_experts=3)
    notes(session, desk, *rng.sample(range(3), rng.choice([2, 3])))
    rules = QueueRules(
        skip_policy=rng.choice(["others", "others", "out"]),
        extra_below=rng.choice([None, 0.9]),
        adjudicate_above=rng.choice([None, 0.1]),
    )
    people = desk.experts[: rng.choice([2, 3])]
    assigned = MEDICAL if rng.random() < 0.5 and _able(session, people) >= 2 else Assignment()
    queue = desk.open(
        session,
        rules=rules,
        assignment=assigned,
        overlap=2,
        overlap_share=rng.choice([0.5, 1.0]),
        reviewer_ids=[user.id for user in people],
    )
    idle = 0
    while idle < 6:
        user = rng.choice(people)
        held = claim(session, queue, user) if user.active else None
        idle = 0 if isinstance(held, Claim) else idle + 1
        if not isinstance(held, Claim):
            continue
        if rng.random() < 0.4:
            skip(session, held, user)
        else:
            submit(session, held, user, Answer(rng.choice([GOOD, BAD])))
        if rng.random() < 0.05:
            user.active = False
            session.flush()
    session.refresh(queue)
    open_now = select(ReviewSlot.id).where(
        ReviewSlot.purpose == "review", ReviewSlot.state == "open"
    )
    left = len(session.scalars(open_now).all())
    waits = [w for w in queue_waits_for(session, queue.id) if "disagreement" not in w.sentence]
    assert (queue.finished_at is not None) == (left == 0)
    assert sum(one.n for one in waits) == left


def _able(session: Session, people: list[User]) -> int:
    ids = [user.id for user in people]
    found = session.scalars(select(Membership).where(Membership.user_id.in_(ids)))
    return sum("medical" in member.skills for member in found)


def test_the_only_reviewer_who_skips_ends_the_queue_and_may_take_it_back(session: Session) -> None:
    desk = build_desk(session, splits={"train": 2})
    ada = desk.experts[0]
    queue = desk.open(session, reviewer_ids=[ada.id])
    review_next(session, queue, ada, Answer(GOOD))
    skipped = skip(session, claim(session, queue, ada), ada)
    session.refresh(queue)
    progress = review.queue_progress(session, queue.id)
    assert (progress.total, progress.done, queue.finished_at is not None) == (1, 1, True)
    assert review.past_review(session, skipped, ada.id).revisable_until is not None
    again = review.revise(session, skipped, ada.id, now=NOW)
    assert review.revise(session, skipped, ada.id, now=NOW).version == again.version
    session.refresh(queue)
    assert queue.finished_at is None
    submit(session, again, ada, Answer(GOOD))
    session.refresh(queue)
    assert review.queue_progress(session, queue.id).done == 2
    assert queue.finished_at is not None
    with pytest.raises(Conflict):
        review.revise(session, skipped, ada.id, now=NOW)


def test_taking_a_skip_back_puts_back_what_is_held_with_its_draft(session: Session) -> None:
    desk = build_desk(session, splits={"train": 3})
    ada, bob = desk.experts[:2]
    queue = desk.open(session)
    first = claim(session, queue, ada)
    said = {"comment": "half"}
    review.save_draft(session, first.slot_id, first.version, ada.id, said, now=NOW)
    skipped = skip(session, first, ada)
    held = claim(session, queue, ada)
    review.save_draft(session, held.slot_id, held.version, ada.id, {"comment": "two"}, now=NOW)
    again = review.revise(session, skipped, ada.id, now=NOW)
    assert (again.item_id, again.draft) == (first.item_id, said)
    same = review.revise(session, skipped, ada.id, now=NOW)
    assert (same.version, same.draft) == (again.version, said), "it is saved with the new lease"
    submit(session, again, ada, Answer(GOOD))
    assert claim(session, queue, ada).draft == {"comment": "two"}
    other = skip(session, claim(session, queue, bob), bob)
    review_next(session, queue, desk.experts[2], Answer(GOOD))
    with pytest.raises(Conflict, match="A colleague was given this item"):
        review.revise(session, other, bob.id, now=NOW)


def test_what_is_asked_further_keeps_the_skill(session: Session) -> None:
    desk = build_desk(session, splits={"train": 1}, n_experts=4)
    notes(session, desk, 0, 1, 3)
    rules = QueueRules(extra_below=0.9, adjudicate_above=0.1)
    queue = desk.open(session, assignment=MEDICAL, overlap=2, overlap_share=1.0, rules=rules)
    review_next(session, queue, desk.experts[0], Answer(GOOD))
    review_next(session, queue, desk.experts[1], Answer(BAD))
    assert not isinstance(claim(session, queue, desk.experts[2]), Claim)
    assert [one.sentence for one in queue_waits_for(session, queue.id)] == [
        f"{desk.experts[3].pseudonym} with the skill 'medical'"
    ]
    review_next(session, queue, desk.experts[3], Answer(BAD))
    slots = {slot.purpose: slot.required_skill for slot in session.scalars(select(ReviewSlot))}
    assert slots == {"review": "medical", "adjudication": "medical"}
    verdict = review.claim_adjudication(session, queue.id, desk.experts[2].id, now=NOW)
    assert not isinstance(verdict, Claim)
    assert "skill 'medical' to decide" in queue_waits_for(session, queue.id)[0].sentence


def test_nobody_is_assigned_what_they_have_not_the_skill_for(session: Session) -> None:
    desk = build_desk(session, splits={"train": 1})
    notes(session, desk, 1)
    both = Assignment(people={"task=note": desk.experts[0].id}, skills=MEDICAL.skills)
    with pytest.raises(InvalidInput, match="skill 'medical', which that person lacks"):
        desk.open(session, assignment=both)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("skill", "a reviewer with the skill 'medical', whom the queue lacks"),
        ("left", "a reviewer with the skill 'medical', whom the queue lacks"),
        ("removed", "a reviewer, whom the queue lacks"),
        ("paused", "with the skill 'medical', paused: a lead lifts the pause"),
    ],
)
def test_what_a_queue_lacks_is_said(session: Session, change: str, said: str) -> None:
    desk = build_desk(session, splits={"train": 1})
    notes(session, desk, 1)
    skills = Assignment() if change == "removed" else MEDICAL
    queue = desk.open(session, assignment=skills)
    if change == "removed":
        session.execute(delete(Membership))
    elif change == "skill":
        session.execute(update(Membership).values(skills=[]))
    elif change == "left":
        desk.experts[1].active = False
    else:
        session.execute(update(QueueMember).values(paused_at=NOW))
    session.flush()
    (waits,) = queue_waits_for(session, queue.id)
    assert waits.n == 1
    assert waits.sentence.endswith(said)


def test_what_is_left_for_a_person_and_where(session: Session) -> None:
    desk = build_desk(session, splits={"train": 3})
    ada, bob = desk.experts[:2]
    first = desk.open(session, "first", reviewer_ids=[ada.id, bob.id])
    second = desk.open(session, "second", reviewer_ids=[ada.id])
    assert left_for(session, first.id, ada.id, now=NOW) == 3
    claim(session, first, bob)
    assert left_for(session, first.id, ada.id, now=NOW) == 2
    for _ in range(2):
        review_next(session, first, ada, Answer(GOOD))
    assert left_for(session, first.id, ada.id, now=NOW) == 0
    found = next_queue_for(session, ada.id, now=NOW, but=first.id)
    assert found is not None
    assert found.id == second.id
    assert next_queue_for(session, bob.id, now=NOW, but=first.id) is None


def test_who_leaves_takes_along_what_only_they_could_still_give(session: Session) -> None:
    """Of three reviewers two answered each item of an overlap of three; the third leaves."""
    desk = build_desk(session, splits={"train": 2}, n_experts=3)
    queue = desk.open(session, n_items=2, overlap=3, overlap_share=1.0)
    first, second, third = desk.experts
    for person in (first, second):
        for _ in range(2):
            review_next(session, queue, person, Answer(GOOD))
    remove_member(session, desk.project.id, third.id)
    assert settle_queues(session, desk.project.id, now=NOW) == 2
    assert settle_queues(session, desk.project.id, now=NOW) == 0
    states = session.scalars(select(ReviewSlot.state).order_by(ReviewSlot.state)).all()
    assert states == ["done"] * 4 + ["out"] * 2
    assert session.get_one(ReviewQueue, queue.id, populate_existing=True).finished_at == NOW


def test_what_others_can_still_give_stays_open(session: Session) -> None:
    desk = build_desk(session, splits={"train": 2}, n_experts=3)
    queue = desk.open(session, n_items=2)
    remove_member(session, desk.project.id, desk.experts[2].id)
    assert settle_queues(session, desk.project.id, now=NOW) == 0
    assert isinstance(claim(session, queue, desk.experts[0]), Claim)
