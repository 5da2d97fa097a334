"""What skips review, and the audit that watches it: as asked for, and as it stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from backend.schemas.common import ResponseBody

State = Literal["watched", "withdrawn", "returned"]


class AuditPoint(ResponseBody):
    """The audit after so many outputs; at least `low` of all that skipped are wrong."""

    n: int
    errors: int
    low: float
    at: datetime


class RoutingOut(ResponseBody):
    """What of a queue skipped review, and how its guarantee stands.

    Attributes:
        threshold: scores up to it (from it on, unless `lower_is_better`) skipped.
        n_skipped, n_audited, n_without: outputs that skipped, those of them that are reviewed all
            the same, and outputs without a score, all of which are reviewed.
        n_looked, errors: audited outputs whose review stands, and wrong ones among them.
        n_taken_back: audited outputs whose review was withdrawn since; n_simulated: whose review
            a script wrote.
        low: the share of wrong ones among those that skipped is at least this, at all looks
            together with confidence 1 - delta; None before the first.
        evidence: the labels that the certificate rests on, and what it assumes.
    """

    queue_id: int
    queue: str
    metric: str
    threshold: float
    lower_is_better: bool
    epsilon: float
    delta: float
    audit_share: float
    wrong_when: str
    n_skipped: int
    n_audited: int
    n_without: int
    n_looked: int
    errors: int
    n_taken_back: int
    n_simulated: int
    low: float | None
    state: State
    sentence: str
    evidence: dict[str, Any]
    path: list[AuditPoint] = Field(default_factory=list)
    signature: str
    opened_at: datetime
    withdrawn_at: datetime | None = None
    returned_at: datetime | None = None
