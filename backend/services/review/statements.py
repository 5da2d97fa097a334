"""The statements of a claim: what a person holds, and what is free for them, in one update.

Built once. Every condition of what a person may be given stands here: distinct people, slots for
one person or for people with a skill, leases that lapsed. States and purposes are written out,
since PostgreSQL's generic plans would not see the partial indexes behind bound values, and SQLite
would plan a statement anew at every call that compares such a column with one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    Select,
    String,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.sql.selectable import NamedFromClause

from backend.prepared import PreparedStatement
from backend.tables.review import (
    Adjudication,
    Purpose,
    QueueMember,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
    ReviewState,
)
from backend.tables.review import SlotState as Slot

# Slots of further reviewers come after all that the design asked for.
EXTRA_POSITION = 1_000_000_000
SLOTS = cast(Table, ReviewSlot.__table__)
REVIEWS = cast(Table, Review.__table__)
MEMBERS = cast(Table, QueueMember.__table__)
QUEUES = cast(Table, ReviewQueue.__table__)
ITEMS = cast(Table, ReviewItem.__table__)
ADJUDICATIONS = cast(Table, Adjudication.__table__)
# As the text that is kept: `rules.kept_rules` and `kept_design` have read it before.
RULES = sql_cast(QUEUES.c.rules, Text).label("rules")
DESIGN = sql_cast(QUEUES.c.design, Text).label("design")
AnyRow = Row[*tuple[Any, ...]]


def written_out(value: StrEnum) -> ColumnElement[str]:
    """A member of a closed set as SQL text: a bound value would hide the partial indexes."""
    return literal_column(f"'{value.value}'", String)


def in_state(slots: FromClause, state: Slot) -> ColumnElement[bool]:
    """Required reviews in a state, as the partial indexes have it."""
    return and_(slots.c.state == written_out(state), slots.c.purpose == written_out(Purpose.REVIEW))


def open_or_lapsed(slots: FromClause) -> ColumnElement[bool]:
    """Of whatever purpose: what nobody holds, and leases that have ended by `now`."""
    lapsed = and_(
        slots.c.state == written_out(Slot.LEASED), slots.c.lease_until <= bindparam("now")
    )
    return or_(slots.c.state == written_out(Slot.OPEN), lapsed)


ONE: ColumnElement[int] = literal_column("1")
# In what an update returns, SQLAlchemy names no tables on SQLite: `id` would be the inner one.
THIS_ID: ColumnElement[int] = literal_column("review_slots.id")
THIS_VERSION: ColumnElement[int] = literal_column("review_slots.version")
DESK_PURPOSES = (Purpose.REVIEW, Purpose.GOLD)  # what a claim gives; verdicts are asked for apart


def _in_state(reviews: FromClause, *states: ReviewState) -> ColumnElement[bool]:
    """Reviews in one of these states, written out: a list that is bound cannot be prepared."""
    return reviews.c.state.in_([written_out(state) for state in states])


class ClaimOrder(StrEnum):
    """Where a claim looks, in this order."""

    AHEAD = "open slots past the person's cursor"
    LAPSED = "slots whose lease ran out"
    BEHIND = "open slots from the start"


def held_by_person(purposes: tuple[Purpose, ...]) -> Select[int]:
    """The id of the slot that the person holds, lapsed or not; one under revision first."""
    held = SLOTS.alias("held")
    return (
        select(held.c.id)
        .where(
            held.c.owner_id == bindparam("person"),
            held.c.queue_id == bindparam("queue"),
            held.c.state == written_out(Slot.LEASED),
            held.c.purpose.in_([written_out(purpose) for purpose in purposes]),
        )
        .order_by(held.c.lease_until.is_not(None), held.c.id)
        .limit(ONE)
        .with_for_update()
    )


def free_for_person(search: ClaimOrder, *, with_skills: bool) -> Select[int]:
    """The id of the next free slot; locked ones are skipped where the database has row locks."""
    free = SLOTS.alias("free")
    openly, leased = in_state(free, Slot.OPEN), in_state(free, Slot.LEASED)
    conditions: dict[ClaimOrder, tuple[ColumnElement[bool], ...]] = {
        ClaimOrder.AHEAD: (openly, free.c.position > bindparam("cursor")),
        ClaimOrder.LAPSED: (leased, free.c.lease_until <= bindparam("now")),
        ClaimOrder.BEHIND: (openly,),
    }
    order = free.c.lease_until if search is ClaimOrder.LAPSED else free.c.position
    return (
        select(free.c.id)
        .where(
            free.c.queue_id == bindparam("queue"),
            *conditions[search],
            *for_person(free, with_skills=with_skills),
        )
        .order_by(order)
        .limit(ONE)
        .with_for_update(skip_locked=True)
    )


def for_person(free: NamedFromClause, *, with_skills: bool) -> tuple[ColumnElement[bool], ...]:
    """Whether a required slot is for this person at all, whoever holds it."""
    return (
        or_(free.c.assigned_to_id.is_(None), free.c.assigned_to_id == bindparam("person")),
        _skilled(free, with_skills=with_skills),
        *unseen_by_person(free),
    )


def _skilled(free: NamedFromClause, *, with_skills: bool) -> ColumnElement[bool]:
    needs_none = free.c.required_skill.is_(None)
    if not with_skills:
        return needs_none
    return or_(needs_none, free.c.required_skill.in_(bindparam("skills", expanding=True)))


def unseen_by_person(free: NamedFromClause) -> tuple[ColumnElement[bool], ...]:
    """Neither has the person another slot of the item, nor did they answer or skip it.

    What they skipped for later is assigned to them, and is theirs alone.
    """
    other = SLOTS.alias("other")
    skipped_for_later = and_(
        REVIEWS.c.state == ReviewState.SKIPPED,
        func.coalesce(free.c.assigned_to_id, 0) == bindparam("person"),
    )
    return (
        ~exists(
            select(other.c.id).where(
                other.c.item_id == free.c.item_id,
                _filtered(other.c.owner_id) == bindparam("person"),
                other.c.id != free.c.id,
            )
        ),
        ~exists(
            select(REVIEWS.c.id).where(
                REVIEWS.c.item_id == free.c.item_id,
                _filtered(REVIEWS.c.reviewer_id) == bindparam("person"),
                _in_state(REVIEWS, ReviewState.SUBMITTED, ReviewState.SKIPPED),
                REVIEWS.c.superseded_at.is_(None),  # a skip that was taken back, or a first answer
                ~skipped_for_later,
            )
        ),
    )


def _filtered(person: ColumnElement[int]) -> ColumnElement[int]:
    """A person as no index finds them: an item has few reviews, a person more with every one.

    Of the indexes of both SQLite would take the person's, and go through all that they ever did.
    """
    return person + literal_column("0")


def take(found: ColumnElement[Any]) -> Update:
    """Lease the slot with this id to the person: anew, or for longer when it is theirs already.

    A new holder gets a new version. A lease without an end (a revision) keeps none. Returned with
    it: whether the person was here before under this version, and what they had saved.
    """
    mine = and_(SLOTS.c.state == Slot.LEASED, SLOTS.c.owner_id == bindparam("person"))
    return (
        update(SLOTS)
        .where(SLOTS.c.id == found)
        .values(
            state=Slot.LEASED,
            owner_id=bindparam("person"),
            version=case((mine, SLOTS.c.version), else_=SLOTS.c.version + 1),
            lease_until=case(
                (and_(mine, SLOTS.c.lease_until.is_(None)), None),
                else_=bindparam("until", type_=SLOTS.c.lease_until.type),
            ),
        )
        .returning(
            SLOTS.c.id,
            SLOTS.c.version,
            SLOTS.c.item_id,
            SLOTS.c.purpose,
            SLOTS.c.lease_until,
            _known().label("known"),
            _saved_draft().label("draft"),
        )
    )


def _known() -> ColumnElement[bool]:
    known = REVIEWS.alias("known")
    return exists(
        select(known.c.id).where(known.c.slot_id == THIS_ID, known.c.slot_version == THIS_VERSION)
    )


def _saved_draft() -> ColumnElement[Any]:
    """The person's last unfinished answer; a submitted one has left no draft."""
    saved = REVIEWS.alias("saved")
    return cast(
        ColumnElement[Any],
        select(saved.c.draft)
        .where(
            saved.c.slot_id == THIS_ID,
            saved.c.reviewer_id == bindparam("person"),
            _in_state(saved, ReviewState.DRAFT, ReviewState.SKIPPED),
        )
        .order_by(saved.c.slot_version.desc())
        .limit(ONE)
        .scalar_subquery(),
    )


def _held(purposes: tuple[Purpose, ...]) -> ColumnElement[Any]:
    return cast(ColumnElement[Any], held_by_person(purposes).scalar_subquery())


def _held_or_free(search: ClaimOrder, *, with_skills: bool) -> ColumnElement[Any]:
    free = free_for_person(search, with_skills=with_skills).scalar_subquery()
    return func.coalesce(_held(DESK_PURPOSES), free)


def next_verdict(*, with_skills: bool) -> Select[int]:
    """The slot of the oldest open adjudication that the person may decide."""
    free = SLOTS.alias("free")
    return (
        select(free.c.id)
        .join(ADJUDICATIONS, ADJUDICATIONS.c.slot_id == free.c.id)
        .where(
            ADJUDICATIONS.c.queue_id == bindparam("queue"),
            ADJUDICATIONS.c.decided_at.is_(None),
            open_or_lapsed(free),
            _skilled(free, with_skills=with_skills),
            *unseen_by_person(free),
        )
        .order_by(ADJUDICATIONS.c.id)
        .limit(ONE)
        .with_for_update(of=free, skip_locked=True)
    )


def _one_slot() -> Select[int]:
    one = SLOTS.alias("one")
    this = select(one.c.id).where(one.c.id == bindparam("slot"), open_or_lapsed(one))
    return this.with_for_update()


RESUME = PreparedStatement(take(_held(DESK_PURPOSES)))
RESUME_VERDICT = PreparedStatement(take(_held((Purpose.ADJUDICATION,))))
TAKE_VERDICT = PreparedStatement(take(next_verdict(with_skills=False).scalar_subquery()))
TAKE_VERDICT_WITH_SKILLS = take(next_verdict(with_skills=True).scalar_subquery())
TAKE_ONE = PreparedStatement(take(_one_slot().scalar_subquery()))
# The first search also takes what is held, so that most claims need no statement of their own
# for that; by the second it is known that nothing is.
_TAKE = {
    (search, skilled): take(
        _held_or_free(search, with_skills=skilled)
        if search is ClaimOrder.AHEAD
        else free_for_person(search, with_skills=skilled).scalar_subquery()
    )
    for search in ClaimOrder
    for skilled in (False, True)
}
TAKE = {search: PreparedStatement(_TAKE[search, False]) for search in ClaimOrder}
TAKE_WITH_SKILLS = {search: _TAKE[search, True] for search in ClaimOrder}
