"""Who is given nothing for a while, why, and how that ends; how people stand on known answers.

The rule: a known answer is met when every criterion that it names agrees. With at least
`gold_minimum` results, a person is paused when even the upper end of the interval of their share
(Wilson 1927, JASA 22:209, one-sided, 90%) lies below `gold_bound`: a little bad luck does not do
it. With a bound of 0.7 that is 1 of 4, 3 of 7 or 5 of 10. Results of withdrawn known answers do not
count. A lead lifts a pause; then the count, and the onboarding, begin anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.schemas.review.quality import GoldStandingOut
from backend.services.review.rules import QueueRules
from backend.services.review.statements import MEMBERS, AnyRow
from backend.tables.accounts import User
from backend.tables.review import GoldAnswer, GoldResult, QueueMember, ReviewItem
from evaluators.statistics.intervals import wilson

PAUSE_LEVEL = 0.80  # two-sided, so that 10% lie above the upper end
GOLD_PAUSE = (
    "Time for a short break. Some of your answers differ from those that were agreed on before, "
    "and your lead would like to go through them with you. Nothing that you did is lost."
)


def find_reviewer(session: Session, queue_id: int, pseudonym: str) -> User:
    """The reviewer of a queue with this pseudonym, or NotFound."""
    found = session.scalar(
        select(User)
        .join(QueueMember, QueueMember.user_id == User.id)
        .where(QueueMember.queue_id == queue_id, User.pseudonym == pseudonym)
    )
    if found is None:
        raise NotFound(f"The queue has no reviewer {pseudonym}.")
    return found


def is_below(met: int, n: int, rules: QueueRules) -> bool:
    """Whether the rule of the pause applies to `met` of `n` known answers."""
    if n < max(1, rules.gold_minimum):
        return False
    return wilson(met, n, level=PAUSE_LEVEL)[1] < rules.gold_bound


def apply_bound(
    session: Session, queue_id: int, user_id: int, rules: QueueRules, now: datetime
) -> bool:
    """Pause a person whose results call for it; returns whether they are paused now."""
    member = _member(session, queue_id, user_id)
    if member.paused_at is not None:
        return True
    n, met = counted_results(session, member)
    if not is_below(met, n, rules):
        return False
    reason = f"{GOLD_PAUSE} (Known answers met: {met} of {n}; asked for: {rules.gold_bound:.0%}.)"
    update_member(session, queue_id, user_id, paused_at=now, pause_reason=reason)
    return True


def undo_pause(session: Session, queue_id: int, user_id: int, rules: QueueRules) -> bool:
    """Lift a pause for known answers that the results no longer call for; says whether it did.

    A pause by a lead's own hand stays.
    """
    member = _member(session, queue_id, user_id)
    if member.paused_at is None or not (member.pause_reason or "").startswith(GOLD_PAUSE):
        return False
    n, met = counted_results(session, member)
    if is_below(met, n, rules):
        return False
    update_member(session, queue_id, user_id, paused_at=None, pause_reason=None)
    return True


def pause_reviewer(
    session: Session, queue_id: int, user_id: int, *, reason: str, now: datetime
) -> None:
    """Give a person nothing more of this queue for now; what they hold they may still submit.

    Raises:
        InvalidInput: no reason, or one that reads as if known answers had called for it.
        NotFound: not a reviewer of the queue.
    """
    if not reason.strip() or reason.strip().startswith(GOLD_PAUSE):
        raise InvalidInput("Say in a few words of your own why this person is paused.")
    _member(session, queue_id, user_id)
    update_member(session, queue_id, user_id, paused_at=now, pause_reason=reason.strip())


def lift_pause(session: Session, queue_id: int, user_id: int) -> None:
    """Let a person work on; their known answers are counted anew from here.

    Raises:
        Conflict: the person is not paused.
        NotFound: not a reviewer of the queue.
    """
    if _member(session, queue_id, user_id).paused_at is None:
        raise Conflict("This person is not paused.")
    begun_anew = {"n_gold": 0, "since_gold": 0}
    update_member(session, queue_id, user_id, paused_at=None, pause_reason=None, **begun_anew)


def counted_results(session: Session, member: QueueMember) -> tuple[int, int]:
    """Known answers that count for the bound, and how many of them were met."""
    newest = results_that_count(member.queue_id, member.user_id)
    passed = session.scalars(newest.limit(member.n_gold)).all() if member.n_gold else []
    return len(passed), sum(passed)


def results_that_count(queue_id: int, user_id: int) -> Select[bool]:
    """Whether each known answer was met, the newest first, withdrawn ones left out."""
    mine = gold_results(queue_id, GoldResult.passed).where(GoldResult.user_id == user_id)
    return mine.order_by(GoldResult.id.desc())


def gold_results(queue_id: int, *columns: Any, withdrawn: bool = False) -> Select[Any]:
    """Results on the known answers of a queue that stand; with `withdrawn` on all of them."""
    query = (
        select(*columns)
        .select_from(GoldResult)
        .join(GoldAnswer, GoldAnswer.id == GoldResult.gold_id)
        .join(ReviewItem, ReviewItem.id == GoldAnswer.item_id)
        .where(ReviewItem.queue_id == queue_id)
    )
    return query if withdrawn else query.where(GoldAnswer.withdrawn_at.is_(None))


def gold_progress(session: Session, queue_id: int) -> list[GoldStandingOut]:
    """Every reviewer of a queue on its known answers: paused ones first, then by pseudonym."""
    members = session.execute(
        select(QueueMember, User)
        .join(User, User.id == QueueMember.user_id)
        .where(QueueMember.queue_id == queue_id)
        .order_by(QueueMember.paused_at.is_(None), User.pseudonym)
        .execution_options(populate_existing=True)
    ).all()
    contested = GoldResult.contested_at.is_not(None) & GoldResult.resolved_at.is_(None)
    wanted = (GoldResult.user_id, GoldResult.passed, contested.label("contested"))
    by_person: dict[int, list[AnyRow]] = defaultdict(list)
    for row in session.execute(gold_results(queue_id, *wanted)):
        by_person[row.user_id].append(row)
    return [_standing(member, user, by_person[user.id]) for member, user in members]


def _standing(member: QueueMember, user: User, results: Sequence[AnyRow]) -> GoldStandingOut:
    passed = [result.passed for result in results]
    low, high = wilson(sum(passed), len(passed)) if passed else (None, None)
    return GoldStandingOut(
        pseudonym=user.pseudonym,
        simulated=user.simulated,
        n=len(passed),
        met=sum(passed),
        value=sum(passed) / len(passed) if passed else None,
        low=low,
        high=high,
        error=None if passed else "No known answer was judged yet.",
        n_contested=sum(bool(result.contested) for result in results),
        paused_at=member.paused_at,
        pause_reason=member.pause_reason,
    )


def _member(session: Session, queue_id: int, user_id: int) -> QueueMember:
    member = session.get(QueueMember, (queue_id, user_id), populate_existing=True)
    if member is None:
        raise NotFound("This person is not a reviewer of the queue.")
    return member


def update_member(session: Session, queue_id: int, user_id: int, **values: Any) -> None:
    """Set columns of a person's row in a queue."""
    theirs = MEMBERS.c.queue_id == queue_id, MEMBERS.c.user_id == user_id
    session.execute(update(MEMBERS).where(*theirs).values(**values))
