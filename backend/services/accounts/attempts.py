"""A limit to failed sign-ins, counted in the database for all API processes together.

A try is counted before the password is checked, in a transaction of its own, and taken back when it
was right: of a hundred tries at once no more than the limit gets as far as a password. Whether the
name exists makes no difference here. A wait has an end, a try during it lengthens nothing, and a
browser in which a person has signed in before is counted apart (a device cookie, after OWASP), so
that nobody is kept out of their account by strangers who type their name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from backend.errors import TooManyAttempts
from backend.tables.sign_in import FailedTries

FORGOTTEN = timedelta(minutes=30)  # after so much quiet the count begins anew
KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """How many failures are free, how long the first wait is, and the longest; each doubles."""

    free: int
    wait: timedelta = timedelta(minutes=5)
    longest: timedelta = timedelta(minutes=15)

    def wait_after(self, failures: int) -> timedelta | None:
        """The wait that the newest of so many failures brings, None while they are free."""
        if failures < self.free:
            return None
        doubled: timedelta = self.wait * 2 ** min(failures - self.free, 10)
        return min(doubled, self.longest)


LIMITS: dict[str, Limit] = {
    "name and address": Limit(5, longest=timedelta(hours=1)),
    "device": Limit(10, longest=timedelta(hours=1)),
    "code": Limit(5, longest=timedelta(hours=1)),  # of the second factor, by person
    "address": Limit(30),
    "name": Limit(100),
}
OF_A_NAME = ("name", "name and address")


def keys_of(name: str, address: str, *, device: str | None = None) -> dict[str, str]:
    """By what a try is counted; from a browser that is known for this name, by that browser.

    An IPv6 address counts as its /64, which is one customer's.
    """
    if device is not None:
        return {"device": device}
    folded, place = name.casefold(), _place(address)
    return {"address": place, "name": folded, "name and address": f"{folded}\n{place}"}


def _place(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if found.version == 6 else address


def count_try(session: Session, keys: Mapping[str, str], *, now: datetime) -> bool:
    """Count a try as failed, before it is known to be right; the caller commits at once.

    Returns:
        Whether this try, if it fails, is the one that brings a wait.

    Raises:
        TooManyAttempts: a wait is not over; nothing is counted then.
    """
    rows = [_row(session, kind, key, now=now) for kind, key in sorted(keys.items())]
    waits = [row.blocked_until for row in rows if row.blocked_until and row.blocked_until > now]
    if waits:
        minutes = max(1, round((max(waits) - now).total_seconds() / 60))
        raise TooManyAttempts(
            "Too many failed sign-ins.",
            hint=f"Wait {minutes} minute{'s' * (minutes > 1)}, then try again.",
        )
    for row in rows:
        row.failures += 1
        row.last_at = now
        wait = LIMITS[row.kind].wait_after(row.failures)
        row.blocked_until = None if wait is None else now + wait
    session.flush()
    return any(row.blocked_until for row in rows)


def forgive(session: Session, keys: Mapping[str, str], *, now: datetime) -> None:
    """Take a try back that was right; what the person failed from here before is forgotten too."""
    for kind, key in sorted(keys.items()):
        row = _row(session, kind, key, now=now)
        row.failures = max(0, row.failures - 1) if kind in ("address", "name") else 0
        row.blocked_until = None
    session.flush()


def unblock(session: Session, name: str, *, user_id: int) -> None:
    """Forget all failures of a person, wherever they came from, for an admin."""
    begins = FailedTries.key_hash.startswith(_half(name.casefold()))
    session.execute(delete(FailedTries).where(FailedTries.kind.in_(OF_A_NAME), begins))
    codes = FailedTries.key_hash == _hash(str(user_id))
    session.execute(delete(FailedTries).where(FailedTries.kind == "code", codes))


def forget_old(session: Session, *, now: datetime) -> None:
    """Delete what counts no more; asked now and then."""
    session.execute(
        delete(FailedTries).where(
            FailedTries.last_at < now - KEPT,
            FailedTries.blocked_until.is_(None) | (FailedTries.blocked_until < now),
        )
    )


def _row(session: Session, kind: str, key: str, *, now: datetime) -> FailedTries:
    """The count of this key, made where it is missing, and held until the transaction ends.

    Rows are asked for in one order, so two transactions never wait for each other.
    """
    values = {"kind": kind, "key_hash": _hash(key), "failures": 0, "last_at": now}
    dialect = session.get_bind().dialect.name
    insert = postgres_insert if dialect == "postgresql" else sqlite_insert
    session.execute(insert(FailedTries).values(values).on_conflict_do_nothing())
    row = session.execute(
        select(FailedTries)
        .where(FailedTries.kind == kind, FailedTries.key_hash == values["key_hash"])
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one()
    quiet_since = max(row.last_at, row.blocked_until or row.last_at)
    if quiet_since < now - FORGOTTEN:
        row.failures, row.blocked_until = 0, None
    return row


def _hash(key: str) -> str:
    """A hash of the key: 128 bits of each of its two lines, so that those of one name are found."""
    name, _, place = key.partition("\n")
    return _half(name) + _half(place)


def _half(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]
