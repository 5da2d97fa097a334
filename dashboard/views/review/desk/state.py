"""What one expert's desk remembers between two clicks, and what each click does to it.

Transitions talk to the API through the client they are given and turn every expected error into
a state of its own: an error is never an empty queue. Nothing here draws; time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from backend.errors import Conflict, LeaseLost, NotAuthenticated, NotFound, StropError
from backend.rubrics import Rubric, Text
from backend.schemas.review.desk import (
    AnswerIn,
    ClaimAnswer,
    ClaimOut,
    GoldFeedback,
    LinkOut,
    QueueProgress,
)
from dashboard.views.review.desk.past import Past

if TYPE_CHECKING:
    from backend.client import StropClient

IDLE_SECONDS = 60.0


class Screen(StrEnum):
    """What the desk shows.

    FEEDBACK: how an answer compares with a known one. EMPTY: nothing to do just now; FINISHED:
    everything is done; SHARE, PAUSED and CLOSED: why this person gets no more.
    """

    ITEM = "item"
    FEEDBACK = "feedback"
    EMPTY = "empty"
    FINISHED = "finished"
    SHARE = "share"
    PAUSED = "paused"
    CLOSED = "closed"
    ERROR = "error"


REASONS = {
    "finished": Screen.FINISHED,
    "others_at_work": Screen.EMPTY,
    "share_reached": Screen.SHARE,
    "paused": Screen.PAUSED,
    "closed": Screen.CLOSED,
}


@dataclass(slots=True)
class DeskState:
    """The desk of one queue.

    Attributes:
        sitting: names this desk among those that the same browser tab may have had before.
        answer: what the expert has said of the item on screen so far.
        saved: the answer that the server has; None before the first save.
        active_seconds: time at this item, gaps longer than IDLE_SECONDS cut to that.
        measured: whether the browser's clock has told that time; before it does, the gaps
            between clicks stand for it.
        note: one sentence about what just happened, shown once.
        missing: the question that keeps the answer from being sent; `tried` counts the submits.
        problem: on Screen.ERROR what went wrong; with an item on screen, why it is not the
            person's any more. What they wrote stays, and may still be sent.
        gone: the item was finished in another window; `after.lead_on` settles what is next.
        signed_out: the sign-in has ended; everything stays as it is until there is another.
        revised: the answer that stands until the one on screen takes its place.
        noted: `item_key` of the last drawing; from the second on the server is told by the address.
        staying: the question of several options that digits answer until the person goes on.
        history: own answers, the last one first.
        upheld: contests of the person that a lead has upheld, the last one first.
        links: where the source supports the output; None before they were asked for.
        feedback: how the last answer compares with the known one, `waiting` what comes after it.
    """

    queue_id: int
    sitting: str = ""
    screen: Screen = Screen.EMPTY
    claim: ClaimOut | None = None
    answer: AnswerIn = field(default_factory=AnswerIn)
    saved: AnswerIn | None = None
    saved_at: datetime | None = None
    save_problem: str | None = None
    progress: QueueProgress | None = None
    problem: StropError | None = None
    message: str | None = None
    note: str | None = None
    missing: str | None = None
    gone: StropError | None = None
    signed_out: bool = False
    revised: Past | None = None
    staying: str | None = None
    active_seconds: float = 0.0
    measured: bool = False
    seen_at: datetime | None = None
    correcting: bool = False
    finished_here: int = 0
    sent_at: datetime | None = None
    digits_taken: int = 0
    tried: int = 0
    runs: int = 0
    noted: str = ""
    history: list[Past] = field(default_factory=list)
    history_loaded: bool = False
    upheld: list[GoldFeedback] = field(default_factory=list)
    links: list[LinkOut] | None = None
    links_problem: str | None = None
    feedback: GoldFeedback | None = None
    contested: bool = False
    waiting: ClaimAnswer | None = None

    @property
    def item_key(self) -> str:
        """Unique per lease: widgets of one item must not answer for the next."""
        return f"{self.claim.slot_id}-{self.claim.version}" if self.claim else "none"


def on_item(desk: DeskState, act: Callable[..., None]) -> Callable[..., None]:
    """A callback for a button of what is on the desk now.

    It acts on the desk, with the arguments it gets, unless something else lies there by then: a
    second press of a double click comes after the first has brought the next item.
    """
    drawn = desk.item_key

    def guarded(*args: object) -> None:
        if desk.item_key == drawn:
            act(desk, *args)

    return guarded


def take_next(desk: DeskState, client: StropClient, *, now: datetime) -> None:
    """Claim the next item, or the one still held; its draft comes with it.

    While there is no answer to the claim, what is on the desk stays on it.
    """
    try:
        taken = client.desk.claim(desk.queue_id)
    except StropError as error:
        _fail(desk, error)
        return
    clear_desk(desk, now)
    receive_claim(desk, taken)


def clear_desk(desk: DeskState, now: datetime) -> None:
    """An empty desk: what was on it is saved, sent or given up."""
    desk.claim = desk.saved = desk.saved_at = desk.problem = desk.save_problem = None
    desk.answer, desk.correcting, desk.digits_taken = AnswerIn(), False, 0
    desk.missing = desk.gone = desk.revised = desk.staying = None
    desk.signed_out = False
    desk.active_seconds, desk.measured, desk.seen_at = 0.0, False, now
    desk.links = desk.links_problem = desk.message = desk.note = None
    desk.feedback, desk.waiting, desk.contested = None, None, False


def _fail(desk: DeskState, error: StropError) -> None:
    desk.signed_out = isinstance(error, NotAuthenticated)
    if desk.claim is None:
        desk.screen, desk.problem = Screen.ERROR, error
    else:
        desk.note = str(error)


def receive_claim(desk: DeskState, taken: ClaimAnswer) -> None:
    """Put the answer to a claim on the desk: an item, or the reason why there is none."""
    desk.progress, desk.message = taken.progress, taken.message
    if taken.claim is not None:
        _put_on_desk(desk, taken.claim)
        return
    whole = taken.progress.done >= taken.progress.total
    reason = taken.reason or ("finished" if whole else "others_at_work")
    desk.screen = REASONS[reason]


def _put_on_desk(desk: DeskState, claim: ClaimOut) -> None:
    desk.screen, desk.claim = Screen.ITEM, claim
    if claim.draft is not None:
        desk.answer = desk.saved = claim.draft
        desk.active_seconds = claim.draft.active_seconds
        desk.correcting = claim.draft.correction is not None


def change_answer(desk: DeskState, **changes: object) -> None:
    """Change parts of the answer on screen; it is saved when the page has been drawn."""
    desk.answer = desk.answer.model_copy(update=changes)


def rate(desk: DeskState, criterion: str, value: str | int | float | bool | None) -> None:
    """Answer one criterion; None takes the answer back."""
    ratings = {k: v for k, v in desk.answer.ratings.items() if k != criterion}
    if value is not None:
        ratings[criterion] = value
    change_answer(desk, ratings=ratings)


def tick(desk: DeskState, *, now: datetime) -> None:
    """Count the time since the last sign of life as active, idle time cut.

    Once the browser's clock has told the time of this item, its word stands.
    """
    if desk.seen_at is not None and not desk.measured:
        gap = (now - desk.seen_at).total_seconds()
        desk.active_seconds += min(max(gap, 0.0), IDLE_SECONDS)
    desk.seen_at = now


def take_time(desk: DeskState, seconds: float, by_criterion: dict[str, float]) -> None:
    """Take over what the browser's clock has counted for this item; time never runs backwards."""
    before = desk.answer.active_seconds if desk.measured else 0.0
    desk.measured, desk.active_seconds = True, max(seconds, before)
    change_answer(desk, active_seconds=desk.active_seconds, seconds_by_criterion=by_criterion)


def unsaved(desk: DeskState) -> bool:
    """Whether the answer on screen differs from what the server has."""
    ours, theirs = _untimed(desk.answer), _untimed(desk.saved or AnswerIn())
    return desk.claim is not None and ours != theirs


def has_words(desk: DeskState, rubric: Rubric) -> bool:
    """Whether something was written or marked here that the server does not have."""
    if not unsaved(desk):
        return False
    ours, theirs = desk.answer, desk.saved or AnswerIn()
    asked = [criterion.name for criterion in rubric.criteria if isinstance(criterion, Text)]
    written = ("correction", "correction_reason", "comment", "spans")
    return any(getattr(ours, part) != getattr(theirs, part) for part in written) or any(
        ours.ratings.get(name) != theirs.ratings.get(name) for name in asked
    )


def save_if_changed(desk: DeskState, client: StropClient) -> None:
    """Save the draft when it differs from what the server has, and would still take it."""
    if desk.claim is None or not unsaved(desk) or desk.problem is not None:
        return
    answer = timed_answer(desk)
    try:
        lease = client.desk.save_draft(desk.claim.slot_id, desk.claim.version, answer)
    except StropError as error:
        lose_item(desk, error)
        return
    desk.saved, desk.saved_at, desk.save_problem = answer, lease.at, None
    desk.signed_out = False


def _untimed(answer: AnswerIn) -> AnswerIn:
    """The answer without the clock, which runs by itself."""
    return answer.model_copy(update={"active_seconds": 0.0, "seconds_by_criterion": {}})


def timed_answer(desk: DeskState) -> AnswerIn:
    """The answer on screen with the time that it has taken so far."""
    return desk.answer.model_copy(update={"active_seconds": round(desk.active_seconds, 1)})


def lose_item(desk: DeskState, error: StropError) -> None:
    """What an error on the item on screen means; the item and the answer stay on it."""
    match error:
        case NotAuthenticated():
            desk.signed_out = True
        case LeaseLost():
            desk.problem = error
        case Conflict() | NotFound():
            desk.gone = error
        case _:
            desk.save_problem = str(error)
