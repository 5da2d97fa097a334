"""Training sets: frozen rows, each with its provenance."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import DatedTable, NumberedTable


class TrainingSet(DatedTable):
    """A frozen set of training rows; `digest` covers every row in order.

    `purpose` is what a model is taught by it: to answer, or to check (a `ModelPurpose`).
    """

    __tablename__ = "training_sets"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(120))
    recipe: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(String(64))
    n_rows: Mapped[int]
    simulated: Mapped[bool] = mapped_column(default=False)
    purpose: Mapped[str] = mapped_column(String(8), default="answer", server_default="answer")


class TrainingSetRow(NumberedTable):
    """One row: SFT (prompt, completion), DPO (with rejected) or KTO (with label).

    `source` says where the row comes from: reference, approved, corrected, vote, rating or
    negative; of a checker's set also planted or marked. `weight` is what the row counts for in the
    loss of SFT; None counts as 1. Rows are never updated but to erase them (`erasure_id`), and
    triggers refuse those of an example that is held out, or held back from the set.
    """

    __tablename__ = "training_set_rows"
    __table_args__ = (UniqueConstraint("training_set_id", "position"),)

    training_set_id: Mapped[int] = mapped_column(ForeignKey("training_sets.id"))
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(String(8))
    prompt: Mapped[list[Any]]
    completion: Mapped[str]
    rejected: Mapped[str | None]
    label: Mapped[bool | None]
    weight: Mapped[float | None]
    source: Mapped[str] = mapped_column(String(16))
    example_id: Mapped[int] = mapped_column(ForeignKey("examples.id"), index=True)
    generation_id: Mapped[int | None] = mapped_column(ForeignKey("generations.id"))
    review_id: Mapped[int | None] = mapped_column(ForeignKey("reviews.id"), index=True)
    erasure_id: Mapped[int | None] = mapped_column(ForeignKey("erasures.id"))


class HeldBackRow(NumberedTable):
    """A correction, or an approved answer of its group, that its set keeps from training.

    Replayed on the candidate, it says what training brought on prompts that were never seen.
    """

    __tablename__ = "held_back_rows"
    __table_args__ = (UniqueConstraint("training_set_id", "position"),)

    training_set_id: Mapped[int] = mapped_column(ForeignKey("training_sets.id"))
    position: Mapped[int]
    completion: Mapped[str]
    source: Mapped[str] = mapped_column(String(16))
    example_id: Mapped[int] = mapped_column(ForeignKey("examples.id"))
    generation_id: Mapped[int] = mapped_column(ForeignKey("generations.id"))
    review_id: Mapped[int] = mapped_column(ForeignKey("reviews.id"), index=True)
    erasure_id: Mapped[int | None] = mapped_column(ForeignKey("erasures.id"))


class Replay(DatedTable):
    """A generation run in which a candidate answers the reviewed prompts of a set once more.

    One for each dataset version that the prompts come from: the key is what makes asking twice
    give one run.
    """

    __tablename__ = "replays"
    __table_args__ = (UniqueConstraint("training_set_id", "candidate_id", "dataset_version_id"),)

    training_set_id: Mapped[int] = mapped_column(ForeignKey("training_sets.id"))
    candidate_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    dataset_version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"))
    generation_run_id: Mapped[int] = mapped_column(ForeignKey("generation_runs.id"), unique=True)
