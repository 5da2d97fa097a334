"""Correction yield, as shown and as asked for."""

from __future__ import annotations

from pydantic import Field

from backend.schemas.common import RequestBody, ResponseBody
from backend.schemas.review.reports import Measured


class DiagnosisOut(ResponseBody):
    """Whether more ratings or more training is lacking, why, and the rule that says so."""

    bottleneck: str
    sentence: str
    rule: str


class TypeYieldOut(ResponseBody):
    """The share fixed of the corrections of one error type."""

    error_type: str
    trained: Measured
    held_back: Measured


class OutcomeOut(ResponseBody):
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


class YieldOut(ResponseBody):
    """What a candidate made of the reviewed prompts of its set; see services.yields.

    Attributes:
        rule: when an answer is right; `is_frozen_rule` says that it is the one of the set.
        trained, held_back: share of corrections that are fixed; of those held back without the
            prompts that a model from which the candidate went on had been taught.
        broken, broken_held_back: share of approved outputs that are newly broken.
        broken_elsewhere: of what the model to beat has right on held-out examples, the share newly
            broken; known only for the candidate of a round.
        by_type: by error type, the most frequent first; a correction may have several.
        per_hour: corrections fixed for each active hour of all reviews that the recipe read.
        counts: prompts by state; `unchanged` of those still wrong are answered as before.
        examples: some of the prompts, still wrong and newly broken first.
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
    by_type: list[TypeYieldOut]
    per_hour: Measured
    active_minutes: float
    counts: dict[str, int]
    unchanged: int
    unknown_reasons: dict[str, int]
    diagnosis: DiagnosisOut
    simulated: bool
    examples: list[OutcomeOut] = Field(default_factory=list)


class RoundPointOut(ResponseBody):
    """A round on the curve of yields; `error` says why it has none.

    `overall` is the candidate on the first line of the bar that has a figure of its own, and
    `overall_title` that line in words.
    """

    number: int
    candidate: str
    trained: Measured
    held_back: Measured
    per_hour: Measured
    overall: Measured
    overall_title: str
    diagnosis: DiagnosisOut | None
    simulated: bool
    error: str | None = None


class CurvePointOut(ResponseBody):
    """A model on the learning curve; `rows` are the examples that it has learned from."""

    candidate: str
    rows: int
    figure: Measured


class CurveForecastOut(ResponseBody):
    """A learning curve, the smallest first, and what `more` examples beyond it would bring."""

    metric: str
    run_id: int
    split: str
    points: list[CurvePointOut]
    more: int
    target: int
    forecast: Measured
    notes: list[str]
    simulated: bool


class ReplayIn(RequestBody):
    """Replay the corrections of a candidate's set on it."""

    candidate: str = Field(min_length=1, max_length=200)
    engine: str | None = Field(None, max_length=40)
    max_tokens: int = Field(128, ge=1)


class ReplayStarted(ResponseBody):
    """The generation runs of the replay, queued or done."""

    generation_run_ids: list[int]
