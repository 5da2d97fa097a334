"""Shapes of dossiers: the public key, and the questions that a team answers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from backend.schemas.common import RequestBody


class DossierKeyOut(BaseModel):
    """What dossiers of this installation are checked by."""

    public_key: str


class DossierQuestionOut(BaseModel):
    """A question that Strop cannot answer, with the newest answer of the team."""

    name: str
    asks: str
    nist: str
    annex_iv: int
    text: str | None
    answered_at: str | None


class DossierAnswersOut(BaseModel):
    """All questions, in the order of the headings."""

    questions: list[DossierQuestionOut]


class DossierAnswersIn(RequestBody):
    """Answers by question; an empty one is none."""

    answers: dict[str, str] = Field(min_length=1, max_length=100)
