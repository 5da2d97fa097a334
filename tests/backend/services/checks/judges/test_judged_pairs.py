"""Pairs before a judge: asked once, whichever way round, with biases and apart from people."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.engines.base import GenerationRequest, ServedModel
from backend.engines.fake import FakeEngine
from backend.errors import EngineUnavailable, InvalidInput
from backend.schemas.checks.judges import JudgedPairs
from backend.services.checks.asker import EngineAsker
from backend.services.checks.judges.judges import add_judge
from backend.services.checks.judges.notes import add_notes, note_reader
from backend.services.checks.judges.pairs import (
    judge_pairs,
    judged_pairs,
    load_pairs,
    pending_pairs,
    run_pairs,
    save_verdicts,
)
from backend.services.models.versions import served_model
from backend.tables.checks.judges import Judge, JudgeVerdict
from backend.tables.runs import Generation
from evaluators.types import Sample
from tests.fixtures_judges import judged_desk
from tests.fixtures_review import Desk, build_desk, vote_on_pairs

Say = Callable[[str, str], str]  # texts shown as A and B -> winner


def comparer(session: Session, desk: Desk, model: str = "base") -> Judge:
    return add_judge(session, desk.project.id, "pairs", model=model, kind="comparer")


def answering(say: Say) -> Callable[[GenerationRequest], str]:
    def answer(request: GenerationRequest) -> str:
        shown = request.messages[0]["content"].split("ANSWER A\n")[1].split("ANSWER B\n")
        return json.dumps({"winner": say(*shown), "reason": "so"})

    return answer


def ask(
    session: Session,
    desk: Desk,
    judge: Judge,
    engine: FakeEngine,
    note_of: Callable[[Sample], str | None] = lambda _: None,
) -> int:
    """Ask what is still to be asked; returns how many pairs that was."""
    pending = pending_pairs(session, judge, run_pairs(session, desk.run, desk.models).pairs)
    models: list[ServedModel] = [served_model(model) for model in desk.models]
    engine.load(models)
    asker = EngineAsker(engine, served_model(judge.model))
    shown = load_pairs(session, pending)
    save_verdicts(session, judge_pairs(judge, pending, shown, asker, note_of))
    return len(pending)


def report(session: Session, desk: Desk, judge: Judge) -> JudgedPairs:
    return judged_pairs(session, judge, desk.run, desk.models)


def prefers_base(a: str, b: str) -> str:
    return "a" if "base says" in a else "b"


def test_a_note_that_changed_is_shown_anew_and_what_was_said_before_counts_no_more(
    session: Session,
) -> None:
    desk = judged_desk(session, 6)
    prompt = "{context} {input} {notes}\nANSWER A\n{first}ANSWER B\n{second}"
    judge = add_judge(
        session, desk.project.id, "noted", model="base", kind="comparer", prompt=prompt
    )
    engine = FakeEngine(answer=answering(prefers_base))
    plain = comparer(session, desk)
    assert (ask(session, desk, judge, engine), ask(session, desk, plain, engine)) == (6, 6)
    generation = session.scalars(select(Generation).order_by(Generation.id)).first()
    assert generation is not None
    example = generation.example
    dataset = desk.run.dataset_version.dataset

    def noted(note: str) -> int:
        add_notes(session, dataset, {example.external_id: note})
        before = report(session, desk, judge)
        assert (before.n, before.missing) == (5, 1)
        return ask(session, desk, judge, engine, note_reader(session, desk.project.id))

    assert [noted("It names the sum."), noted("It names the day.")] == [1, 1]
    after = report(session, desk, judge)
    assert (after.n, after.missing) == (6, 0)
    assert ask(session, desk, plain, engine) == 0  # which is shown no note


def test_pairs_are_asked_once_whichever_way_round_they_are_named(session: Session) -> None:
    desk = judged_desk(session, 12)
    judge = comparer(session, desk)
    engine = FakeEngine(answer=answering(prefers_base))
    assert ask(session, desk, judge, engine) == 12
    assert len(engine.asked) == 24
    desk.models.reverse()
    assert ask(session, desk, judge, engine) == 0
    found = report(session, desk, judge)
    assert (found.n, found.failed, found.missing, found.identical) == (12, 0, 0, 0)
    rates = {rate.model: rate.figure for rate in found.rates if rate.against is None}
    assert rates["base"].value == 1.0
    assert rates["base:v1@1"].value == 0.0
    assert {figure.note for figure in rates.values()} == {"by a judge"}
    assert "by a judge" in str(rates["base"].signature)
    assert found.biases["flipped"].value == 0.0
    assert found.biases["first_wins"].value == 0.5
    assert found.biases["first_wins"].n == 24
    assert "won or lost every vote" in found.no_strengths


def test_a_judge_of_the_first_flips_always_and_all_are_ties(session: Session) -> None:
    desk = judged_desk(session, 12)
    judge = comparer(session, desk)
    ask(session, desk, judge, FakeEngine(answer=answering(lambda a, b: "a")))
    found = report(session, desk, judge)
    assert found.biases["flipped"].value == 1.0
    assert found.biases["first_wins"].value == 1.0
    assert {rate.figure.value for rate in found.rates} == {0.5}
    assert found.biases["longer_wins"].error == "There is nothing to measure yet."
    assert set(session.scalars(select(JudgeVerdict.winner))) == {"tie"}
    assert found.no_strengths


def test_strengths_where_both_win(session: Session) -> None:
    desk = judged_desk(session, 12)
    judge = comparer(session, desk)

    def say(a: str, b: str) -> str:
        base_first = "base says" in a
        wins = "test-1" in a  # of 12 examples those numbered 1, 10 and 11
        return "ab"[base_first == wins]

    ask(session, desk, judge, FakeEngine(answer=answering(say)))
    found = report(session, desk, judge)
    strengths = {one.model: one.figure for one in found.strengths}
    assert strengths["base"].value is not None
    assert strengths["base"].value > 0
    assert strengths["base"].low is not None
    assert strengths["base"].unit == "log-odds"


def test_own_outputs_are_held_against_what_people_say(session: Session) -> None:
    desk = judged_desk(session, 12)
    judge = comparer(session, desk)
    ask(session, desk, judge, FakeEngine(answer=answering(prefers_base)))
    queue = desk.open(session, "pairs", kind="pair")
    vote_on_pairs(session, desk, queue, ["v"] * 6 + ["b"] * 2 + ["tie"])
    vote_on_pairs(session, desk, queue, ["b"] * 3, expert=1, simulated=True)
    found = report(session, desk, judge)
    assert (found.biases["own_wins"].value, found.biases["own_wins"].n) == (1.0, 12)
    people = found.biases["own_wins_by_people"]
    assert (people.value, people.n) == (0.25, 8)
    assert any("judges its own outputs" in one for one in found.said)


def test_an_unusable_answer_is_counted_and_not_asked_again(session: Session) -> None:
    desk = judged_desk(session, 4)
    judge = comparer(session, desk)
    engine = FakeEngine(answer=lambda _: "I like both.")
    ask(session, desk, judge, engine)
    assert ask(session, desk, judge, engine) == 0
    found = report(session, desk, judge)
    assert (found.n, found.failed) == (0, 4)
    assert found.rates == []
    assert "no JSON" in str(session.scalars(select(JudgeVerdict.error)).first())


def test_equal_texts_are_not_asked(session: Session) -> None:
    desk = judged_desk(session, 4)
    for row in session.scalars(
        select(Generation).where(Generation.example_id == desk.examples[0].id)
    ):
        row.text = "same "
    session.flush()
    found = run_pairs(session, desk.run, desk.models)
    assert (len(found.pairs), found.identical) == (3, 1)


def test_two_models_of_the_run_are_needed(session: Session) -> None:
    desk = judged_desk(session, 4)
    with pytest.raises(InvalidInput, match="needs two models"):
        run_pairs(session, desk.run, [desk.models[0]] * 2)
    stranger = build_desk(session, name="theirs")
    with pytest.raises(InvalidInput, match="takes no part"):
        run_pairs(session, desk.run, [desk.models[0], stranger.models[1]])


def test_a_server_that_dies_leaves_what_was_said(session: Session) -> None:
    desk = judged_desk(session, 4)
    judge = comparer(session, desk)
    pairs = run_pairs(session, desk.run, desk.models).pairs
    engine = FakeEngine(answer=answering(prefers_base), dies_after=4)
    engine.load([served_model(model) for model in desk.models])
    asker = EngineAsker(engine, served_model(judge.model))
    save_verdicts(
        session,
        judge_pairs(judge, pairs[:2], load_pairs(session, pairs[:2]), asker, lambda _: None),
    )
    with pytest.raises(EngineUnavailable):
        judge_pairs(judge, pairs[2:], load_pairs(session, pairs[2:]), asker, lambda _: None)
    assert session.scalar(select(func.count(JudgeVerdict.id))) == 2
    assert report(session, desk, judge).missing == 2
