"""What a claim has to know of queue and person, and an act on a slot of its item too: one select.

The member is locked by the act that reads it, so that the acts of one person come one after the
other (two tabs, a resend); acts of different people never wait for each other here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Table, and_, bindparam, case, exists, select, update

from backend.errors import Forbidden, NotFound
from backend.prepared import PreparedStatement
from backend.rubrics import Rubric, rubric_from_content
from backend.services.review.answer import SlotSubject
from backend.services.review.lease import lease_life
from backend.services.review.rules import QueueRules, kept_design, kept_rules, most_of_one_person
from backend.services.review.statements import (
    DESIGN,
    EXTRA_POSITION,
    ITEMS,
    MEMBERS,
    QUEUES,
    RULES,
    SLOTS,
    AnyRow,
    in_state,
    written_out,
)
from backend.tables.accounts import Membership, User
from backend.tables.review import RubricVersion
from backend.tables.review import SlotState as Slot
from backend.tables.runs import Generation
from backend.tables.webhooks import Webhook

MEMBERSHIPS = cast(Table, Membership.__table__)


class MemberState(NamedTuple):
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


_SELECT = (
    select(
        QUEUES.c.project_id,
        QUEUES.c.seed,
        QUEUES.c.kind,
        RULES,
        DESIGN,
        QUEUES.c.closed_at.is_not(None).label("closed"),
        QUEUES.c.finished_at.is_not(None).label("finished"),
        QUEUES.c.lease_seconds,
        MEMBERS.c.cursor,
        MEMBERS.c.n_submitted,
        MEMBERS.c.n_timed,
        MEMBERS.c.timed_seconds,
        MEMBERS.c.n_gold,
        MEMBERS.c.since_gold,
        MEMBERS.c.paused_at.is_not(None).label("paused"),
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
_SEAT = PreparedStatement(_SELECT.with_for_update(of=MEMBERS))
_QUEUE = select(QUEUES.c.id).where(QUEUES.c.id == bindparam("queue"))


def lock_member(connection: Connection, queue_id: int, user_id: int) -> MemberState:
    """The person as a member of the queue, locked until the transaction ends.

    Raises:
        NotFound: no such queue.
        Forbidden: the person is not a reviewer of it.
    """
    row = _SEAT.first(connection, {"queue": queue_id, "person": user_id})
    return _member_state(connection, row, queue_id, user_id)


def read_member(connection: Connection, queue_id: int, user_id: int) -> MemberState:
    """The same, not locked, to read by. Errors as `lock_member`."""
    row = connection.execute(_SELECT, {"queue": queue_id, "person": user_id}).first()
    return _member_state(connection, row, queue_id, user_id)


def _member_state(
    connection: Connection, row: AnyRow | None, queue_id: int, user_id: int
) -> MemberState:
    if row is None:
        if connection.execute(_QUEUE, {"queue": queue_id}).first() is None:
            raise NotFound("There is no such review queue.")
        raise Forbidden("You are not a reviewer of this queue.", hint="Ask its lead to add you.")
    rules = kept_rules(row.rules)
    return MemberState(
        queue_id=queue_id,
        user_id=user_id,
        project_id=row.project_id,
        seed=row.seed,
        kind=row.kind,
        rules=rules,
        n_slots=int(kept_design(row.design)["n_slots"]),
        closed=row.closed,
        finished=row.finished,
        life=lease_life(row, rules),
        cursor=row.cursor,
        n_submitted=row.n_submitted,
        n_gold=row.n_gold,
        since_gold=row.since_gold,
        paused=row.paused,
        pause_reason=row.pause_reason,
        skills=tuple(str(skill) for skill in row.skills or ()),
    )


_COUNT = PreparedStatement(
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


GENERATIONS = cast(Table, Generation.__table__)
RUBRICS = cast(Table, RubricVersion.__table__)
USERS = cast(Table, User.__table__)
WEBHOOKS = cast(Table, Webhook.__table__)
MAX_RUBRICS = 256


class SlotContext(NamedTuple):
    """A slot with what it asks, as the person finds it.

    Attributes:
        shared: more than one person is asked about the item.
        revising: the person has an answer to it that stands until the new one is submitted.
        more_open: other required reviews of the queue wait for somebody.
        told: the project has a webhook.
        scored: the queue's outputs have scores.
    """

    subject: SlotSubject
    slot_id: int
    queue_id: int
    user_id: int
    purpose: str
    position: int
    shared: bool
    revising: bool
    rules: QueueRules
    design: Mapping[str, Any]
    stratum: str | None
    why: str | None
    simulated: bool
    more_open: bool
    told: bool
    scored: bool


_OTHER = SLOTS.alias("waiting")
_SLOT = PreparedStatement(
    select(
        SLOTS.c.queue_id,
        SLOTS.c.purpose,
        SLOTS.c.position,
        SLOTS.c.number,
        and_(
            SLOTS.c.state == written_out(Slot.LEASED),
            SLOTS.c.owner_id == bindparam("person"),
            SLOTS.c.lease_until.is_(None),
        ).label("revising"),
        ITEMS.c.id.label("item_id"),
        ITEMS.c.required_reviews,
        ITEMS.c.a_is_left,
        ITEMS.c.stratum,
        ITEMS.c.why,
        QUEUES.c.kind,
        RULES,
        DESIGN,
        QUEUES.c.rubric_version_id,
        QUEUES.c.score_run_id.is_not(None).label("scored"),
        RUBRICS.c.digest,
        GENERATIONS.c.id.label("generation_id"),
        GENERATIONS.c.text,
        USERS.c.simulated,
        exists(
            select(_OTHER.c.id).where(
                _OTHER.c.queue_id == SLOTS.c.queue_id, in_state(_OTHER, Slot.OPEN)
            )
        ).label("more_open"),
        exists(select(WEBHOOKS.c.id).where(WEBHOOKS.c.project_id == QUEUES.c.project_id)).label(
            "told"
        ),
    )
    .select_from(SLOTS)
    .join(ITEMS, ITEMS.c.id == SLOTS.c.item_id)
    .join(QUEUES, QUEUES.c.id == SLOTS.c.queue_id)
    .join(RUBRICS, RUBRICS.c.id == QUEUES.c.rubric_version_id)
    .join(GENERATIONS, GENERATIONS.c.id == ITEMS.c.generation_a_id)
    .join(
        MEMBERS,
        and_(MEMBERS.c.queue_id == SLOTS.c.queue_id, MEMBERS.c.user_id == bindparam("person")),
    )
    .join(USERS, USERS.c.id == MEMBERS.c.user_id)
    .where(SLOTS.c.id == bindparam("slot"))
    .with_for_update(of=MEMBERS)
)
_CONTENT = select(RUBRICS.c.content).where(RUBRICS.c.id == bindparam("rubric"))


def read_slot(connection: Connection, slot_id: int, user_id: int) -> SlotContext:
    """The slot with what it asks of this person.

    Raises:
        NotFound: no such slot, or the person is not a reviewer of its queue.
    """
    row = _SLOT.first(connection, {"slot": slot_id, "person": user_id})
    if row is None:
        raise NotFound("You do not hold this item.", hint="Ask for the next one.")
    rubric = _rubric(connection, row.rubric_version_id, row.digest)
    shown = row.item_id, row.generation_id, row.text or "", row.a_is_left
    return SlotContext(
        subject=SlotSubject(*shown, row.kind, rubric),
        slot_id=slot_id,
        queue_id=row.queue_id,
        user_id=user_id,
        purpose=row.purpose,
        position=row.position,
        shared=row.required_reviews > 1 or row.number >= row.required_reviews,
        revising=bool(row.revising),
        rules=kept_rules(row.rules),
        design=kept_design(row.design),
        stratum=row.stratum,
        why=row.why,
        simulated=row.simulated,
        more_open=row.more_open,
        told=row.told,
        scored=row.scored,
    )


_RUBRICS: OrderedDict[str, Rubric] = OrderedDict()


def _rubric(connection: Connection, rubric_id: int, digest: str) -> Rubric:
    """The rubric; a version never changes, and its digest says which content it has."""
    known = _RUBRICS.get(digest)
    if known is None:
        content = connection.execute(_CONTENT, {"rubric": rubric_id}).scalar_one()
        known = _RUBRICS[digest] = rubric_from_content(content)
        if len(_RUBRICS) > MAX_RUBRICS:
            _RUBRICS.popitem(last=False)
    return known
