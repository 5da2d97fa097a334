"""The chunks of a job: laid down by whoever leads it, leased by any worker of its queue.

A chunk is a range of what the ledger is to hold. A lease is fenced as that of a review slot is:
whoever comes too late writes into the ledger what is there already, to no effect, and can mark
nothing done. Leases are measured by the clocks of the workers; one that is a minute off costs work
that is done twice and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session

from backend.tables.queue import ChunkState, JobChunk
from evaluators.spread import cut

LEASE = timedelta(seconds=60)
_ROWS_PER_STATEMENT = 500

_HELD = JobChunk.state == ChunkState.LEASED


@dataclass(frozen=True, slots=True)
class Range:
    """What one chunk holds: the ids from first to last, and how much work that is at most."""

    first: int
    last: int
    size: int


@dataclass(frozen=True, slots=True)
class LeasedChunk:
    """A chunk as the worker has it that leased it."""

    id: int
    fence: int
    part: str
    first: int
    last: int
    size: int


@dataclass(frozen=True, slots=True)
class ChunkProgress:
    """How the chunks of an attempt stand.

    Attributes:
        open, leased, done: how many; a lease that has run out is counted as leased.
        left: how much work is in those that are not done.
    """

    open: int = 0
    leased: int = 0
    done: int = 0
    left: int = 0

    @property
    def all_done(self) -> bool:
        """Whether nothing is left, also where there was nothing to do."""
        return not (self.open or self.leased)


def ranges_of(ids: Iterable[int], sizes: Iterator[int], *, weight: int = 1) -> Iterator[Range]:
    """Ids, in order, cut into ranges.

    Args:
        sizes: how much work each range may be; it must not end.
        weight: work of one id.
    """
    some: list[int] = []
    most = next(sizes)
    for one in ids:
        some.append(one)
        if len(some) * weight >= most:
            yield Range(some[0], some[-1], len(some) * weight)
            some, most = [], next(sizes)
    if some:
        yield Range(some[0], some[-1], len(some) * weight)


def lay_down_chunks(
    session: Session, job_id: int, attempt: int, ranges: Iterable[Range], *, part: str = ""
) -> None:
    """Lay down a part of an attempt, unless it is; what is left of older attempts goes."""
    older = delete(JobChunk).where(JobChunk.job_id == job_id, JobChunk.attempt < attempt)
    session.execute(older)
    of_part = _of(job_id, attempt)
    if session.scalar(select(JobChunk.id).where(*of_part, JobChunk.part == part).limit(1)):
        return
    rows = [
        {
            "job_id": job_id,
            "attempt": attempt,
            "part": part,
            "first_id": one.first,
            "last_id": one.last,
            "size": one.size,
            "state": ChunkState.OPEN,
            "fence": 0,
        }
        for one in ranges
    ]
    for some in cut(rows, _ROWS_PER_STATEMENT):
        session.execute(insert(JobChunk), some)


def _of(job_id: int, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return JobChunk.job_id == job_id, JobChunk.attempt == attempt


def _free(job_id: int, attempt: int, now: datetime) -> tuple[ColumnElement[bool], ...]:
    lapsed = _HELD & (JobChunk.lease_until < now)
    return *_of(job_id, attempt), or_(JobChunk.state == ChunkState.OPEN, lapsed)


def lease_chunk(
    session: Session,
    job_id: int,
    attempt: int,
    *,
    owner: str,
    now: datetime,
    part: str | None = None,
) -> LeasedChunk | None:
    """Lease the next chunk that nobody has, of one part if one is named; None if there is none.

    One statement, which skips what others are leasing in the same moment.
    """
    free = select(JobChunk.id).where(*_free(job_id, attempt, now)).order_by(JobChunk.id).limit(1)
    if part is not None:
        free = free.where(JobChunk.part == part)
    until = now + LEASE
    where = JobChunk.first_id, JobChunk.last_id, JobChunk.size
    leased = (
        update(JobChunk)
        .where(JobChunk.id == free.with_for_update(skip_locked=True).scalar_subquery())
        .values(state=ChunkState.LEASED, owner=owner, lease_until=until, fence=JobChunk.fence + 1)
        .returning(JobChunk.id, JobChunk.fence, JobChunk.part, *where)
        .execution_options(synchronize_session=False)
    )
    found = session.execute(leased).first()
    return None if found is None else LeasedChunk(*found)


def extend_leases(
    session: Session, held: Collection[LeasedChunk], *, owner: str, now: datetime
) -> None:
    """Keep chunks for another while; those that others have leased meanwhile stay theirs."""
    ids = [chunk.id for chunk in held]
    mine = update(JobChunk).where(JobChunk.id.in_(ids), JobChunk.owner == owner, _HELD)
    session.execute(
        mine.values(lease_until=now + LEASE).execution_options(synchronize_session=False)
    )


def finish_chunk(session: Session, chunk: LeasedChunk) -> bool:
    """Mark a chunk done; False, and nothing changed, where another has leased it meanwhile."""
    done = update(JobChunk).where(JobChunk.id == chunk.id, JobChunk.fence == chunk.fence, _HELD)
    moved = session.execute(
        done.values(state=ChunkState.DONE, lease_until=None)
        .returning(JobChunk.id)
        .execution_options(synchronize_session=False)
    )
    return moved.first() is not None


def give_back_chunks(session: Session, held: Sequence[LeasedChunk]) -> None:
    """Let others take what this worker leased and will not do."""
    if held:
        known = tuple_(JobChunk.id, JobChunk.fence).in_([(c.id, c.fence) for c in held])
        _open_again(session, known)


def free_chunks_of_dead(
    session: Session, job_id: int, attempt: int, *, living: Collection[str]
) -> None:
    """Let others take what is leased by workers that are known to live no more.

    Args:
        living: the owners that do.
    """
    _open_again(session, *_of(job_id, attempt), JobChunk.owner.not_in(list(living)))


def _open_again(session: Session, *which: ColumnElement[bool]) -> None:
    session.execute(
        update(JobChunk)
        .where(*which, _HELD)
        .values(state=ChunkState.OPEN, owner=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )


def chunk_progress(session: Session, job_id: int, attempt: int) -> ChunkProgress:
    """How the chunks of an attempt stand; without any, nothing is left to do."""
    counts = (
        select(JobChunk.state, func.count(), func.sum(JobChunk.size))
        .where(*_of(job_id, attempt))
        .group_by(JobChunk.state)
    )
    found = {str(state): (n, int(size)) for state, n, size in session.execute(counts)}
    left = sum(size for state, (_, size) in found.items() if state != ChunkState.DONE)
    numbers = {str(state): found.get(state, (0, 0))[0] for state in ChunkState}
    return ChunkProgress(**numbers, left=left)


def free_part(session: Session, job_id: int, attempt: int, *, now: datetime) -> str | None:
    """The part of the next chunk that could be leased; None where there is none."""
    free = select(JobChunk.part).where(*_free(job_id, attempt, now))
    return session.scalar(free.order_by(JobChunk.id).limit(1))
