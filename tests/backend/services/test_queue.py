"""The queue: a job is asked for once, moved only by its present attempt, and workers have names."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import utc_now
from backend.errors import Conflict, NotFound, UnknownName
from backend.services import queue
from backend.tables.queue import Job, JobState


def test_asking_again_gives_the_same_job(session: Session) -> None:
    first = queue.enqueue_job(session, "generate", 7, arguments={"then_score": ["f1"]})
    again = queue.enqueue_job(session, "generate", 7)
    assert again.id == first.id
    assert session.scalar(select(func.count(Job.id))) == 1
    assert queue.workflow_id(first) == "generate-7-1"
    assert first.queue == "gen"


def test_unknown_kind_is_refused(session: Session) -> None:
    with pytest.raises(UnknownName, match="train"):
        queue.enqueue_job(session, "trian", 1)


def test_unknown_job_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound, match="no job 9"):
        queue.get_job(session, 9)


def test_resumed_job_has_a_new_attempt_and_no_error(session: Session) -> None:
    job = queue.enqueue_job(session, "score", 1)
    queue.finish_job(session, job.id, 1, JobState.STOPPED, now=utc_now(), error="gone", exit_code=1)
    resumed = queue.resume_job(session, job.id, arguments={"retry_failed": True})
    assert (resumed.state, resumed.attempt) == (JobState.QUEUED, 2)
    assert (resumed.error, resumed.exit_code, resumed.finished_at) == (None, None, None)
    assert resumed.arguments == {"retry_failed": True}


def test_resuming_what_runs_changes_nothing(session: Session) -> None:
    job = queue.enqueue_job(session, "score", 1)
    assert queue.resume_job(session, job.id).attempt == 1


def test_superseded_attempt_moves_nothing(session: Session) -> None:
    job = queue.enqueue_job(session, "score", 1)
    assert queue.start_job(session, job.id, 1, executor_id="a", now=utc_now())
    assert queue.requeue_job(session, job.id, 1)
    assert not queue.holds_job(session, job.id, 1)
    assert not queue.finish_job(session, job.id, 1, JobState.DONE, now=utc_now())
    assert queue.get_job(session, job.id).state == JobState.QUEUED
    assert queue.holds_job(session, job.id, 2)


def test_two_sessions_ask_for_one_job(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        one = queue.enqueue_job(session, "train", 1).id
    with sessions.begin() as session:
        assert queue.enqueue_job(session, "train", 1).id == one


def test_living_worker_keeps_its_name(session: Session) -> None:
    now = utc_now()
    queue.claim_worker_name(session, "w", queues=["gen"], pid=os.getpid(), now=now)
    with pytest.raises(Conflict, match="STROP_EXECUTOR_ID"):
        queue.claim_worker_name(session, "w", queues=["gen"], pid=os.getpid() + 1, now=now)
    assert queue.has_worker(session, "gen", now=now)
    assert not queue.has_worker(session, "gpu", now=now)


def test_silent_worker_loses_its_name(session: Session) -> None:
    now = utc_now()
    queue.claim_worker_name(session, "w", queues=["gen"], pid=os.getpid(), now=now)
    later = now + timedelta(seconds=61)
    assert not queue.has_worker(session, "gen", now=later)
    queue.claim_worker_name(session, "w", queues=["gen"], pid=1, now=later)
    assert not queue.beat_heart(session, "w", pid=os.getpid(), now=later)


def test_containers_with_the_same_process_number_are_two_workers(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = utc_now()
    monkeypatch.setattr("platform.node", lambda: "container-a")
    queue.claim_worker_name(session, "w", queues=["gen"], pid=1, now=now)
    queue.claim_worker_name(session, "w", queues=["gen"], pid=1, now=now)  # itself, again
    monkeypatch.setattr("platform.node", lambda: "container-b")
    with pytest.raises(Conflict, match="container-a"):
        queue.claim_worker_name(session, "w", queues=["gen"], pid=1, now=now)
    assert not queue.beat_heart(session, "w", pid=1, now=now)
    queue.leave_worker(session, "w", pid=1)
    later = now + timedelta(seconds=61)
    queue.claim_worker_name(session, "w", queues=["gen"], pid=1, now=later)
    monkeypatch.setattr("platform.node", lambda: "container-a")
    assert not queue.beat_heart(session, "w", pid=1, now=later)


def test_dead_process_on_this_host_is_no_worker(session: Session) -> None:
    now = utc_now()
    queue.claim_worker_name(session, "w", queues=["gen"], pid=2**22 + 1, now=now)
    assert queue.live_workers(session, now=now) == []


def test_leaving_worker_is_forgotten(session: Session) -> None:
    now = utc_now()
    queue.claim_worker_name(session, "w", queues=["gen"], pid=os.getpid(), now=now)
    queue.leave_worker(session, "w", pid=os.getpid())
    assert queue.live_workers(session, now=now) == []


def test_a_job_that_has_ended_is_not_cancelled_and_a_cancelled_one_does_not_end(
    session: Session,
) -> None:
    job = queue.enqueue_job(session, "train", 1)
    assert queue.cancel_job(session, job.id, by_id=None, error="by hand", now=utc_now())
    assert queue.is_cancelled(session, job.id)
    assert not queue.cancel_job(session, job.id, by_id=None, error="again", now=utc_now())
    assert not queue.holds_job(session, job.id, 1)
    assert not queue.start_job(session, job.id, 1, executor_id="w1", now=utc_now())
    assert not queue.requeue_job(session, job.id, 1)
    assert not queue.finish_job(session, job.id, 1, JobState.DONE, now=utc_now())
    assert queue.unfinished_jobs(session, ["gpu"]) == []
    (found,) = queue.cancelled_jobs(session, queue.JobKind.TRAIN)
    assert (found.id, found.error) == (job.id, "by hand")
    queue.resume_job(session, job.id)
    queue.finish_job(session, job.id, 2, JobState.DONE, now=utc_now())
    assert not queue.cancel_job(session, job.id, by_id=None, error="late", now=utc_now())
    assert queue.cancelled_jobs(session, queue.JobKind.TRAIN) == []
