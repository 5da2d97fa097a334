"""The success manifest as people write it (YAML) and as the gate reads it."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Direction(StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"


class ManifestLine(BaseModel):
    """One thing that the candidate must show, by a threshold or by a margin over the baseline.

    With `threshold`, the candidate's own figure must lie on the good side of it. With `margin`, the
    improvement over the baseline (positive is better, whatever the direction) must be at least the
    margin; a negative margin is a guardrail: not worse than by so much.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    slice: dict[str, str] = Field(default_factory=dict)
    direction: Direction = Direction.HIGHER
    threshold: float | None = None
    margin: float | None = None

    @model_validator(mode="after")
    def _one_of_threshold_and_margin(self) -> Self:
        if (self.threshold is None) == (self.margin is None):
            raise ValueError(f"line on {self.metric}: give either threshold or margin")
        return self

    @property
    def title(self) -> str:
        """How people read this line, for example `f1 (task=intent) at least 0.70`."""
        where = " (" + ", ".join(f"{k}={v}" for k, v in self.slice.items()) + ")"
        what = self.metric + (where if self.slice else "")
        if self.threshold is not None:
            return f"{what} {'at least' if self.direction == 'higher' else 'at most'} " + (
                f"{self.threshold:g}"
            )
        if self.margin is not None and self.margin < 0:
            return f"{what} not worse than the baseline by more than {-self.margin:g}"
        return f"{what} better than the baseline by at least {self.margin:g}"


class Manifest(BaseModel):
    """The bar. `baseline` names the model to beat; `alpha` is the two-sided error per line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    baseline: str = "base"
    alpha: float = Field(0.05, gt=0, lt=0.5)
    reviewer_minutes: float | None = Field(None, gt=0)
    lines: tuple[ManifestLine, ...] = Field(min_length=1)
