"""What a team has answered for its dossiers; a later answer is a later row."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import DatedTable


class DossierAnswer(DatedTable):
    """One answer to a question that Strop cannot answer; the newest of a question counts.

    Attributes:
        question: a key of `backend.services.dossier.answers.QUESTIONS`.
    """

    __tablename__ = "dossier_answers"
    __table_args__ = (Index("ix_dossier_answers_project_id", "project_id", "question"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    question: Mapped[str] = mapped_column(String(40))
    text: Mapped[str]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
