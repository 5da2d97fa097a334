"""For whom a queue waits: who could still take what is open, and what nobody can take any more.

A slot is exhausted when everybody who could take it (reviewers of the queue, with the skill, for
whom it is) has answered or skipped its item. It goes out then, so that a queue always ends. What
waits for a person or a skill that the queue lacks stays open, and is said.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.schemas.review.queues import WaitsFor
from backend.services.review.lease import note_slots
from backend.services.review.rules import most_of_one_person, rules_from
from backend.services.review.statements import SLOTS, in_state
from backend.tables.accounts import Membership, Role, User
from backend.tables.review import (
    Adjudication,
    Purpose,
    QueueMember,
    Review,
    ReviewQueue,
    ReviewSlot,
    ReviewState,
    SlotState,
)
from evaluators.spread import cut


class ActiveMember(NamedTuple):
    """A reviewer of a queue who is active, and still of its project."""

    id: int
    pseudonym: str
    skills: frozenset[str]
    paused: bool
    submitted: int


_SLOTS = select(SLOTS.c.id, SLOTS.c.item_id, SLOTS.c.assigned_to_id, SLOTS.c.required_skill)


class _Open(NamedTuple):
    id: int
    item_id: int
    assigned_to_id: int | None
    required_skill: str | None


def somebody_left(session: Session, queue_id: int, item_id: int, skill: str | None) -> bool:
    """Whether a reviewer with the skill has neither answered nor skipped the item, nor holds it."""
    seen = _seen(session, [item_id]).get(item_id, set())
    able = _able(_members(session, queue_id), None, skill)
    return any(member.id not in seen for member in able)


def take_out_exhausted(session: Session, queue_id: int, item_id: int) -> int:
    """Take out the open reviews of an item that nobody can give any more; returns how many."""
    found = _open_slots(session, queue_id, item_id)
    if not found:
        return 0
    members, seen = _members(session, queue_id), _seen(session, [item_id])
    gone = [slot.id for slot in found if _is_exhausted(slot, members, seen)]
    if gone:
        session.execute(
            update(SLOTS)
            .where(SLOTS.c.id.in_(gone), in_state(SLOTS, SlotState.OPEN))
            .values(state=SlotState.OUT, owner_id=None, lease_until=None)
        )
        note_slots(session.connection(), queue_id, out=len(gone))
    return len(gone)


def exhausted_items(session: Session, queue_id: int) -> list[int]:
    """Ids of the items with open reviews that nobody can give any more, in order."""
    found, members = _open_slots(session, queue_id), _members(session, queue_id)
    seen = _seen(session, [slot.item_id for slot in found])
    return sorted({slot.item_id for slot in found if _is_exhausted(slot, members, seen)})


def _is_exhausted(
    slot: _Open, members: Sequence[ActiveMember], seen: Mapping[int, set[int]]
) -> bool:
    able = _able(members, slot.assigned_to_id, slot.required_skill)
    return bool(able) and not _who_may(slot, able, seen)


def _who_may(
    slot: _Open, able: Iterable[ActiveMember], seen: Mapping[int, set[int]]
) -> list[ActiveMember]:
    """Those of them who have not seen the item, or skipped it for later, which makes it theirs."""
    known = seen.get(slot.item_id, set())
    return [m for m in able if m.id not in known or slot.assigned_to_id == m.id]


def _able(
    members: Iterable[ActiveMember], person_id: int | None, skill: str | None
) -> list[ActiveMember]:
    return [
        member
        for member in members
        if person_id in (None, member.id) and (skill is None or skill in member.skills)
    ]


def queue_waits_for(session: Session, queue_id: int) -> list[WaitsFor]:
    """For whom the open reviews of a queue wait, most first; empty when none is open.

    Reviewers are named by pseudonym. What any of several reviewers may take waits for them all.
    """
    queue = session.get_one(ReviewQueue, queue_id)
    found, members = _open_slots(session, queue_id), _members(session, queue_id)
    seen = _seen(session, [slot.item_id for slot in found])
    share = rules_from(queue.rules).max_share
    n_slots = int(queue.design["n_slots"])
    most = None if share is None else most_of_one_person(share, n_slots)
    said = Counter(_sentence(slot, members, seen, most) for slot in found)
    said.update(_disputes(session, queue_id, members))
    return [WaitsFor(n=n, sentence=sentence) for sentence, n in said.most_common()]


def _sentence(
    slot: _Open, members: Sequence[ActiveMember], seen: Mapping[int, set[int]], most: int | None
) -> str:
    able = _able(members, slot.assigned_to_id, slot.required_skill)
    skill = _skilled(slot)
    if slot.assigned_to_id is not None and not able:
        return f"a person who has left the queue{skill}, or lost it: assign somebody else"
    if not able:
        return f"a reviewer{skill}, whom the queue lacks"
    may = _who_may(slot, able, seen)
    if not may:
        return f"one more reviewer{skill}: the others have seen these items"
    fresh = [m for m in may if most is None or m.submitted < most]
    if not fresh:
        return f"one more reviewer{skill}: the others have given as many as one person may"
    working = [m for m in fresh if not m.paused]
    if not working:
        return f"{_named(fresh)}{skill}, paused: a lead lifts the pause"
    return f"{_named(working)}{skill}"


def _skilled(slot: _Open) -> str:
    return "" if slot.required_skill is None else f" with the skill {slot.required_skill!r}"


def _named(members: Sequence[ActiveMember]) -> str:
    return " or ".join(sorted(member.pseudonym for member in members))


def _disputes(session: Session, queue_id: int, members: Sequence[ActiveMember]) -> list[str]:
    """Of each open disagreement that no reviewer may decide, whom it waits for."""
    query = _SLOTS.join(Adjudication, Adjudication.slot_id == SLOTS.c.id).where(
        Adjudication.queue_id == queue_id,
        Adjudication.decided_at.is_(None),
        SLOTS.c.state == SlotState.OPEN,
    )
    found = [_Open(*row) for row in session.execute(query)]
    seen = _seen(session, [slot.item_id for slot in found])
    return [
        f"somebody{_skilled(slot)} to decide a disagreement, who has not reviewed the item"
        for slot in found
        if not _who_may(slot, _able(members, None, slot.required_skill), seen)
    ]


def _open_slots(session: Session, queue_id: int, item_id: int | None = None) -> list[_Open]:
    query = _SLOTS.where(SLOTS.c.queue_id == queue_id, in_state(SLOTS, SlotState.OPEN))
    if item_id is not None:
        query = query.where(SLOTS.c.item_id == item_id)
    return [_Open(*row) for row in session.execute(query)]


def _members(session: Session, queue_id: int) -> list[ActiveMember]:
    query = (
        select(User, Membership.skills, QueueMember)
        .join(QueueMember, QueueMember.user_id == User.id)
        .join(ReviewQueue, ReviewQueue.id == QueueMember.queue_id)
        .outerjoin(
            Membership,
            (Membership.user_id == User.id) & (Membership.project_id == ReviewQueue.project_id),
        )
        .where(
            QueueMember.queue_id == queue_id,
            User.active,
            Membership.id.is_not(None) | (User.role == Role.ADMIN),
        )
        .order_by(User.id)
    )
    return [
        ActiveMember(
            user.id,
            user.pseudonym,
            frozenset(str(skill) for skill in skills or ()),
            seat.paused_at is not None,
            seat.n_submitted,
        )
        for user, skills, seat in session.execute(query.execution_options(populate_existing=True))
    ]


def _seen(session: Session, item_ids: Sequence[int]) -> Mapping[int, set[int]]:
    """By item, the people who answered or skipped it, or have another slot of it."""
    seen: dict[int, set[int]] = defaultdict(set)
    for part in cut(sorted(set(item_ids)), 500):
        reviewed = select(Review.item_id, Review.reviewer_id).where(
            Review.item_id.in_(part),
            Review.state.in_([ReviewState.SUBMITTED, ReviewState.SKIPPED]),
            Review.superseded_at.is_(None),
        )
        owned = select(ReviewSlot.item_id, ReviewSlot.owner_id).where(
            ReviewSlot.item_id.in_(part),
            ReviewSlot.owner_id.is_not(None),
            ReviewSlot.purpose != Purpose.GOLD,
        )
        for item_id, person in (*session.execute(reviewed), *session.execute(owned)):
            seen[item_id].add(person)
    return seen
