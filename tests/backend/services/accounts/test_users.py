"""People and their credentials: what is stored, who gets in, who may see what."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Literal

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound
from backend.services.accounts import credentials, passwords, users
from backend.services.accounts.callers import caller_by_session, caller_by_token
from backend.services.projects import create_project
from backend.tables.accounts import Token, User

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
IDLE = timedelta(hours=1)
PASSWORD = "correct horse battery"


def bearer(session: Session, secret: credentials.Secret, *, now: datetime = NOW) -> User:
    """Who acts under the token."""
    return caller_by_token(session.connection(), secret.value, now=now).user


class TestPasswords:
    def test_are_kept_as_argon2id(self, session: Session) -> None:
        user = users.create_user(session, "eva", "admin", password=PASSWORD)
        assert user.password_hash is not None
        assert user.password_hash.startswith("$argon2id$")
        assert users.verify_password(session, "eva", PASSWORD) is user

    @pytest.mark.parametrize("password", ["short", "x" * 1001, ""])
    def test_of_a_bad_length_are_refused(self, session: Session, password: str) -> None:
        with pytest.raises(InvalidInput, match="12 to 1000"):
            users.create_user(session, "eva", "admin", password=password)

    def test_unknown_name_costs_a_hash_too(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        users.create_user(session, "eva", "admin", password=PASSWORD)
        users.create_user(session, "mute", "admin")
        tried: list[str] = []

        class Counting(PasswordHasher):
            def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
                tried.append(str(hash))
                raise VerifyMismatchError

        monkeypatch.setattr(passwords, "_hasher", Counting)
        for name in ("eva", "nobody", "mute"):
            with pytest.raises(NotAuthenticated, match="Name or password"):
                users.verify_password(session, name, "something else")
        assert len(tried) == 3
        assert all(stored.startswith("$argon2id$") for stored in tried)

    def test_new_one_signs_out(self, session: Session) -> None:
        user = users.create_user(session, "eva", "admin", password=PASSWORD)
        secret = credentials.open_login_session(session, user.id, hours=1, now=NOW)
        users.set_password(session, user, "another long one", now=NOW)
        with pytest.raises(NotAuthenticated):
            caller_by_session(session.connection(), secret.value, now=NOW, idle=IDLE)

    def test_made_ones_differ_and_are_long(self) -> None:
        made = {passwords.generate_password() for _ in range(100)}
        assert len(made) == 100
        assert {len(password) for password in made} == {23}


class TestUsers:
    @pytest.mark.parametrize("name", ["eva", "Eva", "EVA"])
    def test_name_is_taken_whatever_its_case(self, session: Session, name: str) -> None:
        users.create_user(session, "eva", "admin")
        with pytest.raises(Conflict):
            users.create_user(session, name, "expert")

    def test_pseudonym_says_nothing_of_the_name(self, session: Session) -> None:
        made = [users.create_user(session, f"eva{n}", "expert") for n in range(5)]
        assert len({user.pseudonym for user in made}) == 5
        assert all("eva" not in user.pseudonym for user in made)

    def test_role_must_exist(self, session: Session) -> None:
        with pytest.raises(InvalidInput, match="boss"):
            users.create_user(session, "eva", "boss")

    def test_project_must_exist(self, session: Session) -> None:
        with pytest.raises(NotFound):
            users.create_user(session, "eva", "expert", project_ids=[9])

    def test_unknown_name_tells_nobody_elses(self, session: Session) -> None:
        users.create_user(session, "eva", "admin")
        with pytest.raises(NotFound) as caught:
            users.find_user(session, "ewa")
        assert "eva" not in str(caught.value)


class TestAccess:
    @pytest.mark.parametrize(
        ("role", "member", "error"),
        [
            ("admin", False, None),
            ("engineer", True, None),
            ("engineer", False, NotFound),
            ("expert", True, Forbidden),
        ],
    )
    def test_to_a_project(
        self, session: Session, role: str, member: bool, error: type[Exception] | None
    ) -> None:
        project = create_project(session, "p", base_model="b")
        user = users.create_user(session, "eva", role, project_ids=[project.id] * member)
        seen = users.visible_projects(session, user)
        assert seen == ([project] if error is None else [])
        if error is None:
            users.require_project_access(session, user, project.id)
        else:
            with pytest.raises(error):
                users.require_project_access(session, user, project.id)

    def test_to_no_project_at_all(self, session: Session) -> None:
        admin = users.create_user(session, "ada", "admin")
        with pytest.raises(NotFound):
            users.require_project_access(session, admin, 7)

    def test_given_twice_is_given_once(self, session: Session) -> None:
        project = create_project(session, "p", base_model="b")
        user = users.create_user(session, "eva", "engineer", project_ids=[project.id])
        again = users.add_member(session, project.id, user.id)
        assert user.memberships == [again]


class TestTokens:
    def make(self, session: Session, **options: int | None) -> tuple[User, credentials.Secret]:
        user = users.create_user(session, "eva", "engineer")
        return user, credentials.create_token(session, user, "ci", now=NOW, **options)

    def test_only_the_hash_is_kept(self, session: Session) -> None:
        user, secret = self.make(session)
        row = session.scalars(select(Token)).one()
        assert secret.value.startswith("strop_")
        assert secret.value not in (row.token_hash, row.prefix)
        assert bearer(session, secret).id == user.id

    def test_end_with_their_days(self, session: Session) -> None:
        _, secret = self.make(session, days=2)
        bearer(session, secret, now=NOW + timedelta(hours=47))
        with pytest.raises(NotAuthenticated):
            bearer(session, secret, now=NOW + timedelta(days=2))

    def test_without_days_do_not_end(self, session: Session) -> None:
        _, secret = self.make(session, days=None)
        bearer(session, secret, now=NOW + timedelta(days=9999))

    def test_revoked_ones_are_worth_nothing(self, session: Session) -> None:
        _, secret = self.make(session)
        credentials.revoke_token(session, secret.row_id, now=NOW)
        with pytest.raises(NotAuthenticated):
            bearer(session, secret)

    def test_of_a_barred_user_are_worth_nothing(self, session: Session) -> None:
        user, secret = self.make(session)
        users.deactivate_user(session, user, now=NOW)
        with pytest.raises(NotAuthenticated):
            bearer(session, secret)
        with pytest.raises(Conflict):
            credentials.create_token(session, user, "again", now=NOW)

    def test_session_secret_is_no_token(self, session: Session) -> None:
        user, _ = self.make(session)
        secret = credentials.open_login_session(session, user.id, hours=1, now=NOW)
        with pytest.raises(NotAuthenticated):
            bearer(session, secret)


def test_two_admins_who_bar_each_other_at_once_leave_one(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        ids = [users.create_user(session, name, "admin").id for name in ("eva", "ada")]
    both = Barrier(2)

    def bar(user_id: int) -> bool:
        both.wait()
        try:
            with sessions.begin() as session:
                users.deactivate_user(session, users.get_user(session, user_id), now=NOW)
                time.sleep(0.3)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(bar, ids)) == [False, True]


def test_a_browser_that_was_idle_too_long_is_signed_out_to_the_minute(session: Session) -> None:
    user = users.create_user(session, "eva", "expert")
    secret = credentials.open_login_session(session, user.id, hours=99, now=NOW).value
    for minutes, in_time in ((59, True), (61, False)):
        asked = {"now": NOW + timedelta(minutes=minutes), "idle": IDLE}
        if in_time:
            assert caller_by_session(session.connection(), secret, **asked).user.id == user.id
        else:
            with pytest.raises(NotAuthenticated):
                caller_by_session(session.connection(), secret, **asked)
