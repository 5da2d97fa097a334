"""Projects and their success manifests, as shown and as given.

The success manifest as people write it (YAML) and as the gate reads it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from backend.schemas.common import NAME_PATTERN, RequestBody, ResponseBody


class ProjectOut(ResponseBody):
    """A project."""

    id: int
    name: str
    base_model: str
    created_at: datetime


class ProjectIn(RequestBody):
    """A new project on a base model; None takes the installation's default."""

    name: str = Field(min_length=1, max_length=120, pattern=NAME_PATTERN)
    base_model: str | None = Field(None, max_length=500)


class ManifestOut(ResponseBody):
    """One version of the bar, with its source as written."""

    id: int
    project_id: int
    version: int
    digest: str
    content: dict[str, Any]
    source: str
    created_at: datetime


class KindOut(ResponseBody):
    """One of several kinds to choose from: its name in requests and files, and what it is."""

    name: str
    words: str


class KindsOut(ResponseBody):
    """What this installation knows, in the order in which it is offered."""

    engines: list[str]
    export_formats: list[KindOut]
    review_targets: list[KindOut]
    round_phases: list[str]


class ManifestIn(RequestBody):
    """A new version of the bar, as YAML."""

    source: str = Field(min_length=1, max_length=200_000)


WIN_RATE = "win_rate"  # of the candidate in blind votes; no metric of outputs


class Direction(StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"


class LineBy(StrEnum):
    """Who a line of the bar has to be shown by."""

    PEOPLE = "people"


class ManifestLine(BaseModel):
    """One thing that the candidate must show, by a threshold or by a margin over the baseline.

    With `threshold`, the candidate's own figure must lie on the good side of it. With `margin`, the
    improvement over the baseline (positive is better, whatever the direction) must be at least the
    margin. With `guardrail`, a test of non-inferiority: not worse than the baseline by more than so
    much (a negative margin says the same).

    With `by: people`, only votes of people show it: a metric is none, a judge's least of all, and
    simulated votes leave the line open.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    slice: dict[str, str] = Field(default_factory=dict)
    direction: Direction = Direction.HIGHER
    threshold: float | None = None
    margin: float | None = None
    guardrail: float | None = Field(None, ge=0)
    by: LineBy | None = None

    @model_validator(mode="after")
    def _one_bar(self) -> Self:
        given = [bar for bar in (self.threshold, self.margin, self.guardrail) if bar is not None]
        if len(given) != 1:
            raise ValueError(
                f"line on {self.metric}: give either threshold or margin or guardrail, one of them"
            )
        return self

    @model_validator(mode="after")
    def _by_people(self) -> Self:
        if self.by is not None and self.metric != WIN_RATE:
            who = "a judge" if self.is_judged else "a program"
            raise ValueError(
                f"line on {self.metric}: it is by {who}, not by people; "
                f"{WIN_RATE} is what people vote"
            )
        return self

    @property
    def is_judged(self) -> bool:
        """Whether the figure is made of ratings by a model that judges."""
        return self.metric.startswith("judge:")

    @model_serializer(mode="wrap")
    def _without_new_keys(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keys that older manifests did not have are left out, so that their digests stand."""
        found: dict[str, Any] = dump(self)
        return {k: v for k, v in found.items() if k not in ("guardrail", "by") or v is not None}

    @property
    def _said_by(self) -> str:
        if self.by is not None:
            return f" by {self.by}"
        return " by a judge" if self.is_judged else ""

    @property
    def least_improvement(self) -> float | None:
        """By how much the candidate must be better than the baseline; None for a threshold."""
        return self.margin if self.guardrail is None else -self.guardrail

    @property
    def title(self) -> str:
        """How people read this line, for example `f1 (task=intent) at least 0.70`."""
        where = " (" + ", ".join(f"{k}={v}" for k, v in self.slice.items()) + ")"
        what = _named(self.metric) + (where if self.slice else "") + self._said_by
        if self.threshold is not None:
            return f"{what} {'at least' if self.direction == 'higher' else 'at most'} " + (
                f"{self.threshold:g}"
            )
        least = self.least_improvement
        if least is not None and (least < 0 or self.guardrail is not None):
            return f"{what} not worse than the baseline by more than {-least + 0.0:g}"
        return f"{what} better than the baseline by at least {self.margin:g}"


def _named(metric: str) -> str:
    """A line's metric in words, where its name alone does not read as one."""
    kind, _, argument = metric.partition(":")
    if kind == "parity" and ":" in argument:
        of, _, key = argument.rpartition(":")
        return f"largest gap of {of} between groups by {key}"
    if kind == "counterfactual" and argument:
        of, _, measure = argument.partition(":")
        return f"change of the {measure or 'answer'} with the {of} of a person, beyond the control,"
    return metric


class Price(BaseModel):
    """What tokens cost, per million, to state the cost of an answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)
    currency: str = Field(min_length=1, max_length=12)


class Manifest(BaseModel):
    """The bar. `baseline` names the model to beat; `alpha` is the two-sided error per line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    baseline: str = "base"
    alpha: float = Field(0.05, gt=0, lt=0.5)
    reviewer_minutes: float | None = Field(None, gt=0)
    price: Price | None = None
    lines: tuple[ManifestLine, ...] = Field(min_length=1)

    @model_serializer(mode="wrap")
    def _without_new_keys(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = dump(self)
        return {k: v for k, v in found.items() if k != "price" or v is not None}
