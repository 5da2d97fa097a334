"""The second factor: codes within a step, each once; recovery codes, each once."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pyotp
import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, NotAuthenticated, SecondFactorNeeded
from backend.services.accounts import second_factor
from backend.services.accounts.sealing import Seal, open_seal
from backend.services.accounts.users import create_user
from backend.settings import Settings
from backend.tables.accounts import User
from backend.tables.audit import AuditEntry
from backend.tables.sign_in import RecoveryCode, SecondFactor
from tests.fixtures_review import NOW

PASSWORD = "correct horse battery"


@pytest.fixture
def seal(settings: Settings) -> Seal:
    return open_seal(settings)


def enrolled(session: Session, seal: Seal) -> tuple[User, str, list[str]]:
    """A person whose second factor is on, its secret, and the recovery codes."""
    user = create_user(session, "eva", "engineer", password=PASSWORD)
    made = second_factor.enrol(session, user, seal=seal, now=NOW)
    codes = second_factor.confirm(session, user, code_at(made.secret, NOW), seal=seal, now=NOW)
    return user, made.secret, codes


def code_at(secret: str, moment: datetime, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(moment + timedelta(seconds=30 * steps))


def test_a_code_counts_within_a_step(sessions: sessionmaker[Session], seal: Seal) -> None:
    with sessions.begin() as session:
        user, secret, _ = enrolled(session, seal)
        rows = [(-61, False), (-30, True), (0, True), (30, True), (61, False)]
        for hour, (late, right) in enumerate(rows, start=1):
            now = NOW + timedelta(hours=hour)
            code = code_at(secret, now + timedelta(seconds=late))
            if right:
                assert second_factor.verify(session, user, code, seal=seal, now=now) == "totp"
            else:
                with pytest.raises(NotAuthenticated, match="wrong"):
                    second_factor.verify(session, user, code, seal=seal, now=now)


def test_a_code_counts_once_and_none_before_it_after(
    sessions: sessionmaker[Session], seal: Seal
) -> None:
    with sessions.begin() as session:
        user, secret, _ = enrolled(session, seal)
        now = NOW + timedelta(hours=1)
        ahead = code_at(secret, now, 1)
        second_factor.verify(session, user, ahead, seal=seal, now=now)
        for old in (ahead, code_at(secret, now), code_at(secret, now, -1)):
            with pytest.raises(NotAuthenticated):
                second_factor.verify(session, user, old, seal=seal, now=now)
        later = now + timedelta(minutes=1)
        code = code_at(secret, later)
        second_factor.verify(session, user, f" {code[:3]} {code[3:]} ", seal=seal, now=later)


def test_the_code_that_turned_it_on_signs_nobody_in(
    sessions: sessionmaker[Session], seal: Seal
) -> None:
    with sessions.begin() as session:
        user, secret, _ = enrolled(session, seal)
        with pytest.raises(NotAuthenticated):
            second_factor.verify(session, user, code_at(secret, NOW), seal=seal, now=NOW)


def test_two_sessions_cannot_take_one_code(sessions: sessionmaker[Session], seal: Seal) -> None:
    with sessions.begin() as session:
        user, secret, _ = enrolled(session, seal)
    now = NOW + timedelta(hours=1)
    code, taken = code_at(secret, now), 0
    with sessions() as held:  # has read the row before the other takes the code
        person = held.get_one(User, user.id)
        held.get_one(SecondFactor, user.id)
        held.commit()
        with sessions.begin() as session:
            other = session.get_one(User, user.id)
            second_factor.verify(session, other, code, seal=seal, now=now)
            taken += 1
        with pytest.raises(NotAuthenticated):
            second_factor.verify(held, person, code, seal=seal, now=now)
    assert taken == 1


def test_recovery_codes_count_once_each(sessions: sessionmaker[Session], seal: Seal) -> None:
    with sessions.begin() as session:
        user, _, codes = enrolled(session, seal)
        assert len(set(codes)) == second_factor.RECOVERY_CODES
        how = second_factor.verify(session, user, codes[0].upper(), seal=seal, now=NOW)
        assert how == "recovery"
        with pytest.raises(NotAuthenticated):
            second_factor.verify(session, user, codes[0], seal=seal, now=NOW)
        assert second_factor.recovery_codes_left(session, user.id) == len(codes) - 1
        other = create_user(session, "max", "expert", password=PASSWORD)
        with pytest.raises(NotAuthenticated):
            second_factor.verify(session, other, codes[1], seal=seal, now=NOW)


def test_what_is_no_code(sessions: sessionmaker[Session], seal: Seal) -> None:
    hostile = ["000000", "１２３４５６", "\x00" * 6, "\ud83d", "<b>", "1" * 40, "null", "' or 1=1"]
    with sessions.begin() as session:
        user, _, _ = enrolled(session, seal)
        for code in ("", "  ", "-"):
            with pytest.raises(SecondFactorNeeded):
                second_factor.verify(session, user, code, seal=seal, now=NOW)
        for code in hostile:
            with pytest.raises(NotAuthenticated, match="wrong"):
                second_factor.verify(session, user, code, seal=seal, now=NOW)


def test_it_is_on_only_after_a_right_code(sessions: sessionmaker[Session], seal: Seal) -> None:
    with sessions.begin() as session:
        user = create_user(session, "eva", "engineer", password=PASSWORD)
        with pytest.raises(Conflict):
            second_factor.confirm(session, user, "123456", seal=seal, now=NOW)
        first = second_factor.enrol(session, user, seal=seal, now=NOW)
        again = second_factor.enrol(session, user, seal=seal, now=NOW)
        assert first.secret != again.secret
        with pytest.raises(NotAuthenticated):
            second_factor.confirm(session, user, code_at(first.secret, NOW), seal=seal, now=NOW)
        assert not second_factor.is_on(session, user.id)
        second_factor.confirm(session, user, code_at(again.secret, NOW), seal=seal, now=NOW)
        assert second_factor.is_on(session, user.id)
        with pytest.raises(Conflict, match="already"):
            second_factor.enrol(session, user, seal=seal, now=NOW)


def test_nothing_readable_is_kept_and_removal_leaves_nothing(
    sessions: sessionmaker[Session], seal: Seal
) -> None:
    with sessions.begin() as session:
        user, secret, codes = enrolled(session, seal)
        kept = session.get_one(SecondFactor, user.id).secret
        assert kept.startswith("sealed:")
        assert secret not in kept
        hashes = set(session.scalars(session.query(RecoveryCode.code_hash).statement))
        assert not hashes & set(codes)
        second_factor.remove(session, user)
        assert not second_factor.is_on(session, user.id)
        assert session.query(RecoveryCode).count() == session.query(SecondFactor).count() == 0
        done = [row.action for row in session.query(AuditEntry).order_by(AuditEntry.id)]
    assert done == ["user.made", "second_factor.set", "second_factor.removed"]


def test_people_of_a_provider_have_none_here(sessions: sessionmaker[Session], seal: Seal) -> None:
    with sessions.begin() as session:
        user = create_user(session, "pia", "expert")
        with pytest.raises(Conflict, match="provider"):
            second_factor.enrol(session, user, seal=seal, now=NOW)


def test_the_picture_holds_the_address(
    sessions: sessionmaker[Session], seal: Seal, tmp_path: Path
) -> None:
    import segno

    with sessions.begin() as session:
        user = create_user(session, "eva <b>", "engineer", password=PASSWORD)
        made = second_factor.enrol(session, user, seal=seal, now=NOW)
    assert made.uri.startswith("otpauth://totp/Strop:eva%20%3Cb%3E?secret=" + made.secret)
    drawn = segno.make(made.uri, error="m")
    assert made.qr_svg.startswith("<svg")
    assert f'width="{(len(drawn.matrix) + 8) * 5}"' in made.qr_svg
    assert "eva" not in made.qr_svg


@pytest.mark.parametrize(
    ("setting", "role", "named", "required"),
    [
        ("offered", "admin", False, False),
        ("offered", "expert", True, True),
        ("admins", "admin", False, True),
        ("admins", "lead", False, False),
        ("everybody", "expert", False, True),
    ],
)
def test_who_must_have_one(
    settings: Settings, setting: str, role: str, named: bool, required: bool
) -> None:
    chosen = settings.model_copy(update={"second_factor": setting})
    user = User(name="x", role=role, second_factor_required=named)
    assert second_factor.is_required(chosen, user) is required
