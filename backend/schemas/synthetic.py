"""Synthetic candidates, as asked for and as shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from backend.schemas.common import NAME_PATTERN, RequestBody, ResponseBody

SourceName = Literal["documents", "failures", "slice"]
StateName = Literal["dropped", "waiting", "approved", "corrected", "refused"]


class DocumentIn(RequestBody):
    """A text to draft from."""

    name: str = Field(min_length=1, max_length=200)
    text: str = Field(min_length=1, max_length=2_000_000)


class SourceIn(RequestBody):
    """What drafts are drawn from: documents, failures of a run, or a slice `key=value`."""

    kind: SourceName
    documents: list[DocumentIn] = Field(default_factory=list, max_length=1000)
    generation_run_id: int | None = None
    worse_than: str | None = Field(None, max_length=200)
    wrong_when: str = Field("marked", min_length=1, max_length=500)
    slice: str | None = Field(None, max_length=400)
    dataset: str | None = Field(None, max_length=200)

    @model_validator(mode="after")
    def _says_what(self) -> SourceIn:
        needed = {
            "documents": bool(self.documents),
            "failures": self.generation_run_id is not None,
            "slice": bool(self.slice),
        }
        if not needed[self.kind]:
            raise ValueError("documents, generation_run_id or slice: give what its kind names")
        return self


class DraftingIn(RequestBody):
    """Ask a model for drafts; see `strop synthetic draft`."""

    source: SourceIn
    n: int = Field(100, ge=1, le=5000)
    model: str = Field("base", min_length=1, max_length=200)
    prompt: str | None = Field(None, min_length=1, max_length=100)
    given_input: str | None = Field(None, max_length=20_000)
    name: Annotated[str, Field(pattern=NAME_PATTERN, max_length=80)] | None = None
    engine: str | None = Field(None, max_length=32)
    shots: int = Field(3, ge=0, le=20)
    attempts: int = Field(3, ge=1, le=20)
    seed: int = Field(7, ge=0, lt=2**31)
    max_tokens: int = Field(400, ge=1, le=4096)
    temperature: float = Field(0.9, ge=0, le=2)
    top_p: float = Field(0.95, gt=0, le=1)
    least_overlap: float = Field(0.2, ge=0, le=1)
    encoder: str | None = Field(None, min_length=1, max_length=200)
    semantic: float = Field(0.9, gt=0, le=1)


class DraftQueueIn(RequestBody):
    """Open the queue in which experts decide on the kept drafts.

    Attributes:
        reviewers: user names; none: the project's experts.
        risk_max: drafts above this risk are dropped before anybody sees them.
    """

    name: Annotated[str, Field(pattern=NAME_PATTERN, max_length=120)]
    reviewers: list[str] = Field(default_factory=list, max_length=200)
    n_items: int | None = Field(None, ge=1, le=100_000)
    overlap: int = Field(1, ge=1, le=20)
    overlap_share: float = Field(0.0, ge=0, le=1)
    risk_max: float | None = Field(None, gt=0, le=1)
    seed: int = Field(7, ge=0, lt=2**31)


class ShareOut(ResponseBody):
    """A share with its 95% interval; of nothing there is none."""

    count: int
    n: int
    value: float | None
    low: float | None
    high: float | None


class DraftFigures(ResponseBody):
    """What became of the drafts, counted; `repeats` are of the readable ones."""

    drafted: int
    kept: ShareOut
    dropped: dict[str, int]
    repeats: ShareOut
    unchecked: int
    distinct_1: float | None
    distinct_2: float | None


class DraftingOut(ResponseBody):
    """A drafting, its figures and how its drafts stand.

    Attributes:
        simulated: drafts that a script's review decided.
        job_state: None where none was queued.
        job_error: why it stopped.
    """

    id: int
    name: str
    drawn_from: str
    source_kind: str
    shape: str
    model: str
    wanted: int
    states: dict[str, int]
    simulated: int
    figures: DraftFigures
    stopped: str | None
    run_id: int | None
    dataset_version_id: int | None
    queues: list[str]
    in_words: list[str]
    created_at: datetime
    finished_at: datetime | None
    job_state: str | None
    job_error: str | None


class DraftOut(ResponseBody):
    """A draft, why it was dropped or how it stands, and who decided by pseudonym."""

    id: int
    state: StateName
    reason: str | None
    why: str
    detail: dict[str, Any]
    input: str | None
    answer: str | None
    by: list[str]
    simulated: bool
    risk: float | None
    example_id: int | None
    generation_id: int


class DraftQueueOut(ResponseBody):
    """The queue that was opened."""

    id: int
    name: str
    drafting_id: int
