"""What an act on a slot has to know of item, queue and person, read in one select.

The person's seat is locked by it, so that the acts of one person come one after the other.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Table, and_, bindparam, exists, select

from backend.errors import NotFound
from backend.rubrics import Rubric, rubric_from_content
from backend.services.review.desk.answer_rules import Subject
from backend.services.review.desk.lease import ITEMS, MEMBERS, QUEUES, SLOTS, AnyRow, in_state
from backend.services.review.desk.prepared import Prepared
from backend.services.review.rules import QueueRules, rules_from
from backend.tables.accounts import User
from backend.tables.review import RubricVersion
from backend.tables.review import SlotState as Slot
from backend.tables.runs import Generation
from backend.tables.webhooks import Webhook

GENERATIONS = cast(Table, Generation.__table__)
RUBRICS = cast(Table, RubricVersion.__table__)
USERS = cast(Table, User.__table__)
WEBHOOKS = cast(Table, Webhook.__table__)
MAX_RUBRICS = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """A slot with what it asks, as the person finds it.

    Attributes:
        shared: more than one person is asked about the item.
        revising: the person has an answer to it that stands until the new one is submitted.
        more_open: other required reviews of the queue wait for somebody.
        told: the project has a webhook.
    """

    subject: Subject
    slot_id: int
    queue_id: int
    user_id: int
    purpose: str
    position: int
    shared: bool
    revising: bool
    rules: QueueRules
    design: dict[str, Any]
    stratum: str | None
    why: str | None
    simulated: bool
    more_open: bool
    told: bool


_OTHER = SLOTS.alias("waiting")
_ASKED = Prepared(
    select(
        SLOTS.c.queue_id,
        SLOTS.c.purpose,
        SLOTS.c.position,
        SLOTS.c.number,
        SLOTS.c.state,
        SLOTS.c.owner_id,
        SLOTS.c.lease_until,
        ITEMS.c.id.label("item_id"),
        ITEMS.c.required_reviews,
        ITEMS.c.a_is_left,
        ITEMS.c.stratum,
        ITEMS.c.why,
        QUEUES.c.kind,
        QUEUES.c.rules,
        QUEUES.c.design,
        QUEUES.c.rubric_version_id,
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


def read_asked(connection: Connection, slot_id: int, user_id: int) -> Asked:
    """The slot with what it asks of this person.

    Raises:
        NotFound: no such slot, or the person is not a reviewer of its queue.
    """
    row = _ASKED.first(connection, {"slot": slot_id, "person": user_id})
    if row is None:
        raise NotFound("You do not hold this item.", hint="Ask for the next one.")
    revising = row.state == Slot.LEASED and row.owner_id == user_id and row.lease_until is None
    return Asked(
        subject=_subject(row, _rubric(connection, row.rubric_version_id, row.digest)),
        slot_id=slot_id,
        queue_id=row.queue_id,
        user_id=user_id,
        purpose=row.purpose,
        position=row.position,
        shared=row.required_reviews > 1 or row.number >= row.required_reviews,
        revising=revising,
        rules=rules_from(row.rules),
        design=row.design,
        stratum=row.stratum,
        why=row.why,
        simulated=row.simulated,
        more_open=bool(row.more_open),
        told=bool(row.told),
    )


def _subject(row: AnyRow, rubric: Rubric) -> Subject:
    return Subject(row.item_id, row.generation_id, row.text or "", row.a_is_left, row.kind, rubric)


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
