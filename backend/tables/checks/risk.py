"""The risks of a project: what it learned from its own reviews, in frozen versions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import DatedTable


class RiskVersion(DatedTable):
    """A fitted risk (`evaluators.checks.risk.risk.RiskModel`); never updated, named `risk:VERSION`.

    Attributes:
        content: the whole model as JSON.
        wrong_when: which answers say that an output is wrong (`backend.rubrics.wrong`).
        splits: of the examples whose reviews it learned from.
        score_run_ids: where its features came from.
        report: out-of-fold figures, reliability, naive baselines, and what was left out and why.
        n, positives: outputs that it learned from, and the wrong ones among them.
        n_simulated: of the n, outputs with a simulated review among those that count.
    """

    __tablename__ = "risk_models"
    __table_args__ = (UniqueConstraint("project_id", "version"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    version: Mapped[int]
    content: Mapped[dict[str, Any]]
    wrong_when: Mapped[str]
    splits: Mapped[list[Any]]
    score_run_ids: Mapped[list[Any]]
    report: Mapped[dict[str, Any]]
    n: Mapped[int]
    positives: Mapped[int]
    n_simulated: Mapped[int] = mapped_column(default=0)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    @property
    def metric(self) -> str:
        """As metrics are named: `risk:3`."""
        return f"risk:{self.version}"
