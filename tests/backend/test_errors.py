"""What a row keeps of an error: words that were written for people, and nobody's data."""

from __future__ import annotations

import sqlite3

import pytest
from pydantic import BaseModel, ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, reason_of

WORDS = "Mr Mustermann has a fever"


class Given(BaseModel):
    n: int


def broken_input() -> Exception:
    try:
        Given.model_validate({"n": WORDS})
    except ValidationError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        DBAPIError("INSERT INTO t VALUES (?)", [WORDS], sqlite3.IntegrityError(WORDS)),
        sqlite3.OperationalError(WORDS),
        broken_input(),
    ],
    ids=["sqlalchemy", "sqlite", "pydantic"],
)
def test_what_tells_rows_is_kept_by_its_kind_alone(error: Exception) -> None:
    kept = reason_of(error)
    assert WORDS not in kept
    assert type(error).__name__ in kept


def test_what_a_database_says_of_a_row_is_not_kept(session: Session) -> None:
    broken = text("INSERT INTO projects (id, name, base_model) VALUES (:a, :b, NULL)")
    with pytest.raises(DBAPIError) as caught:
        session.execute(broken, {"a": 1, "b": WORDS})
    assert WORDS not in reason_of(caught.value)


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (InvalidInput("No.", hint="Do this."), "No. Do this."),
        (ValueError("invalid literal"), "ValueError: invalid literal"),
    ],
)
def test_what_was_written_for_people_is_kept(error: Exception, kept: str) -> None:
    assert reason_of(error) == kept
