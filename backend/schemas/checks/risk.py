"""Risks, as shown and as asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from backend.schemas.common import RequestBody, ResponseBody
from evaluators.results import ReliabilityBin as ReliabilityBin
from evaluators.results import RiskFigure as RiskFigure

SplitName = Literal["train", "validation", "test"]


class RiskIn(RequestBody):
    """Fit a risk on the project's reviews.

    Attributes:
        score_run_ids: where the features come from; by default the newest of every run.
        wrong_when: which answers say that an output is wrong, such as `marked,quality<3`; by
            default marked errors, corrections, and verdicts that are no pass.
        splits: of the examples whose reviews count.
    """

    score_run_ids: list[int] = Field(default_factory=list, max_length=100)
    wrong_when: str | None = Field(None, min_length=1, max_length=500)
    splits: list[SplitName] = Field(default=["train", "validation"], min_length=1, max_length=3)
    seed: int = Field(0, ge=0, le=2**31 - 1)


class RiskVersionOut(ResponseBody):
    """A version of the project's risk.

    Attributes:
        metric: as runs are asked for it, `risk:3`.
        wrong_when: which answers say that an output is wrong.
        n, positives: outputs that it learned from, and the wrong ones among them.
        n_simulated: outputs with a simulated review among those that count.
        n_effective: as many outputs drawn with equal chances would tell as much.
        features: those in use; one that ends in `~others` is less its mean over the other answers.
        left_out: what did not count, and how many.
    """

    id: int
    version: int
    metric: str
    wrong_when: str
    splits: list[str]
    score_run_ids: list[int]
    n: int
    positives: int
    n_simulated: int
    n_groups: int
    n_effective: float
    kind: str
    features: list[str]
    figures: list[RiskFigure]
    reliability: list[ReliabilityBin]
    left_out: dict[str, int]
    created_by_id: int | None
    created_at: datetime
