"""What keeps a queue honest, as leads see it: known answers, pauses, adjudications, rubrics.

Reviewers appear by pseudonym only. What an expert sees of these is in `schemas.review`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from backend.rubrics import Rubric
from backend.schemas.common import RequestBody, ResponseBody

Reason = Field(min_length=1, max_length=2_000)


class GoldIn(RequestBody):
    """A known answer to an output, named by its id or by example and model.

    `answer` is {"ratings": {criterion: answer}, "tolerance": {criterion: width}} for a single
    output and {"winner": "a" | "b" | "tie" | "both_bad"} for a pair, a being the first output named
    here. Only what it names is judged. `explanation` is read by people right after they answered.
    """

    answer: dict[str, Any]
    explanation: str = Field(min_length=1, max_length=4_000)
    generation: int | None = None
    generation_b: int | None = None
    example: str | None = Field(None, max_length=500)
    model: str | None = Field(None, max_length=300)
    model_b: str | None = Field(None, max_length=300)


class GoldListIn(RequestBody):
    """Known answers to add to a queue: all of them, or none when one is wrong."""

    rows: list[GoldIn] = Field(min_length=1, max_length=1_000)


class AdjudicatedIn(RequestBody):
    """Which decided adjudications become known answers; all of them when none is named."""

    adjudication_ids: list[int] = Field(default_factory=list, max_length=1_000)


class GoldOut(ResponseBody):
    """A known answer and how people did on it.

    Attributes:
        n: results; `met` of them met it, `contested` wait for a lead.
    """

    id: int
    item_id: int
    generation_ids: list[int]
    models: list[str]
    example: str
    answer: dict[str, Any]
    explanation: str
    created_at: datetime
    withdrawn_at: datetime | None
    withdrawn_reason: str | None
    n: int
    met: int
    contested: int


class GoldAdded(ResponseBody):
    """What was added to a queue."""

    queue_id: int
    ids: list[int]


class GoldStandingOut(ResponseBody):
    """How a reviewer stands on the known answers of a queue, and whether they are paused.

    `value` is the share met with its 95% Wilson interval over n, withdrawn known answers left out;
    `error` says why there is none. `n_contested` are results that the person contests and nobody
    has looked at, `pause_reason` is why they are given nothing.
    """

    pseudonym: str
    simulated: bool
    n: int
    met: int
    value: float | None
    low: float | None
    high: float | None
    error: str | None
    n_contested: int
    paused_at: datetime | None
    pause_reason: str | None


class ContestOut(ResponseBody):
    """A person holds a known answer to be wrong; `said` is what they answered.

    `resolution` and its reason are what a lead made of it, None while it waits.
    """

    result_id: int
    gold_id: int
    item_id: int
    reviewer: str
    simulated: bool
    reason: str
    contested_at: datetime
    said: dict[str, str]
    known: dict[str, Any]
    explanation: str
    resolution: Literal["upheld", "withdrawn"] | None = None
    resolution_reason: str | None = None
    resolved_at: datetime | None = None


class ResolutionIn(RequestBody):
    """What a lead makes of a contest; a withdrawal needs its reason. The expert reads it."""

    resolution: Literal["upheld", "withdrawn"]
    reason: str = Field("", max_length=2_000)


class WithdrawalIn(RequestBody):
    """Why a known answer, or a review, is withdrawn."""

    reason: str = Reason


class ResolutionOut(ResponseBody):
    """What came of it: results that count no more, and people (pseudonyms) who may work on."""

    resolution: Literal["upheld", "withdrawn"]
    gold_id: int
    n_results: int = 0
    unpaused: list[str] = Field(default_factory=list)


class PauseIn(RequestBody):
    """Who is given nothing for now, by pseudonym, and why."""

    reviewer: str = Field(min_length=1, max_length=40)
    reason: str = Reason


class LiftIn(RequestBody):
    """Whose pause ends, by pseudonym."""

    reviewer: str = Field(min_length=1, max_length=40)


class SaidOut(ResponseBody):
    """What one person said of an item; `winner` in terms of the models."""

    review_id: int
    reviewer: str
    simulated: bool
    ratings: dict[str, str]
    winner: str | None
    correction: str | None
    comment: str | None


class AdjudicationOut(ResponseBody):
    """A disagreement, the answers that differ, and the verdict once there is one."""

    id: int
    item_id: int
    state: Literal["open", "held", "decided"]
    disagreement: float
    reason: str
    opened_at: datetime
    decided_at: datetime | None
    generation_ids: list[int]
    models: list[str]
    example: str
    answers: list[SaidOut]
    verdict: SaidOut | None


class AdjudicationProgressOut(ResponseBody):
    """Adjudications of a queue: opened, of them decided, and held by somebody now."""

    opened: int
    decided: int
    held: int


class RubricIn(RequestBody):
    """A rubric as YAML; its name says of which it is the next version."""

    source: str = Field(min_length=1, max_length=200_000)


class RubricOut(ResponseBody):
    """A version of a rubric; `source` is it as YAML. Those of the library have no id."""

    id: int | None
    name: str
    version: int | None
    digest: str
    created_at: datetime | None
    rubric: Rubric
    source: str


class StayingQueueOut(ResponseBody):
    """An open queue that stays on an earlier version, with its reviews that are still to come."""

    queue_id: int
    name: str
    version: int
    n_open: int


class RubricSaved(ResponseBody):
    """What came of saving a rubric, also as a sentence; `is_new` is false when it was there."""

    rubric: RubricOut
    is_new: bool
    changes: list[str]
    staying: list[StayingQueueOut]
    sentence: str
