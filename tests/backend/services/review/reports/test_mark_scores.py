"""Marked errors as a score: weights by kind and severity, for each 100 words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CannotCompute, InvalidInput
from backend.rubrics import find_rubric
from backend.services import review
from backend.services.review import SpanMark
from backend.services.review.reports.marks import count_words, penalty_of, queue_mark_scores
from backend.tables.review import ReviewItem
from tests.fixtures_quality import answer_next, open_with
from tests.fixtures_review import Desk, build_desk

RUBRIC = find_rubric("translation")


def marks(*kinds: tuple[str, str]) -> list[SpanMark]:
    return [SpanMark(0, 3, kind, severity) for kind, severity in kinds]


@pytest.mark.parametrize(
    ("kinds", "per_100"),
    [
        ([], 0.0),
        ([("mistranslation", "neutral")], 0.0),
        ([("mistranslation", "minor")], 10.0),
        ([("mistranslation", "major")], 50.0),
        ([("punctuation", "minor")], 1.0),
        ([("punctuation", "major")], 50.0),
        ([("non_translation", "major")], 250.0),
        ([("mistranslation", "critical")], 250.0),
        ([("grammar", "minor"), ("omission", "major"), ("punctuation", "minor")], 61.0),
    ],
)
def test_the_score_of_one_output(kinds: list[tuple[str, str]], per_100: float) -> None:
    assert 100 * penalty_of(RUBRIC, marks(*kinds)) / 10 == pytest.approx(per_100)


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("a b", 2),
        ("Größe: 3 kg — gut!", 4),
        ("don't", 1),
        ("a\n\nb", 2),
        ("这是一支笔。", 5),
        ("これはペンです", 7),
        ("用iPhone拍 3 张照片", 7),
        ("한국어는 띄어 쓴다", 3),
        ("как дела", 2),
    ],
)
def test_words_are_counted(text: str, n: int) -> None:
    assert count_words(text) == n


@pytest.mark.parametrize("text", ["", " - ", "\u200b", "นี่คือปากกา", "ປາກກາ 1"])
def test_what_has_no_words_has_no_score(text: str) -> None:
    with pytest.raises(CannotCompute):
        count_words(text)


def test_a_mark_without_a_severity_cannot_be_weighed() -> None:
    with pytest.raises(CannotCompute):
        penalty_of(RUBRIC, [SpanMark(0, 3, "grammar")])


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, splits={"train": 5}, n_experts=2, rubric=RUBRIC)


def test_a_mark_under_such_a_rubric_needs_its_severity(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk)
    with pytest.raises(InvalidInput, match="grave"):
        answer_next(
            session, queue, desk.experts[0], {"verdict": "fail"}, spans=(SpanMark(0, 4, "other"),)
        )


def test_a_model_is_scored_by_all_its_words(session: Session, desk: Desk) -> None:
    """Outputs are "base says train-N 😀": three words. Two reviews of an output count as one."""
    queue = open_with(session, desk, overlap=2, overlap_share=1.0)
    for user, severity in zip(desk.experts, ("major", "minor"), strict=True):
        for n in range(5):
            spans = tuple(marks(("grammar", severity))) if n < 2 else ()
            answer_next(session, queue, user, {"verdict": "fail"}, spans=spans)
    [score] = queue_mark_scores(session, queue.id)
    assert (score.model, score.n, score.n_marks, score.error) == ("base", 5, 4, None)
    assert score.value == pytest.approx(100 * 2 * (5 + 1) / 2 / 15)
    assert score.by_kind == {"grammar": pytest.approx(score.value)}
    assert score.low is not None
    assert score.high is not None
    assert 0 <= score.low < score.value < score.high
    assert RUBRIC.digest[:12] in score.signature


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "The output has no words."),
        (None, "The output has no words."),
        (" …\n", "The output has no words."),
        ("นี่คือปากกา", "The output is in a script without spaces between words."),
    ],
)
def test_an_output_without_a_length_is_left_out_and_counted(
    session: Session, desk: Desk, text: str | None, reason: str
) -> None:
    queue = open_with(session, desk)
    for n in range(5):
        spans = tuple(marks(("grammar", "major"))) if n == 0 else ()
        answer_next(session, queue, desk.experts[0], {"verdict": "fail"}, spans=spans)
    [whole] = queue_mark_scores(session, queue.id)
    items = session.scalars(
        select(ReviewItem).where(ReviewItem.queue_id == queue.id).order_by(ReviewItem.position)
    ).all()
    items[4].generation_a.text = text
    session.flush()
    [score] = queue_mark_scores(session, queue.id)
    assert (whole.n, whole.left_out) == (5, {})
    assert (score.n, score.left_out, score.error) == (4, {reason: 1}, None)
    assert score.value == pytest.approx(100 * 5 / 12)
    for item in items:
        item.generation_a.text = text
    session.flush()
    [nothing] = queue_mark_scores(session, queue.id)
    assert (nothing.value, nothing.n, nothing.left_out) == (None, 0, {reason: 5})
    assert nothing.error is not None


def test_outputs_weigh_by_the_inverse_of_their_chance(session: Session, desk: Desk) -> None:
    """The two outputs with a mark were drawn for sure, the three others one time in four."""
    queue = open_with(session, desk)
    for n in range(5):
        spans = tuple(marks(("grammar", "major"))) if n < 2 else ()
        answer_next(session, queue, desk.experts[0], {"verdict": "fail"}, spans=spans)
    items = session.scalars(select(ReviewItem).where(ReviewItem.queue_id == queue.id))
    for item in items:
        item.inclusion_probability = 1.0 if item.position < 2 else 0.25
    session.flush()
    [score] = queue_mark_scores(session, queue.id)
    assert score.value == pytest.approx(100 * 2 * 5 / (3 * (2 + 4 * 3)))
    assert score.by_kind == {"grammar": pytest.approx(score.value)}


def test_too_few_outputs_are_a_reason_and_no_figure(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, n_items=2)
    for _ in range(2):
        answer_next(session, queue, desk.experts[0], {"verdict": "pass"})
    [score] = queue_mark_scores(session, queue.id)
    assert (score.value, score.low, score.n) == (None, None, 2)
    assert "too few" in str(score.error)


def test_a_rubric_without_weights_has_no_score(session: Session) -> None:
    desk = build_desk(session, name="unweighed")
    queue = desk.open(session)
    with pytest.raises(CannotCompute):
        queue_mark_scores(session, queue.id)
    assert review.get_queue(session, queue.id)
