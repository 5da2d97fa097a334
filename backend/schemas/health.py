"""Examinations of dataset versions, as asked for and as shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from backend.schemas.common import NAME_PATTERN, RequestBody, ResponseBody
from backend.schemas.review.reports import Measured


class HealthIn(RequestBody):
    """Which dataset is to be examined, and for what; a worker does it."""

    dataset: str = Field(min_length=1, max_length=200, description="NAME or NAME@VERSION.")
    kinds: list[str] = Field(default_factory=list, max_length=50, description="Empty for all.")
    seed: int = Field(0, ge=0, le=2**31 - 1)
    task: Literal["classes", "texts"] | None = None
    encoder: str | None = Field(None, min_length=1, max_length=300)
    alike: float = Field(0.95, gt=0, le=1, description="Least cosine of what means the same.")


class HealthReviewIn(RequestBody):
    """Which findings of a report are to be looked at by experts."""

    name: str = Field(min_length=1, max_length=120, pattern=NAME_PATTERN)
    kinds: list[str] = Field(default_factory=list, max_length=50, description="Empty for all.")
    split: Literal["train", "validation", "test"] = "train"
    n_items: int | None = Field(None, ge=1, le=100_000, description="At random; default: all.")
    reviewers: list[str] = Field(default_factory=list, max_length=200)
    rubric: str | None = Field(None, max_length=100_000)
    seed: int = Field(7, ge=0, le=2**31 - 1)


class HealthQueueOut(ResponseBody):
    """The queue that was opened on findings."""

    queue_id: int
    queue: str
    n_items: int
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Gain:
    """What mending is likely to bring: a figure where one follows, else why none does.

    Attributes:
        figure: what `value` is, in words; None where nothing can be computed.
    """

    sentence: str
    figure: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0


class HealthShare(ResponseBody):
    """Share of the rows looked at, with Wilson's interval of 95%."""

    value: float
    low: float
    high: float


class HealthKindOut(ResponseBody):
    """One kind of finding.

    Attributes:
        problem: why nothing could be looked for.
        by_split: flagged examples of each split.
        confirmed: how many of the reviewed ones experts confirmed, in the whole project.
    """

    # What a gain leaves to its defaults is sent, too.
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    kind: str
    title: str
    remedy: str
    severity: str | None
    problem: str | None
    flagged: int
    n: int
    share: HealthShare | None
    gain: Gain | None
    details: list[dict[str, Any]]
    notes: list[str]
    by_split: dict[str, int] = Field(default_factory=dict)
    confirmed: Measured | None = None


class HealthReportOut(ResponseBody):
    """A report; `kinds` are empty until it is done, and `state` is that of its job."""

    id: int
    dataset: str
    dataset_version_id: int
    state: str
    error: str | None
    worst: str | None
    n: int
    task: str | None
    digest: str | None
    recipe: dict[str, Any]
    kinds: list[HealthKindOut]
    created_at: datetime
    finished_at: datetime | None


class HealthFindingOut(ResponseBody):
    """A flagged example with the text of the part that it is about."""

    id: int
    kind: str
    example_id: int
    external_id: str
    split: str
    part: str
    text: str
    why: str
    start: int | None
    end: int | None
    score: float | None
    others: list[str]
