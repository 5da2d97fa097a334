"""Failed sign-ins are counted for all processes, wait longer each time, and keep nobody out."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.db import open_database, session_factory
from backend.errors import TooManyAttempts
from backend.services.accounts import attempts
from backend.services.accounts.attempts import LIMITS, count_try, forgive, keys_of
from backend.tables.sign_in import FailedTries
from tests.fixtures_review import NOW

KEYS = keys_of("ada", "10.0.0.1")
ONE_PROCESS = """
import sys
from datetime import datetime
from backend.db import open_database, session_factory
from backend.errors import TooManyAttempts
from backend.services.accounts.attempts import count_try, keys_of
sessions = session_factory(open_database(sys.argv[1]))
passed = 0
for _ in range(8):
    try:
        with sessions.begin() as session:
            count_try(session, keys_of("ada", "10.0.0.1"), now=datetime.fromisoformat(sys.argv[2]))
        passed += 1
    except TooManyAttempts:
        pass
print(passed)
"""


def try_once(sessions: sessionmaker[Session], keys: dict[str, str], **later: float) -> bool:
    """Whether a try gets as far as the password."""
    try:
        with sessions.begin() as session:
            count_try(session, keys, now=NOW + timedelta(**later))
    except TooManyAttempts:
        return False
    return True


def url_of(sessions: sessionmaker[Session]) -> str:
    return str(sessions.kw["bind"].url.render_as_string(hide_password=False))


def test_two_processes_count_together(sessions: sessionmaker[Session]) -> None:
    command = [sys.executable, "-c", ONE_PROCESS, url_of(sessions), NOW.isoformat()]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    passed = [int(one.communicate(timeout=120)[0]) for one in both]
    assert sum(passed) == LIMITS["name and address"].free


def test_many_at_once_do_not_slip_through(sessions: sessionmaker[Session]) -> None:
    url = url_of(sessions)

    def many(_: int) -> int:
        engine = open_database(url)
        own = session_factory(engine)
        passed = sum(try_once(own, KEYS) for _ in range(3))
        engine.dispose()
        return passed

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(many, range(6))) == LIMITS["name and address"].free


def test_waits_double_and_end(sqlite_sessions: sessionmaker[Session]) -> None:
    for _ in range(5):
        assert try_once(sqlite_sessions, KEYS)
    minute, waits = 0.0, []
    for _ in range(6):
        begun = minute
        while not try_once(sqlite_sessions, KEYS, minutes=minute):
            minute += 1
        waits.append(minute - begun)
    assert waits == [5, 10, 20, 40, 60, 60]


def test_tries_during_a_wait_lengthen_nothing(sqlite_sessions: sessionmaker[Session]) -> None:
    for _ in range(5):
        try_once(sqlite_sessions, KEYS)
    for second in range(0, 299, 10):
        assert not try_once(sqlite_sessions, KEYS, seconds=second)
    assert try_once(sqlite_sessions, KEYS, seconds=301)


def test_quiet_is_forgotten(sqlite_sessions: sessionmaker[Session]) -> None:
    for _ in range(4):
        try_once(sqlite_sessions, KEYS)
    passed = [try_once(sqlite_sessions, KEYS, minutes=31) for _ in range(6)]
    assert passed == [True] * 5 + [False]


def test_a_right_one_takes_the_count_back(sqlite_sessions: sessionmaker[Session]) -> None:
    for _ in range(3):
        for _ in range(4):
            assert try_once(sqlite_sessions, KEYS)
        with sqlite_sessions.begin() as session:
            count_try(session, KEYS, now=NOW)
            forgive(session, KEYS, now=NOW)


def test_one_address_tries_no_more_than_its_share(sqlite_sessions: sessionmaker[Session]) -> None:
    passed = [try_once(sqlite_sessions, keys_of(f"n{n}", "10.0.0.9")) for n in range(40)]
    assert sum(passed) == LIMITS["address"].free
    assert try_once(sqlite_sessions, keys_of("n0", "10.0.0.8"))


def test_right_sign_ins_between_do_not_free_an_address(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    passed = 0
    for n in range(60):
        passed += try_once(sqlite_sessions, keys_of(f"n{n}", "10.0.0.9"))
        mine = keys_of("mallory", "10.0.0.9")
        if try_once(sqlite_sessions, mine):
            with sqlite_sessions.begin() as session:
                forgive(session, mine, now=NOW)
    assert passed <= LIMITS["address"].free


def test_a_network_of_ipv6_is_one_address() -> None:
    one, two = (keys_of("x", f"2001:db8:0:1::{n}")["address"] for n in (1, 2))
    assert one == two != keys_of("x", "2001:db8:0:2::1")["address"]
    assert keys_of("x", "unknown")["address"] == "unknown"


def test_strangers_cannot_keep_an_admin_out(sqlite_sessions: sessionmaker[Session]) -> None:
    """A hundred addresses fail under the name all day; the admin's own browser is let through."""
    for n in range(150):
        try_once(sqlite_sessions, keys_of("ada", f"10.0.{n}.1"))
    assert not try_once(sqlite_sessions, keys_of("ada", "10.9.9.9"))
    assert try_once(sqlite_sessions, keys_of("ada", "10.9.9.9", device="known"))
    assert try_once(sqlite_sessions, keys_of("ada", "10.9.9.9"), minutes=16)


def test_a_known_browser_is_no_free_pass(sqlite_sessions: sessionmaker[Session]) -> None:
    keys = keys_of("ada", "10.0.0.1", device="known")
    passed = [try_once(sqlite_sessions, keys) for _ in range(20)]
    assert sum(passed) == LIMITS["device"].free


def test_unlocking_frees_every_address_of_the_name(sqlite_sessions: sessionmaker[Session]) -> None:
    for _ in range(6):
        try_once(sqlite_sessions, KEYS)
        try_once(sqlite_sessions, keys_of("bob", "10.0.0.2"))
    with sqlite_sessions.begin() as session:
        attempts.unblock(session, "ADA", user_id=1)
    assert try_once(sqlite_sessions, KEYS)
    assert not try_once(sqlite_sessions, keys_of("bob", "10.0.0.2"))


def test_what_was_typed_is_not_kept_and_old_rows_go(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    for name in ("my password, in the wrong box", "\x00", "\ud83d", "x" * 5000):
        try_once(sqlite_sessions, keys_of(name, "10.0.0.1"))
    with sqlite_sessions.begin() as session:
        kept = [f"{row.kind}{row.key_hash}" for row in session.query(FailedTries)]
        assert not any("password" in text for text in kept)
        attempts.forget_old(session, now=NOW + timedelta(days=2))
        assert session.query(FailedTries).count() == 0


@pytest.mark.parametrize("name", ["Ada", "ADA", "ada"])
def test_names_are_counted_as_one_however_written(name: str) -> None:
    assert keys_of(name, "10.0.0.1") == KEYS
