"""Scores, figures with their intervals, and paired differences, as shown to engineers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import Given, Shown


class SpanShown(Shown):
    """A stretch of the output in Unicode code points, and why it is marked."""

    start: int
    end: int
    reason: str
    kind: str


class ScoreShown(Shown):
    """What one metric said of one generation: a value, an error, or not applicable."""

    score_run_id: int
    metric: str
    value: float | None
    error: str | None
    not_applicable: bool
    label: str | None
    explanation: str | None
    spans: list[SpanShown]
    signature: str
    annotator_kind: str


class ScoreRunGiven(Given):
    """Score a run: metric names, each may carry a slice: `f1@task=intent`."""

    metrics: list[str] = Field(min_length=1, max_length=100)
    seed: int = Field(7, ge=0)


class FigureShown(Shown):
    """A metric of one model on one slice with its 95% interval; `error` where undefined.

    `scale` is the metric's largest value, 1 or 100, or None where there is no bound; `better` says
    which side is: higher or lower.
    """

    model_version_id: int
    model: str
    slice: dict[str, str]
    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    failed: int = 0
    not_applicable: int = 0
    clusters: int = 0
    rough: bool = False
    scale: float | None = 1.0
    better: str = "higher"
    level: float = 0.95
    method: str = ""
    note: str = ""
    signature: str | None = None
    error: str | None = None


class ClassShown(Shown):
    """How well one class is found, with 95% intervals; a rate that is undefined has its note."""

    label: str
    support: int
    predicted: int
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    f1: float
    note: str


class DifferenceShown(Shown):
    """Candidate minus baseline on the same examples, with its 95% interval."""

    baseline_id: int
    candidate_id: int
    baseline_model: str
    candidate_model: str
    slice: dict[str, str]
    metric: str
    baseline: float | None = None
    candidate: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    wins: int = 0
    losses: int = 0
    ties: int = 0
    n: int = 0
    failed: int = 0
    clusters: int = 0
    rough: bool = False
    scale: float | None = 1.0
    better: str = "higher"
    level: float = 0.95
    method: str = ""
    note: str = ""
    signature: str | None = None
    error: str | None = None


class ScoreRunShown(Shown):
    """A score run and where it stands; `reason` says why it stopped or failed, or who cancelled
    it."""

    id: int
    generation_run_id: int
    metrics: list[dict[str, Any]]
    seed: int
    job_state: str | None
    reason: str | None = None
    created_at: datetime


class ScoreRunDetail(ScoreRunShown):
    """A score run with its figures; empty until the job is done."""

    figures: list[FigureShown]
