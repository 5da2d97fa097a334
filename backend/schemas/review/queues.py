"""Review queues as engineers open and see them: models named, reviewers by pseudonym."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.rubrics import Rubric
from backend.schemas.common import NAME_PATTERN, Given, Shown
from backend.schemas.review.designs import AssignmentGiven, DesignGiven
from backend.schemas.review.desk import QueueKindName, QueueProgress
from backend.schemas.review.items import MarkedSpan


class ReviewQueueGiven(Given):
    """A new queue over the outputs of a run. Reviewers are named by user name.

    Without `rubric` it is the project's own, without `reviewers` and groups all of its experts: see
    the review defaults. `rules` are those of `QueueRules`: skips, caps, known answers,
    adjudication, masks, costs.
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
    design: DesignGiven = Field(default_factory=DesignGiven)
    assignment: AssignmentGiven = Field(default_factory=AssignmentGiven)
    rules: dict[str, Any] = Field(default_factory=dict, max_length=100)


class ReviewerProgress(Shown):
    """One reviewer of a queue, by pseudonym: required reviews that stand, and all active time."""

    pseudonym: str
    simulated: bool
    submitted: int
    skipped: int
    active_seconds: float


class WaitsFor(Shown):
    """Open reviews that wait for the same person or skill; `sentence` says for whom."""

    n: int
    sentence: str


class ReviewQueueShown(Shown):
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


class WinRate(Shown):
    """Share of the decided votes that prefer a model, with its 95% interval.

    `failed` are votes that decide nothing: ties, both bad, cannot judge.
    """

    value: float
    low: float
    high: float
    n: int
    failed: int
    signature: str


class PreferencesShown(Shown):
    """The votes on two models of a queue; `win_rate` is that of b, `error` why there is none."""

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
    win_rate: WinRate | None
    error: str | None


class ReviewShown(Shown):
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
