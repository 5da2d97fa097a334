"""What an expert is shown: blind, with flags; their own past answers; progress."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import NotFound
from backend.schemas.review.desk import MarkedSpan, QueueProgress
from backend.schemas.runs import FlaggedSpan
from backend.schemas.turns import transcript
from backend.services import review
from backend.services.review import Answer, SpanMark
from backend.services.review.desk.item_view import find_links
from backend.services.review.rules import QueueRules
from backend.tables.review import Purpose, Review, ReviewItem
from backend.tables.runs import Generation
from tests.fixtures_review import (
    GOOD,
    NOW,
    Desk,
    build_desk,
    review_next,
    score_with_flag,
    submit,
)


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, splits={"train": 4})


def test_an_item_shows_its_source_and_output(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    expert = desk.experts[0]
    claim = review.claim_review_item(session, queue.id, expert.id, now=NOW)
    assert claim is not None
    shown = review.item_view(session, claim.slot_id, expert.id)
    example = session.get_one(ReviewItem, claim.item_id).generation_a.example
    assert (shown.input, shown.context) == (example.input, example.context)
    assert shown.output is not None
    assert shown.output.text.startswith("base says")
    assert (shown.left, shown.right) == (None, None)


def test_a_conversation_is_shown_as_its_turns_with_links_into_them(
    session: Session, desk: Desk
) -> None:
    queue = desk.open(session)
    expert = desk.experts[0]
    claim = review.claim_review_item(session, queue.id, expert.id, now=NOW)
    assert claim is not None
    output = session.get_one(ReviewItem, claim.item_id).generation_a
    said = [
        {"role": "user", "content": "👍🏽 My number is 48231."},
        {"role": "assistant", "content": "Thank you."},
        {"role": "user", "content": "What was it?"},
    ]
    output.example.messages, output.example.input = said, transcript(said)
    output.text = "It is 48231."
    session.flush()
    shown = review.item_view(session, claim.slot_id, expert.id)
    words = [(turn.role, shown.input[turn.start : turn.end]) for turn in shown.turns]
    assert words == [(turn["role"], turn["content"]) for turn in said]
    [place] = [place for link in find_links(shown) for place in link.sources]
    at = len(shown.context or "") + 1 if shown.context else 0
    assert shown.input[place.start - at : place.end - at] == "48231"
    assert shown.turns[0].start <= place.start - at < place.end - at <= shown.turns[0].end


def test_a_pair_is_shown_by_its_recorded_side(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    expert = desk.experts[0]
    for _ in range(4):
        claim = review.claim_review_item(session, queue.id, expert.id, now=NOW)
        assert claim is not None
        shown = review.item_view(session, claim.slot_id, expert.id)
        item = session.get_one(ReviewItem, claim.item_id)
        assert item.generation_b is not None
        sides = [item.generation_a.text, item.generation_b.text]
        assert shown.left is not None
        assert shown.right is not None
        assert [shown.left.text, shown.right.text] == (sides if item.a_is_left else sides[::-1])
        review_next(session, queue, expert, Answer(winner="tie"))


@pytest.mark.parametrize("kind", ["single", "pair"])
def test_nothing_shown_tells_a_model_a_score_or_the_reference(
    session: Session, desk: Desk, kind: str
) -> None:
    for output in session.scalars(select(Generation)):
        output.text = f"text {output.id}"
        scored = score_with_flag(session, desk.run, output)
    for model in desk.models:
        model.name = f"secret-{model.id}"
    queue = desk.open(session, kind=kind, score_run_id=scored.id)
    claim = review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
    assert claim is not None
    shown = review.item_view(session, claim.slot_id, desk.experts[0].id)
    told = json.dumps([shown.model_dump(), asdict(claim)], default=str)
    assert "secret" not in told
    assert "0.125" not in told
    example = session.get_one(ReviewItem, claim.item_id).generation_a.example
    assert example.references[0] not in told


def test_unsupported_passages_are_flagged_for_single_outputs(session: Session, desk: Desk) -> None:
    output = session.scalars(select(Generation).order_by(Generation.id)).first()
    assert output is not None
    scored = score_with_flag(session, desk.run, output)
    queue = desk.open(session, score_run_id=scored.id)
    flagged = {}
    for _ in range(4):
        claim = review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
        assert claim is not None
        shown = review.item_view(session, claim.slot_id, desk.experts[0].id)
        assert shown.output is not None
        flagged[shown.output.text] = shown.output.flagged
        review_next(session, queue, desk.experts[0], Answer(GOOD))
    assert flagged.pop(str(output.text)) == [
        FlaggedSpan(start=0, end=4, reason="not in the source", kind="name")
    ]
    assert not any(flagged.values())


def test_an_item_is_shown_to_its_holder_only(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    claim = review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
    assert claim is not None
    with pytest.raises(NotFound):
        review.item_view(session, claim.slot_id, desk.experts[1].id)


def test_progress_counts_states_and_ones_own(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    first, second = desk.experts[:2]
    review_next(session, queue, first, Answer(GOOD))
    review.claim_review_item(session, queue.id, second.id, now=NOW)
    shown = review.queue_progress(session, queue.id, user_id=first.id)
    assert shown == QueueProgress(total=4, done=1, leased=1, open=2, mine=1)
    assert review.queue_progress(session, queue.id, user_id=second.id).mine == 0


def test_reviewers_are_listed_with_what_they_did(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    first, second = desk.experts[:2]
    for _ in range(2):
        review_next(session, queue, second, Answer(GOOD, active_seconds=30))
    claim = review.claim_review_item(session, queue.id, first.id, now=NOW)
    assert claim is not None
    review.skip_review(
        session,
        slot_id=claim.slot_id,
        version=claim.version,
        user_id=first.id,
        reason="unsure",
        now=NOW,
    )
    rows = review.reviewer_progress(session, queue.id)
    assert [(r.pseudonym, r.submitted, r.skipped, r.active_seconds) for r in rows] == [
        (second.pseudonym, 2, 0, 60.0),
        (first.pseudonym, 0, 1, 0.0),
        (desk.experts[2].pseudonym, 0, 0, 0.0),
    ]


def test_only_required_reviews_that_stand_are_counted_for_their_reviewers(
    session: Session, desk: Desk
) -> None:
    queue = desk.open(session, rules=QueueRules(revise_minutes=30))
    expert = desk.experts[0]
    answer = Answer(GOOD, active_seconds=10)
    first, gold, verdict, late = (
        review_next(session, queue, expert, answer).review_id for _ in range(4)
    )
    revised = review.revise(session, first, expert.id, now=NOW)
    submit(session, revised, expert, Answer({**GOOD, "quality": 4}, active_seconds=10))
    session.get_one(Review, gold).purpose = Purpose.GOLD
    session.get_one(Review, verdict).purpose = Purpose.ADJUDICATION
    session.get_one(Review, late).extra = True
    session.flush()
    [mine, *_] = review.reviewer_progress(session, queue.id)
    assert (mine.pseudonym, mine.submitted, mine.active_seconds) == (expert.pseudonym, 1, 50.0)


def test_ones_own_reviews_come_back_newest_first(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    expert = desk.experts[0]
    answers = [
        Answer(GOOD, correction="better", correction_reason="wrong", comment="c"),
        Answer(GOOD, spans=(SpanMark(0, 4, "other"),)),
    ]
    for n, answer in enumerate(answers):
        review_next(session, queue, expert, answer, now=NOW + timedelta(seconds=n))
    last, before = review.my_reviews(session, queue.id, expert.id)
    assert before.answer.correction == "better"
    assert before.answer.correction_reason == "wrong"
    assert before.answer.ratings["quality"] == "5"
    assert last.answer.spans == [MarkedSpan(start=0, end=4, kind="other")]
    assert last.item.output is not None
    [paged] = review.my_reviews(session, queue.id, expert.id, before_id=last.review_id)
    assert paged == before
    assert review.my_reviews(session, queue.id, desk.experts[1].id) == []


def test_a_past_vote_is_shown_by_side(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    expert = desk.experts[0]
    for _ in range(4):
        review_next(session, queue, expert, Answer(winner="right"))
    shown = review.my_reviews(session, queue.id, expert.id)
    assert [past.answer.winner for past in shown] == ["right"] * 4


def test_somebody_elses_review_is_not_found(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    done = review_next(session, queue, desk.experts[0], Answer(GOOD))
    with pytest.raises(NotFound):
        review.past_review(session, done.review_id, desk.experts[1].id)


def test_a_person_sees_the_queues_that_they_may_claim_from(session: Session, desk: Desk) -> None:
    first, second = desk.experts[:2]
    both = desk.open(session, "both")
    mine = desk.open(session, "mine", reviewer_ids=[first.id])
    assert [q.id for q in review.my_queues(session, first.id)] == [mine.id, both.id]
    assert [q.id for q in review.my_queues(session, second.id)] == [both.id]
    review.add_reviewers(session, mine.id, [second.id, first.id])
    assert [q.id for q in review.my_queues(session, second.id)] == [mine.id, both.id]
