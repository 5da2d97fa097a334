"""What was erased of frozen things: the digests that stand for it, and what comes in again.

The digest of a dataset version or of a training set covers texts, so that it cannot be computed
once one of them is gone. Before the first erasure of a thing its rows are digested one by one and
the digests sealed by one digest over all; from then on that is what has to hold: of a row that
stands its digest is computed anew, for one that was erased the digest that it had is taken. An
untouched row that is changed afterwards breaks the seal as it would have broken the digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.datasets.queries import in_project, values_for
from backend.tables.datasets import Dataset, Example
from backend.tables.erasure import ErasedRow, Erasure, ErasureSeal
from backend.tables.runs import Generation

PREFIX = "Erased on "
"""How every text begins that stands where another was; triggers and readers know it by this."""


def said_of(at: datetime, reason: str) -> str:
    """What stands where a text was: `Erased on 2026-11-29: withdrawal of consent`."""
    return f"{PREFIX}{at:%Y-%m-%d}: {reason}"


def digest_of(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def seal_of(digests: Mapping[str, str]) -> str:
    """One digest over the digests of all rows of a thing, by their parts."""
    return digest_of("\n".join(f"{part} {digest}" for part, digest in sorted(digests.items())))


def kept_digests(session: Session, subject: str) -> dict[str, str]:
    """The digests that erased rows of a thing had, by part."""
    query = select(ErasedRow.part, ErasedRow.digest).where(ErasedRow.subject == subject)
    return {row.part: row.digest for row in session.execute(query)}


def seal_rows(
    session: Session,
    erasure_id: int,
    subject: str,
    lines: Mapping[str, str],
    erased: Collection[str],
    *,
    intact: bool,
    now: datetime,
) -> list[ErasedRow]:
    """Keep the digests of rows that are about to be erased, and seal all where nobody did before.

    Args:
        lines: what each row counts as in the digest of the thing, by part.
        erased: the parts that are about to go.
        intact: whether the digest of the thing holds now.

    Returns:
        What was kept anew; nothing of parts that were erased before.
    """
    before = kept_digests(session, subject)
    digests = {part: before.get(part) or digest_of(line) for part, line in lines.items()}
    if session.scalar(select(ErasureSeal.id).where(ErasureSeal.subject == subject)) is None:
        seal = ErasureSeal(subject=subject, digest=seal_of(digests), intact=intact, sealed_at=now)
        session.add(seal)
    new = [
        ErasedRow(erasure_id=erasure_id, subject=subject, part=part, digest=digests[part])
        for part in sorted(set(erased) - before.keys())
    ]
    session.add_all(new)
    session.flush()
    return new


@dataclass(frozen=True, slots=True)
class Sealed:
    """How a frozen thing with erased rows stands: `same` as `verification.Verified` has it."""

    same: bool
    n_erased: int


def check_seal(
    session: Session, subject: str, read_lines: Callable[[], Mapping[str, str]]
) -> Sealed | None:
    """Whether a thing is what it was but for what was erased; None where nothing was.

    Args:
        read_lines: gives the lines of `seal_rows` as they stand now.
    """
    seal = session.scalar(select(ErasureSeal).where(ErasureSeal.subject == subject))
    kept = kept_digests(session, subject)
    if seal is None:
        return None if not kept else Sealed(False, len(kept))
    lines = read_lines()
    digests = {part: kept.get(part) or digest_of(line) for part, line in lines.items()}
    # What stands in the place of a row that was erased is part of its line.
    blank = all(PREFIX in lines[part] for part in kept.keys() & lines.keys())
    same = seal.intact and blank and seal_of(digests) == seal.digest
    return Sealed(same, len(kept))


def erased_digest(rows: Iterable[ErasedRow]) -> str:
    """One digest over what an erasure took; it stands in the audit log, so that no row can be
    passed off as erased later."""
    return digest_of("\n".join(sorted(f"{row.subject} {row.part} {row.digest}" for row in rows)))


@dataclass(frozen=True, slots=True)
class Gone:
    """By what a project's erased examples are known when they come in again."""

    digests: frozenset[str]
    rows: frozenset[tuple[str, str]]  # dataset and the id in it
    groups: frozenset[str]  # SHA-256 of dataset and group

    def holds(self, dataset: str, external_id: str, group: str | None, digest: str) -> bool:
        """Whether a row that comes into a dataset was erased."""
        known_group = group is not None and group_key(dataset, group) in self.groups
        return digest in self.digests or (dataset, external_id) in self.rows or known_group


def group_key(dataset: str, group: str) -> str:
    """A group of a dataset as an erasure remembers it."""
    return digest_of(f"{dataset}\x1f{group}")


def gone_from(session: Session, project_id: int) -> Gone:
    """What was erased of a project's examples."""
    query = in_project(
        select(Example.content_digest, Dataset.name, Example.external_id), project_id
    )
    found = session.execute(query.where(Example.erasure_id.is_not(None))).all()
    keys = session.scalars(select(Erasure.keys).where(Erasure.project_id == project_id))
    return Gone(
        frozenset(digest for digest, _, _ in found),
        frozenset((name, external_id) for _, name, external_id in found),
        frozenset(group for key in keys for group in key.get("groups", ())),
    )


def erased_outputs(session: Session, generation_ids: Iterable[int]) -> set[int]:
    """Of these outputs those of erased examples: what is told of them late is not kept."""
    query = select(Generation.id).join(Example, Example.id == Generation.example_id)
    erased = query.where(Example.erasure_id.is_not(None))
    return set(values_for(session, erased, Generation.id, sorted(set(generation_ids))))
