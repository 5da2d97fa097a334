"""Review queues as engineers open and see them: models named, reviewers by pseudonym.

How the items of a review queue are chosen and to whom they go: as asked for, and as drawn.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from backend.rubrics import Rubric
from backend.schemas.common import NAME_PATTERN, RequestBody, ResponseBody
from backend.schemas.review.desk import MarkedSpan, OutputText, QueueKindName, QueueProgress
from backend.schemas.turns import TurnPlace

DesignKind = Literal["random", "stratified", "active"]
Share = Field(None, gt=0.0, le=1.0)


class StratumIn(RequestBody):
    """A targeted part of an active design, with a share of the budget or a number of items.

    `name`: high_risk, detectors_disagree, models_disagree, low_confidence, new_cluster, or
    slice:key=value. `metric` names the check that high_risk goes by; `top` is the share of the
    candidates that count as extreme.
    """

    name: str = Field(min_length=1, max_length=80)
    share: float | None = Share
    n: int | None = Field(None, ge=1)
    metric: str | None = Field(None, max_length=80)
    top: float = Field(0.25, gt=0.0, lt=1.0)


class DesignIn(RequestBody):
    """How the items of a queue are chosen.

    `by` and `allocation` are for stratified designs, `anchor` and `strata` for active ones; an
    anchor without a share takes what the strata leave. The budget is the queue's `n_items`, or
    `minutes` of review; those are turned into items by the time that earlier reviews under the
    rubric took, else by `minutes_per_review`.
    """

    kind: DesignKind = "random"
    by: str | None = Field(None, min_length=1, max_length=80)
    allocation: Literal["proportional", "equal"] = "proportional"
    anchor: float | None = Share
    strata: list[StratumIn] = Field(default_factory=list, max_length=20)
    minutes: float | None = Field(None, gt=0.0)
    minutes_per_review: float | None = Field(None, gt=0.0)


class AssignmentIn(RequestBody):
    """Who gets which items; what is not named here is for any reviewer of the queue.

    `groups` adds every member of these groups to the reviewers. `people` and `skills` map a slice
    (`ward=cardiology`) to a user name or to a skill that the reviewer must have. `deal` gives every
    slot to a person of its own from the start, in turn.
    """

    groups: list[str] = Field(default_factory=list, max_length=50)
    people: dict[str, str] = Field(default_factory=dict, max_length=200)
    skills: dict[str, str] = Field(default_factory=dict, max_length=200)
    deal: bool = False


class StratumOut(ResponseBody):
    """A part of a design: items that could be drawn, asked for, drawn, and lacking its measure."""

    name: str
    why: str
    n_frame: int
    n_asked: int
    n_drawn: int
    n_without: int = 0


class DrawnExample(ResponseBody):
    """An item that would be drawn, as its reviewers would see it: one output, or a and b.

    `split` is that of its example, `why` what reviewers are told after they answered.
    """

    input: str
    turns: list[TurnPlace] = Field(default_factory=list)
    context: str | None
    outputs: list[OutputText]
    split: str
    why: str | None = None


class OpeningDefaults(ResponseBody):
    """What a new queue is where a request names nothing, as it fits the project now.

    `rubric_version` is the project's; None for one of the library. `reviewers` are the project's
    active experts; `overlap`, the people on a shared item, is never more than there are, and
    `overlap_share` 0 where it is 1. `notes` are sentences for the lead.
    """

    rubric: str
    rubric_version: int | None
    reviewers: list[str]
    overlap: int
    overlap_share: float
    notes: list[str] = Field(default_factory=list)


class DesignOut(ResponseBody):
    """What a design would draw, before a queue is opened by it. Nothing is stored.

    `warnings` are sentences that a lead has to know before opening, `examples` the first items
    that would be given out, `routing` what would skip review, and by which certificate.
    """

    kind: DesignKind
    n_candidates: int
    n_items: int
    n_slots: int
    strata: list[StratumOut]
    minutes: float | None = None
    seconds_per_review: float | None = None
    seconds_from: str | None = None
    giveaways: dict[str, int] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    examples: list[DrawnExample] = Field(default_factory=list)
    routing: dict[str, Any] | None = None


class RoutingIn(RequestBody):
    """Which outputs of a queue may skip review.

    At most `epsilon` of those that skip are wrong, with confidence 1 - `delta`, certified on what
    was reviewed before; a share `audit` of them is reviewed all the same. `metric` names whose
    scores are the risks (by default the newest risk model that scored the run), `wrong_when` which
    answers count as wrong (by default marked errors, corrections, verdicts that are no pass).
    """

    epsilon: float = Field(gt=0.0, lt=1.0)
    delta: float = Field(gt=0.0, lt=1.0)
    audit: float = Field(0.1, gt=0.0, le=1.0)
    metric: str | None = Field(None, min_length=1, max_length=80)
    wrong_when: str | None = Field(None, min_length=1, max_length=500)


class ReviewQueueIn(RequestBody):
    """A new queue over the outputs of a run. Reviewers are named by user name.

    Without `rubric` it is the project's own, without `reviewers` and groups all of its experts: see
    the review defaults. `rules` are those of `QueueRules`: skips, caps, known answers,
    adjudication, masks, costs. With `skip`, outputs of low risk skip review.
    """

    name: str = Field(min_length=1, max_length=120, pattern=NAME_PATTERN)
    kind: QueueKindName = "single"
    generation_run_id: int
    models: list[str] = Field(min_length=1, max_length=50)
    rubric: str | None = Field(
        None,
        max_length=200_000,
        description="Name of one of the project's or of the library, or a rubric as YAML.",
    )
    reviewers: list[str] = Field(default_factory=list, max_length=500)
    seed: int = Field(7, ge=0)
    n_items: int | None = Field(None, ge=1)
    overlap_share: float = Field(0.0, ge=0.0, le=1.0)
    overlap: int = Field(1, ge=1, le=20)
    score_run_id: int | None = None
    lease_seconds: int | None = Field(None, ge=5, le=86_400)
    design: DesignIn = Field(default_factory=DesignIn)
    assignment: AssignmentIn = Field(default_factory=AssignmentIn)
    rules: dict[str, Any] = Field(default_factory=dict, max_length=100)
    skip: RoutingIn | None = None


class ReviewerProgress(ResponseBody):
    """What one reviewer of a queue has done.

    `submitted` and `skipped` are of the reviews that the queue asks for and that stand: known
    answers, verdicts, late answers and those that were revised or withdrawn are not among them.
    `active_seconds` is all the time that the person spent on the queue.
    """

    pseudonym: str
    simulated: bool
    submitted: int
    skipped: int
    active_seconds: float


class WaitsFor(ResponseBody):
    """Open reviews that wait for the same person or skill; `sentence` says for whom."""

    n: int
    sentence: str


class ReviewQueueOut(ResponseBody):
    """A queue as engineers see it.

    `waits_for` says for whom the open reviews wait, with how many each, where one queue is shown;
    reviewers by pseudonym.
    """

    id: int
    project_id: int
    name: str
    kind: QueueKindName
    generation_run_id: int
    score_run_id: int | None
    rubric: Rubric
    design: dict[str, Any]
    rules: dict[str, Any] = Field(default_factory=dict)
    closed: bool
    finished_at: datetime | None = None
    created_at: datetime
    progress: QueueProgress
    reviewers: list[ReviewerProgress] = Field(default_factory=list)
    waits_for: list[WaitsFor] = Field(default_factory=list)


class WinRateOut(ResponseBody):
    """Share of the decided votes that prefer a model, with its 95% interval.

    `failed` are votes that decide nothing: ties, both bad, cannot judge.
    """

    value: float
    low: float
    high: float
    n: int
    failed: int
    signature: str


class PreferencesOut(ResponseBody):
    """The votes on two models of a queue; `win_rate` is that of b, `error` why there is none.

    Attributes:
        left_wins, right_wins: decided votes by the side on which the winner stood.
        n_votes: all votes, undecided ones included.
        n_identical: pairs that were not shown because both models wrote the same text.
        n_simulated: votes that a script wrote.
    """

    model_a_id: int
    model_b_id: int
    model_a: str
    model_b: str
    wins_a: int
    wins_b: int
    ties: int
    both_bad: int
    cannot_judge: int
    left_wins: int
    right_wins: int
    n_votes: int
    n_identical: int
    n_simulated: int
    win_rate: WinRateOut | None
    error: str | None


class ReviewOut(ResponseBody):
    """A finished review as engineers see it: by pseudonym, with models named."""

    id: int
    queue_id: int
    item_id: int
    generation_ids: list[int]
    reviewer: str
    state: str
    simulated: bool
    models: list[str]
    ratings: dict[str, str]
    correction: str | None
    spans: list[MarkedSpan]
    winner: str | None
    comment: str | None
    skip_reason: str | None
    active_seconds: float
    submitted_at: datetime | None
