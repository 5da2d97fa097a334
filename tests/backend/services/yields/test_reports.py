"""What a replay says of corrections and approved outputs, by type, by hour, and over rounds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CannotCompute, NotFound
from backend.services import queue
from backend.services.curation import Recipe, freeze_training_set, parse_fixed_rule
from backend.services.lineage.trace import trace
from backend.services.review.desk.revise import withdraw_review
from backend.services.runs import generation
from backend.services.yields import (
    State,
    broken_elsewhere,
    candidate_set,
    replays_of,
    reviewed_prompts,
    states_of_review,
    yield_curve,
    yield_report,
)
from backend.tables.review import Review
from backend.tables.runs import Generation
from backend.tables.training import TrainingRun
from tests.fixtures_yields import Turn, add_round, build_turn


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def turn(session: Session) -> Turn:
    return build_turn(session)


def test_a_replay_asks_exactly_the_reviewed_prompts_once(turn: Turn) -> None:
    first, again = turn.start(), turn.start()
    assert [one.id for one in first] == [one.id for one in again]
    run = generation.get_run(turn.session, first[0].generation_run_id)
    asked = {e.id for e in generation.examples_of_run(turn.session, run)}
    assert asked == {p.example.id for p in reviewed_prompts(turn.session, turn.frozen.id)}
    assert run.split == "train"
    assert queue.find_job(turn.session, "generate", run.id) is not None


def test_what_was_taught_and_what_was_held_back_are_told_apart(turn: Turn) -> None:
    held = turn.held_back()
    turn.replay(lambda e: "nonsense" if e.external_id in held else turn.right(e))
    report = yield_report(turn.session, turn.frozen, turn.candidate)
    assert (report.trained.value, report.held_back.value) == (1.0, 0.0)
    assert report.trained.n + report.held_back.n == sum(
        report.counts.get(state, 0) for state in (State.FIXED, State.STILL_WRONG)
    )
    assert report.held_back.n >= 3
    assert report.diagnosis.bottleneck == "more ratings"


def test_what_an_earlier_model_was_taught_is_not_unseen(session: Session, turn: Turn) -> None:
    """The candidate goes on from a model whose set held one of the prompts held back now."""
    turn.replay(turn.right)
    before = yield_report(session, turn.frozen, turn.candidate).held_back
    held = next(
        p
        for p in reviewed_prompts(session, turn.frozen.id)
        if p.held_back and p.source == "corrected"
    )
    recipe = Recipe.model_validate({"examples": [held.example.id]})
    old = freeze_training_set(session, project_id=turn.desk.project.id, name="old", recipe=recipe)
    champion = turn.desk.models[1]
    runs = session.query(TrainingRun).all()
    first = TrainingRun(
        project_id=turn.desk.project.id,
        training_set_id=old.id,
        manifest_id=runs[0].manifest_id,
        adapter_name="v1",
        config={},
        output_dir="y",
    )
    session.add(first)
    session.flush()
    champion.training_run_id, runs[0].start_model_id = first.id, champion.id
    session.flush()
    after = yield_report(session, turn.frozen, turn.candidate).held_back
    assert after.n == before.n - 1
    assert "1 left out, taught to a model that it went on from" in after.note


def test_nothing_fixed_asks_for_more_training(turn: Turn) -> None:
    turn.replay(lambda _: "nonsense")
    report = yield_report(turn.session, turn.frozen, turn.candidate)
    assert (report.trained.value, report.trained.high is not None) == (0.0, True)
    assert report.diagnosis.bottleneck == "more training"
    assert report.counts[State.NEWLY_BROKEN] > 0
    assert report.broken.value == 1.0


def test_an_answer_as_before_is_counted_as_unchanged(turn: Turn) -> None:
    before = {p.example.id: p.before for p in reviewed_prompts(turn.session, turn.frozen.id)}
    turn.replay(lambda example: before[example.id])
    report = yield_report(turn.session, turn.frozen, turn.candidate)
    assert report.unchanged == report.counts[State.STILL_WRONG]
    assert report.broken.value == 0.0
    assert report.counts[State.KEPT] > 0


def test_error_types_are_told_apart(turn: Turn) -> None:
    prompts = reviewed_prompts(turn.session, turn.frozen.id)
    mended = {p.example.id for p in prompts if "language" in p.error_types}
    turn.replay(lambda e: turn.right(e) if e.id in mended else "nonsense")
    report = yield_report(turn.session, turn.frozen, turn.candidate)
    shares = {one.error_type: one.trained.value for one in report.by_type}
    assert shares == {"language": 1.0, "wrong_fact": 0.0}
    assert all("|type:" in (one.trained.signature or "") for one in report.by_type)


def test_fixed_corrections_per_active_hour(turn: Turn) -> None:
    turn.replay(turn.right)
    report = yield_report(turn.session, turn.frozen, turn.candidate)
    fixed = report.counts[State.FIXED]
    assert report.active_minutes == 14.0  # a minute each, held-out ones set aside
    assert report.per_hour.value == pytest.approx(fixed * 60 / 14)
    assert report.per_hour.n == fixed


def test_what_cannot_be_judged_is_neither_fixed_nor_wrong(turn: Turn) -> None:
    failing = sorted(turn.held_back())[0]
    turn.replay(lambda e: None if e.external_id == failing else turn.right(e))
    report = yield_report(turn.session, turn.frozen, turn.candidate)
    assert report.counts[State.UNKNOWN] == 1
    assert report.unknown_reasons == {"too long": 1}
    assert "1 could not be judged" in report.held_back.note + report.broken_held_back.note


def test_the_rule_of_the_set_decides_unless_another_is_named(turn: Turn) -> None:
    turn.replay(lambda e: f"{turn.right(e)} I think")
    frozen = yield_report(turn.session, turn.frozen, turn.candidate)
    other = yield_report(
        turn.session, turn.frozen, turn.candidate, rule=parse_fixed_rule("token_f1>=0.5")
    )
    assert (frozen.trained.value, frozen.is_frozen_rule) == (0.0, True)
    assert (other.trained.value, other.is_frozen_rule) == (1.0, False)
    assert frozen.signature.startswith("equal|strop:1|")
    assert "right:token_f1>=0.5" in other.signature
    assert turn.frozen.digest[:12] in (other.trained.signature or "")


def test_a_withdrawn_correction_says_nothing_any_more(turn: Turn) -> None:
    turn.replay(turn.right)
    before = yield_report(turn.session, turn.frozen, turn.candidate).trained.n
    taught = next(
        p
        for p in reviewed_prompts(turn.session, turn.frozen.id)
        if p.source == "corrected" and not p.held_back
    )
    withdraw_review(
        turn.session,
        taught.review_id,
        user_id=turn.desk.experts[0].id,
        reason="wrong case",
        now=turn.frozen.created_at,
    )
    assert yield_report(turn.session, turn.frozen, turn.candidate).trained.n == before - 1


def test_without_a_replay_there_is_a_reason_and_no_number(turn: Turn) -> None:
    with pytest.raises(CannotCompute, match="never replayed on base:v9@1"):
        yield_report(turn.session, turn.frozen, turn.candidate)
    with pytest.raises(NotFound, match="not known"):
        candidate_set(turn.session, turn.desk.models[1])
    assert candidate_set(turn.session, turn.candidate) is turn.frozen


def test_without_held_back_corrections_the_reason_is_given(session: Session, turn: Turn) -> None:
    recipe = Recipe.model_validate({"queues": ["taught"]})
    plain = freeze_training_set(
        session, project_id=turn.desk.project.id, name="plain", recipe=recipe
    )
    turn.frozen = plain
    turn.replay(turn.right)
    report = yield_report(session, plain, turn.candidate)
    assert report.held_back.value is None
    assert "nothing was held back" in (report.held_back.error or "")
    assert "took no output as approved" in (report.broken.error or "")
    assert report.diagnosis.bottleneck == "INCONCLUSIVE"


def test_a_correction_knows_its_yield_and_its_lineage_says_so(turn: Turn) -> None:
    prompts = reviewed_prompts(turn.session, turn.frozen.id)
    taught = next(p for p in prompts if p.source == "corrected" and not p.held_back)
    project_id = turn.desk.project.id
    before = trace(turn.session, project_id, f"review:{taught.review_id}")
    root = next(node for node in before.nodes if node.key == before.root)
    assert "never replayed" in root.facts
    turn.replay(turn.right)
    [told] = states_of_review(turn.session, taught.review_id)
    assert (told.candidate.name, told.outcome.state) == ("v9", State.FIXED)
    after = trace(turn.session, project_id, f"review:{taught.review_id}")
    [node] = [node for node in after.nodes if node.kind == "yield"]
    assert node.title == "fixed on base:v9@1"
    assert (after.root, node.key) in {(edge.source, edge.target) for edge in after.edges}


def test_a_held_back_correction_is_in_the_lineage_too(turn: Turn) -> None:
    prompts = reviewed_prompts(turn.session, turn.frozen.id)
    held = next(p for p in prompts if p.source == "corrected" and p.held_back)
    turn.replay(lambda _: "nonsense")
    lineage = trace(turn.session, turn.desk.project.id, f"review:{held.review_id}")
    told = next(node for node in lineage.nodes if node.kind == "yield")
    assert told.title == "still wrong on base:v9@1"
    assert "held back from s" in told.facts
    assert not any(node.kind == "set" for node in lineage.nodes)


def test_what_broke_elsewhere_is_of_what_was_right_before(turn: Turn) -> None:
    session, run = turn.session, turn.desk.run
    run.split = "test"
    base, candidate = turn.desk.models
    answers = session.scalars(select(Generation).where(Generation.run_id == run.id)).all()
    for number, answer in enumerate(a for a in answers if a.example.split == "test"):
        right = str(answer.example.references[0])
        is_base = answer.model_version_id == base.id
        answer.text = right if is_base or number % 3 else "nonsense"
    session.flush()
    rule = parse_fixed_rule("equal")
    found = broken_elsewhere(session, run.id, base.id, candidate.id, rule)
    assert found.n == 3
    assert found.value == pytest.approx(1 / 3)
    assert broken_elsewhere(session, None, base.id, candidate.id, rule).error is not None


def test_the_curve_has_a_point_for_each_round_with_a_candidate(turn: Turn) -> None:
    add_round(turn, 1)
    add_round(turn, 2, with_candidate=False)
    [without] = yield_curve(turn.session, turn.desk.project.id)
    assert "never replayed" in (without.error or "")
    turn.replay(turn.right)
    [point] = yield_curve(turn.session, turn.desk.project.id)
    assert (point.number, point.candidate, point.trained.value) == (1, "base:v9@1", 1.0)
    assert "no verdict yet" in (point.overall.error or "")


def test_a_review_of_no_set_has_no_yield(turn: Turn) -> None:
    held_out = turn.session.scalars(
        select(Review)
        .where(
            Review.id.not_in([p.review_id for p in reviewed_prompts(turn.session, turn.frozen.id)])
        )
        .order_by(Review.id)
    ).first()
    assert held_out is not None
    assert states_of_review(turn.session, held_out.id) == []
    assert replays_of(turn.session, turn.frozen.id, 999) == []
