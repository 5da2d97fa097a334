"""Generation runs and what the models wrote, as shown to engineers and as given.

Scores, figures with their intervals, and paired differences, as shown to engineers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from backend.schemas.common import AcceptLeaks, RequestBody, ResponseBody
from backend.schemas.datasets import ExampleOut
from backend.schemas.models import PreflightOut
from backend.schemas.queue import JobOut
from evaluators.results import ClassRow as ClassRow


class RunModel(ResponseBody):
    """A model that takes part in a run."""

    id: int
    label: str
    kind: str = "weights"


class RunProgress(ResponseBody):
    """How many of a run's generations, or scores, exist, and how many of those are errors."""

    done: int
    total: int
    failed: int

    @property
    def missing(self) -> int:
        """What is not there yet."""
        return self.total - self.done


class GenerationRunOut(ResponseBody):
    """A run with its progress, its job, its preflights (the latest apart), and its score runs.

    `engine` is `import` where the texts were brought from elsewhere; `provenance` says in sentences
    what cannot be proved of the run, and what it does not cover.
    """

    id: int
    project_id: int
    dataset: str
    dataset_version: int
    split: str
    engine: str
    params: dict[str, Any]
    samples: int
    models: list[RunModel]
    provenance: list[str] = Field(default_factory=list)
    progress: RunProgress
    job: JobOut | None
    preflight: PreflightOut | None
    preflights: list[PreflightOut] = Field(default_factory=list)
    score_run_ids: list[int]
    created_at: datetime


class GenerationRunIn(RequestBody):
    """A new run. Models are named by label: `base`, `v1`, `v1@2`, `champion`."""

    dataset: str
    dataset_version: int | None = None
    split: Literal["train", "validation", "test"] = "test"
    models: list[str] = Field(min_length=1, max_length=50)
    engine: str | None = Field(None, max_length=40)
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


class OutputsIn(RequestBody):
    """Outputs made elsewhere: rows of `id` and `prediction` (or `error`), as in a file of them.

    Each row may name its `model`; else `model` is whose all of them are. With `with_run` they join
    that run as further models, and it says dataset and split.
    """

    rows: list[dict[str, Any]] = Field(min_length=1, max_length=20_000)
    model: str | None = Field(None, min_length=1, max_length=80)
    source: str = Field("sent", min_length=1, max_length=200, description="Name of the file.")
    dataset: str | None = Field(None, max_length=120)
    dataset_version: int | None = None
    split: Literal["train", "validation", "test"] | None = Field(
        None, description="Default: test, or that of the run."
    )
    with_run: int | None = None
    metrics: list[str] = Field(
        default_factory=list, max_length=100, description="Score with these."
    )


class OutputsImported(ResponseBody):
    """What became of outputs made elsewhere; `repeated` where all were there, nothing was stored.

    `notes` are sentences on what is not proved, not covered and not given.
    """

    run: GenerationRunOut
    repeated: bool
    outputs: int
    notes: list[str]


class GenerationOut(ResponseBody):
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


class GenerationDetail(GenerationOut):
    """One generation with its example and every score of it."""

    example: ExampleOut
    scores: list[ScoreOut]


class FlaggedSpan(ResponseBody):
    """A stretch of an output in Unicode code points, and why a check marks it."""

    start: int
    end: int
    reason: str
    kind: str


class ScoreOut(ResponseBody):
    """What one metric said of one generation: a value, an error, or not applicable."""

    score_run_id: int
    metric: str
    value: float | None
    error: str | None
    not_applicable: bool
    label: str | None
    explanation: str | None
    spans: list[FlaggedSpan]
    signature: str
    annotator_kind: str


class ScoreRunIn(RequestBody):
    """Score a run: metric names, each may carry a slice: `f1@task=intent`."""

    metrics: list[str] = Field(min_length=1, max_length=100)
    seed: int = Field(7, ge=0)


class _OnSlice(ResponseBody):
    """What a metric says on one slice with its 95% interval; `error` where undefined.

    `scale` is the metric's largest value, 1 or 100, or None where there is no bound; `better` says
    which side is: higher or lower.
    """

    slice: dict[str, str]
    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    failed: int = 0
    clusters: int = 0
    rough: bool = False
    scale: float | None = 1.0
    better: str = "higher"
    level: float = 0.95
    method: str = ""
    note: str = ""
    signature: str | None = None
    error: str | None = None


class FigureOut(_OnSlice):
    """A metric of one model."""

    model_version_id: int
    model: str
    not_applicable: int = 0


class DifferenceOut(_OnSlice):
    """Candidate minus baseline on the same examples."""

    baseline_id: int
    candidate_id: int
    baseline_model: str
    candidate_model: str
    baseline: float | None = None
    candidate: float | None = None
    p: float | None = None
    wins: int = 0
    losses: int = 0
    ties: int = 0


class ScoreRunOut(ResponseBody):
    """A score run and where it stands; `reason` says why it stopped or failed, or who cancelled
    it."""

    id: int
    generation_run_id: int
    metrics: list[dict[str, Any]]
    seed: int
    job_state: str | None
    reason: str | None = None
    created_at: datetime


class ScoreRunDetail(ScoreRunOut):
    """A score run with its figures; empty until the job is done."""

    figures: list[FigureOut]
