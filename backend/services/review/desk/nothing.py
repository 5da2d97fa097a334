"""Why a claim gives nothing: a reason that a page can act on, and a sentence for the person.

An error is never an empty queue, and an empty queue never an error: every way to be given nothing
has its reason here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from backend.services.review.desk.finish import finish_if_done
from backend.services.review.desk.seats import Seat
from backend.services.review.quality.pauses import GOLD_PAUSE


class Reason(StrEnum):
    """Why a person is given nothing just now."""

    FINISHED = "finished"
    OTHERS_AT_WORK = "others_at_work"
    SHARE_REACHED = "share_reached"
    PAUSED = "paused"
    CLOSED = "closed"


_MESSAGES: dict[Reason, str] = {
    Reason.FINISHED: "Everything in this queue is done. Thank you.",
    Reason.OTHERS_AT_WORK: (
        "There is nothing for you just now. What is left is with colleagues, or for others; "
        "look in again later."
    ),
    Reason.SHARE_REACHED: (
        "You have given as many reviews as one person may give here, so that several views are "
        "heard. Thank you: nothing more is asked of you in this queue."
    ),
    Reason.PAUSED: (
        "Time for a break: your lead asked you to pause in this queue, and will be in touch. "
        "Nothing that you did is lost."
    ),
    Reason.CLOSED: "This queue is closed. Thank you for your work.",
}


@dataclass(frozen=True, slots=True)
class Nothing:
    """No item for this person: the reason, and the same in a kind sentence."""

    reason: Reason
    message: str

    @classmethod
    def of(cls, reason: Reason, seat: Seat) -> Nothing:
        """The reason in words. What a lead wrote of a pause, and its figures, are not for here."""
        if reason is Reason.PAUSED and (seat.pause_reason or "").startswith(GOLD_PAUSE):
            return cls(reason, GOLD_PAUSE)
        return cls(reason, _MESSAGES[reason])


def why_nothing(session: Session, seat: Seat, now: datetime) -> Reason:
    """Whether the queue is finished, or what is left is not for this person now."""
    done = seat.finished or finish_if_done(session, seat.queue_id, now)
    return Reason.FINISHED if done else Reason.OTHERS_AT_WORK
