"""Comparisons of a candidate with a baseline, as shown and as given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import Given, Shown


class ComparisonShown(Shown):
    """The evidence line by line of the manifest, and the verdict: PASS, FAIL or INCONCLUSIVE."""

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
    created_at: datetime


class ComparisonGiven(Given):
    """Judge a candidate against a baseline by the current manifest."""

    baseline: str = Field(min_length=1, max_length=200)
    candidate: str = Field(min_length=1, max_length=200)
    score_run_id: int | None = None
    review_queue_id: int | None = None
