"""Comparisons of a candidate with a baseline, as shown and as given."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from backend.schemas.common import Given, Shown
from backend.schemas.scoring import DifferenceShown, FigureShown


class ComparisonShown(Shown):
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


class ComparisonGiven(Given):
    """Judge a candidate against a baseline by the current manifest."""

    baseline: str = Field(min_length=1, max_length=200)
    candidate: str = Field(min_length=1, max_length=200)
    score_run_id: int | None = None
    review_queue_id: int | None = None


class BarShown(Shown):
    """Whether the bar moved after training began; `changed` is None where it cannot be told."""

    changed: bool | None
    sentence: str
    diff: list[str]


class ComparisonDetail(ComparisonShown):
    """A comparison in full: base, champion and candidate on the same examples.

    `usage` is what an answer takes: tokens, seconds and, in `currency`, money.
    """

    bar: BarShown
    champion: str | None
    figures: list[FigureShown]
    differences: list[DifferenceShown]
    usage: list[DifferenceShown]
    currency: str | None
    absent: list[str]


class SliceShown(DifferenceShown):
    """A difference on one slice; `p_holm` is adjusted over all slices of the answer."""

    named: bool
    p_holm: float | None


class FlipShown(Shown):
    """An example on which the candidate is better or worse, with what both models wrote."""

    change: Literal["better", "worse"]
    example_id: int
    external_id: str
    input: str
    context: str | None
    references: list[str]
    sample: int
    baseline_text: str
    candidate_text: str
    baseline_score: float
    candidate_score: float


class FlipsShown(Shown):
    """What flipped on one metric: how many of n, and examples of each kind."""

    metric: str
    slice: dict[str, str]
    better: int
    worse: int
    same: int
    n: int
    examples: list[FlipShown]
