"""An erasure that is killed is not done at all or done, and goes on when somebody comes by."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import open_database, session_factory
from backend.services.erasure import acts, files
from backend.services.erasure.acts import ask_erasure, carry_out, resume_erasures
from backend.services.erasure.requests import find_examples_to_erase
from backend.services.verification import verify_records
from backend.settings import Settings
from backend.tables.erasure import Erasure, ErasureState
from tests.backend.services.erasure.conftest import SECRET, build_house, bytes_of, everything_in
from tests.fixtures_review import NOW


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


POINTS: dict[str, tuple[object, str, bool]] = {
    "between a file and its new content": (files, "_zero", True),
    "after the files, before the rows": (acts, "blank_rows", True),
    "after the rows, before the commit": (acts, "note_in_file", True),
    "after the commit, before the free pages": (acts, "scrub_database", False),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_with_kill_9(sqlite_url: str, settings: Settings, point: str) -> None:
    engine = open_database(sqlite_url)
    sessions = session_factory(engine)
    with sessions.begin() as session:
        house = build_house(session, settings)
        wanted = find_examples_to_erase(session, house.desk.project.id, "tickets:train-0")
        asked = ask_erasure(session, house.desk.project.id, wanted, reason="r", by_id=None, now=NOW)
    engine.dispose()
    module, name, whole = POINTS[point]
    _in_child(lambda: _killed_at(module, name, sqlite_url, settings, asked.id))
    engine = open_database(sqlite_url)
    sessions = session_factory(engine)
    _check_half(sessions, whole=whole)
    assert resume_erasures(sessions, settings, now=NOW) == 1
    with sessions() as session:
        assert session.scalars(select(Erasure)).one().state == ErasureState.DONE
        assert SECRET not in everything_in(session)
        assert [v.what for v in verify_records(session) if not v.same] == []
    assert SECRET.encode() not in bytes_of(settings.home)
    engine.dispose()


def _killed_at(module: object, name: str, url: str, settings: Settings, erasure_id: int) -> None:
    setattr(module, name, _die)
    carry_out(session_factory(open_database(url)), settings, erasure_id, now=NOW)


def _in_child(work: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(7)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def _check_half(sessions: sessionmaker[Session], *, whole: bool) -> None:
    """Until the commit every row is what it was; after it none has the text."""
    with sessions() as session:
        erasure = session.scalars(select(Erasure)).one()
        told = everything_in(session)
        if whole:
            assert erasure.state == ErasureState.ASKED
            assert told.count(SECRET) >= 19
        else:
            assert erasure.state == ErasureState.ERASED
            assert SECRET not in told
