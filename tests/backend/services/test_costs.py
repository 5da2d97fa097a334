"""Costs: what is summed, what is unknown and why, and what is in no sum.

What asks every statement is on both databases.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from backend.schemas.costs import CostTotal
from backend.schemas.projects import Price
from backend.services.costs import (
    project_costs,
    review_costs,
    round_costs,
    run_costs,
    training_costs,
)
from backend.services.costs.report import NOTES
from backend.services.costs.totals import counted, total, unknown
from backend.services.projects import set_manifest
from backend.services.queue import JobKind
from backend.services.review import Answer
from backend.services.review.rules import QueueRules
from backend.tables.models import ModelKind
from backend.tables.queue import Job, JobState
from backend.tables.runs import Generation, ScoreRun
from backend.tables.training import TrainingRun
from tests.fixtures_review import GOOD, Desk, build_desk, review_next
from tests.fixtures_yields import add_round, build_turn

BEGAN = datetime(2026, 3, 1, 9, tzinfo=UTC)
PRICE = Price(prompt=2.0, completion=10.0, currency="EUR")
LEDGER = {"tokens": 5000, "seconds": 40.0, "cpu_seconds": 70.5, "gpu_seconds": 0.0, "starts": 2,
          "price_per_hour": 9.0, "cost": 0.1}  # fmt: skip


WHOLE: dict[str, Any] = {
    "state": JobState.DONE,
    "attempt": 1,
    "executor_id": "w",
    "started_at": BEGAN,
    "finished_at": BEGAN + timedelta(seconds=90),
}
CLOCKS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"state": JobState.RUNNING, "finished_at": None}, "not ended"),
    ({"state": JobState.QUEUED, "attempt": 2, "executor_id": None}, "not ended"),
    ({"state": JobState.CANCELLED, "attempt": 2, "executor_id": None}, "No worker"),
    ({"state": JobState.CANCELLED, "started_at": None}, "No worker"),
    ({"finished_at": BEGAN - timedelta(seconds=1)}, "clocks differ"),
)


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def either(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """A session, once on each backend."""
    with sessions() as session:
        yield session


def add_job(session: Session, kind: JobKind, subject_id: int, **changes: Any) -> Job:
    """A job that waited an hour and then took 90 seconds."""
    given = {**WHOLE, "created_at": BEGAN - timedelta(hours=1), **changes}
    job = Job(kind=kind, subject_id=subject_id, queue="gen", **given)
    session.add(job)
    session.flush()
    return job


def answers(session: Session, desk: Desk) -> list[Generation]:
    return session.query(Generation).filter_by(run_id=desk.run.id).order_by(Generation.id).all()


def tell_tokens(session: Session, desk: Desk, prompt: int = 100, completion: int = 20) -> None:
    for row in answers(session, desk):
        row.prompt_tokens, row.completion_tokens = prompt, completion
    session.flush()


class TestRuns:
    def test_tokens_clock_and_money_are_summed(self, either: Session) -> None:
        desk = build_desk(either)
        tell_tokens(either, desk)
        add_job(either, JobKind.GENERATE, desk.run.id)
        scored = [ScoreRun(generation_run_id=desk.run.id, metrics=[]) for _ in range(2)]
        either.add_all(scored)
        either.flush()
        for row in scored:
            add_job(either, JobKind.SCORE, row.id)
        [cost] = run_costs(either, [desk.run.id], price=PRICE)
        assert (cost.dataset, cost.models) == ("tickets@1", ("base", "base:v1@1"))
        assert cost.prompt_tokens == CostTotal(1200, "tokens", 12, 12)
        assert cost.completion_tokens == CostTotal(240, "tokens", 12, 12)
        assert cost.generating == CostTotal(
            90.0, "seconds", 1, 1
        )  # and not the hour that it waited
        assert cost.scoring == CostTotal(180.0, "seconds", 2, 2)
        assert cost.money == CostTotal(pytest.approx(0.0048), "EUR", 12, 12)  # type: ignore[arg-type]

    def test_what_is_not_recorded_is_unknown_and_never_0(self, session: Session) -> None:
        desk = build_desk(session)
        [cost] = run_costs(session, [desk.run.id], price=None)
        for spent in (cost.prompt_tokens, cost.completion_tokens, cost.generating, cost.scoring):
            assert (spent.value, spent.n) == (None, 0)
            assert spent.error
        assert "states no price" in str(cost.money.error)
        assert (cost.prompt_tokens.n_all, cost.generating.n_all) == (12, 1)

    def test_failed_answers_make_a_lower_bound(self, session: Session) -> None:
        desk = build_desk(session)
        tell_tokens(session, desk)
        failed = answers(session, desk)[0]
        failed.text, failed.error = None, "the server died"
        session.flush()
        [cost] = run_costs(session, [desk.run.id], price=PRICE)
        assert (cost.answers, cost.failed) == (12, 1)
        assert (cost.prompt_tokens.value, cost.prompt_tokens.n, cost.prompt_tokens.n_all) == (
            1100, 11, 12,
        )  # fmt: skip
        assert (cost.completion_tokens.value, cost.completion_tokens.n) == (220, 11)
        assert cost.prompt_tokens.at_least
        assert (cost.money.n, cost.money.at_least) == (11, True)

    def test_an_empty_answer_wrote_no_token_which_is_known(self, session: Session) -> None:
        desk = build_desk(session)
        tell_tokens(session, desk, completion=0)
        [cost] = run_costs(session, [desk.run.id], price=PRICE)
        assert cost.completion_tokens == CostTotal(0, "tokens", 12, 12)

    def test_a_0_of_an_imported_answer_is_not_known(self, session: Session) -> None:
        desk = build_desk(session)
        tell_tokens(session, desk, prompt=0)
        desk.models[1].kind = ModelKind.OUTPUTS
        session.flush()
        [cost] = run_costs(session, [desk.run.id], price=PRICE)
        assert (cost.prompt_tokens.value, cost.prompt_tokens.n) == (0, 6)  # the base's, known
        assert (cost.completion_tokens.value, cost.completion_tokens.n) == (240, 12)
        assert (cost.money.n, cost.money.value) == (6, pytest.approx(120 * 10 / 1e6))

    def test_a_clock_that_tells_nothing_is_unknown(self, session: Session) -> None:
        desk = build_desk(session)
        job = add_job(session, JobKind.GENERATE, desk.run.id)
        for changes, words in CLOCKS:
            for name, value in {**WHOLE, **changes}.items():
                setattr(job, name, value)
            session.flush()
            [cost] = run_costs(session, [desk.run.id], price=None)
            assert cost.generating.value is None, changes
            assert words in str(cost.generating.error)

    def test_of_several_attempts_only_the_last_is_recorded(self, session: Session) -> None:
        desk = build_desk(session)
        add_job(session, JobKind.GENERATE, desk.run.id, attempt=3)
        [cost] = run_costs(session, [desk.run.id], price=None)
        assert (cost.generating.value, cost.generating.n, cost.generating.n_all) == (90.0, 1, 3)
        assert cost.generating.at_least

    def test_a_job_of_another_kind_with_the_same_number_is_not_its(self, session: Session) -> None:
        desk = build_desk(session)
        add_job(session, JobKind.TRAIN, desk.run.id)
        [cost] = run_costs(session, [desk.run.id], price=None)
        assert cost.generating.value is None


class TestTrainings:
    def test_a_ledger_is_told_and_nothing_before_there_is_one(self, session: Session) -> None:
        build_turn(session)
        row = session.query(TrainingRun).one()
        self._all_unknown(session, row.id, "no job is on it")
        job = add_job(session, JobKind.TRAIN, row.id, state=JobState.RUNNING)
        self._all_unknown(session, row.id, "not ended")
        job.state = JobState.FAILED
        session.flush()
        self._all_unknown(session, row.id, "its job is failed")

        row.result, row.finished_at = {"ledger": LEDGER, "search": {"x": "y" * 1000}}, BEGAN
        session.flush()
        [cost] = training_costs(session, [row.id])
        assert (cost.adapter, cost.starts) == ("v9", 2)
        assert cost.clock == CostTotal(40.0, "seconds", 1, 1)
        assert cost.processor.value == 70.5
        assert cost.gpu == CostTotal(0.0, "seconds", 1, 1)  # it had none, which is known
        assert (cost.tokens.value, cost.money.value) == (5000, 0.1)

        row.result = {"ledger": {"seconds": 1.5, "cost": None}}
        session.flush()
        [cost] = training_costs(session, [row.id])
        assert cost.clock.value == 1.5
        assert "price_per_hour" in str(cost.money.error)
        assert cost.gpu.value is None

    def _all_unknown(self, session: Session, run_id: int, words: str) -> None:
        [cost] = training_costs(session, [run_id])
        for spent in (cost.clock, cost.processor, cost.gpu, cost.tokens, cost.money):
            assert spent.value is None
            assert words in str(spent.error)


class TestReviews:
    def test_minutes_and_money_of_a_queue(self, either: Session) -> None:
        desk = build_desk(either)
        queue = desk.open(either, rules=QueueRules(cost_per_hour=90.0, currency="CHF"))
        for seconds in (60.0, 60.0, 120.0, 0.0):
            review_next(either, queue, desk.experts[0], Answer(GOOD, active_seconds=seconds))
        [cost] = review_costs(either, [queue.id])
        assert (cost.reviews, cost.n_simulated) == (4, 0)
        assert (cost.minutes.value, cost.minutes.n, cost.minutes.n_all) == (4.0, 3, 4)
        assert cost.minutes.at_least
        assert (cost.money.value, cost.money.unit) == (pytest.approx(6.0), "CHF")
        assert (cost.minutes_per_item.n, cost.money_per_item.unit) == (3, "CHF")

    def test_without_a_price_there_is_no_money(self, session: Session) -> None:
        desk = build_desk(session)
        queue = desk.open(session)
        review_next(session, queue, desk.experts[0], Answer(GOOD, active_seconds=60.0))
        [cost] = review_costs(session, [queue.id])
        assert cost.minutes.value == 1.0
        assert cost.money.value is None
        assert cost.money_per_item.value is None

    def test_a_queue_without_reviews_is_unknown(self, session: Session) -> None:
        desk = build_desk(session)
        [cost] = review_costs(session, [desk.open(session).id])
        assert (cost.minutes.value, cost.minutes.n_all) == (None, 0)


class TestRounds:
    def test_its_parts_are_added_in_each_currency(self, either: Session) -> None:
        turn = build_turn(either)
        tell_tokens(either, turn.desk)
        training = either.query(TrainingRun).one()
        training.result, training.finished_at = {"ledger": LEDGER}, BEGAN
        row = add_round(turn)
        row.training_run_id, row.generation_run_id = training.id, turn.desk.run.id
        add_job(either, JobKind.GENERATE, turn.desk.run.id)
        [replay] = turn.start()
        [cost] = round_costs(either, [row], price=PRICE)
        assert (cost.number, cost.adapter, cost.runs) == (1, "v9", 2)
        assert replay.generation_run_id != turn.desk.run.id
        assert (cost.clock.value, cost.clock.n, cost.clock.n_all) == (130.0, 2, 3)
        assert cost.clock.at_least  # the replay is not done
        assert (cost.processor.value, cost.trained_tokens.value) == (70.5, 5000)
        assert (cost.tokens.value, cost.tokens.n, cost.tokens.n_all) == (34 * 120, 34, 34)
        assert cost.tokens.at_least  # the replay has answered nothing
        assert cost.minutes.value is not None
        assert [(part.unit, part.value) for part in cost.money] == [
            ("", 0.1),
            ("EUR", pytest.approx(34 * (100 * 2 + 20 * 10) / 1e6)),
        ]
        assert any("what an hour costs" in reason for reason in cost.unpriced)

    def test_a_review_behind_its_rows_and_among_its_votes_counts_once(
        self, session: Session
    ) -> None:
        from backend.services.rounds import round_outcome
        from backend.tables.review import ReviewQueue

        turn = build_turn(session)
        row = add_round(turn)
        [apart] = round_costs(session, [row], price=None)
        told = round_outcome(session, row).expert_minutes
        assert apart.minutes.value == pytest.approx(told, abs=0.05)
        row.review_queue_id = session.query(ReviewQueue).one().id
        session.flush()
        [cost] = round_costs(session, [row], price=None)
        assert cost.minutes.value == cost.minutes.n == 17  # those that taught too, once

    def test_a_round_that_has_made_nothing_yet(self, session: Session) -> None:
        row = add_round(build_turn(session), with_candidate=False)
        [cost] = round_costs(session, [row], price=PRICE)
        for spent in (cost.clock, cost.processor, cost.tokens, cost.minutes):
            assert spent.value is None
            assert spent.error
        assert cost.money == ()


def test_a_project_is_told_whole_and_no_other_one_is_in_it(either: Session) -> None:
    turn = build_turn(either)
    add_round(turn)
    desk = build_desk(either, name="other")
    source = "name: bar\nprice: {prompt: 1, completion: 2, currency: EUR}\nlines:\n"
    set_manifest(either, desk.project.id, source + "  - {metric: exact_match, threshold: 0.5}\n")
    told = project_costs(either, turn.desk.project.id, training_hour=None)
    assert [len(rows) for rows in (told.runs, told.trainings, told.rounds, told.reviews)] == [1] * 4
    assert told.prices.prompt is None
    assert any("No job of a worker did it." in reason for reason in told.reasons)
    other = project_costs(either, desk.project.id, training_hour=3.0)
    assert (other.prices.bar, other.prices.completion) == ("bar, version 1", 2.0)
    assert (other.prices.prompt, other.prices.training_hour) == (1.0, 3.0)
    assert other.notes == NOTES
    assert (other.trainings, other.rounds, other.reviews) == ([], [], [])
    assert [one.run_id for one in other.runs] == [desk.run.id]


def test_the_newest_are_shown_and_answers_are_summed_in_the_database(session: Session) -> None:
    desk = build_desk(session)
    asked: list[str] = []
    bind = session.get_bind()

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    session.flush()
    session.expunge_all()
    event.listen(bind, "before_cursor_execute", note)
    try:
        report = project_costs(session, desk.project.id, training_hour=None, limit=1)
    finally:
        event.remove(bind, "before_cursor_execute", note)
    assert len(report.runs) == 1
    assert not [said for said in asked if "generations.text" in said or "examples." in said]


class TestSums:
    def test_nothing_recorded_is_no_0(self) -> None:
        assert counted(0, "tokens", n=0, of=3, lacking="why").error == "why"
        assert total([], "seconds", nothing="none").error == "none"
        assert total([unknown("seconds", "a"), unknown("seconds", "a")], "seconds", nothing="")\
            .error == "a"  # fmt: skip

    def test_an_unknown_part_makes_a_lower_bound(self) -> None:
        found = total([CostTotal(2.0, "s", 1, 1), unknown("s", "lost")], "s", nothing="")
        assert (found.value, found.n, found.n_all, found.at_least) == (2.0, 1, 2, True)
        assert found.note == "lost"

    @pytest.mark.parametrize(
        ("spent", "words"),
        [
            (CostTotal(12000, "tokens", 8, 9, at_least=True), "at least 12,000 tokens (n=8 of 9)"),
            (CostTotal(0.00412, "EUR", 2, 2), "0.00412 EUR (n=2)"),
            (CostTotal(None, "EUR", 0, 2, error="x"), "unknown"),
            (CostTotal(0, "seconds", 1, 1), "0.00 s (n=1)"),
        ],
    )
    def test_words(self, spent: CostTotal, words: str) -> None:
        assert spent.words == words
