"""An item as an expert sees it, and what they say of it. No model is named, and no score shown."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.schemas.common import Given, Shown

ShownWinner = Literal["left", "right", "tie", "both_bad", "cannot_judge"]
Seconds = Annotated[float, Field(ge=0.0, le=86_400.0)]


class FlaggedSpan(Shown):
    """A stretch of an output that the source seems not to support (code points)."""

    start: int
    end: int
    reason: str
    kind: str


class ShownOutput(Shown):
    """A text to judge, by whichever model."""

    text: str
    flagged: list[FlaggedSpan] = Field(default_factory=list)


class ItemView(Shown):
    """What an expert sees of an item: the source, and one output or a blind left and right."""

    input: str
    context: str | None
    output: ShownOutput | None = None
    left: ShownOutput | None = None
    right: ShownOutput | None = None


class MarkedSpan(Given):
    """An error that the expert marked in the output; code points, end exclusive."""

    start: int = Field(ge=0)
    end: int = Field(gt=0)
    kind: str = Field(min_length=1, max_length=80)
    severity: str | None = Field(None, max_length=16)
    note: str | None = Field(None, max_length=2_000)


class Answer(Given):
    """What an expert says of an item; a draft may leave anything out.

    `ratings` maps the names of criteria to answers; `winner` is for a pair, in terms of the sides;
    `seconds_by_criterion` is the active time by the question that had the person's attention.
    """

    ratings: dict[str, str | int | float | bool | None] = Field(
        default_factory=dict, max_length=100
    )
    correction: str | None = Field(None, max_length=1_000_000)
    correction_reason: str | None = Field(None, max_length=2_000)
    spans: list[MarkedSpan] = Field(default_factory=list, max_length=1_000)
    winner: ShownWinner | None = None
    comment: str | None = Field(None, max_length=20_000)
    active_seconds: float = Field(0.0, ge=0.0, le=86_400.0)
    seconds_by_criterion: dict[str, Seconds] = Field(default_factory=dict, max_length=100)


class SourceStretch(Shown):
    """A stretch of the source; code points, end exclusive."""

    start: int
    end: int


class Link(Shown):
    """A stretch of an output and where the source supports it; `reason` says how, or why not."""

    start: int
    end: int
    sources: list[SourceStretch] = Field(default_factory=list)
    supported: bool
    reason: str
