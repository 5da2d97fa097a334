"""How the workers of a queue share one job: whoever began it leads, and those that are idle help.

The leader lays the job down in chunks and takes them like everybody else. When none is left to be
taken it waits for those of others, and takes over what a dead or silent worker had leased. A helper
waits for nobody: it leaves when no chunk is free, and when another job of its queue waits. Whoever
finds all chunks done ends the job; the row sees to it that it ends once. An error of a helper ends
the job as one of the leader does; only where its engine gives no answer does it leave instead, and
the others do its chunks.

The job engine hands helpers out as it does jobs: `backend.jobs.running.reconcile` enqueues them
behind every job that waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

from sqlalchemy.orm import Session

from backend.db import reading, utc_now
from backend.jobs.running.parts import Parts, Workshop
from backend.services import chunks, queue
from backend.services.chunks import LeasedChunk
from backend.tables.queue import Job

SHARE_OF_REST = 8
LAST_CHUNK = 16
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0  # seconds between looks at what others have not done yet


class Leases:
    """The chunks of a job that this worker holds; what it has not done when it ends, others take.

    The worker's heartbeat keeps them for as long as they are held.
    """

    def __init__(self, shop: Workshop, job: Job) -> None:
        self._shop = shop
        self._job = job
        self._held: dict[int, LeasedChunk] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if held := list(self._held.values()):
            self._drop(held)  # first: where the database is away, the heartbeat keeps none of them
            with self._shop.sessions.begin() as session:
                chunks.give_back_chunks(session, held)

    def lease(self, part: str | None = None) -> LeasedChunk | None:
        """The next free chunk, of one part if one is named; None if there is none."""
        with self._shop.sessions.begin() as session:
            found = chunks.lease_chunk(
                session,
                self._job.id,
                self._job.attempt,
                owner=self._shop.owner,
                now=utc_now(),
                part=part,
            )
        if found is not None:
            self._held[found.id] = found
            self._shop.hold(found)
        return found

    def finish(self, session: Session, chunk: LeasedChunk) -> None:
        """Mark a chunk done in the transaction that saves the last of it.

        Where another worker has leased it meanwhile, it is the other's to mark.
        """
        chunks.finish_chunk(session, chunk)
        self._drop([chunk])

    def finish_all(self) -> None:
        """Mark done what is held: nothing more will come of it, and the ledger says what lacks."""
        with self._shop.sessions.begin() as session:
            for chunk in list(self._held.values()):
                self.finish(session, chunk)

    def _drop(self, done: list[LeasedChunk]) -> None:
        for chunk in done:
            self._held.pop(chunk.id, None)
            self._shop.let_go(chunk)


def lead(shop: Workshop, job: Job, take: Callable[[], Parts]) -> Parts:
    """Take chunks until all are done, by whomever.

    Args:
        take: takes what is free and ends when nothing is.
    """
    wait = FIRST_WAIT
    while True:
        yield from take()
        with reading(shop.sessions) as session:
            standing = chunks.chunk_progress(session, job.id, job.attempt)
        if standing.all_done:
            return
        if not standing.open:
            _free_chunks_of_dead(shop, job)
            shop.stopping.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        yield


def _free_chunks_of_dead(shop: Workshop, job: Job) -> None:
    with reading(shop.sessions) as session:
        workers = queue.live_workers(session, now=utc_now())
    living = {f"{worker.executor_id}/{worker.pid}" for worker in workers}
    with shop.sessions.begin() as session:
        chunks.free_chunks_of_dead(session, job.id, job.attempt, living={*living, shop.owner})


def all_done(shop: Workshop, job: Job) -> bool:
    """Whether an attempt was laid down and nobody has anything left of it to do."""
    with reading(shop.sessions) as session:
        standing = chunks.chunk_progress(session, job.id, job.attempt)
    return standing.all_done and standing.done > 0


def is_wanted_elsewhere(shop: Workshop, job: Job) -> bool:
    """Whether a job of this queue waits, which a helper is to leave for."""
    with reading(shop.sessions) as session:
        return queue.has_queued(session, job.queue)


def chunk_sizes(total: int, *, least: int, most: int) -> Iterator[int]:
    """How much work each chunk is to hold, without an end.

    They double from the least, since small ones tell soon how long the others take, and shrink
    towards the end to LAST_CHUNK, since whoever is done first waits for the last of the others.
    """
    grown, left = min(least, most), total
    floor = min(grown, LAST_CHUNK)
    while True:
        size = min(grown, max(floor, min(most, left // SHARE_OF_REST)))
        yield size
        grown, left = 2 * grown, left - size
