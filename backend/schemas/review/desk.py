"""The review desk's shapes. What an expert sees names no model and carries no score.

What engineers see of the same queue is in `schemas.review_queues`.

An item as an expert sees it, and what they say of it. No model is named, and no score shown but
the risk of an output, mostly after the answer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from backend.rubrics import Rubric
from backend.schemas.common import RequestBody, ResponseBody
from backend.schemas.runs import FlaggedSpan
from backend.schemas.turns import TurnPlace

ShownWinner = Literal["left", "right", "tie", "both_bad", "cannot_judge"]
Seconds = Annotated[float, Field(ge=0.0, le=86_400.0)]


class OutputText(ResponseBody):
    """A text to judge, by whichever model."""

    text: str
    flagged: list[FlaggedSpan] = Field(default_factory=list)


class RiskNotice(ResponseBody):
    """How likely an output is wrong, by the project's risk, why, and where to look."""

    metric: str
    value: float
    reason: str
    flagged: list[FlaggedSpan] = Field(default_factory=list)


class ItemView(ResponseBody):
    """What an expert sees of an item: the source, and one output or a blind left and right.

    `turns` are those of a conversation, as stretches of the input. `risk` is told before the answer
    only where that sways no comparison and measures nobody (`services.review.told_risk`). `why` is
    why the item was chosen, in queues that are there to confirm just that.
    """

    input: str
    turns: list[TurnPlace] = Field(default_factory=list)
    context: str | None
    output: OutputText | None = None
    left: OutputText | None = None
    right: OutputText | None = None
    risk: RiskNotice | None = None
    why: str | None = None

    @property
    def kind(self) -> QueueKindName:
        """Of the queue that it is in."""
        return "single" if self.left is None else "pair"


class MarkedSpan(RequestBody):
    """An error that the expert marked in the output; code points, end exclusive."""

    start: int = Field(ge=0)
    end: int = Field(gt=0)
    kind: str = Field(min_length=1, max_length=80)
    severity: str | None = Field(None, max_length=16)
    note: str | None = Field(None, max_length=2_000)


class AnswerIn(RequestBody):
    """What an expert says of an item; a draft may leave anything out.

    `ratings` maps the names of criteria to answers; `winner` is for a pair, in terms of the sides;
    `seconds_by_criterion` is the active time by the question that had the person's attention.
    """

    ratings: dict[str, str | int | float | bool | None] = Field(
        default_factory=dict, max_length=100
    )
    correction: str | None = Field(None, max_length=1_000_000)
    correction_reason: str | None = Field(None, max_length=2_000)
    spans: list[MarkedSpan] = Field(default_factory=list, max_length=1_000)
    winner: ShownWinner | None = None
    comment: str | None = Field(None, max_length=20_000)
    active_seconds: float = Field(0.0, ge=0.0, le=86_400.0)
    seconds_by_criterion: dict[str, Seconds] = Field(default_factory=dict, max_length=100)


class SourceStretch(ResponseBody):
    """A stretch of the source; code points, end exclusive."""

    start: int
    end: int


class LinkOut(ResponseBody):
    """A stretch of an output and where the source supports it; `reason` says how, or why not."""

    start: int
    end: int
    sources: list[SourceStretch] = Field(default_factory=list)
    supported: bool
    reason: str


QueueKindName = Literal["single", "pair"]
NothingReason = Literal["finished", "others_at_work", "share_reached", "paused", "closed"]


class QueueProgress(ResponseBody):
    """Required reviews of a queue by state; `mine` are those that the asker submitted.

    Reviewers who were asked further count in the total, and slots that went out do not. Lapsed
    leases count as leased until somebody takes them; what is under revision is done. In a person's
    own progress a known answer that they hold counts as leased, since nothing may set it apart.

    Attributes:
        skipped: outputs that skipped review by their risk, `audited` ones included; those are among
            the required reviews. `skipping` says so, and whether the guarantee was withdrawn.
    """

    total: int
    done: int
    leased: int
    open: int
    mine: int = 0
    skipped: int = 0
    audited: int = 0
    skipping: str = ""


class QueueWithWork(ResponseBody):
    """A queue that has work for the asker, by the name that its reviewers see."""

    id: int
    name: str


class ReviewQueueForMe(ResponseBody):
    """A queue as one of its reviewers sees it.

    `name` says nothing of models: that of a queue of blind pairs, or of one whose name may name a
    model, is a neutral one. `left_for_me`: how many items the asker could still be given now, with
    the one that they hold.
    """

    id: int
    name: str
    kind: QueueKindName
    closed: bool
    rubric: Rubric
    progress: QueueProgress
    left_for_me: int = 0


class AnonymousAnswer(ResponseBody):
    """What one of the item's reviewers said, under a name that says nothing: "Reviewer 1"."""

    label: str
    answer: AnswerIn


class AdjudicationView(ResponseBody):
    """The answers between which a verdict is asked for, shuffled, and where they differ."""

    answers: list[AnonymousAnswer]
    reason: str | None = None


class ClaimOut(ResponseBody):
    """An item under lease. Send `slot_id` and `version` back with every draft and answer.

    A sign of life is due every `heartbeat_seconds`, half of the lease's life. `adjudication` is
    there when the person is asked for a verdict on answers that differ; `revising`: an answer of
    theirs stands until this one is submitted, and skipping leaves it as it was.
    """

    slot_id: int
    version: int
    lease_until: datetime
    heartbeat_seconds: float = Field(300.0, gt=0.0)
    resumed: bool
    kind: QueueKindName
    item: ItemView
    draft: AnswerIn | None = None
    progress: QueueProgress
    adjudication: AdjudicationView | None = None
    revising: bool = False


class ClaimAnswer(ResponseBody):
    """The answer to a claim: an item, or none with the reason and a sentence for the person.

    Reasons: `finished`, every required review is done; `others_at_work`, what is left is with
    others or for others; `share_reached`, the person has given the most that one person may;
    `paused`, a lead is to look at known answers first; `closed`, the queue gives out no more.
    `next_queue`, where there is no item: another queue that has work for the person now.
    """

    claim: ClaimOut | None
    progress: QueueProgress
    reason: NothingReason | None = None
    message: str | None = None
    next_queue: QueueWithWork | None = None


class HeartbeatIn(RequestBody):
    """A sign of life for the lease of this version."""

    version: int = Field(ge=1)


class LeaseOut(ResponseBody):
    """The lease as it stands after a heartbeat or a saved draft."""

    slot_id: int
    version: int
    lease_until: datetime
    at: datetime


class DraftIn(HeartbeatIn):
    """An unfinished answer, saved as the expert works."""

    answer: AnswerIn


class SubmitIn(HeartbeatIn):
    """A final answer; sent twice under one lease it is one answer.

    With `next` the receipt carries the answer to the claim of the next item.
    """

    answer: AnswerIn
    next: bool = False


class SkipIn(HeartbeatIn):
    """Why the item is not answered; with `next` the receipt carries the next claim."""

    reason: str = Field(min_length=1, max_length=2_000)
    next: bool = False


class GoldFeedback(ResponseBody):
    """How an answer compares with the known one; `score` is the share of criteria that agree.

    `known.winner` is the side as it was shown. `resolution` is what a lead made of the person's
    word against it, None while nobody has.
    """

    result_id: int
    passed: bool
    score: float
    explanation: str
    known: AnswerIn
    may_contest: bool
    resolution: str | None = None
    resolution_reason: str | None = None


class ContestIn(RequestBody):
    """Why the person holds the known answer to be wrong."""

    reason: str = Field(min_length=1, max_length=2_000)


class ReviewReceipt(ResponseBody):
    """What became of an answer.

    Attributes:
        review_id: the answer, or the skip, which `revise` takes back.
        repeated: the same answer was there already.
        extra: it came after the item had been given to somebody else; it is kept, and counts extra.
        why: why the person saw this item; `stratum` is the part of the design that asked for it.
        gold: the item had a known answer.
        risk: how likely the output was wrong, by the project's risk.
        next: the answer to the next claim, when it was asked for.
    """

    review_id: int | None
    state: Literal["submitted", "skipped"]
    repeated: bool = False
    extra: bool = False
    why: str | None = None
    stratum: str | None = None
    gold: GoldFeedback | None = None
    risk: RiskNotice | None = None
    next: ClaimAnswer | None = None


class OwnReview(ResponseBody):
    """One of the asker's own finished reviews, with the item as it was shown.

    `slot_id` is the asked-for review that it answered. `extra`: it came after the item had been
    given to somebody else; `revisable_until` is when it, or a skip, can no longer be taken back,
    None when it cannot be; `why` says why the person saw the item.
    """

    review_id: int
    slot_id: int
    state: str
    submitted_at: datetime
    simulated: bool
    skip_reason: str | None
    extra: bool = False
    revisable_until: datetime | None = None
    why: str | None = None
    item: ItemView
    answer: AnswerIn
