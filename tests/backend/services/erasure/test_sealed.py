"""What was erased is no tampering, and no tampering passes for an erasure."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from backend.services.curation.digests import stored_lines
from backend.services.datasets.erased import digest_of
from backend.services.verification import verify_records
from backend.settings import Settings
from tests.backend.services.erasure.conftest import House, build_house
from tests.backend.services.erasure.test_examples import erase

FREE = (
    "DROP TRIGGER guard_training_set_rows_frozen",
    "DROP TRIGGER guard_erased_rows_update",
    "DROP TRIGGER guard_erased_rows_delete",
    "DROP TRIGGER guard_erasure_seals_update",
)
BLANK = "prompt = '[]', rejected = NULL, completion = 'Erased on 2026-05-04: x'"


def _changed(session: Session) -> list[str]:
    session.expire_all()
    return [record.what for record in verify_records(session) if not record.same]


def test_erased_rows_are_counted(sqlite_sessions: sessionmaker[Session], house: House) -> None:
    erase(sqlite_sessions, house)
    with sqlite_sessions() as session:
        erased = {record.what: record.erased for record in verify_records(session)}
    assert erased["dataset tickets version 1"] == 1
    assert erased["training set s"] == 1


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE examples SET input = 'other' WHERE id = 2", "dataset"),
        ("UPDATE examples SET input = 'brought back' WHERE id = 1", "dataset"),
        ("UPDATE training_set_rows SET completion = 'other' WHERE example_id = 3", "training set"),
        (f"UPDATE training_set_rows SET {BLANK} WHERE example_id = 3", "training set"),
        ("UPDATE erased_rows SET digest = 'f'", "dataset"),
        ("DELETE FROM erased_rows WHERE subject LIKE 'training%'", "training set"),
        ("UPDATE erasure_seals SET digest = 'f' WHERE subject LIKE 'training%'", "training set"),
        ("DELETE FROM erasures", "erasure"),
    ],
)
def test_what_is_changed_after_an_erasure_is_named(
    sqlite_sessions: sessionmaker[Session], house: House, statement: str, what: str
) -> None:
    erase(sqlite_sessions, house)
    with sqlite_sessions() as session:
        assert _changed(session) == []
        session.execute(text("PRAGMA defer_foreign_keys = ON"))
        for one in FREE:
            session.execute(text(one))
        session.execute(text(statement))
        assert any(name.startswith(what) for name in _changed(session))


def test_what_was_changed_before_an_erasure_stays_named(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    with sqlite_sessions.begin() as session:
        session.execute(text("UPDATE examples SET input = 'other' WHERE id = 2"))
    erase(sqlite_sessions, house)
    with sqlite_sessions() as session:
        assert "dataset tickets version 1" in _changed(session)


def test_a_row_passed_off_as_erased_breaks_the_word_of_the_audit_log(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    """Somebody who may write to the database blanks a further row and keeps its true digest."""
    erase(sqlite_sessions, house)
    with sqlite_sessions() as session:
        session.execute(text("DROP TRIGGER guard_training_set_rows_frozen"))
        place = "SELECT position FROM training_set_rows WHERE example_id = 3"
        position = session.execute(text(place)).scalar_one()
        digest = digest_of(stored_lines(session, 1)[f"row:{position}"])
        session.execute(
            text(f"UPDATE training_set_rows SET erasure_id = 1, {BLANK} WHERE example_id = 3")
        )
        session.execute(
            text(
                "INSERT INTO erased_rows (erasure_id, subject, part, digest) "
                f"VALUES (1, 'training_set:1', 'row:{position}', '{digest}')"
            )
        )
        assert _changed(session) == ["erasure 1"]


REFUSED = (
    "UPDATE training_set_rows SET completion = 'other' WHERE example_id = 3",
    f"UPDATE training_set_rows SET {BLANK} WHERE example_id = 3",
    "UPDATE training_set_rows SET erasure_id = 1, completion = 'x' WHERE example_id = 3",
    "UPDATE training_set_rows SET erasure_id = 1, prompt = '[]', rejected = NULL, "
    "completion = 'Erased on x', position = 99 WHERE example_id = 3",
    "UPDATE erased_rows SET digest = 'f'",
    "DELETE FROM erased_rows",
    "UPDATE erasure_seals SET intact = true",
    "DELETE FROM erasure_seals",
)


def test_the_database_itself_refuses(sessions: sessionmaker[Session], settings: Settings) -> None:
    with sessions.begin() as session:
        house = build_house(session, settings)
    erase(sessions, house)
    for statement in REFUSED:
        with sessions() as session, pytest.raises(DBAPIError):
            session.execute(text(statement))
