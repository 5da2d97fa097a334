"""Judges, their licences and biases, as shown and as given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import RequestBody, ResponseBody
from backend.schemas.review.reports import Measured


class JudgeIn(RequestBody):
    """A new judge; `prompt` is its text, or `built-in`."""

    name: str = Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    model: str = Field(min_length=1, max_length=200)
    prompt: str = Field("built-in", min_length=1, max_length=100_000)
    criterion: str | None = Field(None, max_length=80)
    rubric: str | None = Field(None, max_length=120)
    kind: str = Field("rater", max_length=8)
    max_tokens: int = Field(256, ge=1, le=4_096)


class AskLicence(RequestBody):
    """Ask for a licence by a queue; `annotators` are experts, skilled or crowd."""

    queue: str = Field(min_length=1, max_length=120)
    annotators: str = Field("experts", max_length=20)
    epsilon: float | None = Field(None, ge=0, lt=1)


class LicenceOut(ResponseBody):
    """Where a judge stands on one criterion.

    `state` is licensed, refused or lapsed; `recorded` is false where later reviews refute the
    licence and `strop judge audit` has not written that down yet. `attempts` is how often the
    licence was asked for: asked often enough, chance grants anything. `evidence` holds the figures
    of the test; `audit` is the agreement with people since, anytime-valid, and `bar` what it has
    to reach.
    """

    id: int
    criterion: str
    queue: str
    state: str
    recorded: bool
    reason: str
    evidence: dict[str, Any]
    attempts: int
    audit: Measured | None
    bar: float | None
    created_at: datetime


class JudgeOut(ResponseBody):
    """One version of a judge; `licences` holds the newest of each criterion."""

    id: int
    label: str
    metric: str
    kind: str
    model: str
    criterion: str | None
    answers: list[int | str]
    prompt: str
    digest: str
    max_tokens: int
    licences: list[LicenceOut]
    created_at: datetime


class JudgedRate(ResponseBody):
    """How often the judge prefers a model, a tie being half a win."""

    model: str
    against: str | None
    figure: Measured


class JudgedPairs(ResponseBody):
    """What a comparer said of the pairs of a run, by a judge and not by people.

    `biases` are shares: flipped, first_wins, longer_wins, and own_wins where the judge's own
    outputs take part; `strengths` are of Bradley-Terry, or `no_strengths` says why there are none.
    `identical` pairs hold the same text twice and are not asked.
    """

    judge: str
    run_id: int
    models: list[str]
    n: int
    failed: int
    identical: int
    missing: int
    rates: list[JudgedRate]
    strengths: list[JudgedRate]
    no_strengths: str
    biases: dict[str, Measured]
    said: list[str]
