"""Which reviewed outputs are wrong: of several reviews, a verdict, a withdrawal, two queues."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.rubrics.wrong import parse_wrong
from backend.services.checks.wrong import untaught, wrong_outputs
from backend.services.review import Answer
from backend.services.review.desk.revise import withdraw_review
from backend.services.review.routing import return_skipped
from tests.fixtures_review import BAD, GOOD, NOW, build_desk, review_next
from tests.fixtures_triage import answer_all, build_risky, teach

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


def test_once_what_skipped_is_up_for_review_audited_outputs_count_like_the_others(
    session: Session,
) -> None:
    risky = build_risky(session)
    queue = risky.open(session, "routed", risky.certify(session, audit=0.2))
    expert, project = risky.desk.experts[0], risky.desk.project.id
    answer_all(session, queue, expert, risky.wrong)
    before = {one.chance for one in wrong_outputs(session, project, WHEN).values()}
    assert min(before) < 0.3
    return_skipped(session, queue.id, user_id=expert.id, now=NOW)
    answer_all(session, queue, expert, risky.wrong)
    after = [one.chance for one in wrong_outputs(session, project, WHEN).values()]
    assert after == [1.0] * 120


def test_outputs_that_taught_a_check_are_told_apart(session: Session) -> None:
    risky = build_risky(session, n=12)
    for n, example in enumerate(risky.desk.examples):
        example.group = f"pair {n // 2}"
    session.flush()
    teach(session, risky.desk, risky.desk.examples[:3])
    judged = wrong_outputs(session, risky.desk.project.id, WHEN)
    names = ["grounding", "check:facts@1"]
    kept, left_out = untaught(session, risky.desk.project.id, names, judged)
    groups = {example.group for example in risky.desk.examples[:3]}
    assert {one.group for one in kept.values()}.isdisjoint(groups)
    assert left_out == {"reviewed outputs that check:facts@1 was taught with": 4}
    assert len(kept) == 8
    assert untaught(session, risky.desk.project.id, ["check:facts@2"], judged) == (judged, {})
