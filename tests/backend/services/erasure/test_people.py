"""A person who is erased is named nowhere, and what they said still counts."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict
from backend.services.accounts.credentials import create_token
from backend.services.accounts.users import create_user, find_user
from backend.services.erasure.acts import carry_out
from backend.services.erasure.people import ask_person_erasure
from backend.settings import Settings
from backend.tables.accounts import IdempotencyKey, LoginSession, Membership, Token, User
from backend.tables.queue import Job
from backend.tables.review import Correction, Review, ReviewSlot, SlotState
from tests.backend.services.erasure.conftest import build_house, everything_in, told
from tests.fixtures_review import NOW


def test_nothing_names_them_and_their_reviews_stay(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sessions.begin() as session:
        house = build_house(session, settings)
        user = session.merge(house.desk.experts[0])
        name, pseudonym = user.name, user.pseudonym
        create_token(session, user, "laptop of hers", now=NOW)
        session.add(Job(kind="x", subject_id=1, queue="q", error=f"Run 1 was cancelled by {name}."))
        corrections = session.scalar(select(func.count(Correction.id)))
        asked = ask_person_erasure(session, user, reason="left", by_id=None, now=NOW)
    done = carry_out(sessions, settings, asked.id, now=NOW)
    assert done.state == "done"
    with sessions() as session:
        everything = everything_in(session)
        assert name not in everything
        assert told("Comment") not in [r.comment for r in session.scalars(select(Review))]
        assert told("Draft") not in everything
        user = session.get_one(User, user.id)
        assert (user.pseudonym, user.active, user.password_hash) == (pseudonym, False, None)
        assert session.scalar(select(func.count(Correction.id))) == corrections
        mine = [table.user_id == user.id for table in (LoginSession, IdempotencyKey, Membership)]
        for table, condition in zip((LoginSession, IdempotencyKey, Membership), mine, strict=True):
            assert not session.scalars(select(table.id).where(condition)).all()
        assert [(t.name, t.prefix) for t in session.scalars(select(Token))] == [("erased", "")]
        held = ReviewSlot.owner_id == user.id, ReviewSlot.state == SlotState.LEASED
        assert not session.scalars(select(ReviewSlot.id).where(*held)).all()


def test_the_last_admin_stays_and_nobody_goes_twice(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sqlite_sessions.begin() as session:
        create_user(session, "root", role="admin", password="a long enough one")
        with pytest.raises(Conflict, match="last admin"):
            ask_person_erasure(session, find_user(session, "root"), reason="x", by_id=None, now=NOW)
        other = create_user(session, "eva", role="expert", password="a long enough one")
        asked = ask_person_erasure(session, other, reason="x", by_id=None, now=NOW)
    carry_out(sqlite_sessions, settings, asked.id, now=NOW)
    with sqlite_sessions() as session:
        gone = session.get_one(User, other.id)
    with sqlite_sessions() as session, pytest.raises(Conflict, match="already"):
        ask_person_erasure(session, gone, reason="x", by_id=None, now=NOW)
