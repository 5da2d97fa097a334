"""Adjudications: when they open, who may decide, what they see, and what the verdict changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.services import review
from backend.services.curation import Recipe, freeze_training_set, training_rows
from backend.services.pages import PageAsk
from backend.services.review import Answer
from backend.services.review.desk.claim import NoItem
from backend.services.review.quality import adjudication, gold_items
from backend.services.review.rules import QueueRules
from backend.tables.accounts import User
from backend.tables.review import Adjudication, Review, ReviewQueue
from tests.fixtures_quality import answer_next, open_with
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, submit

MEH = {**GOOD, "quality": 4}


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, n_experts=4)


def dispute(
    session: Session,
    desk: Desk,
    *answers: Mapping[str, object],
    n_items: int = 1,
    above: float | None = 0.5,
    **options: object,
) -> tuple[ReviewQueue, list[Adjudication]]:
    """A queue in which the first experts gave these answers to every item."""
    queue = open_with(
        session,
        desk,
        n_items=n_items,
        overlap=len(answers),
        overlap_share=1.0,
        adjudicate_above=above,
        **options,
    )
    for user, ratings in zip(desk.experts, answers, strict=False):
        for _ in range(n_items):
            answer_next(session, queue, user, dict(ratings), comment=f"by {user.id}")
    return queue, session.query(Adjudication).order_by(Adjudication.id).all()


def take(session: Session, queue: ReviewQueue, user: User, **at: object) -> review.Claim | None:
    found = review.claim_adjudication(session, queue.id, user.id, **{"now": NOW, **at})  # type: ignore[arg-type]
    return None if isinstance(found, NoItem) else found


def decide(session: Session, queue: ReviewQueue, user: User, answer: Answer) -> Review:
    held = take(session, queue, user)
    assert held
    done = submit(session, held, user, answer)
    return session.get_one(Review, done.review_id, populate_existing=True)


@pytest.mark.parametrize(
    ("answers", "above", "opened"),
    [
        ((GOOD, BAD), 0.5, True),
        ((GOOD, BAD), None, False),
        ((GOOD, BAD), 1.0, False),
        ((GOOD, GOOD), 0.0, False),
        ((GOOD, MEH), 0.0, True),
        ((GOOD, MEH), 0.1, False),
        ((GOOD, GOOD, BAD), 0.5, True),
        ((GOOD, GOOD, BAD), 0.7, False),
    ],
)
def test_it_opens_above_the_bound(
    session: Session,
    desk: Desk,
    answers: tuple[dict[str, object], ...],
    above: float | None,
    opened: bool,
) -> None:
    _, found = dispute(session, desk, *answers, above=above)
    assert bool(found) is opened


def test_it_opens_when_the_last_review_is_in_and_once(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, n_items=1, overlap=3, overlap_share=1.0, adjudicate_above=0.1)
    counted = []
    for user, ratings in zip(desk.experts, (GOOD, BAD, BAD), strict=False):
        done = answer_next(session, queue, user, ratings)
        counted.append(session.query(Adjudication).count())
    assert counted == [0, 0, 1]
    rules = QueueRules(adjudicate_above=0.1)
    assert adjudication.open_if_needed(session, done.item_id, rules, NOW) is None
    assert session.query(Adjudication).count() == 1


def test_it_is_no_required_review(session: Session, desk: Desk) -> None:
    queue, _ = dispute(session, desk, GOOD, BAD)
    assert (queue.design["n_slots"], review.queue_progress(session, queue.id).done) == (2, 2)
    assert review.claim_review_item(session, queue.id, desk.experts[2].id, now=NOW) is None


@pytest.mark.parametrize(("expert", "may"), [(0, False), (1, False), (2, True), (3, True)])
def test_nobody_decides_on_what_they_reviewed(
    session: Session, desk: Desk, expert: int, may: bool
) -> None:
    queue, _ = dispute(session, desk, GOOD, BAD)
    assert (take(session, queue, desk.experts[expert]) is not None) is may


def test_nobody_decides_on_what_they_skipped(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, n_items=1, overlap=2, overlap_share=1.0, adjudicate_above=0.5)
    skipper, *others = desk.experts
    held = review.claim_review_item(session, queue.id, skipper.id, now=NOW)
    assert held
    review.skip_review(
        session,
        slot_id=held.slot_id,
        version=held.version,
        user_id=skipper.id,
        reason="Not my field",
        now=NOW,
    )
    for user, ratings in zip(others, (GOOD, BAD), strict=False):
        answer_next(session, queue, user, ratings)
    assert session.query(Adjudication).count() == 1
    assert take(session, queue, skipper) is None


def test_two_people_get_two_disagreements(session: Session, desk: Desk) -> None:
    queue, found = dispute(session, desk, GOOD, BAD, n_items=2)
    first, second = (take(session, queue, user) for user in desk.experts[2:])
    assert first
    assert second
    assert {first.item_id, second.item_id} == {one.item_id for one in found}


def test_one_disagreement_is_decided_by_one_person(session: Session, desk: Desk) -> None:
    """The slow one's lease lapses; their late verdict is kept beside, and decides nothing."""
    queue, [found] = dispute(session, desk, GOOD, BAD)
    slow, quick = desk.experts[2:]
    held = take(session, queue, slow)
    assert held
    assert take(session, queue, quick) is None
    later = NOW + timedelta(hours=3)
    taken = take(session, queue, quick, now=later)
    assert taken
    verdict = submit(session, taken, quick, Answer(BAD), now=later)
    late = submit(session, held, slow, Answer(GOOD), now=later)
    session.refresh(found)
    assert (found.review_id, found.decided_at) == (verdict.review_id, later)
    assert session.get_one(Review, late.review_id).extra


def test_the_answers_are_shown_without_names(session: Session, desk: Desk) -> None:
    queue, [found] = dispute(session, desk, GOOD, BAD)
    held = take(session, queue, desk.experts[2])
    assert held
    shown = adjudication.dispute_of(session, held.slot_id)
    assert shown
    assert [one.label for one in shown.answers] == ["Reviewer 1", "Reviewer 2"]
    assert {one.answer.ratings["faithful"] for one in shown.answers} == {"yes", "no"}
    assert all(one.answer.active_seconds == 0 for one in shown.answers)
    assert shown.reason == found.reason
    for user in desk.experts:
        assert user.pseudonym not in str(shown)
        assert user.name not in str(shown)


def test_reviewer_1_is_not_always_the_same_person(session: Session, desk: Desk) -> None:
    _, found = dispute(session, desk, GOOD, BAD, n_items=6)
    first = {
        shown.answers[0].answer.ratings["faithful"]
        for one in found
        if (shown := adjudication.dispute_of(session, one.slot_id))
    }
    assert first == {"yes", "no"}


def test_an_ordinary_slot_shows_no_answers(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk)
    held = review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
    assert held
    assert adjudication.dispute_of(session, held.slot_id) is None


def test_votes_are_shown_as_the_sides_that_were_seen(session: Session, desk: Desk) -> None:
    """On six items a is left on three; whoever said left is shown to have said left."""
    options = {"kind": "pair", "n_items": 6, "overlap": 2, "overlap_share": 1.0}
    queue = open_with(session, desk, adjudicate_above=0.5, **options)
    for user, choice in zip(desk.experts, ("left", "right"), strict=False):
        for _ in range(6):
            answer_next(session, queue, user, {}, winner=choice, comment=choice)
    for found in session.query(Adjudication).all():
        shown = adjudication.dispute_of(session, found.slot_id)
        assert shown
        assert all(one.answer.winner == one.answer.comment for one in shown.answers)


def test_a_missing_review_keeps_it_shut(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, n_items=1, overlap=3, overlap_share=1.0)
    for user, ratings in zip(desk.experts, (GOOD, BAD), strict=False):
        done = answer_next(session, queue, user, ratings)
    rules = QueueRules(adjudicate_above=0.1)
    assert adjudication.open_if_needed(session, done.item_id, rules, NOW) is None


def test_a_verdict_that_comes_late_decides_nothing(session: Session, desk: Desk) -> None:
    """Its lease went to somebody else, who is still at work."""
    queue, [found] = dispute(session, desk, GOOD, BAD)
    slow, quick = desk.experts[2:]
    later = NOW + timedelta(hours=3)
    held = take(session, queue, slow)
    taken = take(session, queue, quick, now=later)
    assert held
    assert taken
    submit(session, held, slow, Answer(GOOD), now=later)
    session.refresh(found)
    assert found.decided_at is None
    verdict = submit(session, taken, quick, Answer(BAD), now=later)
    session.refresh(found)
    assert found.review_id == verdict.review_id


def test_the_verdict_stands_beside_the_originals(session: Session, desk: Desk) -> None:
    queue, [found] = dispute(session, desk, GOOD, BAD)
    before = [(r.id, r.state, r.superseded_at) for r in session.query(Review).order_by(Review.id)]
    figures = review.queue_agreement(session, queue.id)
    verdict = decide(session, queue, desk.experts[2], Answer(BAD))
    session.refresh(found)
    assert (found.review_id, verdict.purpose) == (verdict.id, "adjudication")
    after = [(r.id, r.state, r.superseded_at) for r in session.query(Review).order_by(Review.id)]
    assert after[:2] == before
    assert review.queue_agreement(session, queue.id) == figures


def test_the_lead_sees_how_far_it_is(session: Session, desk: Desk) -> None:
    queue, _ = dispute(session, desk, GOOD, BAD, n_items=3)
    decide(session, queue, desk.experts[2], Answer(BAD))
    take(session, queue, desk.experts[3])
    progress = adjudication.adjudication_progress(session, queue.id)
    assert (progress.opened, progress.decided, progress.held) == (3, 1, 1)
    listed = adjudication.list_adjudications(session, queue.id, PageAsk(limit=2))
    assert [one.decided_at is None for one in listed.rows] == [True, True]
    assert listed.next
    answers = adjudication.disputed_answers(session, listed.rows)
    assert all(len(answers[one.item_id]) == 2 for one in listed.rows)


def trained_on(session: Session, desk: Desk, name: str, **recipe: object) -> str:
    frozen = freeze_training_set(
        session,
        project_id=desk.project.id,
        name=name,
        recipe=Recipe.model_validate({"queues": ["q"], **recipe}),
    )
    return str(list(training_rows(session, frozen.id)))


def corrected(session: Session, desk: Desk) -> tuple[ReviewQueue, list[Review]]:
    queue = open_with(session, desk, n_items=1, overlap=2, overlap_share=1.0, adjudicate_above=0.0)
    ratings = (GOOD, BAD)
    reviews = [
        answer_next(session, queue, user, ratings[n], correction=f"original {n}")
        for n, user in enumerate(desk.experts[:2])
    ]
    return queue, reviews


def test_training_takes_the_verdict_and_not_the_originals(session: Session, desk: Desk) -> None:
    queue, _ = corrected(session, desk)
    assert "original" in trained_on(session, desk, "before")
    decide(session, queue, desk.experts[2], Answer(BAD, correction="the verdict"))
    rows = trained_on(session, desk, "after")
    assert "the verdict" in rows
    assert "original" not in rows


def test_a_verdict_without_a_correction_overrules_one(session: Session, desk: Desk) -> None:
    """The adjudicator holds the output to be right: nothing is corrected any more."""
    queue, _ = corrected(session, desk)
    decide(session, queue, desk.experts[2], Answer(GOOD))
    approved = {"approved": {"criterion": "faithful", "equals": "yes"}}
    rows = trained_on(session, desk, "s", **approved)
    assert "original" not in rows
    assert "base says" in rows


def test_a_withdrawn_verdict_gives_the_originals_back(session: Session, desk: Desk) -> None:
    queue, _ = corrected(session, desk)
    verdict = decide(session, queue, desk.experts[2], Answer(BAD, correction="the verdict"))
    verdict.withdrawn_at = NOW
    session.flush()
    rows = trained_on(session, desk, "s")
    assert "the verdict" not in rows
    assert "original" in rows


def test_a_review_that_is_named_is_taken_all_the_same(session: Session, desk: Desk) -> None:
    queue, [first, _] = corrected(session, desk)
    decide(session, queue, desk.experts[2], Answer(BAD, correction="the verdict"))
    assert "original 0" in trained_on(session, desk, "s", queues=[], reviews=[first.id])


def test_verdicts_become_known_answers(session: Session, desk: Desk) -> None:
    queue, [found] = dispute(session, desk, GOOD, BAD)
    assert gold_items.add_adjudicated(session, queue.id, by=None) == []
    decide(session, queue, desk.experts[2], Answer(BAD, comment="The price is invented."))
    [known] = gold_items.add_adjudicated(session, queue.id, by=None)
    assert known.answer["ratings"] == {"faithful": "no", "quality": "2", "problem": "invented_fact"}
    assert known.explanation == "The price is invented."
    assert known.item.generation_a_id == found.item.generation_a_id
    assert gold_items.add_adjudicated(session, queue.id, by=None) == []
