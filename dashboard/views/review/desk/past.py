"""An own answer as the history of the expert's desk shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backend.schemas.review.desk import (
    AnswerIn,
    RiskNotice,
)


@dataclass(frozen=True, slots=True)
class Past:
    """An answer of one's own, as the history shows it; the last three as the receipt said."""

    review_id: int | None
    at: datetime
    answer: AnswerIn
    skip_reason: str | None = None
    may_revise: bool = False
    why: str | None = None
    extra: bool = False
    risk: RiskNotice | None = None
