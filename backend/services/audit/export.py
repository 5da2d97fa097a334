"""The log as a file that is checked without Strop: a JSON object a line, in the chain's order.

    {"seq": 7, "previous": "ab…", "digest": "cd…", "entry": {"id": 9, "action": …}}

`digest` is computed of `previous`, `seq` and `entry` as `chain` has it; the recipe of a few lines
in the guide does the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.services.audit.chain import (
    ENTRIES,
    GENESIS,
    ChainFinding,
    Head,
    Walk,
    content_of,
    digest_at,
    each_sealed,
)


def export_lines(
    session: Session, *, since: datetime | None = None, until: datetime | None = None
) -> Iterator[str]:
    """Sealed entries as lines: all, or the part of the chain that holds all of a time.

    A part is without a gap, and begins with the digest of the entry before it. Since an entry is
    sealed a little after its act, it may hold a few of before and after.
    """
    first, last = _bounds(session, since, until)
    previous = digest_at(session, first - 1) or GENESIS
    for entry in each_sealed(session, begins=first, ends=last):
        line = {
            "seq": entry.seq,
            "previous": previous,
            "digest": entry.digest,
            "entry": content_of(entry),
        }
        yield json.dumps(line, ensure_ascii=False) + "\n"
        previous = entry.digest


def _bounds(
    session: Session, since: datetime | None, until: datetime | None
) -> tuple[int, int | None]:
    query = select(func.min(ENTRIES.c.seq), func.max(ENTRIES.c.seq))
    if since is not None:
        query = query.where(ENTRIES.c.created_at >= since)
    if until is not None:
        query = query.where(ENTRIES.c.created_at < until)
    first, last = session.execute(query).one()
    if first is None:
        return 1, 0
    return (1 if since is None else first), (None if until is None else last)


@dataclass(frozen=True, slots=True)
class FileChecked:
    """What a file of the log is: its first entry, its head, what is wrong with it."""

    first: int
    entries: int
    head: Head | None
    findings: tuple[ChainFinding, ...]


def check_lines(lines: Iterable[str]) -> FileChecked:
    """Walk along the chain of an export; needs no database."""
    walk, first, head, n = None, 0, None, 0
    for number, line in enumerate(lines, start=1):
        try:
            seq, previous, digest, entry = _parts(line)
        except (ValueError, KeyError, TypeError):
            broken = ChainFinding(None, f"line {number} is no entry of an audit log")
            found = () if walk is None else tuple(walk.findings)
            return FileChecked(first, n, head, (*found, broken))
        if walk is None:
            walk, first = Walk(seq, previous), seq
            if seq == 1 and previous != GENESIS:
                walk.find(seq, "the first entry follows another one")
        walk.step(seq, digest, entry, what=f"the entry of line {number}")
        head, n = Head(seq, digest), n + 1
    return FileChecked(first, n, head, () if walk is None else tuple(walk.findings))


def _parts(line: str) -> tuple[int, str, str, dict[str, Any]]:
    found = json.loads(line)
    if not isinstance(found["entry"], dict):
        raise TypeError("an entry is an object")
    return int(found["seq"]), str(found["previous"]), str(found["digest"]), found["entry"]
