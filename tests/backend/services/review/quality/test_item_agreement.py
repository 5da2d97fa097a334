"""How far the reviews of one item are apart, by scale."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import NotFound
from backend.rubrics import CheckedAnswer, Rubric, parse_rubric, validate_answers, value_in_words
from backend.services.review.quality.adjudication import compare_answers, item_disagreement
from backend.tables.review import Review
from tests.fixtures_quality import add_known, answer_next, open_with
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk

RUBRIC = parse_rubric(
    """
name: r
guidelines: g
criteria:
  - {name: ok, scale: yes_no, question: OK, required: false}
  - {name: fit, scale: verdict, question: Fit, required: false}
  - {name: stars, scale: stars, question: Stars, required: false}
  - {name: dose, scale: number, question: Dose, min: -10, max: 10, required: false}
  - name: kind
    scale: category
    question: Kind
    required: false
    options: [{name: a, label: A}, {name: b, label: B}]
  - name: faults
    scale: multi
    question: Faults
    required: false
    options: [{name: a, label: A}, {name: b, label: B}, {name: c, label: C}]
  - {name: note, scale: text, question: Note, required: false}
"""
)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ([{"ok": "yes"}, {"ok": "yes"}], 0.0),
        ([{"ok": "yes"}, {"ok": "no"}], 1.0),
        ([{"ok": "yes"}, {"ok": "no"}, {"ok": "no"}], 2 / 3),
        ([{"fit": "pass"}, {"fit": "fail"}], 0.5),
        ([{"fit": "pass"}, {"fit": "critical_fail"}], 1.0),
        ([{"stars": 2}, {"stars": 3}], 0.25),
        ([{"stars": 1}, {"stars": 5}], 1.0),
        ([{"dose": -10}, {"dose": 0}], 0.5),
        ([{"kind": "a"}, {"kind": "b"}], 1.0),
        ([{"faults": ["a", "b"]}, {"faults": ["b", "c"]}], 2 / 3),
        ([{"faults": ["a"]}, {"faults": ["a"]}], 0.0),
        ([{"ok": "yes", "stars": 2}, {"ok": "no", "stars": 2}], 0.5),
        ([{"ok": "yes", "note": "x"}, {"ok": "yes", "note": "y"}], 0.0),
        ([{"ok": "yes"}, {"ok": "yes", "stars": 1}], 0.0),
        ([{"note": "x"}, {"note": "y"}], None),
        ([{"ok": "yes"}], None),
        ([{"ok": "yes"}, {"stars": 1}], None),
        ([], None),
    ],
)
def test_the_mean_over_pairs_and_criteria(
    said: list[dict[str, object]], value: float | None
) -> None:
    found = compare_answers(RUBRIC, [validate_answers(RUBRIC, one) for one in said])
    assert (found and found.value) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(("votes", "value"), [("aa", 0.0), ("ab", 1.0), ("aab", 2 / 3)])
def test_votes_differ_or_do_not(votes: str, value: float) -> None:
    given = [{"winner": CheckedAnswer(vote, None)} for vote in votes]
    found = compare_answers(Rubric(name="pairs", guidelines="g"), given)
    assert found
    assert found.value == pytest.approx(value)


def test_the_reason_names_options_in_words() -> None:
    assert value_in_words('["dose", "name"]') == "dose, name"
    assert value_in_words("[sic] as it is") == "[sic] as it is"


def test_the_reason_names_what_differs_most_and_nobody() -> None:
    said = [{"ok": "yes", "stars": 2, "kind": "a"}, {"ok": "no", "stars": 3, "kind": "a"}]
    found = compare_answers(RUBRIC, [validate_answers(RUBRIC, one) for one in said])
    assert found
    assert found.reason == "ok: no / yes; stars: 2 / 3"
    turned = compare_answers(RUBRIC, [validate_answers(RUBRIC, one) for one in reversed(said)])
    assert turned == found


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session)


def two_reviews(session: Session, desk: Desk) -> list[Review]:
    queue = open_with(session, desk, n_items=1, overlap=2, overlap_share=1.0)
    return [
        answer_next(session, queue, user, ratings)
        for user, ratings in zip(desk.experts, (GOOD, BAD), strict=False)
    ]


def test_the_reviews_of_an_item_are_compared(session: Session, desk: Desk) -> None:
    first, _ = two_reviews(session, desk)
    found = item_disagreement(session, first.item_id)
    assert found
    assert found.value == pytest.approx((1 + 3 / 4 + 1) / 3)


@pytest.mark.parametrize(
    "change",
    [{"withdrawn_at": NOW}, {"superseded_at": NOW}, {"extra": True}, {"purpose": "adjudication"}],
)
def test_only_reviews_that_count_are_compared(
    session: Session, desk: Desk, change: dict[str, object]
) -> None:
    first, second = two_reviews(session, desk)
    for name, value in change.items():
        setattr(second, name, value)
    session.flush()
    assert item_disagreement(session, first.item_id) is None


def test_gold_is_not_compared(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, gold_onboarding=1)
    [known] = add_known(session, queue, desk, 1)
    for user, ratings in zip(desk.experts, (GOOD, BAD), strict=False):
        answer_next(session, queue, user, ratings)
    assert item_disagreement(session, known.item_id) is None


def test_an_unknown_item_is_refused(session: Session) -> None:
    with pytest.raises(NotFound):
        item_disagreement(session, 10**6)
