"""Checkers: what was kept out of their training, and how well they do on it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import DatedTable


class Checker(DatedTable):
    """The training of one checker, beside its TrainingRun; its model is that of the run.

    Attributes:
        form: how it is asked, as `evaluators.checks.checker.checker.CheckerForm.as_record` has it.
        held_out: {"sentences": [{"example", "sentence", "supported", "kind"}], "texts":
            [{"example", "text", "kind"}]} of groups that training never saw; `kind` is the error's,
            None of what is right.
        figures: what was measured on it; None before.
    """

    __tablename__ = "checkers"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    training_run_id: Mapped[int] = mapped_column(ForeignKey("training_runs.id"), unique=True)
    form: Mapped[dict[str, Any]]
    held_out: Mapped[dict[str, Any]]
    figures: Mapped[dict[str, Any] | None]
    measured_at: Mapped[datetime | None]
