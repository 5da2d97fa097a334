"""The second factor of local accounts: codes of an authenticator (TOTP, RFC 6238) and, for the day
on which it is lost, recovery codes.

A code counts within a step of 30 seconds on either side, and once: RFC 6238, 5.2. People of a
provider have none here, since their provider asks for its own. Tokens of programs need none.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import secrets
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, NotAuthenticated, SecondFactorNeeded
from backend.schemas.accounts import EnrolmentOut
from backend.services import audit
from backend.services.accounts.sealing import Seal
from backend.settings import Settings
from backend.tables.accounts import Role, User
from backend.tables.sign_in import RecoveryCode, SecondFactor

STEP = 30  # seconds
TOLERANCE = 1  # steps
RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read as another


def is_on(session: Session, user_id: int) -> bool:
    """Whether this person's sign-in asks for a code."""
    factor = session.get(SecondFactor, user_id)
    return factor is not None and factor.confirmed_at is not None


def is_required(settings: Settings, user: User) -> bool:
    """Whether this person must have one: by an admin's word on them, or by the setting."""
    by_setting = settings.second_factor == "everybody" or (
        settings.second_factor == "admins" and user.role == Role.ADMIN
    )
    return user.second_factor_required or by_setting


def enrol(session: Session, user: User, *, seal: Seal, now: datetime) -> EnrolmentOut:
    """Begin: a new secret, which counts once a first code of it was right.

    Raises:
        Conflict: there is one already, or the person signs in at a provider.
    """
    import pyotp

    if user.password_hash is None:
        raise Conflict(
            "You sign in at your organisation's provider, which asks for its own second factor."
        )
    factor = session.get(SecondFactor, user.id)
    if factor is not None and factor.confirmed_at is not None:
        raise Conflict("There is a second factor already.", hint="Remove it first.")
    if factor is None:
        factor = SecondFactor(user_id=user.id)
        session.add(factor)
    secret = pyotp.random_base32()
    factor.secret, factor.created_at, factor.last_step = seal.close(secret), now, None
    session.flush()
    return _enrolment(user, secret)


def pending(session: Session, user: User, *, seal: Seal) -> EnrolmentOut | None:
    """The enrolment that has begun and waits for its first code."""
    factor = session.get(SecondFactor, user.id)
    if factor is None or factor.confirmed_at is not None:
        return None
    return _enrolment(user, seal.open(factor.secret))


def _enrolment(user: User, secret: str) -> EnrolmentOut:
    import pyotp
    import segno

    uri = pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=user.name, issuer_name="Strop")
    drawn = io.BytesIO()
    segno.make(uri, error="m").save(
        drawn, kind="svg", scale=5, border=4, xmldecl=False, dark="#000", light="#fff"
    )
    return EnrolmentOut(secret=secret, uri=uri, qr_svg=drawn.getvalue().decode())


def confirm(session: Session, user: User, code: str, *, seal: Seal, now: datetime) -> list[str]:
    """Turn it on by a first right code; returns the recovery codes, shown this once.

    Raises:
        Conflict: no enrolment has begun.
        NotAuthenticated: the code is not right.
    """
    factor = session.get(SecondFactor, user.id)
    if factor is None or factor.confirmed_at is not None:
        raise Conflict("No second factor waits for its first code.", hint="Begin it again.")
    if not _take_code(session, factor, code, seal=seal, now=now):
        raise _wrong_code()
    factor.confirmed_at = now
    codes = _new_recovery_codes(session, user.id)
    audit.record(session, "second_factor.set", subject=f"user:{user.id}")
    session.flush()
    return codes


def _new_recovery_codes(session: Session, user_id: int) -> list[str]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    letters = ["".join(secrets.choice(_ALPHABET) for _ in range(16)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(user_id=user_id, code_hash=_digest(code)) for code in letters)
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in letters]


def _digest(code: str) -> str:
    return hashlib.sha256(f"recovery\n{code}".encode()).hexdigest()


def verify(session: Session, user: User, code: str, *, seal: Seal, now: datetime) -> str:
    """Take a code of the authenticator, or a recovery code; returns which: `totp`, `recovery`.

    Raises:
        SecondFactorNeeded: the code is empty.
        NotAuthenticated: it is wrong, or was used.
    """
    plain = "".join(code.split()).replace("-", "").casefold()
    if not plain:
        raise SecondFactorNeeded()
    factor = session.get(SecondFactor, user.id)
    if factor is None or factor.confirmed_at is None:
        raise _wrong_code()
    if _take_code(session, factor, plain, seal=seal, now=now):
        return "totp"
    if plain.isascii() and _take_recovery_code(session, user.id, plain, now=now):
        left = {"left": recovery_codes_left(session, user.id)}
        audit.record(session, "second_factor.recovered", subject=f"user:{user.id}", detail=left)
        return "recovery"
    raise _wrong_code()


def _take_code(
    session: Session, factor: SecondFactor, code: str, *, seal: Seal, now: datetime
) -> bool:
    """Whether a code is right and newer than the last that was used, which it now is."""
    import pyotp

    totp = pyotp.TOTP(seal.open(factor.secret), interval=STEP)
    here = int(now.timestamp()) // STEP
    typed = "".join(code.split()).encode("utf-8", "backslashreplace")
    steps = range(here - TOLERANCE, here + TOLERANCE + 1)
    right = [step for step in steps if hmac.compare_digest(totp.at(step * STEP).encode(), typed)]
    if not right:
        return False
    taken = session.execute(
        update(SecondFactor)
        .where(
            SecondFactor.user_id == factor.user_id,
            SecondFactor.last_step.is_(None) | (SecondFactor.last_step < right[-1]),
        )
        .values(last_step=right[-1])
        .returning(SecondFactor.user_id)
    )
    return taken.first() is not None


def _take_recovery_code(session: Session, user_id: int, code: str, *, now: datetime) -> bool:
    taken = session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_hash == _digest(code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
        .returning(RecoveryCode.id)
    )
    return taken.first() is not None


def recovery_codes_left(session: Session, user_id: int) -> int:
    """How many recovery codes have not been used."""
    query = select(func.count()).select_from(RecoveryCode)
    unused = RecoveryCode.used_at.is_(None)
    return session.scalar(query.where(RecoveryCode.user_id == user_id, unused)) or 0


def remove(session: Session, user: User) -> None:
    """Take a person's second factor away, with its recovery codes; none is no error."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    factor = session.get(SecondFactor, user.id)
    if factor is not None:
        session.delete(factor)
        session.flush()
        audit.record(session, "second_factor.removed", subject=f"user:{user.id}")


def require(session: Session, user: User, *, required: bool) -> None:
    """Say of a person that they must have one, or need not."""
    if user.second_factor_required is not required:
        user.second_factor_required = required
        word = "required" if required else "not_required"
        audit.record(session, f"second_factor.{word}", subject=f"user:{user.id}")
        session.flush()


def _wrong_code() -> NotAuthenticated:
    return NotAuthenticated(
        "The code is wrong, or was used already.", hint="Take the next one the authenticator shows."
    )
