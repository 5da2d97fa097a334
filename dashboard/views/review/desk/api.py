"""What the expert's desk asks of the API, and an own answer as its history shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from backend.schemas.review.desk import (
    Answer,
    ClaimAnswer,
    GoldFeedback,
    LeaseShown,
    Link,
    OwnReview,
    ReviewReceipt,
)


class DeskClient(Protocol):
    """The part of the API client that the desk uses."""

    def claim(self, queue_id: int) -> ClaimAnswer: ...
    def claim_adjudication(self, queue_id: int) -> ClaimAnswer: ...
    def save_draft(self, slot_id: int, version: int, answer: Answer) -> LeaseShown: ...
    def submit(
        self, slot_id: int, version: int, answer: Answer, *, next: bool = False
    ) -> ReviewReceipt: ...
    def skip(
        self, slot_id: int, version: int, reason: str, *, next: bool = False
    ) -> ReviewReceipt: ...
    def revise(self, review_id: int) -> ClaimAnswer: ...
    def contest_gold(self, result_id: int, reason: str) -> GoldFeedback: ...
    def my_gold_results(self, queue_id: int) -> list[GoldFeedback]: ...
    def lapsed(self, queue_id: int, slot_id: int, version: int) -> ClaimAnswer: ...
    def links(self, slot_id: int) -> list[Link]: ...
    def my_reviews(self, queue_id: int, *, limit: int = 20) -> list[OwnReview]: ...


@dataclass(frozen=True, slots=True)
class Past:
    """An answer of one's own, as the history shows it; `why` and `extra` as the receipt said."""

    review_id: int | None
    at: datetime
    answer: Answer
    skip_reason: str | None = None
    may_revise: bool = False
    why: str | None = None
    extra: bool = False
