"""Correction yield, as shown and as asked for."""

from __future__ import annotations

from pydantic import Field

from backend.schemas.common import Given, Shown
from backend.schemas.review.reports import Measured


class DiagnosisShown(Shown):
    """Whether more ratings or more training is lacking, why, and the rule that says so."""

    bottleneck: str
    sentence: str
    rule: str


class TypeYieldShown(Shown):
    """The share fixed of the corrections of one error type."""

    error_type: str
    trained: Measured
    held_back: Measured


class OutcomeShown(Shown):
    """One reviewed prompt: what was wanted, what was answered before, and what is answered now."""

    review_id: int
    example: str
    state: str
    held_back: bool
    error_types: list[str]
    wanted: str
    before: str
    answer: str | None
    reason: str | None


class YieldShown(Shown):
    """What a candidate made of the reviewed prompts of its set; see services.yields.

    `trained` and `held_back` are shares of corrections fixed; the `broken` ones are shares newly
    broken of approved outputs, taught and held back, and of what the model to beat has right on
    held-out examples. `examples` are some of the prompts, still wrong and newly broken first.
    """

    training_set: str
    candidate: str
    rule: str
    is_frozen_rule: bool
    signature: str
    trained: Measured
    held_back: Measured
    broken: Measured
    broken_held_back: Measured
    broken_elsewhere: Measured
    by_type: list[TypeYieldShown]
    per_hour: Measured
    active_minutes: float
    counts: dict[str, int]
    unchanged: int
    unknown_reasons: dict[str, int]
    diagnosis: DiagnosisShown
    simulated: bool
    examples: list[OutcomeShown] = Field(default_factory=list)


class RoundPointShown(Shown):
    """A round on the curve of yields; `error` says why it has none."""

    number: int
    candidate: str
    trained: Measured
    held_back: Measured
    per_hour: Measured
    overall: Measured
    overall_title: str
    diagnosis: DiagnosisShown | None
    simulated: bool
    error: str | None = None


class ReplayGiven(Given):
    """Replay the corrections of a candidate's set on it."""

    candidate: str = Field(min_length=1, max_length=200)
    engine: str | None = Field(None, max_length=40)
    max_tokens: int = Field(128, ge=1)


class ReplayStarted(Shown):
    """The generation runs of the replay, queued or done."""

    generation_run_ids: list[int]
