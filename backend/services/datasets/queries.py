"""Queries over the examples of a project, and over more values than one statement may bind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVarTuple

from sqlalchemy import Column, Row, Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from backend.db import portions
from backend.tables.datasets import Dataset, DatasetVersion, Example

AnyColumn = InstrumentedAttribute[Any] | Column[Any]
Columns = TypeVarTuple("Columns")


def in_project(query: Select[*Columns], project_id: int) -> Select[*Columns]:
    """A query of examples, of those of one project; its version and its dataset are joined."""
    return (
        query.join(DatasetVersion, DatasetVersion.id == Example.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(Dataset.project_id == project_id)
    )


def rows_for(
    session: Session, query: Select[*Columns], column: AnyColumn, values: Sequence[Any]
) -> Iterator[Row[*Columns]]:
    """The rows of a query in which a column has one of these values, part by part."""
    for some in portions(values):
        yield from session.execute(query.where(column.in_(some)))


def values_for(
    session: Session, query: Select[*tuple[Any, ...]], column: AnyColumn, values: Sequence[Any]
) -> Iterator[Any]:
    """The same of a query of one column: its values."""
    return (row[0] for row in rows_for(session, query, column, values))
