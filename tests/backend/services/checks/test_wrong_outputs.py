"""Which reviewed outputs are wrong: of several reviews, a verdict, a withdrawal, two queues."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.rubrics.wrong import parse_wrong
from backend.services.checks.wrong import wrong_outputs
from backend.services.review import Answer
from backend.services.review.desk.revise import withdraw_review
from tests.fixtures_review import BAD, GOOD, NOW, build_desk, review_next

WHEN = parse_wrong("faithful=no")


def test_outputs_are_labelled_by_what_reviewers_said(session: Session) -> None:
    desk = build_desk(session, splits={"train": 4})
    queue = desk.open(session, n_items=3)
    bad = review_next(session, queue, desk.experts[0], Answer(BAD))
    review_next(session, queue, desk.experts[0], Answer(GOOD))
    found = wrong_outputs(session, desk.project.id, WHEN)
    assert sorted(one.wrong for one in found.values()) == [False, True]
    assert {one.chance for one in found.values()} == {0.75}
    assert {one.run_id for one in found.values()} == {desk.run.id}
    withdraw_review(session, bad.review_id, user_id=desk.experts[0].id, reason="a slip", now=NOW)
    assert [one.wrong for one in wrong_outputs(session, desk.project.id, WHEN).values()] == [False]
    assert wrong_outputs(session, desk.project.id, WHEN, but_queues=[queue.id]) == {}


def test_half_of_the_reviews_are_enough(session: Session) -> None:
    desk = build_desk(session, splits={"train": 1})
    queue = desk.open(session, overlap=2, overlap_share=1.0)
    review_next(session, queue, desk.experts[0], Answer(GOOD))
    assert [one.wrong for one in wrong_outputs(session, desk.project.id, WHEN).values()] == [False]
    review_next(session, queue, desk.experts[1], Answer(BAD))
    assert [one.wrong for one in wrong_outputs(session, desk.project.id, WHEN).values()] == [True]


def test_the_newest_queue_counts(session: Session) -> None:
    desk = build_desk(session, splits={"train": 1})
    for name, said in (("first", BAD), ("second", GOOD)):
        review_next(session, desk.open(session, name), desk.experts[0], Answer(said))
    assert [one.wrong for one in wrong_outputs(session, desk.project.id, WHEN).values()] == [False]
