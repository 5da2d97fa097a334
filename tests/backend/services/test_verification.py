"""A row that was changed behind the services is noticed, whichever it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from backend.services.curation import Recipe, freeze_training_set
from backend.services.projects import set_manifest
from backend.services.review import Answer
from backend.services.verification import verify_records
from tests.fixtures_review import BAD, Desk, build_desk, review_next

MANIFEST = """
name: bar
baseline: base
lines:
  - {metric: rougeL, margin: 0.02}
"""


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    """A project with a bar, a dataset, a rubric and a frozen set."""
    desk = build_desk(session, splits={"train": 4})
    set_manifest(session, desk.project.id, MANIFEST)
    queue = desk.open(session, "q", n_items=1)
    review_next(session, queue, desk.experts[0], Answer(BAD, correction="fixed"))
    recipe = Recipe(queues=("q",))
    freeze_training_set(session, project_id=desk.project.id, name="s", recipe=recipe)
    return desk


def _changed(session: Session) -> list[str]:
    session.expire_all()
    return [record.what for record in verify_records(session) if not record.same]


def test_nothing_has_changed(session: Session, desk: Desk) -> None:
    assert _changed(session) == []
    assert len(list(verify_records(session))) >= 4


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE examples SET input = 'other' WHERE id = 1", "dataset"),
        ("UPDATE success_manifests SET content = replace(content, '0.02', '0.01')", "manifest"),
        ("UPDATE rubric_versions SET content = replace(content, 'faithful', 'fruitful')", "rubric"),
        ("UPDATE training_set_rows SET completion = 'other'", "training set"),
    ],
)
def test_a_changed_row_is_named(session: Session, desk: Desk, statement: str, what: str) -> None:
    session.execute(text("DROP TRIGGER guard_training_set_rows_frozen"))
    session.execute(text(statement))
    assert [name.startswith(what) for name in _changed(session)].count(True) >= 1
