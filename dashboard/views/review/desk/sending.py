"""Sending the item off an expert's desk, answered or skipped, and what is put there next.

As in `state`, an expected error becomes a state of the desk, and time is an argument.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from backend.errors import StropError
from backend.rubrics import Rubric, validate_answer
from backend.schemas.review.desk import AnswerIn, ReviewReceipt
from dashboard.views.review.desk.past import Past
from dashboard.views.review.desk.state import (
    DeskState,
    Screen,
    clear_desk,
    lose_item,
    receive_claim,
    take_next,
    tick,
    timed_answer,
)

if TYPE_CHECKING:
    from backend.client import StropClient

LONGEST_HISTORY = 6
VOTE = "vote"  # the question of a pair, among the questions of a rubric


def missing_answer(desk: DeskState, rubric: Rubric) -> tuple[str, str] | None:
    """What keeps the answer from being submitted: the question, and a sentence in its words."""
    assert desk.claim is not None
    if desk.claim.kind == "pair" and desk.answer.winner is None:
        return VOTE, "Choose one of the five answers first."
    for criterion in rubric.criteria:
        try:
            validate_answer(criterion, desk.answer.ratings.get(criterion.name))
        except StropError as error:
            return criterion.name, error.message  # the hint has names that no button shows
    return None


def submit(desk: DeskState, client: StropClient, rubric: Rubric, *, now: datetime) -> None:
    """Send the answer and take the next item; a missing answer is said and nothing is sent."""
    if desk.claim is None:
        return
    desk.missing, desk.note = missing_answer(desk, rubric) or (None, None)
    if desk.note is not None:
        return
    tick(desk, now=now)
    answer = _final(desk)
    try:
        receipt = client.desk.submit(desk.claim.slot_id, desk.claim.version, answer, next=True)
    except StropError as error:
        _keep_unsent(desk, error)
        return
    desk.finished_here, desk.sent_at = desk.finished_here + 1, now
    done = Past(
        review_id=receipt.review_id,
        at=now,
        answer=answer,
        may_revise=receipt.review_id is not None and receipt.gold is None and not receipt.extra,
        why=receipt.why,
        extra=receipt.extra,
        risk=receipt.risk,
    )
    _go_on(desk, client, receipt, done, now=now)


def _keep_unsent(desk: DeskState, error: StropError) -> None:
    """The item stays with all that was said; whether its draft is saved is another matter."""
    before = desk.save_problem
    lose_item(desk, error)
    desk.save_problem, desk.note = before, f"Not sent. {error}"
    if desk.signed_out:
        desk.note = "Not sent: your sign-in has ended. Sign in, then send it again."


def _go_on(
    desk: DeskState, client: StropClient, receipt: ReviewReceipt, done: Past, *, now: datetime
) -> None:
    """Keep what was done in the history, and put on the desk what comes next.

    What was sent is not on the desk any more, whatever becomes of the next claim.
    """
    clear_desk(desk, now)
    desk.history = [done, *(p for p in desk.history if not _is_same(p, done))][:LONGEST_HISTORY]
    if receipt.next is None:
        take_next(desk, client, now=now)
    elif receipt.gold is not None:
        desk.screen, desk.feedback, desk.waiting = Screen.FEEDBACK, receipt.gold, receipt.next
    else:
        receive_claim(desk, receipt.next)


def _is_same(one: Past, other: Past) -> bool:
    return one.review_id is not None and one.review_id == other.review_id


def _final(desk: DeskState) -> AnswerIn:
    """The answer as sent: a correction that changes nothing is none."""
    answer = timed_answer(desk)
    output = desk.claim.item.output if desk.claim else None
    if output is not None and answer.correction == output.text:
        return answer.model_copy(update={"correction": None, "correction_reason": None})
    return answer


def skip(desk: DeskState, client: StropClient, reason: str, *, now: datetime) -> None:
    """Pass the item on to others with the reason, and take the next."""
    if desk.claim is None:
        return
    if not reason.strip():
        desk.note = "Say why you skip it; a word is enough."
        return
    try:
        receipt = client.desk.skip(
            desk.claim.slot_id, desk.claim.version, reason.strip(), next=True
        )
    except StropError as error:
        _keep_unsent(desk, error)
        return
    done = Past(
        receipt.review_id,
        now,
        AnswerIn(),
        skip_reason=reason.strip(),
        may_revise=receipt.review_id is not None,
    )
    _go_on(desk, client, receipt, done, now=now)
