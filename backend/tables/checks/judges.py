"""Judges in versions, what they said of pairs, their licences, and grading notes.

Ratings by a judge are scores of kind LLM (`backend.tables.runs`), its verdicts on pairs are rows
here: neither is ever a review, so that nothing that counts people meets them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import DatedTable
from backend.tables.models import ModelVersion
from backend.tables.runs import JUDGED


class JudgeKind(StrEnum):
    """Whether a judge rates one output or compares two."""

    RATER = "rater"
    COMPARER = "comparer"


class LicenceState(StrEnum):
    """What a line of the licences says: since then it may, may not, or may no more."""

    LICENSED = "licensed"
    REFUSED = "refused"
    LAPSED = "lapsed"


class Judge(DatedTable):
    """One immutable version of a judge: a model and how it is asked; `digest` covers both.

    Attributes:
        criterion: of the project's rubrics, that it answers; None for what its prompt says.
        scale: {"answers": as JSON has them, "values": 0 to 1 of each}; empty for a comparer.
    """

    __tablename__ = "judges"
    __table_args__ = (UniqueConstraint("project_id", "name", "version"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(40))
    version: Mapped[int]
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    kind: Mapped[str] = mapped_column(String(8))
    criterion: Mapped[str | None] = mapped_column(String(80))
    prompt: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64))
    scale: Mapped[dict[str, Any]]
    max_tokens: Mapped[int]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    model: Mapped[ModelVersion] = relationship()

    @property
    def label(self) -> str:
        """How people write it: `strict@2`."""
        return f"{self.name}@{self.version}"

    @property
    def metric(self) -> str:
        """The metric by which its ratings are scores: `judge:strict@2`."""
        return f"{JUDGED}{self.label}"


class JudgeVerdict(DatedTable):
    """What a judge said of two outputs in both orders; a is the older of the two generations.

    Attributes:
        forward, backward: a, b or tie when a, and when b was shown first.
        winner: a, b or tie, which it is where the orders disagree; None with an error.
        noted: sha256 of the grading note that it was shown; empty where it was shown none.
    """

    __tablename__ = "judge_verdicts"
    __table_args__ = (
        UniqueConstraint(
            "judge_id",
            "generation_a_id",
            "generation_b_id",
            "noted",
            name="uq_judge_verdicts_pair_noted",
        ),
    )

    judge_id: Mapped[int] = mapped_column(ForeignKey("judges.id"))
    generation_a_id: Mapped[int] = mapped_column(ForeignKey("generations.id"), index=True)
    generation_b_id: Mapped[int] = mapped_column(ForeignKey("generations.id"))
    forward: Mapped[str | None] = mapped_column(String(3))
    backward: Mapped[str | None] = mapped_column(String(3))
    winner: Mapped[str | None] = mapped_column(String(3))
    noted: Mapped[str] = mapped_column(String(64), default="", server_default="")
    reason: Mapped[str]
    error: Mapped[str | None]


class JudgeLicence(DatedTable):
    """One line of what a judge may: append-only, the newest of a criterion counts.

    Attributes:
        queue_id: whose reviews were the evidence.
        reason: in one sentence.
        evidence: figures of the test, or of the audit under which it lapsed.
    """

    __tablename__ = "judge_licences"
    __table_args__ = (Index("ix_judge_licences_judge_criterion", "judge_id", "criterion"),)

    judge_id: Mapped[int] = mapped_column(ForeignKey("judges.id"))
    queue_id: Mapped[int] = mapped_column(ForeignKey("review_queues.id"))
    criterion: Mapped[str] = mapped_column(String(80))
    state: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str]
    evidence: Mapped[dict[str, Any]]

    judge: Mapped[Judge] = relationship()


class GradingNote(DatedTable):
    """What an expert wrote that a right answer to an example has to contain; append-only.

    An example is known by its id in the file, in every version of its dataset. A note is no
    reference and no answer: nothing that makes training data reads it.
    """

    __tablename__ = "grading_notes"
    __table_args__ = (UniqueConstraint("dataset_id", "external_id", "version"),)

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    external_id: Mapped[str] = mapped_column(String(200))
    version: Mapped[int]
    note: Mapped[str]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
