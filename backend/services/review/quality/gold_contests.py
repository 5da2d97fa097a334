"""When a known answer is held to be wrong: contested by whom it judged, resolved by a lead.

Upheld, everything stays. Withdrawn, the answer judges nobody any more: its results no longer count,
and people who were paused for it are let back to work when the results that are left do not call
for a pause. Nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.services.review.answer import refuse_unstorable_text
from backend.services.review.quality.pauses import (
    gold_results,
    results_that_count,
    undo_pause,
    update_member,
)
from backend.services.review.rules import rules_from
from backend.services.review.statements import MEMBERS
from backend.tables.review import GoldAnswer, GoldResult, QueueMember

MAX_REASON = 2_000
MOST_SETTLED = 100


class Resolution(StrEnum):
    """What a lead made of a contest."""

    UPHELD = "upheld"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a withdrawal undid: results that count no more, and people who may work on."""

    gold_id: int
    n_results: int
    unpaused_ids: tuple[int, ...]


def contest(
    session: Session, result_id: int, user_id: int, *, reason: str, now: datetime
) -> GoldResult:
    """Say that a known answer is wrong; a second time changes nothing.

    Raises:
        NotFound: the person has no such result.
        InvalidInput: no reason.
        Conflict: a lead has looked at it already, or the known answer was withdrawn.
    """
    result = session.get(GoldResult, result_id, populate_existing=True)
    if result is None or result.user_id != user_id:
        raise NotFound("You have no such result.")
    said = _checked(reason, "Say in a few words why the known answer is wrong.")
    if result.contested_at is not None and result.resolved_at is None:
        return result
    if result.resolved_at is not None or result.gold.withdrawn_at is not None:
        raise Conflict("Your lead has looked at this known answer already.")
    result.contested_at, result.contest_reason = now, said
    session.flush()
    return result


def list_contests(session: Session, queue_id: int) -> list[GoldResult]:
    """Contested results of a queue that nobody has looked at, the oldest first."""
    query = gold_results(queue_id, GoldResult, withdrawn=True).where(
        GoldResult.contested_at.is_not(None), GoldResult.resolved_at.is_(None)
    )
    return list(session.scalars(query.order_by(GoldResult.contested_at, GoldResult.id)))


def list_settled(session: Session, queue_id: int) -> list[GoldResult]:
    """The newest contests of a queue that a lead has decided on, at most `MOST_SETTLED`."""
    settled = gold_results(queue_id, GoldResult, withdrawn=True).where(
        GoldResult.resolved_at.is_not(None)
    )
    newest_first = settled.order_by(GoldResult.resolved_at.desc(), GoldResult.id.desc())
    return list(session.scalars(newest_first.limit(MOST_SETTLED)))


def get_result(session: Session, result_id: int) -> GoldResult:
    """The result, or NotFound."""
    result = session.get(GoldResult, result_id, populate_existing=True)
    if result is None:
        raise NotFound("There is no such result.")
    return result


def resolve_contest(
    session: Session,
    result_id: int,
    resolution: str,
    *,
    by: int | None,
    now: datetime,
    reason: str = "",
) -> Withdrawal | None:
    """Decide on a contest: the known answer stands, or is withdrawn with its consequences undone.

    Raises:
        NotFound: no such result.
        Conflict: nobody contests it, or it was resolved.
        InvalidInput: no such resolution, or a withdrawal without a reason.
    """
    result = get_result(session, result_id)
    if resolution not in list(Resolution):
        raise InvalidInput(f"{resolution!r} is no resolution.", hint="Use upheld or withdrawn.")
    if result.contested_at is None or result.resolved_at is not None:
        raise Conflict("There is no open contest of this result.")
    if resolution == Resolution.WITHDRAWN:
        return withdraw_gold(session, result.gold_id, by=by, reason=reason, now=now)
    said = _checked(reason, "The reason is too long.") if reason.strip() else None
    _settle(result, Resolution.UPHELD, by=by, reason=said, now=now)
    session.flush()
    return None


def withdraw_gold(
    session: Session, gold_id: int, *, by: int | None, reason: str, now: datetime
) -> Withdrawal:
    """Withdraw a known answer and undo what rested on it.

    Raises:
        NotFound: no such known answer.
        Conflict: it was withdrawn before.
        InvalidInput: no reason.
    """
    gold = session.get(GoldAnswer, gold_id, populate_existing=True, with_for_update=True)
    if gold is None:
        raise NotFound("There is no such known answer.")
    if gold.withdrawn_at is not None:
        raise Conflict("This known answer was withdrawn already.")
    said = _checked(reason, "Say in a few words why it is withdrawn.")
    queue = gold.item.queue
    results = session.scalars(select(GoldResult).where(GoldResult.gold_id == gold_id)).all()
    _lock_members(session, queue.id, sorted({result.user_id for result in results}))
    for result in results:
        _take_out(session, queue.id, result)
        if result.contested_at is not None and result.resolved_at is None:
            _settle(result, Resolution.WITHDRAWN, by=by, reason=said, now=now)
    gold.withdrawn_at, gold.withdrawn_by_id, gold.withdrawn_reason = now, by, said
    session.flush()
    rules = rules_from(queue.rules)
    people = dict.fromkeys(result.user_id for result in results)
    free = [user_id for user_id in people if undo_pause(session, queue.id, user_id, rules)]
    return Withdrawal(gold_id, len(results), tuple(free))


def _settle(
    result: GoldResult, resolution: Resolution, *, by: int | None, reason: str | None, now: datetime
) -> None:
    result.resolved_at, result.resolution = now, resolution
    result.resolved_by_id, result.resolution_reason = by, reason


def _lock_members(session: Session, queue_id: int, user_ids: Sequence[int]) -> None:
    """In the order of ids; a submit of one of these people waits until the count is right."""
    session.scalars(
        select(QueueMember)
        .where(QueueMember.queue_id == queue_id, QueueMember.user_id.in_(user_ids))
        .order_by(QueueMember.user_id)
        .with_for_update()
    ).all()


def _take_out(session: Session, queue_id: int, result: GoldResult) -> None:
    """Count one less for the person, if the result is among those that count."""
    member = session.get_one(QueueMember, (queue_id, result.user_id), populate_existing=True)
    ids = results_that_count(queue_id, result.user_id).with_only_columns(GoldResult.id)
    if member.n_gold and result.id in session.scalars(ids.limit(member.n_gold)).all():
        update_member(session, queue_id, result.user_id, n_gold=MEMBERS.c.n_gold - 1)


def _checked(reason: str, problem: str) -> str:
    said = reason.strip()
    if not said or len(said) > MAX_REASON:
        raise InvalidInput(problem, hint=f"At most {MAX_REASON} characters.")
    refuse_unstorable_text(said)
    return said
