"""Answers: stored once, checked first, in terms of a and b."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound, UnknownName
from backend.services import review
from backend.services.review import Answer, Claim, SpanMark, Submitted
from backend.tables.accounts import User
from backend.tables.review import (
    Correction,
    Preference,
    Rating,
    Review,
    ReviewItem,
    ReviewSlot,
    Span,
)
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, review_next, submit

LAPSE = timedelta(seconds=601)
FULL = Answer(
    {**GOOD, "comment": "fine"},
    correction="  v1 says\r\nsomething else  ",
    correction_reason="invented",
    spans=(SpanMark(0, 4, "other", note="name"),),
    comment="seen",
    active_seconds=12.5,
)


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session)


@pytest.fixture
def held(session: Session, desk: Desk) -> Claim:
    queue = desk.open(session)
    claim = review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
    assert claim is not None
    return claim


def count(session: Session, table: type) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def output_of(session: Session, claim: Claim) -> str:
    return session.get_one(ReviewItem, claim.item_id).generation_a.text or ""


def test_everything_is_stored(session: Session, desk: Desk, held: Claim) -> None:
    done = submit(session, held, desk.experts[0], FULL)
    stored = session.get_one(Review, done.review_id, populate_existing=True)
    assert (stored.state, stored.comment, stored.active_seconds) == ("submitted", "seen", 12.5)
    assert (stored.annotator_kind, stored.simulated) == ("human", False)
    ratings = {r.criterion: (r.value, r.number) for r in session.scalars(select(Rating))}
    assert ratings == {
        "faithful": ("yes", 1.0),
        "quality": ("5", 5.0),
        "problem": ("none", None),
        "comment": ("fine", None),
    }
    correction = session.scalars(select(Correction)).one()
    assert (correction.text, correction.reason) == ("v1 says\nsomething else", "invented")
    assert correction.generation_id == session.get_one(ReviewItem, held.item_id).generation_a_id
    assert session.scalars(select(Span)).one().note == "name"
    assert session.get_one(ReviewSlot, held.slot_id, populate_existing=True).state == "done"


def test_the_same_answer_again_is_the_same_result(
    session: Session, desk: Desk, held: Claim
) -> None:
    first = submit(session, held, desk.experts[0], FULL)
    again = submit(session, held, desk.experts[0], replace(FULL, active_seconds=99.0))
    assert again == replace(first, repeated=True)
    assert (count(session, Rating), count(session, Correction), count(session, Span)) == (4, 1, 1)


OTHER = [
    replace(FULL, ratings={**GOOD, "quality": 4}),
    replace(FULL, correction=None),
    replace(FULL, correction="another text"),
    replace(FULL, spans=()),
    replace(FULL, comment=None),
]


def test_another_answer_under_the_same_lease_is_refused(
    session: Session, desk: Desk, held: Claim
) -> None:
    submit(session, held, desk.experts[0], FULL)
    for other in OTHER:
        with pytest.raises(Conflict, match="it stands"):
            submit(session, held, desk.experts[0], other)
    assert count(session, Rating) == 4


WRONG: list[tuple[Answer, type[Exception]]] = [
    (Answer({}), InvalidInput),
    (Answer({**GOOD, "quality": 6}), InvalidInput),
    (Answer({**GOOD, "colour": "red"}), UnknownName),
    (Answer(GOOD, winner="left"), InvalidInput),
    (Answer(GOOD, correction="   "), InvalidInput),
    (Answer(GOOD, correction="a\x00b"), InvalidInput),
    (Answer(GOOD, comment="\ud83d"), InvalidInput),
    (Answer({**GOOD, "comment": "\udc00"}), InvalidInput),
    (Answer(GOOD, active_seconds=float("nan")), InvalidInput),
    (Answer(GOOD, spans=(SpanMark(0, 0, "other"),)), InvalidInput),
    (Answer(GOOD, spans=(SpanMark(-1, 2, "other"),)), InvalidInput),
    (Answer(GOOD, spans=(SpanMark(0, 9999, "other"),)), InvalidInput),
    (Answer(GOOD, spans=(SpanMark(0, 2, "no such kind"),)), InvalidInput),
]


def test_a_wrong_answer_is_refused_and_the_lease_stays(
    session: Session, desk: Desk, held: Claim
) -> None:
    for answer, error in WRONG:
        with pytest.raises(error):
            submit(session, held, desk.experts[0], answer)
    assert count(session, Rating) == 0
    assert submit(session, held, desk.experts[0], Answer(GOOD)).repeated is False


def test_spans_are_counted_in_code_points(session: Session, desk: Desk, held: Claim) -> None:
    text = output_of(session, held)
    assert text.endswith("😀")
    last = SpanMark(len(text) - 1, len(text), "other")
    submit(session, held, desk.experts[0], Answer(GOOD, spans=(last,)))
    stored = session.scalars(select(Span)).one()
    assert text[stored.start : stored.end] == "😀"


def test_one_code_point_beyond_the_end_is_refused(
    session: Session, desk: Desk, held: Claim
) -> None:
    end = len(output_of(session, held)) + 1  # within the text's UTF-8 bytes and UTF-16 units
    with pytest.raises(InvalidInput, match="outside"):
        submit(session, held, desk.experts[0], Answer(GOOD, spans=(SpanMark(0, end, "other"),)))


@pytest.mark.parametrize("around", ["{}", "{}\n", "  {}\r\n"])
def test_a_correction_that_changes_nothing_is_none(
    session: Session, desk: Desk, held: Claim, around: str
) -> None:
    same = around.format(output_of(session, held))
    submit(session, held, desk.experts[0], Answer(GOOD, correction=same))
    assert count(session, Correction) == 0


def test_a_simulated_users_answer_is_simulated(session: Session, desk: Desk, held: Claim) -> None:
    desk.experts[0].simulated = True
    session.flush()
    done = submit(session, held, desk.experts[0], Answer(GOOD))
    assert session.get_one(Review, done.review_id, populate_existing=True).simulated


@pytest.mark.parametrize("seconds", [-5.0, 1e9])
def test_active_time_is_bounded(session: Session, desk: Desk, held: Claim, seconds: float) -> None:
    done = submit(session, held, desk.experts[0], Answer(GOOD, active_seconds=seconds))
    stored = session.get_one(Review, done.review_id, populate_existing=True)
    assert 0 <= stored.active_seconds <= 12 * 3600


def test_an_unknown_slot_is_not_found(session: Session, desk: Desk) -> None:
    with pytest.raises(NotFound):
        submit(session, Claim(99, 1, 1, 1, NOW), desk.experts[0], Answer(GOOD))


def test_a_vote_is_stored_by_model_whatever_the_side(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    expert = desk.experts[0]
    seen = set()
    for _ in range(6):
        claim = review.claim_review_item(session, queue.id, expert.id, now=NOW)
        assert claim is not None
        done = submit(session, claim, expert, Answer(winner="left"))
        item = session.get_one(ReviewItem, claim.item_id)
        vote = select(Preference.winner).where(Preference.review_id == done.review_id)
        assert session.scalar(vote) == ("a" if item.a_is_left else "b")
        seen.add(item.a_is_left)
    assert seen == {True, False}


NO_VOTE = [
    Answer(),
    Answer(winner="a"),
    Answer(winner="left", correction="x"),
    Answer(winner="left", spans=(SpanMark(0, 1, "other"),)),
]


def test_a_pair_takes_a_vote_and_nothing_else(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    claim = review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
    assert claim is not None
    for answer in NO_VOTE:
        with pytest.raises(InvalidInput):
            submit(session, claim, desk.experts[0], answer)


def test_a_vote_without_a_winner_is_stored_as_it_is(session: Session, desk: Desk) -> None:
    queue, given = desk.open(session, kind="pair"), ["tie", "both_bad", "cannot_judge"]
    for winner in given:
        review_next(session, queue, desk.experts[0], Answer(winner=winner))
    stored = select(Preference.winner).order_by(Preference.id)
    assert list(session.scalars(stored)) == given


# answers that are sent again after the person revised theirs


def revised(session: Session, first: Claim, user: User, answer: Answer) -> Submitted:
    """The answer in the place of the one that was given under `first`."""
    query = select(Review.id).where(Review.item_id == first.item_id, Review.state == "submitted")
    review_id = session.scalars(query).one()
    return submit(session, review.revise(session, review_id, user.id, now=NOW), user, answer)


@pytest.mark.parametrize("said", [GOOD, BAD])
def test_an_answer_sent_again_after_its_revision_is_the_same_result(
    session: Session, desk: Desk, held: Claim, said: dict[str, object]
) -> None:
    user = desk.experts[0]
    first = submit(session, held, user, Answer(GOOD))
    later = revised(session, held, user, Answer(said))
    assert submit(session, held, user, Answer(GOOD)) == replace(first, repeated=True)
    with pytest.raises(Conflict, match="was stored before"):
        submit(session, held, user, FULL)
    assert count(session, Rating) == 6
    assert later.review_id != first.review_id


def test_what_stands_is_accepted_from_the_tab_of_the_answer_before(
    session: Session, desk: Desk, held: Claim
) -> None:
    user = desk.experts[0]
    submit(session, held, user, Answer(GOOD))
    stands = revised(session, held, user, Answer(BAD))
    assert submit(session, held, user, Answer(BAD)) == replace(stands, repeated=True)


@pytest.mark.parametrize("late_first", [True, False])
def test_a_late_answer_sent_again_after_a_revision_is_the_same_result(
    session: Session, desk: Desk, late_first: bool
) -> None:
    """It was taken for the lease that the person held by then, or as what they had said already."""
    queue = desk.open(session, n_items=1)
    user, colleague = desk.experts[:2]
    lapsed = review.claim_review_item(session, queue.id, user.id, now=NOW)
    review.claim_review_item(session, queue.id, colleague.id, now=NOW + LAPSE)
    again = review.claim_review_item(session, queue.id, user.id, now=NOW + 2 * LAPSE)
    assert lapsed is not None
    assert again is not None
    sent = [
        submit(session, c, user, Answer(GOOD)) for c in (lapsed, again)[:: 1 if late_first else -1]
    ]
    assert [done.repeated for done in sent] == [False, True]
    revised(session, again, user, Answer(BAD))
    for token in (lapsed, again):
        assert submit(session, token, user, Answer(GOOD)) == sent[1]
