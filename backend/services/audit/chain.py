"""The chain over the audit log: every sealed entry holds the digest of the one before.

    content = SHA-256(canonical JSON of the entry)
    digest  = SHA-256(digest of the entry before + "\\n" + content), hexadecimal

The entry before the first is GENESIS. Entries are recorded without a place and sealed afterwards in
the order in which they became visible. So no act waits for another's place, and an entry whose
transaction ends late is sealed late and passed over by nobody. One sealer works at a time: an
advisory lock on PostgreSQL, the one writer on SQLite. Killed between, it has sealed a whole batch
or nothing of it.

What the chain cannot see: an entry that was changed before it was sealed, by somebody who took the
triggers away for it, and a log of which everything was computed anew. Against the first stands the
short time until sealing, against the second a head that is kept elsewhere (`heads`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, func, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.tables.audit import AuditEntry

GENESIS = "0" * 64
BATCH = 1000
PAGE = 5000
MOST_FINDINGS = 20
LOCK = 0x5354_524F_5041_5544  # an advisory lock of PostgreSQL: "STROPAUD"
ENTRIES = AuditEntry.__table__
SEALING = (
    update(ENTRIES)  # type: ignore[arg-type]
    .where(ENTRIES.c.id == bindparam("of"))
    .values(seq=bindparam("place"), digest=bindparam("sealed"))
)
TRIGGERS = {
    "sqlite": (
        {"added", "sealed", "kept"},
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entries'",
    ),
    "postgresql": (
        {"added", "sealed", "kept", "whole"},
        "SELECT tgname FROM pg_trigger "
        "WHERE tgrelid = 'audit_entries'::regclass AND NOT tgisinternal AND tgenabled <> 'D'",
    ),
}


@dataclass(frozen=True, slots=True)
class Head:
    """The last sealed entry: how many there are, and the digest that stands for all of them."""

    seq: int
    digest: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.digest}"


EMPTY = Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class ChainFinding:
    """What is wrong with the log, and where."""

    seq: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A walk along the chain.

    Attributes:
        begins: the first entry that was looked at.
        head: the last one, as it should be.
        unsealed: entries that have no place yet.
        findings: the first few things that are wrong, in the order of the chain.
    """

    begins: int
    head: Head
    unsealed: int
    findings: tuple[ChainFinding, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def content_of(entry: Row[Any] | AuditEntry) -> dict[str, Any]:
    """What the digest of an entry covers, its place aside; as it stands in an export."""
    return {
        "id": entry.id,
        "action": entry.action,
        "user_id": entry.user_id,
        "token_id": entry.token_id,
        "via": entry.via,
        "who": entry.who,
        "project_id": entry.project_id,
        "subject": entry.subject,
        "detail": entry.detail,
        "created_at": entry.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
    }


def digest_after(previous: str, seq: int, content: Mapping[str, Any]) -> str:
    """The digest of an entry at this place, after the digest of the one before."""
    canonical = json.dumps(
        {**content, "seq": seq}, sort_keys=True, separators=(",", ":"), ensure_ascii=True
    )
    inner = hashlib.sha256(canonical.encode()).hexdigest()
    return hashlib.sha256(f"{previous}\n{inner}".encode()).hexdigest()


def head_of(session: Session) -> Head:
    """The last sealed entry; EMPTY where there is none."""
    query = select(ENTRIES.c.seq, ENTRIES.c.digest).where(ENTRIES.c.seq.is_not(None))
    found = session.execute(query.order_by(ENTRIES.c.seq.desc()).limit(1)).first()
    return EMPTY if found is None else Head(*found)


def count_unsealed(session: Session) -> int:
    """Entries without a place."""
    query = select(func.count()).select_from(ENTRIES).where(ENTRIES.c.seq.is_(None))
    return session.scalar(query) or 0


def seal(sessions: sessionmaker[Session], *, batch: int = BATCH) -> Head | None:
    """Give every entry that is visible now its place; the new head, None where nothing was new.

    Safe to run anywhere, by several at once, and after a kill: a batch is one transaction.
    """
    found = None
    while (sealed := _seal_batch(sessions, batch)) is not None:
        found, full = sealed
        if not full:
            break
    return found


def _seal_batch(sessions: sessionmaker[Session], batch: int) -> tuple[Head, bool] | None:
    engine: Engine = sessions.kw["bind"]
    with reading(sessions) as session:
        if session.scalar(select(ENTRIES.c.id).where(ENTRIES.c.seq.is_(None)).limit(1)) is None:
            return None
    with _lasting(engine) as connection, Session(connection) as session, session.begin():
        if engine.dialect.name == "postgresql":
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        head = head_of(session)
        waiting = session.execute(
            select(ENTRIES).where(ENTRIES.c.seq.is_(None)).order_by(ENTRIES.c.id).limit(batch)
        ).all()
        placed = []
        for entry in waiting:
            head = Head(head.seq + 1, digest_after(head.digest, head.seq + 1, content_of(entry)))
            placed.append({"of": entry.id, "place": head.seq, "sealed": head.digest})
        if not placed:  # another sealer was first
            return None
        session.connection().execute(SEALING, placed)
    return head, len(placed) == batch


@contextmanager
def _lasting(engine: Engine) -> Iterator[Connection]:
    """A connection whose commits outlive a loss of power, so that no noted head is ahead of them.

    SQLite's log of writes is otherwise brought to disk only at its checkpoints.
    """
    with engine.connect() as connection:
        _bring_to_disk(connection, "FULL")
        try:
            yield connection
        finally:
            _bring_to_disk(connection, "NORMAL")


def _bring_to_disk(connection: Connection, level: str) -> None:
    if connection.dialect.name == "sqlite":  # said to the driver: in a transaction it is ignored
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA synchronous={level}")


def each_sealed(
    session: Session, *, begins: int = 1, ends: int | None = None
) -> Iterator[Row[Any]]:
    """Sealed entries in the order of the chain, a page at a time."""
    after = begins - 1
    while True:
        query = select(ENTRIES).where(ENTRIES.c.seq > after)
        if ends is not None:
            query = query.where(ENTRIES.c.seq <= ends)
        rows = session.execute(query.order_by(ENTRIES.c.seq).limit(PAGE)).all()
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1].seq


def check(session: Session, *, last: int | None = None) -> Checked:
    """Walk along the chain, all of it or its last entries, and say what is wrong.

    The first entry of a part is taken as it is where the one before it is the log's own.
    """
    end = head_of(session)
    begins = 1 if last is None else max(1, end.seq - last + 1)
    walk = Walk(begins, digest_at(session, begins - 1))
    for entry in each_sealed(session, begins=begins):
        walk.step(entry.seq, entry.digest, content_of(entry), what=f"entry {entry.id}")
    findings = [*missing_triggers(session), *walk.findings]
    return Checked(begins, end, count_unsealed(session), tuple(findings))


def digest_at(session: Session, seq: int) -> str | None:
    """The digest at a place; GENESIS before the first, None where nothing stands."""
    if seq < 1:
        return GENESIS
    return session.scalar(select(ENTRIES.c.digest).where(ENTRIES.c.seq == seq))


class Walk:
    """A walk along a chain: takes entries in their order and keeps what is wrong."""

    def __init__(self, begins: int, previous: str | None) -> None:
        self.expected, self.previous = begins, previous
        self.findings: list[ChainFinding] = []

    def step(self, seq: int, digest: str, content: Mapping[str, Any], *, what: str) -> None:
        """The next entry, named `what` in findings."""
        if seq != self.expected:
            self.find(seq, f"places {self.expected} to {seq - 1} are missing before {what}")
            self.previous = None
        elif self.previous is None:
            self.find(seq, f"what stands before {what} is not there")
        elif digest != digest_after(self.previous, seq, content):
            self.find(seq, f"{what} at place {seq} is not what was sealed")
        self.expected, self.previous = seq + 1, digest

    def find(self, seq: int, what: str) -> None:
        """Keep what is wrong; the first few are told."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(ChainFinding(seq, what))


def missing_triggers(session: Session) -> list[ChainFinding]:
    """The triggers that keep the log and are not there, or are switched off."""
    wanted, query = TRIGGERS[session.connection().dialect.name]
    there = set(session.scalars(text(query)))
    return [
        ChainFinding(None, f"the trigger {name} is gone: entries could be changed unseen")
        for name in sorted(f"guard_audit_entries_{part}" for part in wanted)
        if name not in there
    ]


def check_head(session: Session, head: Head, *, noted: str) -> ChainFinding | None:
    """Whether the log still holds what this head stands for.

    Args:
        noted: where the head was kept, in words.
    """
    if head.seq == 0 or (found := digest_at(session, head.seq)) == head.digest:
        return None
    if found is None:
        end = head_of(session).seq
        return ChainFinding(head.seq, f"the log ends at {end}, but {noted} has it at {head.seq}")
    return ChainFinding(head.seq, f"entry {head.seq} is another one than {noted} has")
