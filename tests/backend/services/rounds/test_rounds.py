"""A round goes from corrections to a signed promotion, and a killed worker changes nothing."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import connect
from backend.engines.base import GenerationResult
from backend.errors import Conflict, Forbidden, InvalidInput, NotFound
from backend.services import queue, review, rounds
from backend.services.accounts.users import create_user
from backend.services.cancelling import Cancellation, cancel_subjects
from backend.services.models.versions import alias_target
from backend.services.projects import set_manifest
from backend.services.review import Answer
from backend.services.rounds.plans import stored_plan
from backend.services.runs import generation, scoring
from backend.settings import Settings, sqlite_file
from backend.tables.accounts import User
from backend.tables.curation import Replay, TrainingSet
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.queue import Job, JobState
from backend.tables.review import ReviewItem, ReviewQueue
from backend.tables.rounds import Round, RoundState
from backend.tables.runs import GenerationRun, ScoreRun
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison, Promotion
from tests.fixtures_review import BAD, NOW, Desk, build_desk, review_next, submit
from tests.fixtures_runs import lay_down_preflight

BAR = """
name: bar
lines:
  - {metric: exact_match, margin: 0.2}
  - {metric: win_rate, threshold: 0.5}
"""
WEEK = timedelta(days=7)
PLAN: dict[str, Any] = {
    "adapter": "v9",
    "recipe": {"queues": ["corrections"]},
    "dataset": "tickets",
    "metrics": ["exact_match"],
    "engine": "fake",
    "review": {"reviewers": ["expert0-desk"]},
}


@dataclass
class Loop:
    """A project with corrections, and whatever a worker and people would do."""

    sessions: sessionmaker[Session]
    settings: Settings
    project_id: int
    expert_id: int
    clock: datetime = NOW

    def start(self, **changes: Any) -> int:
        with self.sessions.begin() as session:
            plan = rounds.parse_plan(json.dumps({**PLAN, **changes}))
            row = rounds.start_round(
                session, self.project_id, plan, started_by_id=None, now=self.clock
            )
            return row.id

    def advance(self, *, minutes: int = 1) -> int:
        self.clock += timedelta(minutes=minutes)
        return rounds.advance_rounds(self.sessions, self.settings, now=self.clock)

    def row(self) -> Round:
        with self.sessions() as session:
            return rounds.find_round(session, self.project_id)

    def finish_training(self) -> None:
        """What the trainer and its job leave behind."""
        with self.sessions.begin() as session:
            run = session.scalars(select(TrainingRun)).one()
            session.add(_adapter(self.project_id, run.id))
            _finish(session, "train", run.id)

    def finish_run(self) -> None:
        """The base always writes nonsense, the candidate what is asked for."""
        with self.sessions.begin() as session:
            row = rounds.find_round(session, self.project_id)
            run = session.get_one(GenerationRun, row.generation_run_id)
            lay_down_preflight(session, run)
            generation.save_generations(session, run.id, _answers(session, run))
            (scores,) = scoring.list_score_runs(session, run.id)
            units = scoring.pending_units(session, scores.id)
            written = scoring.load_generations(session, [u.generation_id for u in units])
            scoring.save_scores(session, scores.id, scoring.score_units(units, written))
            _finish(session, "generate", run.id)
            queue.enqueue_job(session, "score", scores.id)
            _finish(session, "score", scores.id)
        self.finish_replays()

    def finish_replays(self) -> None:
        """The candidate answers the corrected prompts as their references do."""
        with self.sessions.begin() as session:
            for replay in session.scalars(select(Replay)):
                run = session.get_one(GenerationRun, replay.generation_run_id)
                generation.save_generations(session, run.id, _answers(session, run))
                _finish(session, "generate", run.id)

    def vote(self, n: int) -> None:
        """So many blind votes for the candidate."""
        with self.sessions.begin() as session:
            opened = session.scalars(select(ReviewQueue).where(ReviewQueue.kind == "pair")).one()
            for _ in range(n):
                claim = review.claim_review_item(session, opened.id, self.expert_id, now=self.clock)
                assert claim is not None
                item = session.get_one(ReviewItem, claim.item_id)
                left = item.generation_a if item.a_is_left else item.generation_b
                assert left is not None
                side = "left" if left.model_version.name == "v9" else "right"
                expert = session.get_one(User, self.expert_id)
                submit(session, claim, expert, Answer({}, winner=side), now=self.clock)

    def person(self, role: str) -> int:
        """Somebody of that role."""
        with self.sessions.begin() as session:
            found = session.scalar(select(User.id).where(User.name == f"the {role}"))
            project_ids = [self.project_id]
            return found or create_user(session, f"the {role}", role, project_ids=project_ids).id

    def sign(self, signature: rounds.Signature) -> None:
        with self.sessions.begin() as session:
            row = rounds.find_round(session, self.project_id)
            rounds.sign_round(session, row, signature, now=self.clock)

    def count(self, table: Any) -> int:
        with self.sessions() as session:
            return session.scalar(select(func.count()).select_from(table)) or 0


def _adapter(project_id: int, training_run_id: int) -> ModelVersion:
    return ModelVersion(
        project_id=project_id,
        name="v9",
        revision=1,
        base_model="tiny",
        base_sha256="a" * 64,
        tokenizer_sha256="b" * 64,
        template_sha256="c" * 64,
        adapter_path="x",
        adapter_sha256="e" * 64,
        training_run_id=training_run_id,
    )


def _finish(session: Session, kind: str, subject_id: int) -> None:
    job = queue.find_job(session, kind, subject_id)
    assert job is not None
    job.state = JobState.DONE
    session.flush()


def _answers(session: Session, run: GenerationRun) -> list[GenerationResult]:
    names = {model.id: model.name for model in run.models}
    results = []
    for request in generation.pending_requests(session, run.id):
        model_id, example_id, _ = generation.parse_unit_key(request.key)
        good = _reference(session, example_id)
        text = good if names[model_id] == "v9" else f"no {example_id}"
        results.append(GenerationResult(request.key, text=text))
    return results


def _reference(session: Session, example_id: int) -> str:
    return str(session.get_one(Example, example_id).references[0])


@dataclass(frozen=True)
class Saved:
    """A loop as it was once: its database, to copy from, and what it knew."""

    file: Path
    project_id: int
    expert_id: int
    clock: datetime

    @contextmanager
    def again(self, settings: Settings) -> Iterator[Loop]:
        shutil.copy(self.file, sqlite_file(settings.url))
        sessions = connect(settings)
        yield Loop(sessions, settings, self.project_id, self.expert_id, self.clock)
        sessions.kw["bind"].dispose()


@pytest.fixture(scope="module", autouse=True)
def no_base_to_read() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backend.services.rounds.steps.register_base", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def corrected(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Before the first round: a bar, and corrections of six outputs."""
    file = tmp_path_factory.mktemp("corrected") / "strop.db"
    shutil.copy(sqlite_template, file)
    sessions = connect(Settings(home=file.parent, database_url=f"sqlite:///{file}"))
    with sessions.begin() as session:
        desk: Desk = build_desk(session, splits={"train": 6, "test": 20})
        set_manifest(session, desk.project.id, BAR)
        opened = desk.open(session, "corrections")
        for number in range(int(opened.design["n_items"])):
            review_next(session, opened, desk.experts[0], Answer(BAD, correction=f"fix {number}"))
        saved = Saved(file, desk.project.id, desk.experts[0].id, NOW)
    sessions.kw["bind"].dispose()
    return saved


@pytest.fixture(scope="module")
def voted_on(corrected: Saved, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Where a round waits for its blind votes."""
    file = tmp_path_factory.mktemp("voted_on") / "strop.db"
    settings = Settings(home=file.parent, database_url=f"sqlite:///{file}")
    with corrected.again(settings) as loop:
        _bring_to_votes(loop)
        return replace(corrected, file=file, clock=loop.clock)


@pytest.fixture
def loop(settings: Settings, corrected: Saved) -> Iterator[Loop]:
    with corrected.again(settings) as loop:
        yield loop


@pytest.fixture
def voting(settings: Settings, voted_on: Saved) -> Iterator[Loop]:
    with voted_on.again(settings) as loop:
        yield loop


def test_a_round_goes_from_corrections_to_a_signed_promotion(loop: Loop) -> None:
    loop.start()
    assert loop.advance() == 2
    assert loop.row().waits_for == "the training (train 1 is queued)"
    loop.finish_training()
    loop.advance()
    assert loop.row().waits_for == "the answers (generate 3 is queued)"
    loop.finish_run()
    loop.advance()
    assert (loop.row().waits_for or "").endswith(": 0 of 20")
    loop.vote(16)
    loop.advance()
    assert "sign the promotion (PASS)" in (loop.row().waits_for or "")
    loop.sign(rounds.Signature(loop.person("lead")))
    loop.advance()
    with loop.sessions() as session:
        row = rounds.find_round(session, loop.project_id)
        champion = alias_target(session, loop.project_id, "champion")
        opened = review.get_queue(session, row.review_queue_id or 0)
        signed = session.get_one(Promotion, row.promotion_id)
    assert (row.state, row.phase) == ("finished", "end")
    assert champion is not None
    assert (champion.name, signed.decided_by_id) == ("v9", loop.person("lead"))
    assert opened.closed_at is not None


def test_a_lead_may_hold_what_passed(voting: Loop) -> None:
    voting.vote(16)
    voting.advance()
    with pytest.raises(Forbidden, match="signed by a lead"):
        voting.sign(rounds.Signature(voting.person("engineer"), hold="not today"))
    voting.sign(rounds.Signature(voting.person("lead"), hold="not today"))
    voting.advance()
    row = voting.row()
    with voting.sessions() as session:
        held = session.get_one(Promotion, row.promotion_id)
        assert alias_target(session, voting.project_id, "champion") is None
    assert (row.state, held.action) == ("finished", "held")
    assert held.reason.startswith("HELD by a lead: not today")


def test_a_signature_sees_a_champion_that_moved_after_the_comparison(voting: Loop) -> None:
    voting.vote(16)
    voting.advance()
    lead = voting.person("lead")
    with voting.sessions.begin() as session:
        other = _adapter(voting.project_id, 0)
        other.name, other.training_run_id = "v7", None
        session.add(other)
        session.flush()
        session.add(
            Promotion(
                project_id=voting.project_id,
                alias="champion",
                model_version_id=other.id,
                action="promoted",
                reason="by hand",
                decided_by_id=lead,
            )
        )
    with pytest.raises(Conflict, match=r"was moved to .* after this"):
        voting.sign(rounds.Signature(lead))
    with voting.sessions() as session, pytest.raises(Conflict, match="was moved to"):
        rounds.plan_signing(session, rounds.find_round(session, voting.project_id))
    assert voting.row().phase == "sign"
    voting.sign(rounds.Signature(lead, override="better than both"))
    assert voting.row().phase == "end"


@pytest.mark.parametrize(
    ("role", "phase"), [(None, "end"), ("lead", "end"), ("admin", "end"), ("engineer", "sign")]
)
def test_a_plan_without_signature_promotes_by_itself_unless_an_engineer_began_it(
    voting: Loop, role: str | None, phase: str
) -> None:
    with voting.sessions.begin() as session:
        starter = None if role is None else voting.person(role)
        row = rounds.find_round(session, voting.project_id)
        row.started_by_id, row.plan = starter, {**row.plan, "sign": False}
    voting.vote(16)
    voting.advance()
    assert voting.row().phase == phase


def test_votes_end_when_they_have_decided_and_not_before(voting: Loop) -> None:
    voting.vote(3)
    voting.advance()
    assert voting.row().phase == "review"
    voting.vote(13)
    voting.advance()
    assert voting.row().phase == "sign"


def test_votes_end_at_the_error_that_the_manifest_allows(loop: Loop) -> None:
    with loop.sessions.begin() as session:
        set_manifest(session, loop.project_id, f"alpha: 0.0001\n{BAR}")
    _bring_to_votes(loop)
    loop.vote(16)
    loop.advance()
    assert loop.row().phase == "review"


def _bring_to_votes(loop: Loop, **plan: Any) -> None:
    loop.start(**plan)
    loop.advance()
    loop.finish_training()
    loop.advance()
    loop.finish_run()
    loop.advance()


def test_a_first_round_that_starts_from_the_champion_begins_from_the_base(loop: Loop) -> None:
    loop.start(start="champion")
    loop.advance()
    with loop.sessions() as session:
        assert session.scalars(select(TrainingRun)).one().start_model_id is None


def test_a_round_without_votes_holds_what_cannot_be_judged(loop: Loop) -> None:
    _bring_to_votes(loop, review=None)
    row = loop.row()
    assert row.state == "finished"
    with loop.sessions() as session:
        held = session.get_one(Promotion, row.promotion_id)
    assert held.action == "held"
    assert "No blind votes" in held.reason


def test_the_share_of_outputs_with_an_invented_fact_is_told_for_both_sides(loop: Loop) -> None:
    _bring_to_votes(loop, review=None, metrics=["exact_match", "invented"])
    with loop.sessions() as session:
        outcome = rounds.round_outcome(session, rounds.find_round(session, loop.project_id))
    told = {(one["of"], one["title"]): (one["value"], one["n"]) for one in outcome.hallucination}
    assert told == {("candidate", "invented"): (0.0, 20), ("baseline", "invented"): (1.0, 20)}


def test_the_candidate_is_compared_on_held_out_examples_only(voting: Loop) -> None:
    with voting.sessions() as session:
        run = session.get_one(GenerationRun, voting.row().generation_run_id)
        assert run.split == "test"
        assert [model.name for model in run.models] == ["base", "v9"]


def test_base_and_champion_stand_beside_the_candidate(loop: Loop) -> None:
    with loop.sessions.begin() as session:
        champion = session.scalars(select(ModelVersion).where(ModelVersion.name == "v1")).one()
        session.add(
            Promotion(
                project_id=loop.project_id,
                alias="champion",
                model_version_id=champion.id,
                action="promoted",
                reason="",
            )
        )
    _bring_to_votes(loop)
    with loop.sessions() as session:
        run = session.get_one(GenerationRun, loop.row().generation_run_id)
        assert [model.name for model in run.models] == ["base", "v1", "v9"]


def test_a_failed_job_fails_the_round_which_may_be_taken_up(loop: Loop) -> None:
    loop.start()
    loop.advance()
    with loop.sessions.begin() as session:
        job = session.scalars(select(Job)).one()
        job.state, job.error = JobState.FAILED, "The trainer ran out of memory."
    loop.advance()
    failed = loop.row()
    assert (failed.state, failed.error) == ("failed", "The trainer ran out of memory.")
    assert loop.advance() == 0
    with loop.sessions.begin() as session:
        row = rounds.find_round(session, loop.project_id)
        rounds.take_up_round(session, row, now=loop.clock)
        assert session.scalars(select(Job)).one().state == JobState.QUEUED
    loop.finish_training()
    assert loop.advance() == 1
    assert loop.count(TrainingRun) == 1


def test_a_cancelled_job_fails_the_round_until_a_person_takes_it_up(loop: Loop) -> None:
    loop.start()
    loop.advance()
    with loop.sessions.begin() as session:
        eva = create_user(session, "eva", "engineer")
        cancellation = Cancellation(eva, loop.clock, "wrong rank")
        cancel_subjects(session, [(queue.JobKind.TRAIN, 1)], cancellation)
    loop.advance()
    told = "Training run 1 was cancelled by eva: wrong rank"
    assert (loop.row().state, loop.row().error) == ("failed", told)
    with loop.sessions.begin() as session:
        rounds.take_up_round(session, rounds.find_round(session, loop.project_id), now=loop.clock)
        assert session.scalars(select(Job)).one().state == JobState.QUEUED


def test_a_leak_stops_the_round_until_a_named_person_accepts_it(loop: Loop) -> None:
    told = "the caller says that her parcel never came and that she wants her money back by friday"
    with loop.sessions.begin() as session:
        for split, text in (("train", f"now {told}"), ("test", told)):
            example = session.scalars(
                select(Example).where(Example.split == split).order_by(Example.id)
            ).first()
            assert example is not None
            example.input, example.context = "Summarise the call", text
    loop.start()
    loop.advance()
    assert "training prompts repeat a held-out one" in (loop.row().error or "")
    with loop.sessions.begin() as session:
        row = rounds.find_round(session, loop.project_id)
        accept = rounds.AcceptedLeaks(user_id=loop.expert_id, reason="another customer")
        rounds.take_up_round(session, row, now=loop.clock, accept=accept)
    assert loop.advance() == 1
    assert loop.row().training_set_id is not None


@pytest.mark.parametrize(
    "wait", [{"not_before": "2026-05-04T09:30:00Z"}, {"after_corrections": 27}]
)
def test_a_round_waits_for_its_time_or_for_corrections(loop: Loop, wait: dict[str, Any]) -> None:
    loop.start(**wait)
    assert loop.advance() == 0
    assert loop.row().waits_for in {
        "2026-05-04 09:30 UTC",
        "corrections: 26 of 27 since the last round began",
    }
    if "after_corrections" in wait:
        return
    assert loop.advance(minutes=30) == 2


def test_a_paused_round_takes_no_step(loop: Loop) -> None:
    loop.start()
    with loop.sessions.begin() as session:
        rounds.pause_round(session, rounds.find_round(session, loop.project_id), now=NOW)
    assert loop.advance() == 0
    with loop.sessions.begin() as session:
        rounds.take_up_round(session, rounds.find_round(session, loop.project_id), now=NOW)
    assert loop.advance() == 2


def test_a_cancelled_round_closes_its_votes_and_frees_the_project(voting: Loop) -> None:
    with voting.sessions.begin() as session:
        row = rounds.find_round(session, voting.project_id)
        rounds.cancel_round(session, row, reason="wrong base", now=voting.clock)
        opened = review.get_queue(session, row.review_queue_id or 0)
        assert opened.closed_at is not None
        with pytest.raises(Conflict, match="cancelled"):
            rounds.take_up_round(session, row, now=voting.clock)
    assert voting.advance() == 0
    voting.start()


def test_one_round_at_a_time(loop: Loop) -> None:
    loop.start()
    with pytest.raises(Conflict, match="Round 1 is active"):
        loop.start()


def test_a_plan_that_repeats_begins_again(loop: Loop) -> None:
    _bring_to_votes(loop, review=None, repeat=True, after_corrections=1)
    assert (loop.row().number, loop.row().waits_for) == (2, None)
    loop.advance()
    assert loop.row().waits_for == "corrections: 0 of 1 since the last round began"


def test_a_plan_by_the_week_begins_a_week_after_the_round_before(loop: Loop) -> None:
    _bring_to_votes(loop, review=None, repeat=True, every_days=7)
    loop.advance()
    assert (loop.row().number, loop.row().waits_for) == (2, f"{NOW + WEEK:%Y-%m-%d %H:%M} UTC")
    loop.clock = NOW + WEEK
    loop.advance()
    assert loop.row().training_set_id is not None


def test_leaks_that_were_accepted_once_are_not_accepted_for_the_next_round() -> None:
    accepted = {"user_id": 1, "reason": "another customer"}
    asked = {**PLAN, "repeat": True, "every_days": 7, "accepted_leaks": accepted}
    plan = stored_plan(asked)
    following = stored_plan(plan.next_turn(began=NOW).model_dump(mode="json"))
    assert plan.accepted_leaks is not None
    assert following.accepted_leaks is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"repeat": True}, "repeat needs after_corrections or every_days"),
        ({"every_days": 7}, "every_days is for plans that repeat"),
        ({"not_before": "2026-05-04T09:30:00"}, "wrong at not_before"),
        ({"split": "train"}, "wrong at split"),
        ({"modle": "v2"}, "wrong at modle"),
        ({"accepted_leaks": {"user_id": 1, "reason": "x"}}, "wrong at accepted_leaks"),
        ({"metrics": ["evaluate:/tmp/wer"]}, "may not use the metric"),
        ({"metrics": ["exact_match", "json_schema:/etc/hosts"]}, "may not use the metric"),
        ({"review": {"reviewers": ["expert0-dseks"]}}, "Known, nearest first: expert0-desk"),
        ({"review": {"reviewers": []}}, "wrong at review.reviewers"),
        ({"dataset": "tickets@latest"}, "'latest' is no version of a dataset"),
        ({"dataset": "tickets@"}, "'' is no version of a dataset"),
        ({"dataset": "tickets@0"}, "'0' is no version of a dataset"),
        ({"dataset": "tickets@²"}, "'²' is no version of a dataset"),
        ({"dataset": "tickets@-1"}, "'-1' is no version of a dataset"),
        ({"dataset": "tickets@" + "9" * 30}, "is no version of a dataset"),
        ({"dataset": "tickets@7"}, "no dataset 'tickets' version 7"),
        ({"dataset": "tikets"}, "Known: tickets"),
        ({"split": "validation"}, "takes the test split and not validation"),
        ({"metrics": ["exact_mtach"]}, "nearest first: exact_match"),
        ({"also": ["v8"]}, "no model 'v8'"),
        ({"baseline": "champion"}, "There is no champion yet"),
        ({"start": "v7@3"}, "no model 'v7@3'"),
        ({"engine": "vlm"}, "nearest first: vllm"),
        ({"engine": "openai"}, "cannot ask the adapter that a round trains"),
        ({"recipe": {"queues": ["corections"]}}, "no review queue 'corections'"),
        ({"recipe": {"queues": ["corrections"], "dataset": "x"}}, "no dataset 'x'"),
        ({"config": {"epochs": -1}}, "epochs"),
        ({"config": {"epohcs": 1}}, "epohcs"),
        ({"config": {"output_dir": "/tmp"}}, "Strop fills in output_dir itself"),
        ({"review": {"reviewers": ["expert0-desk"], "rubric": "blind_piar"}}, "blind_pair"),
        ({"review": {"reviewers": ["expert0-desk"], "rubric": "/etc/hosts"}}, "no rubric named"),
    ],
)
def test_a_wrong_plan_is_refused(loop: Loop, changes: dict[str, Any], said: str) -> None:
    with pytest.raises((InvalidInput, Forbidden, NotFound), match=said):
        loop.start(**changes)


def test_what_a_round_waits_for_is_explained(voting: Loop) -> None:
    told = rounds.explain_round(voting.row())
    assert (told.phase, told.next) == ("review", "judge every line of the manifest")
    assert told.waits_for == "blind votes in 'round-1-votes': 0 of 20"
    assert told.since == voting.clock


def test_every_state_says_what_it_waits_for() -> None:
    told = {
        state: rounds.explain_round(Round(number=1, state=state, phase="wait", since=NOW))
        for state in RoundState
    }
    assert told[RoundState.ACTIVE].waits_for == "a worker to take the next step"
    assert told[RoundState.PAUSED].waits_for.startswith("somebody to take it up again")
    assert told[RoundState.FAILED].waits_for.startswith("its fault to be mended")
    ended = {state for state, one in told.items() if (one.waits_for, one.next) == ("nothing",) * 2}
    assert ended == {RoundState.CANCELLED, RoundState.FINISHED}


def _die(_: Session) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _advance_and_die(settings: Settings, now: datetime, *, when: str) -> None:
    """In a process of its own: one worker that dies at its first commit."""
    child = os.fork()
    if child == 0:
        try:
            sessions = connect(settings)
            event.listen(sessions, f"{when}_commit", _die)
            rounds.advance_rounds(sessions, settings, now=now)
            os._exit(0)  # it had nothing to commit
        finally:
            os._exit(1)  # an error must not go on as a second run of the tests
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in {0, -signal.SIGKILL}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_killed_at_every_step_makes_nothing_twice(
    loop: Loop, settings: Settings, when: str
) -> None:
    loop.start()
    for finish in (lambda: None, loop.finish_training, loop.finish_run, lambda: loop.vote(16)):
        finish()
        loop.sessions.kw["bind"].dispose()
        # Killed before the commit it comes no further, however often; after it, by one step.
        for _ in range(1 if when == "before" else 3):
            _advance_and_die(settings, loop.clock, when=when)
        loop.advance()
    made = [TrainingSet, TrainingRun, ScoreRun, Comparison]
    assert [loop.count(table) for table in made] == [1, 1, 1, 1]
    assert loop.count(GenerationRun) == 3
    assert loop.count(Replay) == 1
    assert loop.count(ReviewQueue) == 2
    assert loop.row().phase == "sign"


def test_a_round_waits_for_the_replay_of_its_corrections(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.start()
    loop.advance()
    loop.finish_training()
    loop.advance()
    monkeypatch.setattr(loop, "finish_replays", lambda: None)
    loop.finish_run()
    loop.advance()
    assert loop.row().waits_for == "the replay of corrections (generate 2 is queued)"
    monkeypatch.undo()
    loop.finish_replays()
    loop.advance()
    assert loop.row().phase == "review"


def test_a_replay_runs_on_the_corrected_prompts_and_has_no_figures(voting: Loop) -> None:
    with voting.sessions() as session:
        replay = session.scalars(select(Replay)).one()
        run = session.get_one(GenerationRun, replay.generation_run_id)
        asked = {example.external_id for example in generation.examples_of_run(session, run)}
        assert (run.split, [model.name for model in run.models]) == ("train", ["v9"])
        assert asked == {f"train-{n}" for n in range(6)}
        assert not scoring.list_score_runs(session, run.id)


def test_a_replay_that_failed_is_queued_again(loop: Loop) -> None:
    loop.start()
    loop.advance()
    loop.finish_training()
    loop.advance()
    with loop.sessions.begin() as session:
        replay = session.scalars(select(Replay)).one()
        job = queue.find_job(session, "generate", replay.generation_run_id)
        assert job is not None
        job.state, job.error = JobState.FAILED, "The engine is gone."
        row = rounds.find_round(session, loop.project_id)
        assert row.generation_run_id is not None
        assert row.score_run_id is not None
        _finish(session, "generate", row.generation_run_id)
        queue.enqueue_job(session, "score", row.score_run_id)
        _finish(session, "score", row.score_run_id)
    loop.advance()
    assert (loop.row().state, loop.row().error) == ("failed", "The engine is gone.")
    with loop.sessions.begin() as session:
        row = rounds.find_round(session, loop.project_id)
        rounds.take_up_round(session, row, now=loop.clock)
        job = queue.find_job(session, "generate", replay.generation_run_id)
        assert job is not None
        assert job.state == JobState.QUEUED


def test_a_plan_may_leave_out_the_replay(loop: Loop) -> None:
    _bring_to_votes(loop, replay=False)
    assert loop.count(Replay) == 0


def test_the_plan_in_the_readme_is_a_plan() -> None:
    readme = (Path(__file__).parents[4] / "dashboard/guides/rounds.md").read_text(encoding="utf-8")
    (block,) = [b for b in readme.split("```yaml\n")[1:] if b.startswith("adapter:")]
    plan = rounds.parse_plan(block.partition("```")[0])
    assert (plan.adapter, plan.after_corrections, plan.repeat) == ("v3", 200, True)


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (ValueError("invalid literal"), "ValueError: invalid literal"),
        (KeyError("x"), "KeyError: 'x'"),
        (RuntimeError("a \x00 and \ud83d"), "RuntimeError: a \\x00 and \\ud83d"),
        (InvalidInput("No.", hint="Do this."), "No. Do this."),
    ],
    ids=["value", "key", "no text", "ours"],
)
def test_whatever_a_step_raises_is_the_rounds_own(
    loop: Loop,
    error: Exception,
    kept: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL + 1)  # what is no text cannot be sent between test processes
    loop.start()

    def breaks(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("backend.services.rounds.steps.curation.freeze_training_set", breaks)
    assert loop.advance() == 1
    assert (loop.row().state, loop.row().error) == ("failed", kept)
    assert loop.advance() == 0
    monkeypatch.undo()
    with loop.sessions.begin() as session:
        rounds.take_up_round(session, rounds.find_round(session, loop.project_id), now=loop.clock)
    assert loop.advance() == 1
    assert loop.row().phase == "train"


def test_a_database_that_is_away_is_no_fault_of_the_round(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.start()

    def is_away(*_: object, **__: object) -> None:
        raise OperationalError("select", {}, Exception("locked"))

    monkeypatch.setattr("backend.services.rounds.steps.curation.freeze_training_set", is_away)
    with pytest.raises(OperationalError):
        loop.advance()
    monkeypatch.undo()
    assert loop.row().state == "active"
    assert loop.advance() == 1


def test_a_plan_that_was_stored_before_it_was_checked_fails_by_itself(loop: Loop) -> None:
    loop.start()
    loop.advance()
    with loop.sessions.begin() as session:
        row = rounds.find_round(session, loop.project_id)
        row.plan = {**row.plan, "dataset": "tickets@latest"}
    loop.finish_training()
    loop.advance()
    assert loop.row().state == "failed"
    assert "'latest' is no version" in (loop.row().error or "")


def test_a_candidate_that_answers_as_the_baseline_ends_without_votes(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same(session: Session, run: GenerationRun) -> list[GenerationResult]:
        asked = generation.pending_requests(session, run.id)
        return [GenerationResult(one.key, text="the same") for one in asked]

    monkeypatch.setitem(globals(), "_answers", same)
    _bring_to_votes(loop)
    row = loop.row()
    assert (row.state, row.error, row.review_queue_id) == ("finished", None, None)
    with loop.sessions() as session:
        texts = [event.text for event in rounds.find_round(session, loop.project_id).events]
        held = session.get_one(Promotion, row.promotion_id)
    assert "the candidate answers exactly as base in all 20 cases: nothing to vote on" in texts
    assert held.action == "held"


def test_what_was_reached_stands_when_the_next_plan_does_not_hold(loop: Loop) -> None:
    loop.start(review=None, repeat=True, every_days=7, also=["v1"])
    loop.advance()
    loop.finish_training()
    loop.advance()
    with loop.sessions.begin() as session:
        row = rounds.find_round(session, loop.project_id)
        row.plan = {**row.plan, "also": ["v8"]}
    loop.finish_run()
    loop.advance()
    with loop.sessions() as session:
        first, second = rounds.list_rounds(session, loop.project_id)
    assert (first.state, second.state) == ("finished", "failed")
    assert "no model 'v8'" in (second.error or "")
