"""Judges in versions, and their ratings as scores of kind llm."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import GenerationRequest
from backend.engines.fake import FakeEngine
from backend.errors import InvalidInput, NotFound, StropError
from backend.rubrics import parse_rubric
from backend.services import queue
from backend.services.checks.judges.judges import (
    add_judge,
    find_judge,
    kinship,
    list_judges,
    open_rater,
)
from backend.services.checks.model_checks import find_model_check
from backend.services.models.others import register_served
from backend.services.review.rubrics import save_rubric
from backend.settings import Settings
from backend.tables.checks.judges import Judge
from backend.tables.models import ModelKind
from backend.tables.queue import Job, JobState
from backend.tables.runs import Score
from tests.fixtures_judges import judged_desk, says, score_by_judge, work
from tests.fixtures_review import Desk, build_desk, score_answers


@pytest.fixture
def desk(sessions: sessionmaker[Session]) -> Desk:
    with sessions.begin() as session:
        return judged_desk(session, 40)


def made(session: Session, desk: Desk, name: str = "strict", **how: Any) -> Judge:
    return add_judge(session, desk.project.id, name, **{"model": "base", **how})


def test_a_judge_is_kept_in_versions(session: Session) -> None:
    desk = build_desk(session)
    first = made(session, desk)
    same = made(session, desk)
    second = made(session, desk, model="v1")
    third = made(session, desk, model="v1", max_tokens=64)
    assert first is same
    assert [first.label, second.label, third.label] == ["strict@1", "strict@2", "strict@3"]
    assert first.metric == "judge:strict@1"
    assert find_judge(session, desk.project.id, "strict") is third
    assert find_judge(session, desk.project.id, "strict@1") is first
    assert list_judges(session, desk.project.id) == [first, second, third]
    assert made(session, desk) is first


SCALES = [
    (None, [1, 2, 3, 4, 5], [0, 0.25, 0.5, 0.75, 1]),
    ("faithful", ["no", "yes"], [0, 1]),
    ("quality", [1, 2, 3, 4, 5], [0, 0.25, 0.5, 0.75, 1]),
]


@pytest.mark.parametrize(("criterion", "answers", "values"), SCALES)
def test_the_scale_is_that_of_the_criterion(
    session: Session, criterion: str | None, answers: list[Any], values: list[float]
) -> None:
    judge = made(session, build_desk(session), criterion=criterion)
    assert judge.scale == {"answers": answers, "values": values}
    if criterion == "faithful":
        assert "Is everything in the answer supported by the source?" in judge.prompt
        assert "{question}" not in judge.prompt


def test_a_verdict_has_three_answers(session: Session) -> None:
    desk = build_desk(session)
    source = "name: v\nguidelines: g\ncriteria:\n  - {name: ok, question: 'Is it?', scale: verdict}"
    save_rubric(session, desk.project.id, parse_rubric(source))
    judge = made(session, desk, criterion="ok")
    assert judge.scale == {"answers": ["critical_fail", "fail", "pass"], "values": [0, 0.5, 1]}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "a b"}, "no name for a judge"),
    ({"name": "x" * 41}, "no name for a judge"),
    ({"name": "a@1"}, "no name for a judge"),
    ({"kind": "lawyer"}, "a rater or a comparer"),
    ({"model": "gpt"}, "no model 'gpt'"),
    ({"max_tokens": 0}, "may write 1 to"),
    ({"criterion": "nothing"}, "No rubric has a criterion 'nothing'"),
    ({"criterion": "problem"}, "cannot answer 'problem': one of several"),
    ({"criterion": "comment"}, "cannot answer 'comment'"),
    ({"rubric": "none", "criterion": "quality"}, "no rubric 'none'"),
    ({"prompt": "Rate it."}, "lacks {prediction}"),
    ({"prompt": " "}, "1 to 100,000 characters"),
    ({"prompt": "{prediction}" + "x" * 100_000}, "1 to 100,000 characters"),
    ({"prompt": "{prediction} \x00"}, "cannot be kept"),
    ({"prompt": "{prediction} {question}"}, "of a criterion: name one"),
    ({"prompt": "{first}", "kind": "comparer"}, "lacks {second}"),
]


@pytest.mark.parametrize(("how", "message"), WRONG)
def test_what_is_no_judge_is_refused(session: Session, how: dict[str, Any], message: str) -> None:
    desk = build_desk(session)
    with pytest.raises(StropError) as refused:
        made(session, desk, **how)
    assert message in refused.value.message


def test_a_criterion_that_two_rubrics_have_otherwise_is_asked_for(session: Session) -> None:
    desk = build_desk(session)
    source = (
        "name: other\nguidelines: g\ncriteria:\n"
        "  - {name: quality, question: 'How?', scale: stars, n: 3}"
    )
    save_rubric(session, desk.project.id, parse_rubric(source))
    with pytest.raises(InvalidInput, match="Several rubrics have a criterion 'quality'"):
        made(session, desk, criterion="quality")
    judge = made(session, desk, criterion="quality", rubric="other")
    assert judge.scale == {"answers": [1, 2, 3], "values": [0, 0.5, 1]}


def test_only_what_can_be_asked_judges(session: Session) -> None:
    desk = build_desk(session)
    desk.models[1].kind = ModelKind.OUTPUTS
    with pytest.raises(InvalidInput, match="nobody can ask it"):
        made(session, desk, model="v1")
    register_served(session, desk.project.id, "gpt", "gpt-4o")
    assert made(session, desk, model="gpt").model.kind == ModelKind.SERVED


def test_kin_is_named(session: Session) -> None:
    desk = build_desk(session)
    judge = made(session, desk)
    said = kinship(judge, desk.models)
    assert said == [
        "strict@1 is base itself: it judges its own outputs.",
        "strict@1 and base:v1@1 share their base, tiny.",
    ]
    far = made(
        session, desk, "far", model=register_served(session, desk.project.id, "gpt", "g").label
    )
    assert kinship(far, desk.models) == []


def test_a_judge_of_no_version_or_of_another_kind_scores_nothing(session: Session) -> None:
    desk = build_desk(session)
    made(session, desk)
    made(session, desk, "pairs", kind="comparer")
    with pytest.raises(InvalidInput, match="names no version") as refused:
        open_rater(session, desk.project.id, "strict")
    assert refused.value.hint == "Write judge:strict@1."
    with pytest.raises(InvalidInput, match="is a comparer"):
        open_rater(session, desk.project.id, "pairs@1")
    for label in ("strict@2", "strict@x", "nobody@1"):
        with pytest.raises(NotFound):
            find_model_check(session, desk.project.id, f"judge:{label}")


def test_ratings_are_scores_of_kind_llm(
    sessions: sessionmaker[Session], settings: Settings, desk: Desk
) -> None:
    with sessions.begin() as session:
        judge = made(session, desk, criterion="faithful")
        digest = judge.digest
    asked: list[GenerationRequest] = []

    def say(request: GenerationRequest) -> str:
        asked.append(request)
        return says("no", 'it says "base says"')

    score_run_id = score_by_judge(sessions, settings, desk, "judge:strict@1", say)
    with sessions() as session:
        rows = list(session.scalars(select(Score).where(Score.score_run_id == score_run_id)))
    assert len(rows) == 80
    assert {(row.value, row.label, row.annotator_kind) for row in rows} == {(0.0, "no", "llm")}
    assert {row.explanation for row in rows} == {
        'it says "base says" (There is no grading note for this example.)'
    }
    spans = [row.spans[0] for row in rows if row.spans]
    assert len(spans) == 40
    assert (spans[0]["start"], spans[0]["end"]) == (0, 9)
    assert f"judge:{digest[:16]}|tries:3" in rows[0].signature
    assert "model:base|adapter:none" in rows[0].signature
    assert {request.model for request in asked} == {"base"}
    assert "test customer 0 pays EUR 10.90" in asked[0].messages[0]["content"]


def test_a_program_is_not_taken_for_a_judge(session: Session) -> None:
    desk = judged_desk(session, 3)
    score_answers(session, desk.run, "exact_match")
    assert set(session.scalars(select(Score.annotator_kind))) == {"code"}


def test_a_server_that_dies_stops_the_job_and_what_was_scored_stays(
    sessions: sessionmaker[Session], settings: Settings, desk: Desk
) -> None:
    with sessions.begin() as session:
        made(session, desk)
    score_by_judge(sessions, settings, desk, "judge:strict@1", lambda _: says(4), dies_after=40)
    with sessions() as session:
        job = session.scalars(select(Job)).one()
        assert (job.state, session.scalar(select(func.count(Score.id)))) == (JobState.STOPPED, 32)
    with sessions.begin() as session:
        again = queue.resume_job(session, job.id).id
    work(sessions, settings, again, FakeEngine(answer=lambda _: says(2)))
    with sessions() as session:
        assert session.get_one(Job, again).state == JobState.DONE
        values = list(session.scalars(select(Score.value)))
        assert (values.count(0.75), values.count(0.25)) == (32, 48)


def test_an_unusable_answer_is_an_error_with_its_reason(
    sessions: sessionmaker[Session], settings: Settings, desk: Desk
) -> None:
    with sessions.begin() as session:
        made(session, desk)
    score_by_judge(sessions, settings, desk, "judge:strict@1", lambda _: '{"score": "\\u0000"}')
    with sessions() as session:
        rows = list(session.scalars(select(Score)))
    assert {row.value for row in rows} == {None}
    assert "the judge gave no usable answer: the score is" in str(rows[0].error)
