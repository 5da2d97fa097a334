"""Heads of the chain that are noted outside the database, so that a cut tail is seen.

HOME/audit-heads.jsonl keeps the newest head and the first of every day, each sealed with the key of
the installation. Who changes the database alone cannot make it agree with them. Against somebody
who has home, key and database in hand helps only a head that a person keeps elsewhere:

    strop audit head                        prints it
    strop doctor --verify --head 7:ab12...  holds the log against it
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput
from backend.private_files import make_folder
from backend.schemas.audit import AuditStatus
from backend.services.audit.actions import ACTIONS
from backend.services.audit.chain import EMPTY, ChainFinding, Head, check, check_head, head_of, seal
from backend.tables.audit import AuditEntry

FILE = "audit-heads.jsonl"
PRINTED = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


class Signs(Protocol):
    """What seals a text and opens it again; `accounts.sealing.Seal` does."""

    def close(self, text: str) -> str: ...

    def open(self, sealed: str) -> str: ...


@dataclass(frozen=True, slots=True)
class HeadRecord:
    """A head, and when it was noted."""

    head: Head
    at: str

    def line(self, signs: Signs) -> str:
        """The line of the file."""
        content = {"seq": self.head.seq, "digest": self.head.digest, "at": self.at}
        return json.dumps({**content, "sealed": signs.close(self._said())})

    def is_signed(self, signs: Signs, sealed: str) -> bool:
        """Whether this installation wrote it so."""
        try:
            return signs.open(sealed) == self._said()
        except Conflict:
            return False

    def _said(self) -> str:
        return f"{self.head} {self.at}"


def parse_head(text: str) -> Head:
    """A head as it is printed, `SEQ:DIGEST`. Raises InvalidInput."""
    found = PRINTED.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(
            f"{text!r} is no head of the audit log.", hint="It is printed by: strop audit head"
        )
    return Head(int(found[1]), found[2])


def seal_and_note(
    sessions: sessionmaker[Session], home: Path, signs: Signs, *, now: datetime
) -> Head | None:
    """Seal what waits and note the new head; None where nothing was new."""
    head = seal(sessions)
    if head is not None:
        note_head(home, head, signs, now=now)
    return head


def note_head(home: Path, head: Head, signs: Signs, *, now: datetime) -> None:
    """Write the head into the file, which is replaced whole: killed between, the old one stands."""
    make_folder(home)
    new = HeadRecord(head, now.isoformat(timespec="seconds")).line(signs)
    handle, draft = tempfile.mkstemp(dir=home, prefix=f"{FILE}.")  # for its owner alone
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in [*_kept(_lines(home)), new])
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, home / FILE)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _lines(home: Path) -> list[str]:
    try:
        return (home / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _kept(lines: list[str]) -> list[str]:
    """The first line of each day, and whatever is no line of ours, for a check to see."""
    days: set[str] = set()
    kept = []
    for line in lines:
        noted = _parse(line)
        day = noted[0].at[:10] if noted else None
        if day is None or day not in days:
            kept.append(line)
        if day is not None:
            days.add(day)
    return kept


def _parse(line: str) -> tuple[HeadRecord, str] | None:
    """A line's head and its seal; None for what is no line of ours."""
    try:
        found = json.loads(line)
        head = Head(int(found["seq"]), str(found["digest"]))
        return HeadRecord(head, str(found["at"])), str(found["sealed"])
    except (ValueError, KeyError, TypeError):
        return None


def newest_head(home: Path) -> HeadRecord | None:
    """The head that was noted last."""
    found = [noted[0] for line in _lines(home) if (noted := _parse(line))]
    return found[-1] if found else None


def check_heads(session: Session, home: Path, signs: Signs) -> Iterator[ChainFinding]:
    """What of the noted heads the log no longer holds, and lines that were not written here."""
    lines = _lines(home)
    for number, line in enumerate(lines, start=1):
        parsed = _parse(line)
        if parsed is None or not parsed[0].is_signed(signs, parsed[1]):
            yield ChainFinding(
                None, f"line {number} of {FILE} was not written by this installation"
            )
        elif finding := check_head(session, parsed[0].head, noted=f"the head of {parsed[0].at}"):
            yield finding
    if not lines and head_of(session) != EMPTY:
        yield ChainFinding(None, f"no head is noted: {home / FILE} is not there")


def show_status(session: Session, home: Path, signs: Signs, *, last: int | None) -> AuditStatus:
    """How the chain stands, looked at over its last entries (None: all), and the noted heads."""
    found = check(session, last=last)
    noted = newest_head(home)
    wrong = [*found.findings, *check_heads(session, home, signs)]
    waiting = select(func.min(AuditEntry.created_at)).where(AuditEntry.seq.is_(None))
    return AuditStatus(
        holds=not wrong,
        checked_from=found.begins,
        sealed=found.head.seq,
        head=str(found.head),
        unsealed=found.unsealed,
        unsealed_since=session.scalar(waiting),
        noted_at=None if noted is None else noted.at,
        findings=[finding.what for finding in wrong],
        actions=sorted(ACTIONS),
    )
