"""The chain on both databases: what is let through, in which order, and that no edit is unseen."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from backend.services.accounts.sealing import open_seal
from backend.services.audit import Actor, act_as, record
from backend.services.audit.chain import (
    EMPTY,
    ENTRIES,
    GENESIS,
    Head,
    check,
    check_head,
    content_of,
    count_unsealed,
    digest_after,
    each_sealed,
    head_of,
    seal,
)
from backend.services.audit.export import check_lines, export_lines
from backend.services.audit.heads import FILE, check_heads, note_head, parse_head, seal_and_note
from backend.settings import Settings
from backend.tables.audit import AuditEntry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRIGGERS = ("added", "sealed", "kept")


def fill(sessions: sessionmaker[Session], n: int, *, begins: int = 0) -> None:
    """Entries that differ in everything."""
    with sessions.begin() as session:
        for number in range(begins, begins + n):
            act_as(session, Actor(user_id=number + 1, token_id=number % 3 or None, via="api"))
            detail = {"route": "GET /x", "of": "examples", "n": number, "ids": [number, number + 1]}
            record(
                session,
                "texts.read",
                subject=f"dataset_version:{number}",
                project_id=number + 7,
                detail=detail,
            )


def order(session: Session) -> list[int]:
    return [entry.id for entry in each_sealed(session)]


def test_what_an_empty_log_is(sessions: sessionmaker[Session]) -> None:
    assert seal(sessions) is None
    with sessions() as session:
        assert head_of(session) == EMPTY
        assert check(session).holds
        assert list(export_lines(session)) == []


def test_entries_are_sealed_in_order_and_only_once(sessions: sessionmaker[Session]) -> None:
    fill(sessions, 7)
    first = seal(sessions, batch=3)
    assert first is not None
    assert first.seq == 7
    assert seal(sessions) is None
    fill(sessions, 2, begins=7)
    assert seal(sessions) != first
    with sessions() as session:
        assert order(session) == list(range(1, 10))
        found = check(session)
        assert (found.holds, found.head.seq, found.unsealed) == (True, 9, 0)
        previous = GENESIS
        for entry in each_sealed(session):
            assert entry.digest == digest_after(previous, entry.seq, content_of(entry))
            previous = entry.digest
        part = check(session, last=4)
        assert (part.holds, part.begins) == (True, 6)


def test_the_content_is_the_same_after_a_way_through_the_database(
    sessions: sessionmaker[Session],
) -> None:
    """Values at which JSON, SQLite and PostgreSQL differ."""
    ids: list[Any] = [0.1, 1e300, -0.0, 2**62, True, None, "é\u202e", {"b": 1, "a": [2]}]
    with sessions.begin() as session:
        detail = {"route": "a\x00b\ud800\nc", "ids": ids}
        record(session, "texts.read", subject="x\x00:1" + "y" * 200, detail=detail)
    seal(sessions)
    with sessions() as session:
        assert check(session).holds
        entry = session.scalars(select(AuditEntry)).one()
        assert entry.detail == {
            "route": "a\ufffdb\ufffd\ufffdc",
            "ids": [*ids[:6], "é\ufffd", ids[7]],
        }
        assert entry.subject == ("x\ufffd:1" + "y" * 200)[:120]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_entries SET action = 'x' WHERE id = 1",
        "UPDATE audit_entries SET action = 'x' WHERE id = 3",
        "UPDATE audit_entries SET detail = '{}' WHERE id = 3",
        "UPDATE audit_entries SET seq = NULL WHERE id = 2",
        "UPDATE audit_entries SET seq = 9 WHERE id = 2",
        f"UPDATE audit_entries SET digest = '{'a' * 64}' WHERE id = 2",
        f"UPDATE audit_entries SET seq = 9, digest = '{'a' * 64}' WHERE id = 3",
        f"UPDATE audit_entries SET seq = 1, digest = '{'a' * 64}' WHERE id = 3",
        "UPDATE audit_entries SET seq = 3, digest = 'a' WHERE id = 3",
        f"UPDATE audit_entries SET seq = 3, digest = '{'a' * 64}', who = 'x' WHERE id = 3",
        "DELETE FROM audit_entries WHERE id = 1",
        "DELETE FROM audit_entries WHERE id = 3",
        "DELETE FROM audit_entries",
    ],
)
def test_nothing_but_sealing_is_let_through(
    sessions: sessionmaker[Session], database: Engine, change: str
) -> None:
    fill(sessions, 2)
    seal(sessions)
    fill(sessions, 1, begins=2)
    with database.begin() as connection, pytest.raises(DBAPIError, match="only ever added"):
        connection.execute(text(change))


VALUES = "'a', 'api', '', '', '{}', '2026-01-01 00:00:00'"
NAMES = "action, via, who, subject, detail, created_at"


@pytest.mark.parametrize(
    "change",
    [
        f"INSERT INTO audit_entries (seq, digest, {NAMES}) VALUES (2, '{'a' * 64}', {VALUES})",
        f"INSERT INTO audit_entries (seq, {NAMES}) VALUES (7, {VALUES})",
        f"INSERT INTO audit_entries (id, {NAMES}) VALUES (1, {VALUES})",
        f"INSERT OR REPLACE INTO audit_entries (id, {NAMES}) VALUES (1, {VALUES})",
        f"REPLACE INTO audit_entries (id, {NAMES}) VALUES (1, {VALUES})",
        f"UPDATE OR REPLACE audit_entries SET seq = 1, digest = '{'a' * 64}' WHERE id = 2",
    ],
)
def test_nothing_is_put_in_the_place_of_an_entry(
    sessions: sessionmaker[Session], database: Engine, change: str
) -> None:
    fill(sessions, 1)
    seal(sessions)
    fill(sessions, 1, begins=1)
    if "REPLACE" in change and database.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has no REPLACE")
    with database.begin() as connection, pytest.raises(DBAPIError):
        connection.execute(text(change))
    with sessions() as session:
        assert [entry.user_id for entry in session.scalars(select(AuditEntry))] == [1, 2]


@pytest.mark.postgres
def test_a_log_is_not_truncated(postgres_url: str) -> None:
    from backend.db import open_database

    engine = open_database(postgres_url)
    with engine.begin() as connection, pytest.raises(DBAPIError, match="only ever added"):
        connection.execute(text("TRUNCATE audit_entries"))
    engine.dispose()


@pytest.mark.postgres
def test_an_entry_that_becomes_visible_late_is_sealed_late(postgres_url: str) -> None:
    from backend.db import open_database, session_factory

    engine = open_database(postgres_url)
    sessions = session_factory(engine)
    with sessions() as slow:
        record(slow, "signin.ended", subject="user:1")
        fill(sessions, 2)
        assert seal(sessions) == _head(sessions)
        with sessions() as session:
            assert order(session) == [2, 3]
        slow.commit()
    seal(sessions)
    with sessions() as session:
        assert order(session) == [2, 3, 1]
        assert check(session).holds
    engine.dispose()


def _head(sessions: sessionmaker[Session]) -> Head:
    with sessions() as session:
        return head_of(session)


def test_several_sealers_at_once_make_one_chain(sessions: sessionmaker[Session]) -> None:
    fill(sessions, 120)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: seal(sessions, batch=7), range(4)))
    with sessions() as session:
        assert check(session).holds
        assert order(session) == list(range(1, 121))


SEALER = """
import sys
from backend.db import open_database, session_factory
from backend.services.audit.chain import seal
sessions = session_factory(open_database(sys.argv[1]))
print("begins", flush=True)
seal(sessions, batch=2)
"""


def test_killed_while_it_seals(sessions: sessionmaker[Session], database_url: str) -> None:
    fill(sessions, 2000)
    child = subprocess.Popen(
        [sys.executable, "-c", SEALER, database_url], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert child.stdout is not None
    child.stdout.readline()
    _wait(lambda: _head(sessions).seq > 10)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with sessions() as session:
        found = check(session)
        assert found.holds
        assert 10 < found.head.seq < 2000
        assert found.head.seq + count_unsealed(session) == 2000
    seal(sessions)
    with sessions() as session:
        assert check(session).holds
        assert order(session) == list(range(1, 2001))


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# Edits by somebody who may do anything in the database, but for computing the chain anew.


def loose(connection: Connection) -> None:
    """Let everything through until the transaction ends."""
    if connection.dialect.name == "sqlite":
        for name in TRIGGERS:
            connection.execute(text(f"DROP TRIGGER guard_audit_entries_{name}"))
    else:
        connection.execute(text("SET LOCAL session_replication_role = replica"))


FIELDS: dict[str, Callable[[Any], Any]] = {
    "id": lambda old: old + 1000,
    "seq": lambda old: old + 1000,
    "digest": lambda old: old[:-1] + ("0" if old[-1] != "0" else "1"),
    "action": lambda old: "export.begun",
    "user_id": lambda old: old + 1,
    "token_id": lambda old: None if old else 5,
    "via": lambda old: "cli",
    "who": lambda old: "eve",
    "project_id": lambda old: None,
    "subject": lambda old: old + "0",
    "detail": lambda old: {**old, "n": old["n"] + 1},
    "created_at": lambda old: old + timedelta(microseconds=1),
}


def edit_a_field(connection: Connection, rows: list[Any], dice: random.Random) -> str:
    row, field = dice.choice(rows), dice.choice([*FIELDS])
    new = FIELDS[field](getattr(row, field))
    connection.execute(update(ENTRIES).where(ENTRIES.c.id == row.id).values({field: new}))
    return f"{field} of {row.seq}"


def delete_some(connection: Connection, rows: list[Any], dice: random.Random) -> str:
    gone = dice.sample(rows, dice.choice([1, 1, 2, 5]))
    connection.execute(delete(ENTRIES).where(ENTRIES.c.id.in_([row.id for row in gone])))
    return f"deletion of {sorted(row.seq for row in gone)}"


def swap_two(connection: Connection, rows: list[Any], dice: random.Random) -> str:
    """The contents of two entries, or their places."""
    one, other = dice.sample(rows, 2)
    columns = dice.choice([("seq",), ("user_id",), ("action", "user_id", "detail", "subject")])
    if columns == ("seq",):
        _update(connection, one.id, seq=9999)
    for row, source in ((other, one), (one, other)):
        _update(connection, row.id, **{name: getattr(source, name) for name in columns})
    if columns == ("action", "user_id", "detail", "subject"):
        assert one.user_id != other.user_id
    return f"swap of {columns} of {one.seq} and {other.seq}"


def insert_one(connection: Connection, rows: list[Any], dice: random.Random) -> str:
    """A copy of an entry, put in at some place; what comes after moves on."""
    source, place = dice.choice(rows), dice.choice(rows).seq
    later = [row for row in rows if row.seq >= place]
    for row in reversed(later):
        _update(connection, row.id, seq=row.seq + 1)
    values = {**source._asdict(), "id": 5000, "seq": place, "user_id": 77}
    connection.execute(insert(ENTRIES).values(values))
    return f"insertion at {place}"


def _update(connection: Connection, entry: int, **values: Any) -> None:
    connection.execute(update(ENTRIES).where(ENTRIES.c.id == entry).values(values))


EDITS = (edit_a_field, delete_some, swap_two, insert_one)


def edits_of(engine: Engine, n: int, *, seed: int) -> Iterator[tuple[str, Session]]:
    """A random edit after the other, each undone before the next."""
    dice = random.Random(seed)
    for number in range(n):
        with engine.connect() as connection, connection.begin() as transaction:
            rows = list(connection.execute(select(ENTRIES).order_by(ENTRIES.c.seq)))
            loose(connection)
            said = EDITS[number % len(EDITS)](connection, rows, dice)
            with Session(connection) as session:
                yield said, session
            transaction.rollback()


def unseen_edits(sessions: sessionmaker[Session], home: Path, n: int) -> list[str]:
    """Of n random edits those that neither the chain nor a noted head shows."""
    engine: Engine = sessions.kw["bind"]
    fill(sessions, 24)
    signs = open_seal(Settings(home=home))
    seal_and_note(sessions, home, signs, now=NOW)
    unseen = []
    for said, session in edits_of(engine, n, seed=11):
        places = [found for found in check(session).findings if found.seq is not None]
        if not places and not list(check_heads(session, home, signs)):
            unseen.append(said)
    with sessions() as session:
        assert check(session).holds
        assert list(check_heads(session, home, signs)) == []
    return unseen


def test_every_edit_is_found(sessions: sessionmaker[Session], tmp_path: Path) -> None:
    assert unseen_edits(sessions, tmp_path, 80) == []


@pytest.mark.deep
def test_every_edit_of_a_thousand_is_found(sessions: sessionmaker[Session], tmp_path: Path) -> None:
    assert unseen_edits(sessions, tmp_path, 1000) == []


def test_every_edit_of_a_file_is_found(sqlite_sessions: sessionmaker[Session]) -> None:
    """1,000 random single-field edits, deletions, swaps and insertions of an export."""
    fill(sqlite_sessions, 60)
    head = seal(sqlite_sessions)
    with sqlite_sessions() as session:
        lines = list(export_lines(session))
    whole = check_lines(lines)
    assert (whole.findings, whole.head, whole.entries) == ((), head, 60)
    dice = random.Random(5)
    unseen = []
    for number in range(1000):
        edited = _edited(list(lines), dice, number % 4)
        found = check_lines(edited)
        if not found.findings and found.head == head and found.first == 1:
            unseen.append(number)
    assert unseen == []


def _edited(lines: list[str], dice: random.Random, kind: int) -> list[str]:
    one, other = dice.sample(range(len(lines)), 2)
    if kind == 0:
        line = json.loads(lines[one])
        key = dice.choice(["seq", "digest", *line["entry"]])
        place = line if key in line else line["entry"]
        place[key] = "changed" if place[key] != "changed" else "anew"
        lines[one] = json.dumps(line)
    elif kind == 1:
        del lines[one]
    elif kind == 2:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines.insert(one, lines[other])
    return lines


@pytest.mark.parametrize("bad", ["", "{", "[]", '{"seq": 1}', "\x00", "null", '{"entry": 3}'])
def test_what_is_no_line_of_a_log(bad: str) -> None:
    assert not check_lines([bad]).head
    assert check_lines([bad]).findings


def test_a_log_computed_anew_is_found_by_a_noted_head_alone(
    sqlite_sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    signs = open_seal(Settings(home=tmp_path))
    fill(sqlite_sessions, 5)
    kept = seal_and_note(sqlite_sessions, tmp_path, signs, now=NOW)
    assert kept is not None
    engine: Engine = sqlite_sessions.kw["bind"]
    with engine.begin() as connection:
        loose(connection)
        connection.execute(update(ENTRIES).where(ENTRIES.c.id == 3).values(user_id=99))
        previous = GENESIS
        for row in connection.execute(select(ENTRIES).order_by(ENTRIES.c.seq)).all():
            previous = digest_after(previous, row.seq, content_of(row))
            _update(connection, row.id, digest=previous)
    with sqlite_sessions() as session:
        assert [found.seq for found in check(session).findings] == [None] * 3  # the triggers
        assert [found.seq for found in check_heads(session, tmp_path, signs)] == [5]
        assert check_head(session, parse_head(str(kept)), noted="mine") is not None


def test_an_entry_with_a_digest_of_its_own_breaks_the_next(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    """Each digest rests on the one before, so that one entry cannot be computed anew alone."""
    fill(sqlite_sessions, 4)
    seal(sqlite_sessions)
    with sqlite_sessions() as session:
        lines = [json.loads(line) for line in export_lines(session)]
    edited = lines[1]
    edited["entry"]["user_id"] = 99
    edited["digest"] = digest_after(edited["previous"], 2, edited["entry"])
    found = check_lines(json.dumps(line) for line in lines)
    assert [finding.seq for finding in found.findings] == [3]


def test_a_cut_tail_is_found_by_a_noted_head(
    sqlite_sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    signs = open_seal(Settings(home=tmp_path))
    fill(sqlite_sessions, 5)
    seal_and_note(sqlite_sessions, tmp_path, signs, now=NOW)
    engine: Engine = sqlite_sessions.kw["bind"]
    with engine.begin() as connection:
        loose(connection)
        connection.execute(text("DELETE FROM audit_entries WHERE seq > 3"))
    with sqlite_sessions() as session:
        [found] = check_heads(session, tmp_path, signs)
    assert found.what == "the log ends at 3, but the head of 2026-03-01T12:00:00+00:00 has it at 5"


def test_the_file_of_heads_keeps_the_first_of_a_day_and_the_last(
    sqlite_sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    signs = open_seal(Settings(home=tmp_path))
    for number in range(6):
        fill(sqlite_sessions, 1, begins=number)
        seal_and_note(sqlite_sessions, tmp_path, signs, now=NOW + timedelta(hours=9 * number))
    lines = (tmp_path / FILE).read_text().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 3, 5, 6]
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("change", ["seq", "digest", "at", "sealed", "line", "gone"])
def test_a_changed_file_of_heads_is_seen(
    sqlite_sessions: sessionmaker[Session], tmp_path: Path, change: str
) -> None:
    signs = open_seal(Settings(home=tmp_path))
    fill(sqlite_sessions, 3)
    seal_and_note(sqlite_sessions, tmp_path, signs, now=NOW)
    line = json.loads((tmp_path / FILE).read_text())
    match change:
        case "gone":
            (tmp_path / FILE).unlink()
        case "line":
            (tmp_path / FILE).write_text("no line\n")
        case "seq":
            (tmp_path / FILE).write_text(json.dumps({**line, "seq": 2}) + "\n")
        case _:
            (tmp_path / FILE).write_text(json.dumps({**line, change: line[change] + "0"}) + "\n")
    with sqlite_sessions() as session:
        assert len(list(check_heads(session, tmp_path, signs))) == 1


def test_a_head_of_another_installation_is_none_of_ours(
    sqlite_sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    fill(sqlite_sessions, 3)
    head = seal(sqlite_sessions)
    assert head is not None
    note_head(tmp_path / "a", head, open_seal(Settings(home=tmp_path / "b")), now=NOW)
    with sqlite_sessions() as session:
        signs = open_seal(Settings(home=tmp_path / "a"))
        assert len(list(check_heads(session, tmp_path / "a", signs))) == 1


def test_a_part_of_the_chain_is_checked_by_itself(sqlite_sessions: sessionmaker[Session]) -> None:
    fill(sqlite_sessions, 4)
    seal(sqlite_sessions)
    moment = datetime.now(UTC)
    fill(sqlite_sessions, 3, begins=4)
    seal(sqlite_sessions)
    with sqlite_sessions() as session:
        late = list(export_lines(session, since=moment))
        early = list(export_lines(session, until=moment))
    assert (check_lines(late).first, check_lines(late).entries) == (5, 3)
    assert check_lines(late).findings == check_lines(early).findings == ()
    assert len(early) == 4
    assert json.loads(late[0])["previous"] == json.loads(early[-1])["digest"]
