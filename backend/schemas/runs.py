"""Generation runs and what the models wrote, as shown to engineers and as given."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from backend.schemas.common import AcceptLeaks, Given, Shown
from backend.schemas.datasets import ExampleShown
from backend.schemas.models import PreflightShown
from backend.schemas.queue import JobShown
from backend.schemas.scoring import ScoreShown


class RunModel(Shown):
    """A model that takes part in a run."""

    id: int
    label: str


class RunProgress(Shown):
    """How many of a run's generations exist, and how many of those are errors."""

    done: int
    total: int
    failed: int


class GenerationRunShown(Shown):
    """A run with its progress, its job, its preflights (the latest apart), and its score runs."""

    id: int
    project_id: int
    dataset: str
    dataset_version: int
    split: str
    engine: str
    params: dict[str, Any]
    samples: int
    models: list[RunModel]
    progress: RunProgress
    job: JobShown | None
    preflight: PreflightShown | None
    preflights: list[PreflightShown] = Field(default_factory=list)
    score_run_ids: list[int]
    created_at: datetime


class GenerationRunGiven(Given):
    """A new run. Models are named by label: `base`, `v1`, `v1@2`, `champion`."""

    dataset: str
    dataset_version: int | None = None
    split: Literal["train", "validation", "test"] = "test"
    models: list[str] = Field(min_length=1, max_length=50)
    engine: Literal["local", "vllm"] | None = None
    max_tokens: int = Field(128, ge=1, le=32_768)
    temperature: float = Field(0.0, ge=0.0, le=5.0)
    top_p: float = Field(1.0, gt=0.0, le=1.0)
    seed: int = Field(0, ge=0)
    samples: int = Field(1, ge=1, le=100)
    truncate_prompt: bool = False
    metrics: list[str] = Field(
        default_factory=list, max_length=100, description="Score with these when it is done."
    )
    accept_leaks: AcceptLeaks = None


class GenerationShown(Shown):
    """One text that a model wrote, or the reason why it could not."""

    id: int
    run_id: int
    model: str
    example_id: int
    sample: int
    text: str | None
    error: str | None
    finish_reason: str | None
    prompt_tokens: int
    completion_tokens: int
    truncated_tokens: int
    latency_s: float


class GenerationDetail(GenerationShown):
    """One generation with its example and every score of it."""

    example: ExampleShown
    scores: list[ScoreShown]
