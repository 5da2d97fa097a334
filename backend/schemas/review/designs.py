"""How the items of a review queue are chosen and to whom they go: as asked for, and as drawn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.schemas.common import Given, Shown
from backend.schemas.review.items import ShownOutput

DesignKind = Literal["random", "stratified", "active"]
Share = Field(None, gt=0.0, le=1.0)


class StratumGiven(Given):
    """A targeted part of an active design, with a share of the budget or a number of items.

    `name`: high_risk, detectors_disagree, models_disagree, low_confidence, new_cluster, or
    slice:key=value. `metric` names the check that high_risk goes by; `top` is the share of the
    candidates that count as extreme.
    """

    name: str = Field(min_length=1, max_length=80)
    share: float | None = Share
    n: int | None = Field(None, ge=1)
    metric: str | None = Field(None, max_length=80)
    top: float = Field(0.25, gt=0.0, lt=1.0)


class DesignGiven(Given):
    """How the items of a queue are chosen.

    `by` and `allocation` are for stratified designs, `anchor` and `strata` for active ones; an
    anchor without a share takes what the strata leave. The budget is the queue's `n_items`, or
    `minutes` of review; those are turned into items by the time that earlier reviews under the
    rubric took, else by `minutes_per_review`.
    """

    kind: DesignKind = "random"
    by: str | None = Field(None, min_length=1, max_length=80)
    allocation: Literal["proportional", "equal"] = "proportional"
    anchor: float | None = Share
    strata: list[StratumGiven] = Field(default_factory=list, max_length=20)
    minutes: float | None = Field(None, gt=0.0)
    minutes_per_review: float | None = Field(None, gt=0.0)


class AssignmentGiven(Given):
    """Who gets which items; what is not named here is for any reviewer of the queue.

    `groups` adds every member of these groups to the reviewers. `people` and `skills` map a slice
    (`ward=cardiology`) to a user name or to a skill that the reviewer must have. `deal` gives every
    slot to a person of its own from the start, in turn.
    """

    groups: list[str] = Field(default_factory=list, max_length=50)
    people: dict[str, str] = Field(default_factory=dict, max_length=200)
    skills: dict[str, str] = Field(default_factory=dict, max_length=200)
    deal: bool = False


class StratumShown(Shown):
    """A part of a design: items that could be drawn, asked for, drawn, and lacking its measure."""

    name: str
    why: str
    n_frame: int
    n_asked: int
    n_drawn: int
    n_without: int = 0


class DrawnExample(Shown):
    """An item that would be drawn, as its reviewers would see it: one output, or a and b.

    `split` is that of its example, `why` what reviewers are told after they answered.
    """

    input: str
    context: str | None
    outputs: list[ShownOutput]
    split: str
    why: str | None = None


class OpeningDefaults(Shown):
    """What a new queue is where a request names nothing, as it fits the project now.

    `rubric_version` is the project's; None for one of the library. `overlap` is never more than
    there are `reviewers`. `notes` are sentences for the lead.
    """

    rubric: str
    rubric_version: int | None
    reviewers: list[str]
    overlap: int
    overlap_share: float
    notes: list[str] = Field(default_factory=list)


class DesignShown(Shown):
    """What a design would draw, before a queue is opened by it. Nothing is stored.

    `warnings` are sentences that a lead has to know before opening, `examples` the first items
    that would be given out.
    """

    kind: DesignKind
    n_candidates: int
    n_items: int
    n_slots: int
    strata: list[StratumShown]
    minutes: float | None = None
    seconds_per_review: float | None = None
    seconds_from: str | None = None
    giveaways: dict[str, int] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    examples: list[DrawnExample] = Field(default_factory=list)
