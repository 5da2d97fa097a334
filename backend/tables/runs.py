"""Generation runs and what the models wrote: the ledger of (run, model, example, sample).

Score runs, and one score per (score run, generation, metric) with its signature.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from backend.db import Base, DatedTable, NumberedTable
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.models import ModelVersion
from backend.tables.packed import Marks, PackedLogprobs, PackedStats

IMPORT = "import"
"""The `engine` of a run whose texts were brought from elsewhere; none can be opened by the name."""
JUDGED = "judge:"
"""How the metrics begin that are ratings by a judge."""


class AnnotatorKind(StrEnum):
    """Who a rating or a score is by: a person, a program, or a model that was asked to judge."""

    HUMAN = "human"
    CODE = "code"
    LLM = "llm"


def annotator_kind(metric: str) -> AnnotatorKind:
    """Who a score by this metric is by; never a person."""
    return AnnotatorKind.LLM if metric.startswith(JUDGED) else AnnotatorKind.CODE


class GenerationRun(DatedTable):
    """Several models on the same examples with the same decoding parameters.

    Attributes:
        params: of decoding; of an IMPORT run {"source": file, "sha256": digest of what it gave}.
        n_examples: how many examples it covers; None: it is counted when asked.
        n_done, n_failed: rows of its ledger and the errors among them, kept as they are written;
            None: not counted yet (`backend.services.ledger`).
    """

    __tablename__ = "generation_runs"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    dataset_version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"))
    split: Mapped[str] = mapped_column(String(16))
    example_ids: Mapped[list[Any] | None]
    engine: Mapped[str] = mapped_column(String(32))
    params: Mapped[dict[str, Any]]
    samples: Mapped[int] = mapped_column(default=1)
    n_examples: Mapped[int | None]
    n_done: Mapped[int | None]
    n_failed: Mapped[int | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    dataset_version: Mapped[DatasetVersion] = relationship()
    models: Mapped[list[ModelVersion]] = relationship(
        secondary="generation_run_models", order_by="GenerationRunModel.position"
    )


class GenerationRunModel(Base):
    """A model that takes part in a run."""

    __tablename__ = "generation_run_models"

    run_id: Mapped[int] = mapped_column(ForeignKey("generation_runs.id"), primary_key=True)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"), primary_key=True)
    position: Mapped[int]


class Generation(DatedTable):
    """One text that a model wrote, or the reason why it could not."""

    __tablename__ = "generations"
    __table_args__ = (
        UniqueConstraint("run_id", "model_version_id", "example_id", "sample"),
        Index("ix_generations_example", "example_id"),
        Index("ix_generations_run", "run_id", "id"),
        Index("ix_generations_run_model", "run_id", "model_version_id", "id"),
    )

    run_id: Mapped[int] = mapped_column(ForeignKey("generation_runs.id"))
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    example_id: Mapped[int] = mapped_column(ForeignKey("examples.id"))
    sample: Mapped[int] = mapped_column(default=0)
    text: Mapped[str | None]
    error: Mapped[str | None]
    finish_reason: Mapped[str | None] = mapped_column(String(32))
    token_logprobs: Mapped[list[Any]] = mapped_column(PackedLogprobs, default=list, nullable=True)
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    truncated_tokens: Mapped[int] = mapped_column(default=0)
    latency_s: Mapped[float] = mapped_column(default=0.0)

    run: Mapped[GenerationRun] = relationship()
    model_version: Mapped[ModelVersion] = relationship()
    example: Mapped[Example] = relationship()


class ScoreRun(DatedTable):
    """Metrics computed over one generation run.

    `metrics` is a list of {"metric": name, "slice": {key: value}}; an empty slice is every example.

    Attributes:
        n_due: scores of one output of each example; None: not known, of a run of before.
        n_done, n_failed: as of a generation run.
    """

    __tablename__ = "score_runs"

    generation_run_id: Mapped[int] = mapped_column(ForeignKey("generation_runs.id"), index=True)
    metrics: Mapped[list[Any]]
    seed: Mapped[int] = mapped_column(default=7)
    n_due: Mapped[int | None]
    n_done: Mapped[int | None]
    n_failed: Mapped[int | None]

    generation_run: Mapped[GenerationRun] = relationship()


class ScoreSignature(NumberedTable):
    """A recipe under which scores were computed, once for all of them."""

    __tablename__ = "score_signatures"

    text: Mapped[str] = mapped_column(unique=True)


class Score(NumberedTable):
    """What a metric said of one generation: a value, or an error, or not applicable.

    `stats` are the per-example sufficient statistics from which aggregates are computed; `spans`
    are code-point offsets in the generated text with a reason each. `signature` is read here, in
    a query beside another column of the score, and written by its id (`ledger.text_ids`).
    """

    __tablename__ = "scores"
    __table_args__ = (
        UniqueConstraint("score_run_id", "generation_id", "metric"),
        Index("ix_scores_generation", "generation_id"),
    )

    score_run_id: Mapped[int] = mapped_column(ForeignKey("score_runs.id"))
    generation_id: Mapped[int] = mapped_column(ForeignKey("generations.id"))
    metric: Mapped[str] = mapped_column(String(80))
    value: Mapped[float | None]
    error: Mapped[str | None]
    not_applicable: Mapped[bool] = mapped_column(default=False)
    label: Mapped[str | None]
    explanation: Mapped[str | None]
    spans: Mapped[list[Any]] = mapped_column(Marks, default=list, nullable=True)
    stats: Mapped[list[Any]] = mapped_column(PackedStats, default=list, nullable=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("score_signatures.id"))
    annotator_kind: Mapped[str] = mapped_column(String(8), default="code")

    generation: Mapped[Generation] = relationship()
    signature: Mapped[str] = column_property(
        select(ScoreSignature.text).where(ScoreSignature.id == signature_id).scalar_subquery()
    )
