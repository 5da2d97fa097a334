"""Every reviewer of a queue: work, time, agreement with others, known answers, what is odd.

By pseudonym. A warning is a reason to look, not a verdict: nobody is paused by what stands here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.schemas.review.reports import Measured, ReviewerQualityOut
from backend.services.review.quality.pauses import gold_results
from backend.services.review.queues import get_queue
from backend.services.review.reports.agreement import Said, what_was_said
from backend.services.review.reports.effects import ReviewRow, finished_rows
from backend.services.review.reports.measured import mean_of, share_of, unknown
from backend.services.review.reports.votes import queue_votes
from backend.tables.accounts import User
from backend.tables.review import GoldResult, QueueKind, QueueMember, ReviewQueue, ReviewState

FEW = 10
FAST = 1 / 3


def reviewer_quality(session: Session, queue_id: int) -> list[ReviewerQualityOut]:
    """Every member of a queue, the most diligent first."""
    queue = get_queue(session, queue_id)
    rows: dict[str, list[ReviewRow]] = defaultdict(list)
    for row in finished_rows(session, queue_id):
        rows[row.rater].append(row)
    said = what_was_said(session, queue)
    equal = _equal_answers(said)
    gold = _gold_scores(session, queue_id)
    warnings = _warnings(session, queue, said, rows)
    members = session.execute(
        select(QueueMember, User)
        .join(User, User.id == QueueMember.user_id)
        .where(QueueMember.queue_id == queue_id)
        .order_by(User.pseudonym)
    )
    found = [
        _describe(member, user, rows[name], equal[name], gold[name], warnings[name])
        for member, user in members
        if (name := user.pseudonym)
    ]
    return sorted(found, key=lambda one: -one.submitted)


def _describe(
    member: QueueMember,
    user: User,
    rows: Sequence[ReviewRow],
    equal: Sequence[tuple[str, bool]],
    gold: Sequence[float],
    warnings: Sequence[str],
) -> ReviewerQualityOut:
    counted = [row for row in rows if row.counted]
    timed = [row for row in counted if row.active_seconds > 0]
    return ReviewerQualityOut(
        pseudonym=user.pseudonym,
        simulated=user.simulated,
        submitted=len(counted),
        skipped=sum(row.state == ReviewState.SKIPPED for row in rows),
        minutes=mean_of(
            "minutes_per_review",
            [row.active_seconds for row in timed],
            clusters=[row.cluster for row in timed],
            unit="minutes",
            factor=1 / 60,
        ),
        agreement=_agreement(equal),
        gold=_gold(gold),
        paused=member.paused_at is not None,
        pause_reason=member.pause_reason,
        warnings=list(warnings),
    )


def _agreement(equal: Sequence[tuple[str, bool]]) -> Measured:
    if not equal:
        return unknown("Nobody else answered the same items.")
    return share_of("agrees", [hit for _, hit in equal], clusters=[item for item, _ in equal])


def _gold(scores: Sequence[float]) -> Measured:
    if not scores:
        return unknown("No item with a known answer was met.")
    if all(score in (0.0, 1.0) for score in scores):
        return share_of("gold", [score == 1.0 for score in scores])
    return mean_of("gold", scores)


def _equal_answers(said: Mapping[str, Said]) -> dict[str, list[tuple[str, bool]]]:
    """By reviewer: each answer of somebody else to the same question, and whether it is equal."""
    found: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for answers in said.values():
        by_item: dict[str, list[tuple[str, float | str]]] = defaultdict(list)
        for given in answers.given:
            by_item[given.item].append((given.rater, given.value))
        for item, values in by_item.items():
            for rater, value in values:
                found[rater] += [(item, value == v) for r, v in values if r != rater]
    return found


def _gold_scores(session: Session, queue_id: int) -> dict[str, list[float]]:
    query = gold_results(queue_id, User.pseudonym, GoldResult.score).join(GoldResult.user)
    found: dict[str, list[float]] = defaultdict(list)
    for pseudonym, score in session.execute(query.order_by(GoldResult.id)):
        found[pseudonym].append(score)
    return found


def _warnings(
    session: Session,
    queue: ReviewQueue,
    said: Mapping[str, Said],
    rows: Mapping[str, Sequence[ReviewRow]],
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for criterion, answers in said.items():
        for rater, warning in _odd_answers(answers):
            found[rater].append(f"{criterion}: {warning}")
    one_side = _one_side(session, queue.id) if queue.kind == QueueKind.PAIR else []
    for rater, warning in (*_too_fast(rows), *one_side):
        found[rater].append(warning)
    return found


def _odd_answers(said: Said) -> list[tuple[str, str]]:
    from evaluators.errors import EvaluatorError
    from evaluators.statistics.agreement.raters import rater_table

    try:
        table = rater_table(said.table())
    except EvaluatorError:  # no answers yet
        return []
    return [(row.rater, warning) for row in table for warning in row.warnings]


def _too_fast(rows: Mapping[str, Sequence[ReviewRow]]) -> list[tuple[str, str]]:
    """Those whose median review takes less than a third of the others' median reviewer."""
    times = {
        rater: median(timed)
        for rater, finished in rows.items()
        if len(timed := [r.active_seconds for r in finished if r.counted and r.active_seconds > 0])
        >= FEW
    }
    found = []
    for rater, own in times.items():
        others = [time for other, time in times.items() if other != rater]
        if others and own < FAST * (usual := median(others)):
            found.append((rater, f"median {own:.0f} s a review, others {usual:.0f} s"))
    return found


def _one_side(session: Session, queue_id: int) -> list[tuple[str, str]]:
    sides: dict[str, list[bool]] = defaultdict(list)
    for vote in queue_votes(session, queue_id):
        if vote.winner_left is not None:
            sides[vote.rater].append(vote.winner_left)
    return [
        (rater, f"chose the {'left' if chosen[0] else 'right'} in all {len(chosen)} decided votes")
        for rater, chosen in sides.items()
        if len(chosen) >= FEW and len(set(chosen)) == 1
    ]
