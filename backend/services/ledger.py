"""Inserting into a ledger: rows with a unique key, of which those already there are left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from backend.db import Base

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_ROWS_PER_STATEMENT = 500


def insert_missing(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose unique key is not in the table yet; returns how many were new."""
    insert = _INSERTS[session.get_bind().dialect.name]
    new = 0
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        some = [dict(row) for row in rows[start : start + _ROWS_PER_STATEMENT]]
        statement = insert(table.__table__).on_conflict_do_nothing()
        new += len(session.execute(statement.returning(table.__table__.c.id), some).all())
    return new
