"""Comparisons of a candidate with a baseline, as shown and as given.

Promotions: the append-only log of decisions, as shown and as given.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from backend.schemas.common import RequestBody, ResponseBody
from backend.schemas.runs import DifferenceOut, FigureOut
from backend.schemas.turns import TurnPlace


class ComparisonOut(ResponseBody):
    """The evidence line by line of the manifest, and the verdict: PASS, FAIL or INCONCLUSIVE.

    `n_simulated` counts the votes by a script among those that it rests on.
    """

    id: int
    project_id: int
    manifest_id: int
    score_run_id: int
    review_queue_id: int | None
    baseline: str
    candidate: str
    verdict: str
    lines: list[dict[str, Any]]
    preflight: dict[str, Any] | None = None
    n_simulated: int = 0
    created_at: datetime


class ComparisonIn(RequestBody):
    """Judge a candidate against a baseline by the current manifest."""

    baseline: str = Field(min_length=1, max_length=200)
    candidate: str = Field(min_length=1, max_length=200)
    score_run_id: int | None = None
    review_queue_id: int | None = None


class BarOut(ResponseBody):
    """Whether the bar moved after training began; `changed` is None where it cannot be told.

    `diff` has the lines of a unified diff of the two YAML files.
    """

    changed: bool | None
    sentence: str
    diff: list[str]


class ComparisonDetail(ComparisonOut):
    """A comparison in full: base, champion and candidate on the same examples.

    `usage` is what an answer takes: tokens read and written, seconds and, in `currency`, money.
    `payoff` says in sentences what training brought beside a prompt.
    """

    bar: BarOut
    champion: str | None
    figures: list[FigureOut]
    differences: list[DifferenceOut]
    usage: list[DifferenceOut]
    currency: str | None
    payoff: list[str] = Field(default_factory=list)
    absent: list[str]


class SliceOut(DifferenceOut):
    """A difference on one slice; `p_holm` is adjusted over all slices of the answer."""

    named: bool
    p_holm: float | None


class FlipOut(ResponseBody):
    """An example on which the candidate is better or worse, with what both models wrote."""

    change: Literal["better", "worse"]
    example_id: int
    external_id: str
    input: str
    turns: list[TurnPlace] = Field(default_factory=list)
    context: str | None
    references: list[str]
    sample: int
    baseline_text: str
    candidate_text: str
    baseline_score: float
    candidate_score: float


class FlipsOut(ResponseBody):
    """What flipped on one metric: how many of n, and examples of each kind, the worse ones first.

    `n` counts the pairs in which both sides have a value of their own.
    """

    metric: str
    slice: dict[str, str]
    better: int
    worse: int
    same: int
    n: int
    examples: list[FlipOut]


class PromotionOut(ResponseBody):
    """One decision about one model; the newest of an alias that moved it says where it points.

    `override` is why it was made without a passing preflight and verdict. `evidence` has what it
    rested on: verdict, preflight, bar, digests, what the servers answered and, under `unserved`,
    why the alias moved without them. `simulated`: a script decided; `n_simulated` counts the votes
    by a script under the comparison that it rests on.
    """

    id: int
    project_id: int
    alias: str
    model: str
    action: str
    comparison_id: int | None
    reason: str
    override: str | None = None
    evidence: dict[str, Any] | None = None
    simulated: bool
    n_simulated: int = 0
    decided_by: str | None
    created_at: datetime


class PromotionIn(RequestBody):
    """Promote by a comparison, or roll an alias back.

    `override` is the signed reason for promoting without a PASS, `allow_unserved` that for moving
    though a server does not serve the model; a rollback needs its `reason`. `expected_current` is
    the label of the model at which you saw the alias point (`none` for none): when it points
    elsewhere by now, the answer is 409 and nothing moves.
    """

    action: Literal["promote", "rollback"] = "promote"
    alias: str = Field("champion", min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_-]*$")
    comparison_id: int | None = None
    expected_current: str | None = Field(None, min_length=1, max_length=200)
    override: str | None = Field(None, min_length=1, max_length=2_000)
    allow_unserved: str | None = Field(None, min_length=1, max_length=2_000)
    reason: str | None = Field(None, min_length=1, max_length=2_000)
