"""A person's seat at a queue: what a claim has to know of queue and person, in one select.

The seat is locked by the act that reads it, so that the acts of one person come one after the
other (two tabs, a resend); acts of different people never wait for each other here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from sqlalchemy import Connection, Table, and_, bindparam, case, select, update

from backend.errors import Forbidden, NotFound
from backend.services.review.desk.lease import MEMBERS, QUEUES, AnyRow, lease_life
from backend.services.review.desk.prepared import Prepared
from backend.services.review.rules import QueueRules, rules_from
from backend.tables.accounts import Membership

MEMBERSHIPS = cast(Table, Membership.__table__)
EXTRA_POSITION = (
    1_000_000_000  # slots of further reviewers come after all that the design asked for
)


@dataclass(frozen=True, slots=True)
class Seat:
    """Queue and person as a claim sees them; the counters are those of `QueueMember`."""

    queue_id: int
    user_id: int
    project_id: int
    seed: int
    kind: str
    rules: QueueRules
    n_slots: int
    closed: bool
    finished: bool
    life: timedelta
    cursor: int
    n_submitted: int
    n_gold: int
    since_gold: int
    paused: bool
    pause_reason: str | None
    skills: tuple[str, ...]

    @property
    def share_reached(self) -> bool:
        """Whether the person has given the most that the queue's rules let one person give."""
        share = self.rules.max_share
        return share is not None and self.n_submitted >= most_of_one_person(share, self.n_slots)


def most_of_one_person(max_share: float, n_slots: int) -> int:
    """How many of the required reviews one person may give; at least one."""
    return max(1, int(max_share * n_slots + 1e-9))


_SELECT = (
    select(
        QUEUES.c.project_id,
        QUEUES.c.seed,
        QUEUES.c.kind,
        QUEUES.c.rules,
        QUEUES.c.design,
        QUEUES.c.closed_at,
        QUEUES.c.finished_at,
        QUEUES.c.lease_seconds,
        MEMBERS.c.cursor,
        MEMBERS.c.n_submitted,
        MEMBERS.c.n_timed,
        MEMBERS.c.timed_seconds,
        MEMBERS.c.n_gold,
        MEMBERS.c.since_gold,
        MEMBERS.c.paused_at,
        MEMBERS.c.pause_reason,
        MEMBERSHIPS.c.skills,
    )
    .select_from(QUEUES)
    .join(MEMBERS, MEMBERS.c.queue_id == QUEUES.c.id)
    .outerjoin(
        MEMBERSHIPS,
        and_(
            MEMBERSHIPS.c.project_id == QUEUES.c.project_id,
            MEMBERSHIPS.c.user_id == MEMBERS.c.user_id,
        ),
    )
    .where(QUEUES.c.id == bindparam("queue"), MEMBERS.c.user_id == bindparam("person"))
)
_SEAT = Prepared(_SELECT.with_for_update(of=MEMBERS))
_QUEUE = select(QUEUES.c.id).where(QUEUES.c.id == bindparam("queue"))


def sit_down(connection: Connection, queue_id: int, user_id: int) -> Seat:
    """The person's seat, locked until the transaction ends.

    Raises:
        NotFound: no such queue.
        Forbidden: the person is not a reviewer of it.
    """
    return _found(connection, queue_id, user_id, _SEAT.first(connection, _of(queue_id, user_id)))


def look_at_seat(connection: Connection, queue_id: int, user_id: int) -> Seat:
    """The person's seat, not locked, to read by. Errors as `sit_down`."""
    row = connection.execute(_SELECT, _of(queue_id, user_id)).first()
    return _found(connection, queue_id, user_id, row)


def _of(queue_id: int, user_id: int) -> dict[str, int]:
    return {"queue": queue_id, "person": user_id}


def _found(connection: Connection, queue_id: int, user_id: int, row: AnyRow | None) -> Seat:
    if row is None:
        if connection.execute(_QUEUE, {"queue": queue_id}).first() is None:
            raise NotFound("There is no such review queue.")
        raise Forbidden("You are not a reviewer of this queue.", hint="Ask its lead to add you.")
    return _seat(row, queue_id, user_id)


def _seat(row: AnyRow, queue_id: int, user_id: int) -> Seat:
    rules = rules_from(row.rules)
    return Seat(
        queue_id=queue_id,
        user_id=user_id,
        project_id=row.project_id,
        seed=row.seed,
        kind=row.kind,
        rules=rules,
        n_slots=int(row.design["n_slots"]),
        closed=row.closed_at is not None,
        finished=row.finished_at is not None,
        life=lease_life(
            row.lease_seconds,
            n_timed=row.n_timed,
            timed_seconds=row.timed_seconds,
            adaptive=rules.adaptive_leases,
        ),
        cursor=row.cursor,
        n_submitted=row.n_submitted,
        n_gold=row.n_gold,
        since_gold=row.since_gold,
        paused=row.paused_at is not None,
        pause_reason=row.pause_reason,
        skills=tuple(str(skill) for skill in row.skills or ()),
    )


_COUNT = Prepared(
    update(MEMBERS)
    .where(MEMBERS.c.queue_id == bindparam("queue"), MEMBERS.c.user_id == bindparam("person"))
    .values(
        n_submitted=MEMBERS.c.n_submitted + bindparam("reviews"),
        since_gold=MEMBERS.c.since_gold + bindparam("reviews"),
        n_timed=MEMBERS.c.n_timed + bindparam("timed"),
        timed_seconds=MEMBERS.c.timed_seconds + bindparam("seconds"),
        cursor=case(
            (MEMBERS.c.cursor < bindparam("position"), bindparam("position")),
            else_=MEMBERS.c.cursor,
        ),
    )
)


def count_answer(
    connection: Connection,
    queue_id: int,
    user_id: int,
    *,
    position: int = -1,
    reviews: int = 0,
    seconds: float = 0.0,
) -> None:
    """Keep the person's counters; what is open up to `position` is not for them.

    Args:
        reviews: required reviews that were given now; 1 or 0.
        seconds: active time to learn the life of leases from; 0 for none.
    """
    values = {
        "queue": queue_id,
        "person": user_id,
        "reviews": reviews,
        "timed": 1 if seconds > 0 else 0,
        "seconds": seconds,
        "position": position if position < EXTRA_POSITION else -1,
    }
    _COUNT.run(connection, values)
