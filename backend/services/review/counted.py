"""Which reviews count: one rule for everything that is estimated, compared or trained on."""

from __future__ import annotations

from sqlalchemy import ColumnElement

from backend.tables.review import Purpose, Review, ReviewState


def stands() -> tuple[ColumnElement[bool], ...]:
    """Submitted, not withdrawn, and not answered anew by the same person."""
    return (
        Review.state == ReviewState.SUBMITTED,
        Review.withdrawn_at.is_(None),
        Review.superseded_at.is_(None),
    )


def measures() -> tuple[ColumnElement[bool], ...]:
    """Asked for by the design, whether they stand or not.

    Gold items measure people, verdicts stand beside the reviews that they decide between, and
    extra answers would give an item more weight than the design gave it.
    """
    measured = Review.purpose.in_([Purpose.REVIEW, Purpose.IMPORT])
    return (measured, Review.extra.is_(False))


def counts() -> tuple[ColumnElement[bool], ...]:
    """What a queue measures: required reviews that stand."""
    return (*stands(), *measures())
