"""Workers that share one job: every chunk is done once, by whoever takes it, and the job ends once.

Two workshops in this process, whose parts a test takes by hand in the order that it likes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import utc_now
from backend.engines.base import GenerationRequest, GenerationResult
from backend.engines.fake import FakeEngine, echo_last_message
from backend.errors import EngineUnavailable, PreflightFailed
from backend.jobs import generate, score
from backend.jobs.running import reconcile, sharing
from backend.jobs.running.parts import Workshop
from backend.jobs.worker import HELPERS, KINDS
from backend.services import chunks, queue
from backend.services.runs import generation, scoring
from backend.settings import Settings
from backend.tables.queue import Job, JobChunk, JobState
from backend.tables.runs import Generation, Score
from tests.fixtures_runs import lay_down_project, lay_down_run

EXAMPLES = 20
UNITS = 2 * EXAMPLES


@dataclass
class Floor:
    """One generation run to be scored, and two workers: `one` leads, `two` helps."""

    sessions: sessionmaker[Session]
    one: Workshop
    two: Workshop
    asked: dict[str, FakeEngine] = field(default_factory=dict)

    def job(self, kind: str) -> Job:
        with self.sessions() as session:
            found = queue.find_job(session, kind, 1)
            assert found is not None
            return found

    def lead(self, kind: str) -> bool:
        job = self.job(kind)
        return self.one.take_part(job.id, job.attempt)

    def help(self, kind: str) -> bool:
        job = self.job(kind)
        return self.two.take_help(job.id, job.attempt)

    def owners(self, kind: str) -> Counter[str]:
        job = self.job(kind)
        with self.sessions() as session:
            rows = session.scalars(select(JobChunk).where(JobChunk.job_id == job.id))
            return Counter(str(row.owner).partition("/")[0] for row in rows)

    def count(self, table: type[Generation] | type[Score]) -> int:
        with self.sessions() as session:
            return session.scalar(select(func.count(table.id))) or 0

    def write(self) -> None:
        with self.sessions.begin() as session:
            requests = generation.pending_requests(session, 1)
            answers = [GenerationResult(r.key, text=r.messages[-1]["content"]) for r in requests]
            generation.save_generations(session, 1, answers)


@pytest.fixture
def floor(
    sessions: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Floor:
    monkeypatch.setattr(generate, "CHUNK", 4)
    monkeypatch.setattr(generate, "SAVE_AFTER_SECONDS", 600.0)
    monkeypatch.setattr(score, "CHUNK", 4)
    monkeypatch.setattr(sharing, "LONGEST_WAIT", 0.01)
    with sessions.begin() as session:
        run = lay_down_run(session, lay_down_project(session, examples=EXAMPLES))
        scores = scoring.create_score_run(
            session, generation_run_id=run.id, metrics=["accuracy", "rouge1"]
        )
        queue.enqueue_job(session, "generate", run.id, arguments={"then_score": [scores.id]})
        queue.enqueue_job(session, "score", scores.id)
    engines = {name: FakeEngine() for name in ("one", "two")}

    def shop(name: str) -> Workshop:
        return Workshop(
            settings.model_copy(update={"processes": 1}),
            sessions,
            name,
            lambda *_: engines[name],
            lambda *_, **__: None,
            KINDS,
            HELPERS,
        )

    return Floor(sessions, shop("one"), shop("two"), engines)


def take_turns(floor: Floor, kind: str) -> None:
    """Both do a part in turn until neither has another."""
    leads, helps = True, True
    while leads or helps:
        leads = leads and floor.lead(kind)
        helps = helps and floor.help(kind)


def require_scored_once(floor: Floor) -> None:
    with floor.sessions() as session:
        assert scoring.pending_units(session, 1) == []
    assert floor.count(Score) == 2 * UNITS


def test_two_workers_share_a_scoring(floor: Floor) -> None:
    floor.write()
    assert floor.lead("score")
    take_turns(floor, "score")
    assert floor.job("score").state == JobState.DONE
    owners = floor.owners("score")
    assert owners.keys() == {"one", "two"}
    assert min(owners.values()) >= 4
    require_scored_once(floor)


def test_two_workers_share_a_run_each_with_an_engine_of_its_own(floor: Floor) -> None:
    while not floor.count(Generation):
        assert floor.lead("generate")
    take_turns(floor, "generate")
    assert floor.job("generate").state == JobState.DONE
    assert floor.owners("generate").keys() == {"one", "two"}
    asked = [key for engine in floor.asked.values() for key in engine.asked]
    assert (len(asked), len(set(asked))) == (UNITS, UNITS)
    assert min(len(engine.asked) for engine in floor.asked.values()) >= 8


@pytest.mark.parametrize("kind", ["score", "generate"])
def test_a_helper_that_does_the_last_chunk_ends_the_job(floor: Floor, kind: str) -> None:
    if kind == "score":
        floor.write()
    while sum(floor.owners(kind).values()) == 0:
        assert floor.lead(kind)
    while floor.help(kind):
        pass
    left = floor.owners(kind)["one"]
    job = floor.job(kind)
    assert job.state == (JobState.RUNNING if left > _done_by(floor, "one") else JobState.DONE)
    while floor.lead(kind):
        pass
    job = floor.job(kind)
    assert (job.state, job.error, job.executor_id) == (JobState.DONE, None, "one")


def _done_by(floor: Floor, name: str) -> int:
    with floor.sessions() as session:
        rows = session.scalars(select(JobChunk).where(JobChunk.state == "done"))
        return sum(str(row.owner).startswith(f"{name}/") for row in rows)


def test_a_lease_that_lapsed_is_done_by_the_other_and_nothing_is_twice(floor: Floor) -> None:
    floor.write()
    assert floor.lead("score")
    leases = score.Leases(floor.two, floor.job("score"))
    late = leases.lease()
    assert late is not None
    with floor.sessions.begin() as session:
        lapsed = utc_now() - timedelta(seconds=1)
        session.execute(update(JobChunk).where(JobChunk.id == late.id).values(lease_until=lapsed))
    while floor.lead("score"):
        pass
    assert floor.job("score").state == JobState.DONE
    assert floor.owners("score").keys() == {"one"}
    plan = _plan_of(floor)
    taken = score._load_chunk(floor.two, 1, plan, late)
    assert taken is None, "all of it is there"
    with floor.sessions.begin() as session:
        leases.finish(session, late)
    require_scored_once(floor)


def _plan_of(floor: Floor) -> score._ScorePlan:
    with floor.sessions() as session:
        return score._plan(floor.two, session, 1)


def test_what_a_late_worker_writes_does_not_double(floor: Floor) -> None:
    floor.write()
    assert floor.lead("score")
    with score.Leases(floor.two, floor.job("score")) as leases:
        late = leases.lease()
        assert late is not None
        taken = score._load_chunk(floor.two, 1, _plan_of(floor), late)
        assert taken is not None
        with floor.sessions.begin() as session:
            session.execute(
                update(JobChunk)
                .where(JobChunk.id == late.id)
                .values(state="open", owner=None, lease_until=None)
            )
        while floor.lead("score"):
            pass
        from evaluators.chunks import score_chunk

        with floor.sessions.begin() as session:
            assert scoring.save_scores(session, 1, score_chunk(taken.pure)) == 0
    require_scored_once(floor)
    assert floor.job("score").state == JobState.DONE


def test_chunks_of_a_worker_that_is_gone_are_done_by_the_leader(floor: Floor) -> None:
    floor.write()
    assert floor.lead("score")
    score.Leases(floor.two, floor.job("score")).lease()  # and is killed
    floor.two.extend_leases(utc_now() + timedelta(hours=1))  # nobody waits for it to run out
    while floor.lead("score"):
        pass
    assert floor.job("score").state == JobState.DONE
    require_scored_once(floor)


def test_the_leader_waits_for_what_a_living_worker_holds(floor: Floor) -> None:
    floor.write()
    with floor.sessions.begin() as session:
        queue.claim_worker_name(session, "two", queues=["score"], pid=os.getpid(), now=utc_now())
    assert floor.lead("score")
    with score.Leases(floor.two, floor.job("score")) as leases:
        assert leases.lease() is not None
        for _ in range(2 * EXAMPLES):
            assert floor.lead("score")
        assert floor.job("score").state == JobState.RUNNING
    while floor.lead("score"):
        pass
    require_scored_once(floor)


def test_a_cancelled_job_is_left_by_all(floor: Floor) -> None:
    floor.write()
    assert floor.lead("score")
    assert floor.help("score")
    with floor.sessions.begin() as session:
        assert queue.cancel_job(
            session, floor.job("score").id, by_id=None, error="not this", now=utc_now()
        )
    there = floor.count(Score)
    assert not floor.lead("score")
    assert not floor.help("score")
    assert floor.count(Score) == there
    job = floor.job("score")
    assert (job.state, job.error) == (JobState.CANCELLED, "not this")


def test_an_error_of_a_helper_ends_the_job_for_all(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor.write()
    assert floor.lead("score")

    def breaks(*_: object, **__: object) -> None:
        raise ValueError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(scoring, "save_scores", breaks)
        assert not floor.help("score")
    job = floor.job("score")
    assert (job.state, job.error, job.exit_code) == (JobState.FAILED, "ValueError: a defect", 1)
    assert not floor.lead("score")
    assert floor.job("score").error == "ValueError: a defect"


@pytest.mark.parametrize("who", ["leader", "helper"])
def test_a_lost_connection_to_the_database_is_no_fault_of_the_job(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    floor.write()
    assert floor.lead("score")
    lost = OperationalError("SELECT 1", {}, ValueError("gone"), connection_invalidated=True)

    def breaks(*_: object, **__: object) -> None:
        raise lost

    with monkeypatch.context() as patched:
        patched.setattr(scoring, "save_scores", breaks)
        assert not (floor.lead("score") if who == "leader" else floor.help("score"))
    job = floor.job("score")
    again = (JobState.RUNNING, 1) if who == "helper" else (JobState.QUEUED, 2)
    assert (job.state, job.attempt, job.error) == (*again, None)
    take_turns(floor, "score")
    assert floor.job("score").state == JobState.DONE
    assert floor.count(Score) == 2 * UNITS


def test_what_cannot_be_given_back_is_kept_by_no_heartbeat(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever leads would wait for ever for a chunk that nobody does."""
    floor.write()
    assert floor.lead("score")
    job = floor.job("score")

    def away(*_: object) -> None:
        raise OperationalError("UPDATE", {}, ValueError("the database is away"))

    with monkeypatch.context() as patched:
        patched.setattr(chunks, "give_back_chunks", away)
        with pytest.raises(OperationalError), score.Leases(floor.two, job) as leases:
            held = leases.lease()
    assert held is not None
    later = utc_now() + timedelta(hours=1)
    floor.two.extend_leases(later)
    with floor.sessions() as session:
        row = session.get(JobChunk, held.id)
        assert row is not None
        assert row.lease_until is not None
        assert row.lease_until < later


def test_a_preflight_that_fails_at_a_helper_ends_the_run(floor: Floor) -> None:
    while not floor.count(Generation):
        assert floor.lead("generate")

    def refuses(*_: object, **__: object) -> None:
        raise PreflightFailed("Preflight failed: v1 writes what the base writes.")

    floor.two.preflight = refuses
    assert floor.help("generate")
    assert not floor.help("generate")
    job = floor.job("generate")
    assert (job.state, job.exit_code) == (JobState.FAILED, 2)
    assert not floor.lead("generate")
    assert floor.asked["two"].asked == []


@pytest.mark.parametrize("when", ["loading", "writing"])
def test_a_helper_whose_engine_is_gone_leaves_its_chunks_to_the_others(
    floor: Floor, when: str
) -> None:
    if when == "loading":

        def refuses(*_: object) -> FakeEngine:
            raise EngineUnavailable("no server answers")

        floor.two.open_engine = refuses
    else:
        floor.asked["two"].dies_after = 6
    while not floor.count(Generation):
        assert floor.lead("generate")
    while floor.help("generate"):
        pass
    job = floor.job("generate")
    assert job.state == JobState.RUNNING
    assert not floor.two.may_help(job), "not with this attempt any more"
    while floor.lead("generate"):
        pass
    assert floor.job("generate").state == JobState.DONE
    assert floor.count(Generation) == UNITS


def test_a_helper_leaves_for_a_job_that_waits(floor: Floor) -> None:
    floor.write()
    assert floor.lead("score")
    assert floor.help("score")
    with floor.sessions.begin() as session:
        queue.enqueue_job(session, "health", 1)
    parts = 0
    while floor.help("score"):
        parts += 1
    assert parts <= 1
    job = floor.job("score")
    assert job.state == JobState.RUNNING
    assert floor.two.may_help(job), "and comes back"


def test_a_helper_that_is_told_to_end_gives_its_chunks_back(floor: Floor) -> None:
    while not floor.count(Generation):
        assert floor.lead("generate")
    for _ in range(3):
        assert floor.help("generate")
    floor.two.stopping.set()
    assert not floor.help("generate")
    assert floor.job("generate").state == JobState.RUNNING
    with floor.sessions() as session:
        mine = select(JobChunk).where(JobChunk.owner.startswith("two/"))
        assert {row.state for row in session.scalars(mine)} == {"done"}
    while floor.lead("generate"):
        pass
    assert floor.count(Generation) == UNITS


def test_what_a_worker_gives_back_is_completed_by_the_next_and_nothing_is_asked_twice(
    floor: Floor,
) -> None:
    while not floor.count(Generation):
        assert floor.lead("generate")
    floor.one.give_back_jobs()
    given, written = floor.job("generate"), floor.count(Generation)
    assert (given.state, given.attempt) == (JobState.QUEUED, 2)
    assert written < UNITS
    while floor.two.take_part(given.id, given.attempt):
        pass
    done = floor.job("generate")
    assert (done.state, done.executor_id) == (JobState.DONE, "two")
    assert floor.count(Generation) == UNITS
    assert len(floor.asked["two"].asked) == UNITS - written


def test_an_engine_takes_chunks_as_it_takes_requests(floor: Floor) -> None:
    held: list[int] = []

    def answer(request: GenerationRequest) -> str:
        held.append(len(floor.one._leases))
        return echo_last_message(request)

    floor.asked["one"].answer = answer
    while floor.lead("generate"):
        pass
    assert max(held) <= 2
    assert floor.one._leases == {}
    assert sum(floor.owners("generate").values()) == UNITS / 4


class Forgetful(FakeEngine):
    def generate(self, requests, params):  # type: ignore[no-untyped-def]
        yield from (a for n, a in enumerate(super().generate(requests, params)) if n != 5)


def test_an_answer_that_an_engine_leaves_out_is_an_error_and_no_endless_wait(floor: Floor) -> None:
    floor.one.open_engine = lambda *_: Forgetful()
    while floor.lead("generate"):
        pass
    job = floor.job("generate")
    assert job.state == JobState.FAILED
    assert "left out 1 answers" in str(job.error)


@pytest.mark.parametrize(
    ("state", "by", "waits", "free", "offered"),
    [
        pytest.param("running", "one", False, 3, 1, id="there is work"),
        pytest.param("running", "one", True, 3, 0, id="a job waits"),
        pytest.param("running", "two", False, 3, 0, id="its own"),
        pytest.param("queued", None, False, 3, 0, id="nobody leads yet"),
        pytest.param("running", "one", False, 1, 0, id="one chunk is nothing to share"),
    ],
)
def test_help_is_offered_where_chunks_wait_and_no_job_does(
    sqlite_sessions: sessionmaker[Session],
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    by: str | None,
    waits: bool,
    free: int,
    offered: int,
) -> None:
    from tests.backend.services.test_chunks import lay_down

    with sqlite_sessions.begin() as session:
        job = lay_down(session, free)
        row = queue.get_job(session, job)
        row.state, row.executor_id = state, by
        if waits:
            queue.enqueue_job(session, "health", 1)
    told: list[dict[str, object]] = []
    monkeypatch.setattr(
        "backend.jobs.running.transact.enqueue_help",
        lambda name, **how: told.append({"by": name, **how}),
    )
    may_help: Callable[[Job], bool] = lambda job: job.kind in HELPERS  # noqa: E731
    reconcile.offer_help(sqlite_sessions, ["score"], executor_id="two", may_help=may_help)
    assert told == [{"by": "two", "queue": "score", "job_id": job, "attempt": 1}] * offered


def test_leases_are_kept_by_the_heartbeat_for_as_long_as_they_are_held(floor: Floor) -> None:
    floor.write()
    assert floor.lead("score")
    job = floor.job("score")
    later = utc_now() + timedelta(hours=1)
    with score.Leases(floor.two, job) as leases:
        held = leases.lease()
        assert held is not None
        floor.two.extend_leases(later)
        with floor.sessions() as session:
            row = session.get(JobChunk, held.id)
            assert row is not None
            assert row.lease_until is not None
            assert row.lease_until > later
    floor.two.extend_leases(later)
    with floor.sessions() as session:
        row = session.get(JobChunk, held.id)
        assert row is not None
        assert (row.state, row.lease_until) == ("open", None)
