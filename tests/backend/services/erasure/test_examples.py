"""An example that is erased is nowhere any more, and all that counted it still counts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import open_database, session_factory
from backend.errors import InvalidInput, NotFound
from backend.services.datasets.versions import ExampleRow, import_dataset, rows_digest, stored_rows
from backend.services.erasure import acts
from backend.services.erasure.acts import (
    ask_erasure,
    carry_out,
    replay_erasures,
    resume_erasures,
)
from backend.services.erasure.requests import find_examples_to_erase
from backend.services.erasure.scrub import scrub_database
from backend.services.verification import verify_records
from backend.settings import Settings
from backend.tables.audit import AuditEntry
from backend.tables.datasets import Example
from backend.tables.erasure import Erasure, ErasureState
from backend.tables.runs import Score
from evaluators.types import Span
from tests.backend.services.erasure.conftest import (
    SECRET,
    House,
    build_house,
    bytes_of,
    everything_in,
    told,
)
from tests.fixtures_review import NOW, build_desk


def erase(sessions: sessionmaker[Session], house: House, name: str = "tickets:train-0") -> Erasure:
    """Ask and carry out."""
    project_id = house.desk.project.id
    with sessions.begin() as session:
        wanted = find_examples_to_erase(session, project_id, name)
        erasure = ask_erasure(
            session, project_id, wanted, reason="consent withdrawn", by_id=None, now=NOW
        )
    return carry_out(sessions, house.settings, erasure.id, now=NOW)


def test_the_secret_is_in_no_row_of_any_table(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sessions.begin() as session:
        house = build_house(session, settings)
    with sessions() as session:
        before = everything_in(session)
    assert before.count(SECRET) >= 19
    done = erase(sessions, house)
    assert done.state == ErasureState.DONE, done.found
    with sessions() as session:
        after = everything_in(session)
        assert SECRET not in after
        assert SECRET[:24] not in after
        assert after.count("another correction") == 2 * 5
        assert [v.what for v in verify_records(session) if not v.same] == []
        assert session.scalars(select(Score.value)).all() == [0.125]
    assert SECRET.encode() not in bytes_of(house.settings.home)


def test_marks_in_what_was_erased_can_still_be_read(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    """As a score run does that computes a risk of all that its run has."""
    erase(sqlite_sessions, house)
    with sqlite_sessions() as session:
        (spans,) = session.scalars(select(Score.spans)).all()
    assert [Span(**span) for span in spans] == [Span(0, 4, "", "name")]


def test_what_it_came_to_is_named(sqlite_sessions: sessionmaker[Session], house: House) -> None:
    found = erase(sqlite_sessions, house).found
    assert found["sets"] == ["s"]
    assert found["adapters"] == ["base:v2@1"]
    assert found["exports"] == []
    assert found["rows"]["generations"] == 2
    assert found["elsewhere"] == {
        "idempotency_keys": 1,
        "jobs": 1,
        "preflights": 1,
        "webhook_deliveries": 1,
    }
    assert any(name.endswith("train.jsonl") for name in found["files"])
    assert any(name.endswith("strop.json") for name in found["files"])
    assert found["unread"] == []


def test_the_database_file_and_its_log_hold_no_byte_of_it(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sqlite_sessions.begin() as session:
        house = build_house(session, settings)
    file = Path(str(sqlite_sessions.kw["bind"].url.database))

    def raw() -> bytes:
        return b"".join(p.read_bytes() for p in file.parent.glob(f"{file.name}*"))

    assert SECRET.encode() in raw()
    assert erase(sqlite_sessions, house).state == ErasureState.DONE
    assert SECRET.encode() not in raw()
    assert b"Odilia" not in raw()


def test_where_the_database_is_busy_the_erasure_waits_and_is_resumed(
    sqlite_sessions: sessionmaker[Session], house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "scrub_database", lambda engine, tables: "busy")
    waiting = erase(sqlite_sessions, house)
    assert (waiting.state, waiting.found["waits"]) == (ErasureState.ERASED, "busy")
    monkeypatch.undo()
    assert resume_erasures(sqlite_sessions, house.settings, now=NOW) == 1
    assert resume_erasures(sqlite_sessions, house.settings, now=NOW) == 0


def test_a_reader_keeps_the_log_of_writes(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sqlite_sessions.begin() as session:
        build_house(session, settings)
    file = str(sqlite_sessions.kw["bind"].url.database)
    engine = sqlite_sessions.kw["bind"]
    with closing(sqlite3.connect(file)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM scores").fetchone()
        assert "could not be emptied" in str(scrub_database(engine, ()))
        reader.rollback()
    assert scrub_database(engine, ()) is None


def test_the_same_prompt_goes_under_every_id_and_in_every_version(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    project_id = house.desk.project.id
    with sqlite_sessions.begin() as session:
        old = session.get_one(Example, house.example_id)
        row = ExampleRow(
            "train-0", old.input, old.context, tuple(old.references), "g", split="train"
        )
        later = [row, ExampleRow("x", "Something else that is asked", split="train")]
        import_dataset(session, project_id, "tickets", later, source_name="later")
        copy = ExampleRow("other", old.input, old.context, (), "g", split="train")
        import_dataset(session, project_id, "copies", [copy], source_name="copy")
    with sqlite_sessions() as session:
        wanted = find_examples_to_erase(session, project_id, "tickets:train-0")
        assert (len(wanted.example_ids), wanted.n_copies) == (3, 1)
        assert (
            len(find_examples_to_erase(session, project_id, str(house.example_id)).example_ids) == 3
        )
        alone = find_examples_to_erase(session, project_id, "tickets:train-0", copies=False)
        assert len(alone.example_ids) == 2
    erase(sqlite_sessions, house)
    with sqlite_sessions() as session:
        assert SECRET not in everything_in(session)


def test_what_was_erased_does_not_come_in_again(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    row = ExampleRow("train-0", told("Question"), told("Source"), split="train")
    erase(sqlite_sessions, house)
    with sqlite_sessions.begin() as session:
        again = [row, ExampleRow("new", "Quite another question", split="train")]
        version = import_dataset(
            session, house.desk.project.id, "fresh", again, source_name="again.jsonl"
        )
        assert version.n_examples == 1
        assert version.split_recipe["left_out_as_erased"] == 1
        with pytest.raises(InvalidInput, match="all 1 rows were erased"):
            import_dataset(session, house.desk.project.id, "f2", [row], source_name="again.jsonl")


def test_a_group_goes_in_all_its_rows_and_no_row_of_it_comes_in_again(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    project_id = house.desk.project.id
    with sqlite_sessions.begin() as session:
        for example in session.scalars(select(Example).where(Example.id.in_([2, 3]))):
            example.group = "Odilia Brandtner"
        session.flush()
        house.desk.version.digest = rows_digest(stored_rows(session, house.desk.version.id))
        session.merge(house.desk.version)
        wanted = find_examples_to_erase(session, project_id, "tickets:Odilia Brandtner", group=True)
        assert wanted.example_ids == (2, 3)
        asked = ask_erasure(session, project_id, wanted, reason="gone", by_id=None, now=NOW)
    carry_out(sqlite_sessions, house.settings, asked.id, now=NOW)
    with sqlite_sessions.begin() as session:
        groups = session.scalars(select(Example.group).where(Example.id.in_([2, 3]))).all()
        assert groups == [f"erased group {asked.id}.1"] * 2
        new = ExampleRow("n", "Never seen before", group="Odilia Brandtner", split="train")
        with pytest.raises(InvalidInput):
            import_dataset(session, project_id, "tickets", [new], source_name="x")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("tickets:nobody", NotFound),
        ("9999", NotFound),
        ("elsewhere:train-0", NotFound),
        ("train-0", InvalidInput),
        ("", InvalidInput),
        (":", InvalidInput),
        ("tickets:\0", NotFound),
    ],
)
def test_what_is_not_there_is_not_erased(
    sqlite_sessions: sessionmaker[Session], name: str, error: type[Exception]
) -> None:
    with sqlite_sessions() as session:
        desk = build_desk(session)
        with pytest.raises(error):
            find_examples_to_erase(session, desk.project.id, name)


def test_of_another_project_nothing_is_found(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions() as session:
        build_desk(session)
        other = build_desk(session, name="other")
        with pytest.raises(NotFound):
            find_examples_to_erase(session, other.project.id, "1")


@pytest.mark.parametrize("reason", ["", "  \n ", "a\0b", "x" * 501])
def test_a_reason_is_one_line(sqlite_sessions: sessionmaker[Session], reason: str) -> None:
    with sqlite_sessions() as session:
        desk = build_desk(session)
        wanted = find_examples_to_erase(session, desk.project.id, "1")
        with pytest.raises(InvalidInput):
            ask_erasure(session, desk.project.id, wanted, reason=reason, by_id=None, now=NOW)


def test_erasing_twice_is_said(sqlite_sessions: sessionmaker[Session], house: House) -> None:
    done = erase(sqlite_sessions, house)
    with sqlite_sessions() as session, pytest.raises(NotFound, match="erased already"):
        find_examples_to_erase(session, house.desk.project.id, "tickets:train-0")
    again = carry_out(sqlite_sessions, house.settings, done.id, now=NOW)
    assert again.state == ErasureState.DONE


def test_the_audit_names_it_and_holds_no_text(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    done = erase(sqlite_sessions, house)
    with sqlite_sessions() as session:
        entry = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "example.erased")
        ).one()
        assert entry.subject == f"erasure:{done.id}"
        assert entry.detail["adapters"] == ["base:v2@1"]
        assert SECRET not in str(entry.detail)
        assert "consent" not in str(entry.detail)


def test_an_older_copy_is_brought_up_to_what_was_erased_since(
    sqlite_sessions: sessionmaker[Session], settings: Settings, tmp_path: Path
) -> None:
    with sqlite_sessions.begin() as session:
        house = build_house(session, settings)
    file = Path(str(sqlite_sessions.kw["bind"].url.database))
    backup = tmp_path / "restored.db"
    with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(backup)) as new:
        old.backup(new)
    erase(sqlite_sessions, house)
    lines = (settings.home / acts.ERASURES_FILE).read_text().splitlines()
    assert SECRET not in "".join(lines)
    engine = open_database(f"sqlite:///{backup}")
    restored = session_factory(engine)
    assert [one.state for one in replay_erasures(restored, settings, lines, now=NOW)] == ["done"]
    assert replay_erasures(restored, settings, lines, now=NOW) == []
    with restored() as session:
        assert SECRET not in everything_in(session)
    with pytest.raises(InvalidInput, match="Line 1"):
        replay_erasures(restored, settings, ["{}"], now=NOW)
    engine.dispose()
