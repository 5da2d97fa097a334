"""Queries over a project's examples, and over more values than one statement may bind."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.datasets.queries import in_project, rows_for, values_for
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.projects import create_project
from backend.tables.datasets import Example

NAMES = ["a", "b", "c", "d"]


def examples_of(session: Session, project: str) -> tuple[int, list[int]]:
    project_id = create_project(session, project, base_model="tiny").id
    rows = [ExampleRow(name, f"What is {name} of {project}?", split="train") for name in NAMES]
    version = import_dataset(session, project_id, "d", rows, source_name="t")
    query = select(Example.id).where(Example.dataset_version_id == version.id)
    return project_id, list(session.scalars(query.order_by(Example.id)))


def test_every_value_is_asked_for_however_many_there_are(session: Session) -> None:
    _, ids = examples_of(session, "mine")
    none = range(1_000_000, 1_000_700)  # more than one statement binds, on both sides of the others
    asked = [ids[0], *none, *ids[1:3], *none, ids[3]]
    query = select(Example.external_id, Example.id)
    found = rows_for(session, query, Example.id, asked)
    assert [tuple(row) for row in found] == list(zip(NAMES, ids, strict=True))
    assert list(values_for(session, query, Example.id, asked[:1])) == ["a"]
    assert list(values_for(session, query, Example.id, [])) == []


def test_another_project_s_examples_are_left_out(session: Session) -> None:
    mine, ids = examples_of(session, "mine")
    examples_of(session, "theirs")
    query = in_project(select(Example.id), mine).order_by(Example.id)
    assert list(session.scalars(query)) == ids
