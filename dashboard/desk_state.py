"""What one expert's desk remembers between two clicks, and what each click does to it.

Transitions talk to the API through the client they are given and turn every expected error into
a state of its own: an error is never an empty queue. Nothing here draws; time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from backend.errors import LeaseLost, NotAuthenticated, NotFound, StropError
from backend.rubrics import Rubric, validate_answers
from backend.schemas.review import (
    Answer,
    Claim,
    ClaimAnswer,
    LeaseShown,
    QueueProgress,
    ReviewReceipt,
)

IDLE_SECONDS = 60.0


class Screen(StrEnum):
    """What the desk shows. EMPTY: nothing to do just now; FINISHED: everything is done."""

    ITEM = "item"
    EMPTY = "empty"
    FINISHED = "finished"
    ERROR = "error"
    SIGNED_OUT = "signed_out"


class DeskClient(Protocol):
    """The part of the API client that the desk uses."""

    def claim(self, queue_id: int) -> ClaimAnswer: ...
    def save_draft(self, slot_id: int, version: int, answer: Answer) -> LeaseShown: ...
    def submit(self, slot_id: int, version: int, answer: Answer) -> ReviewReceipt: ...
    def skip(self, slot_id: int, version: int, reason: str) -> ReviewReceipt: ...


@dataclass(slots=True)
class Desk:
    """The desk of one queue.

    Attributes:
        answer: what the expert has said of the item on screen so far.
        saved: the answer that the server has; None before the first save.
        active_seconds: time at this item, gaps longer than IDLE_SECONDS cut to that.
        note: one sentence about what just happened, shown once.
    """

    queue_id: int
    screen: Screen = Screen.EMPTY
    claim: Claim | None = None
    answer: Answer = field(default_factory=Answer)
    saved: Answer | None = None
    saved_at: datetime | None = None
    save_problem: str | None = None
    progress: QueueProgress | None = None
    problem: StropError | None = None
    note: str | None = None
    active_seconds: float = 0.0
    seen_at: datetime | None = None
    correcting: bool = False
    finished_here: int = 0
    sent_at: datetime | None = None
    digits_taken: int = 0

    @property
    def item_key(self) -> str:
        """Unique per lease: widgets of one item must not answer for the next."""
        return f"{self.claim.slot_id}-{self.claim.version}" if self.claim else "none"


def take_next(desk: Desk, client: DeskClient, *, now: datetime) -> None:
    """Claim the next item, or the one still held; its draft comes with it."""
    desk.claim = desk.saved = desk.saved_at = desk.problem = desk.save_problem = None
    desk.answer, desk.correcting, desk.digits_taken = Answer(), False, 0
    desk.active_seconds, desk.seen_at = 0.0, now
    try:
        taken = client.claim(desk.queue_id)
    except NotAuthenticated:
        desk.screen = Screen.SIGNED_OUT
        return
    except StropError as error:
        desk.screen, desk.problem = Screen.ERROR, error
        return
    desk.progress = taken.progress
    if taken.claim is None:
        whole = taken.progress.done >= taken.progress.total
        desk.screen = Screen.FINISHED if whole else Screen.EMPTY
        return
    _put_on_desk(desk, taken.claim)


def _put_on_desk(desk: Desk, claim: Claim) -> None:
    desk.screen, desk.claim = Screen.ITEM, claim
    if claim.draft is not None:
        desk.answer = desk.saved = claim.draft
        desk.active_seconds = claim.draft.active_seconds
        desk.correcting = claim.draft.correction is not None


def change_answer(desk: Desk, **changes: object) -> None:
    """Change parts of the answer on screen; it is saved when the page has been drawn."""
    desk.answer = desk.answer.model_copy(update=changes)


def rate(desk: Desk, criterion: str, value: str | int | float | bool | None) -> None:
    """Answer one criterion; None takes the answer back."""
    ratings = {k: v for k, v in desk.answer.ratings.items() if k != criterion}
    if value is not None:
        ratings[criterion] = value
    change_answer(desk, ratings=ratings)


def tick(desk: Desk, *, now: datetime) -> None:
    """Count the time since the last sign of life as active, idle time cut."""
    if desk.seen_at is not None:
        gap = (now - desk.seen_at).total_seconds()
        desk.active_seconds += min(max(gap, 0.0), IDLE_SECONDS)
    desk.seen_at = now


def save_if_changed(desk: Desk, client: DeskClient) -> None:
    """Save the draft when it differs from what the server has."""
    if desk.claim is None or _same(desk.answer, desk.saved or Answer()):
        return
    answer = _timed(desk)
    try:
        lease = client.save_draft(desk.claim.slot_id, desk.claim.version, answer)
    except StropError as error:
        _lose_item(desk, error)
        return
    desk.saved, desk.saved_at, desk.save_problem = answer, lease.at, None


def _same(one: Answer, other: Answer) -> bool:
    """Equal but for the clock, which runs by itself."""
    return _untimed(one) == _untimed(other)


def _untimed(answer: Answer) -> Answer:
    return answer.model_copy(update={"active_seconds": 0.0})


def _timed(desk: Desk) -> Answer:
    return desk.answer.model_copy(update={"active_seconds": round(desk.active_seconds, 1)})


def _lose_item(desk: Desk, error: StropError) -> None:
    """What an error on the item on screen means: the answer stays unless the lease is gone."""
    if isinstance(error, NotAuthenticated):
        desk.screen = Screen.SIGNED_OUT
    elif isinstance(error, LeaseLost | NotFound):
        desk.screen, desk.problem = Screen.ERROR, error
    else:
        desk.save_problem = str(error)


def missing_answer(desk: Desk, rubric: Rubric) -> str | None:
    """What keeps the answer from being submitted, as a sentence; None when nothing does."""
    assert desk.claim is not None
    if desk.claim.kind == "pair" and desk.answer.winner is None:
        return "Choose one of the five answers first."
    try:
        validate_answers(rubric, desk.answer.ratings)
    except StropError as error:
        return str(error)
    return None


def submit(desk: Desk, client: DeskClient, rubric: Rubric, *, now: datetime) -> None:
    """Send the answer and take the next item; a missing answer is said and nothing is sent."""
    if desk.claim is None:
        return
    desk.note = missing_answer(desk, rubric)
    if desk.note is not None:
        return
    tick(desk, now=now)
    try:
        client.submit(desk.claim.slot_id, desk.claim.version, _final(desk))
    except StropError as error:
        _lose_item(desk, error)
        return
    desk.finished_here, desk.sent_at = desk.finished_here + 1, now
    take_next(desk, client, now=now)


def _final(desk: Desk) -> Answer:
    """The answer as sent: a correction that changes nothing is none."""
    answer = _timed(desk)
    output = desk.claim.item.output if desk.claim else None
    if output is not None and answer.correction == output.text:
        return answer.model_copy(update={"correction": None, "correction_reason": None})
    return answer


def skip(desk: Desk, client: DeskClient, reason: str, *, now: datetime) -> None:
    """Pass the item on to others with the reason, and take the next."""
    if desk.claim is None:
        return
    if not reason.strip():
        desk.note = "Say why you skip it; a word is enough."
        return
    try:
        client.skip(desk.claim.slot_id, desk.claim.version, reason.strip())
    except StropError as error:
        _lose_item(desk, error)
        return
    take_next(desk, client, now=now)
