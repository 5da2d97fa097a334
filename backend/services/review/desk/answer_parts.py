"""The parts of a stored review: ratings, a correction, marked errors, a vote."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, insert

from backend.services.review.desk.answer_rules import CheckedReview
from backend.services.review.desk.prepared import Prepared
from backend.tables.review import Correction, Preference, Rating, Span


def _core(table: Any) -> Table:
    found = table.__table__
    assert isinstance(found, Table)
    return found


_RATING = Prepared(insert(_core(Rating)), keys=("review_id", "criterion", "value", "number"))
_CORRECTION, _SPAN, _PREFERENCE = (insert(_core(t)) for t in (Correction, Span, Preference))


def store_parts(
    connection: Connection,
    review_id: int,
    generation_id: int,
    checked: CheckedReview,
    now: datetime,
) -> None:
    """Store the parts of a review; what was left blank makes no row."""
    mine = {"review_id": review_id}
    if checked.ratings:
        ratings = [
            {**mine, "criterion": name, "value": given.value, "number": given.number}
            for name, given in checked.ratings.items()
        ]
        _RATING.run_many(connection, ratings)
    if checked.correction is not None:
        correction = {
            "generation_id": generation_id,
            "text": checked.correction,
            "reason": checked.correction_reason,
            "created_at": now,
        }
        connection.execute(_CORRECTION, {**mine, **correction})
    if checked.spans:
        names = ("start", "end", "kind", "severity", "note")
        spans = [{**mine, **{n: getattr(mark, n) for n in names}} for mark in checked.spans]
        connection.execute(_SPAN, spans)
    if checked.winner is not None:
        connection.execute(_PREFERENCE, {**mine, "winner": checked.winner})
