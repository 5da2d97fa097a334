"""Leases on the chunks of a job: nobody gets what another holds, and the late mark nothing."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from itertools import repeat

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import utc_now
from backend.jobs.running.sharing import chunk_sizes
from backend.services import chunks, queue
from backend.services.chunks import LEASE, ChunkProgress, LeasedChunk, Range
from backend.tables.queue import JobChunk

NOW = utc_now()
LATER = NOW + LEASE + timedelta(seconds=1)


def lay_down(session: Session, n: int = 3, *, part: str = "") -> int:
    job = queue.enqueue_job(session, "score", 1)
    ranges = [Range(10 * i, 10 * i + 9, 10) for i in range(n)]
    chunks.lay_down_chunks(session, job.id, job.attempt, ranges, part=part)
    return job.id


def lease(session: Session, job: int, owner: str = "w1/1", **more: object) -> LeasedChunk | None:
    given: dict[str, object] = {"now": NOW, "attempt": 1, **more}
    return chunks.lease_chunk(session, job, owner=owner, **given)  # type: ignore[arg-type]


def leased(session: Session, job: int, owner: str = "w1/1", **more: object) -> LeasedChunk:
    found = lease(session, job, owner, **more)
    assert found is not None
    return found


def test_each_chunk_is_leased_once_and_in_order(session: Session) -> None:
    job = lay_down(session)
    firsts = [leased(session, job, f"w{i}/1").first for i in range(3)]
    assert firsts == [0, 10, 20]
    assert lease(session, job, "w4/1") is None
    assert lease(session, job, attempt=2) is None
    assert chunks.chunk_progress(session, job, 1) == ChunkProgress(0, 3, 0, 30)


def test_a_lease_that_ran_out_is_taken_and_the_late_one_marks_nothing(session: Session) -> None:
    job = lay_down(session, 1)
    late = leased(session, job)
    assert lease(session, job, "w2/1", now=NOW + LEASE - timedelta(seconds=1)) is None
    heir = leased(session, job, "w2/1", now=LATER)
    assert (heir.id, heir.fence) == (late.id, late.fence + 1)
    assert not chunks.finish_chunk(session, late)
    chunks.extend_leases(session, [late], owner="w1/1", now=LATER + LEASE)
    chunks.give_back_chunks(session, [late])
    row = session.scalars(select(JobChunk)).one()
    assert (row.state, row.owner, row.lease_until) == ("leased", "w2/1", LATER + LEASE)
    assert chunks.finish_chunk(session, heir)
    assert not chunks.finish_chunk(session, heir), "once"
    assert chunks.chunk_progress(session, job, 1) == ChunkProgress(0, 0, 1, 0)


def test_a_heartbeat_keeps_a_lease(session: Session) -> None:
    job = lay_down(session, 1)
    held = leased(session, job)
    chunks.extend_leases(session, [held], owner="w1/1", now=NOW + LEASE / 2)
    assert lease(session, job, "w2/1", now=NOW + LEASE + timedelta(seconds=1)) is None


def test_what_is_given_back_is_free(session: Session) -> None:
    job = lay_down(session, 2)
    held = leased(session, job)
    chunks.give_back_chunks(session, [held])
    chunks.give_back_chunks(session, [])
    again = leased(session, job, "w2/1")
    assert (again.id, again.fence) == (held.id, 2)
    assert not chunks.finish_chunk(session, held)


def test_what_the_dead_held_is_free_and_what_the_living_hold_is_not(session: Session) -> None:
    job = lay_down(session, 2)
    dead, alive = leased(session, job, "w1/1"), leased(session, job, "w2/1")
    chunks.free_chunks_of_dead(session, job, 1, living=["w2/1", "w1/2"])
    assert leased(session, job, "w3/1").id == dead.id
    assert lease(session, job, "w3/1") is None
    assert chunks.finish_chunk(session, alive)


def test_an_attempt_is_laid_down_once_and_sweeps_those_before_it(session: Session) -> None:
    job = lay_down(session)
    held = leased(session, job)
    lay_down(session)
    assert chunks.chunk_progress(session, job, 1) == ChunkProgress(2, 1, 0, 30)
    chunks.lay_down_chunks(session, job, 2, [Range(0, 9, 10)])
    assert chunks.chunk_progress(session, job, 1) == ChunkProgress()
    assert not chunks.finish_chunk(session, held)
    assert chunks.chunk_progress(session, job, 2) == ChunkProgress(1, 0, 0, 10)


def test_parts_are_leased_apart(session: Session) -> None:
    job = lay_down(session, 1, part="7:1")
    lay_down(session, 1, part="7:2")
    assert chunks.free_part(session, job, 1, now=NOW) == "7:1"
    assert leased(session, job, part="7:2").part == "7:2"
    assert lease(session, job, part="7:2") is None
    assert leased(session, job, part="7:1").part == "7:1"
    assert chunks.free_part(session, job, 1, now=NOW) is None
    assert chunks.free_part(session, job, 1, now=LATER) == "7:1"


def test_many_at_once_get_each_chunk_once(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        job = lay_down(session, 40)
    got: list[int] = []

    def work(owner: str) -> None:
        while True:
            with sessions.begin() as session:
                held = lease(session, job, owner)
            if held is None:
                return
            got.append(held.first)
            with sessions.begin() as session:
                assert chunks.finish_chunk(session, held)

    threads = [threading.Thread(target=work, args=(f"w{i}/1",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sessions() as session:
        assert chunks.chunk_progress(session, job, 1) == ChunkProgress(0, 0, 40, 0)
    assert sorted(got) == [10 * i for i in range(40)]


@pytest.mark.parametrize(
    ("ids", "size", "weight", "ranges"),
    [
        ([], 3, 1, []),
        ([5], 3, 1, [Range(5, 5, 1)]),
        ([1, 2, 9, 10], 3, 1, [Range(1, 9, 3), Range(10, 10, 1)]),
        ([1, 2, 3], 4, 2, [Range(1, 2, 4), Range(3, 3, 2)]),
        ([1, 2], 1, 5, [Range(1, 1, 5), Range(2, 2, 5)]),
    ],
)
def test_ids_are_cut_into_ranges(
    ids: list[int], size: int, weight: int, ranges: list[Range]
) -> None:
    assert list(chunks.ranges_of(ids, repeat(size), weight=weight)) == ranges


@pytest.mark.parametrize(
    ("total", "first"),
    [
        (0, [16, 16]),
        (200, [25, 21, 19, 16]),
        (1000, [32, 64, 113, 98]),
        (1_000_000, [32, 64, 128, 250, 250]),
    ],
)
def test_chunks_grow_and_shrink(total: int, first: list[int]) -> None:
    sizes = chunk_sizes(total, least=32, most=250)
    assert [next(sizes) for _ in first] == first
    ranges = list(chunks.ranges_of(range(total), chunk_sizes(total, least=32, most=250)))
    assert sum(one.size for one in ranges) == total
    assert all(one.size <= 16 for one in ranges[-3:]), "nobody waits long for the last"


def test_chunks_of_a_size_are_all_of_that_size() -> None:
    sizes = chunk_sizes(23, least=32, most=5)
    assert [next(sizes) for _ in range(4)] == [5, 5, 5, 5]


def test_a_chunk_that_was_laid_down_anew_is_no_old_one(session: Session) -> None:
    job = lay_down(session, 1)
    held = leased(session, job)
    assert not chunks.finish_chunk(session, replace(held, fence=0))
    assert not chunks.finish_chunk(session, replace(held, id=held.id + 1))
