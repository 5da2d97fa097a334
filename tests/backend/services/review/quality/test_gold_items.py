"""How known answers get into a queue, and what happens when one is held to be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput, NotFound, StropError
from backend.services import review
from backend.services.pages import PageAsk
from backend.services.review.lease import add_slot
from backend.services.review.quality import gold_contests, gold_items, pauses
from backend.services.review.quality.gold import feedback_on
from backend.services.review.quality.gold_items import GoldRow, add_gold
from backend.tables.review import (
    SLOT_IDS,
    GoldResult,
    Purpose,
    QueueMember,
    ReviewQueue,
    ReviewSlot,
)
from tests.fixtures_quality import KNOWN, add_known, answer_next, open_with, outputs_of
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, splits={"train": 12})


def row(**changes: Any) -> GoldRow:
    return GoldRow(**{"answer": KNOWN, "explanation": "Invented.", **changes})


def test_an_output_is_named_by_id_or_by_example_and_model(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk)
    first, second = outputs_of(session, desk, 1)[:2]
    label = desk.models[1].label
    added = add_gold(
        session,
        queue.id,
        [row(generation=first.id), row(example=second.example.external_id, model=label)],
        by=desk.experts[0].id,
    )
    assert [one.item.generation_a_id for one in added] == [first.id, second.id]
    assert all(one.item.position < 0 for one in added)
    assert added[0].created_by_id == desk.experts[0].id


def still_to_be_reviewed(session: Session, desk: Desk) -> dict[str, Any]:
    return {"generation": outputs_of(session, desk, 0)[0].id}


def gold_already(session: Session, desk: Desk) -> dict[str, Any]:
    return {"generation": outputs_of(session, desk, 1)[11].id}


def foreign(session: Session, desk: Desk) -> dict[str, Any]:
    other = build_desk(session, splits={"train": 1}, name="other")
    return {"generation": outputs_of(session, other, 0)[0].id}


def failed(session: Session, desk: Desk) -> dict[str, Any]:
    output = outputs_of(session, desk, 1)[0]
    output.text = None
    session.flush()
    return {"generation": output.id}


def fresh(session: Session, desk: Desk, **changes: Any) -> dict[str, Any]:
    return {"generation": outputs_of(session, desk, 1)[0].id, **changes}


def no_explanation(session: Session, desk: Desk) -> dict[str, Any]:
    return fresh(session, desk, explanation="  ")


def a_nul(session: Session, desk: Desk) -> dict[str, Any]:
    return fresh(session, desk, explanation="a\x00b")


def second_output(session: Session, desk: Desk) -> dict[str, Any]:
    return fresh(session, desk, generation_b=outputs_of(session, desk, 1)[1].id)


def no_output(session: Session, desk: Desk) -> dict[str, Any]:
    return {"example": "train-1"}


def unknown_example(session: Session, desk: Desk) -> dict[str, Any]:
    return {"example": "nowhere", "model": desk.models[1].label}


def unknown_criterion(session: Session, desk: Desk) -> dict[str, Any]:
    return fresh(session, desk, answer={"ratings": {"truthful": "no"}})


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (still_to_be_reviewed, Conflict),
        (gold_already, Conflict),
        (foreign, NotFound),
        (failed, InvalidInput),
        (no_explanation, InvalidInput),
        (a_nul, InvalidInput),
        (second_output, InvalidInput),
        (no_output, InvalidInput),
        (unknown_example, NotFound),
        (unknown_criterion, InvalidInput),
    ],
)
def test_what_cannot_be_a_known_answer_is_refused(
    session: Session, desk: Desk, make: Any, error: type[StropError]
) -> None:
    queue = open_with(session, desk)
    add_gold(session, queue.id, [row(generation=outputs_of(session, desk, 1)[11].id)], by=None)
    with pytest.raises(error):
        add_gold(session, queue.id, [row(**make(session, desk))], by=None)


def test_a_wrong_row_is_named(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk)
    first = outputs_of(session, desk, 1)[0]
    with pytest.raises(NotFound, match="Known answer 2"):
        add_gold(session, queue.id, [row(generation=first.id), row(generation=10**6)], by=None)


def test_a_pair_needs_two_outputs_of_one_example(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, kind="pair", n_items=1)
    a, b = outputs_of(session, desk, 0)[5], outputs_of(session, desk, 1)[6]
    with pytest.raises(InvalidInput, match="one example"):
        add_gold(
            session,
            queue.id,
            [row(answer={"winner": "a"}, generation=a.id, generation_b=b.id)],
            by=None,
        )


def test_a_list_counts_results(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, gold_onboarding=1)
    [known] = add_known(session, queue, desk, 1)
    for user, ratings in zip(desk.experts, (GOOD, BAD, BAD), strict=True):
        answer_next(session, queue, user, ratings)
    [listed] = gold_items.list_gold(session, queue.id, PageAsk()).rows
    counted = gold_items.count_results(session, [listed.id])
    assert (listed.id, counted[known.id].n, counted[known.id].met) == (known.id, 3, 2)


# contests


def one_paused(session: Session, desk: Desk, *, n: int = 4) -> tuple[ReviewQueue, list[GoldResult]]:
    """The first expert has missed `n` known answers; their results."""
    queue = open_with(session, desk, gold_onboarding=n, gold_minimum=n)
    add_known(session, queue, desk, n)
    for _ in range(n):
        answer_next(session, queue, desk.experts[0], GOOD)
    results = session.query(GoldResult).order_by(GoldResult.id).all()
    assert paused(session, queue, desk)
    return queue, results


def paused(session: Session, queue: ReviewQueue, desk: Desk, expert: int = 0) -> bool:
    key = (queue.id, desk.experts[expert].id)
    return session.get_one(QueueMember, key, populate_existing=True).paused_at is not None


def contest(session: Session, desk: Desk, result: GoldResult, reason: str = "wrong") -> GoldResult:
    return gold_contests.contest(session, result.id, desk.experts[0].id, reason=reason, now=NOW)


def test_a_contest_waits_for_the_lead(session: Session, desk: Desk) -> None:
    queue, results = one_paused(session, desk)
    contest(session, desk, results[1], "The source says so.")
    contest(session, desk, results[1], "Sent again.")
    [waiting] = gold_contests.list_contests(session, queue.id)
    assert (waiting.id, waiting.contest_reason) == (results[1].id, "The source says so.")
    standing = pauses.gold_progress(session, queue.id)
    assert standing[0].n_contested == 1


def test_why_a_contest_was_upheld_is_kept_and_told(session: Session, desk: Desk) -> None:
    queue, results = one_paused(session, desk)
    contest(session, desk, results[1])
    lead = desk.experts[1].id
    gold_contests.resolve_contest(
        session, results[1].id, "upheld", by=lead, now=NOW, reason=" See line 2. "
    )
    [settled] = gold_contests.list_settled(session, queue.id)
    told = feedback_on(settled)
    assert (told.resolution, told.resolution_reason) == ("upheld", "See line 2.")
    assert settled.resolved_by_id == lead


def test_a_contest_by_which_an_answer_was_withdrawn_is_settled_too(
    session: Session, desk: Desk
) -> None:
    queue, results = one_paused(session, desk)
    contest(session, desk, results[1])
    gold_contests.resolve_contest(
        session, results[1].id, "withdrawn", by=None, now=NOW, reason="It is wrong."
    )
    assert gold_contests.list_contests(session, queue.id) == []
    [settled] = gold_contests.list_settled(session, queue.id)
    assert (settled.resolution, settled.resolution_reason) == ("withdrawn", "It is wrong.")


def test_only_ones_own_result_can_be_contested(session: Session, desk: Desk) -> None:
    _, results = one_paused(session, desk)
    with pytest.raises(NotFound):
        gold_contests.contest(session, results[0].id, desk.experts[1].id, reason="x", now=NOW)
    with pytest.raises(InvalidInput):
        contest(session, desk, results[0], " ")


def test_an_upheld_answer_changes_nothing(session: Session, desk: Desk) -> None:
    queue, results = one_paused(session, desk)
    contest(session, desk, results[0])
    undone = gold_contests.resolve_contest(session, results[0].id, "upheld", by=None, now=NOW)
    assert undone is None
    assert paused(session, queue, desk)
    assert gold_contests.list_contests(session, queue.id) == []
    with pytest.raises(Conflict):
        contest(session, desk, results[0])


def test_a_withdrawn_answer_lets_whom_it_paused_work_on(session: Session, desk: Desk) -> None:
    queue, results = one_paused(session, desk)
    contest(session, desk, results[0])
    undone = gold_contests.resolve_contest(
        session, results[0].id, "withdrawn", by=None, reason="It was wrong.", now=NOW
    )
    assert undone
    assert (undone.n_results, undone.unpaused_ids) == (1, (desk.experts[0].id,))
    assert not paused(session, queue, desk)
    assert pauses.gold_progress(session, queue.id)[0].n == 3
    assert review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)


def test_a_pause_that_other_results_call_for_stays(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, gold_onboarding=5, gold_minimum=5)
    known = add_known(session, queue, desk, 5)
    for _ in range(5):
        answer_next(session, queue, desk.experts[0], GOOD)
    queue.rules = {**queue.rules, "gold_minimum": 4}
    session.flush()
    undone = gold_contests.withdraw_gold(session, known[0].id, by=None, reason="x", now=NOW)
    assert undone.unpaused_ids == ()
    assert paused(session, queue, desk)


def test_the_pause_is_judged_anew_by_the_results_that_are_left(
    session: Session, desk: Desk
) -> None:
    """Two of five met call for a pause; two of the four that are left do not."""
    queue = open_with(session, desk, gold_onboarding=5, gold_minimum=4)
    add_known(session, queue, desk, 5)
    for ratings in (BAD, BAD, GOOD, GOOD, GOOD):
        answer_next(session, queue, desk.experts[0], ratings)
    assert paused(session, queue, desk)
    newest = session.query(GoldResult).order_by(GoldResult.id.desc()).first()
    assert newest
    gold_contests.withdraw_gold(session, newest.gold_id, by=None, reason="x", now=NOW)
    assert not paused(session, queue, desk)


def test_a_pause_by_hand_outlives_a_withdrawal(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, gold_onboarding=1)
    [known] = add_known(session, queue, desk, 1)
    user = desk.experts[0]
    answer_next(session, queue, user, GOOD)
    pauses.pause_reviewer(session, queue.id, user.id, reason="Holiday.", now=NOW)
    gold_contests.withdraw_gold(session, known.id, by=None, reason="x", now=NOW)
    assert paused(session, queue, desk)


def test_results_before_a_lifted_pause_do_not_come_back(session: Session, desk: Desk) -> None:
    """What was forgiven is not counted again because an answer is withdrawn later."""
    queue, results = one_paused(session, desk)
    pauses.lift_pause(session, queue.id, desk.experts[0].id)
    gold_contests.withdraw_gold(session, results[0].gold_id, by=None, reason="x", now=NOW)
    key = (queue.id, desk.experts[0].id)
    assert session.get_one(QueueMember, key, populate_existing=True).n_gold == 0


def test_a_withdrawn_answer_is_given_to_nobody_and_judges_nobody(
    session: Session, desk: Desk
) -> None:
    queue = open_with(session, desk, gold_onboarding=1)
    [known] = add_known(session, queue, desk, 1)
    user, other = desk.experts[:2]
    held = review.claim_review_item(session, queue.id, user.id, now=NOW)
    assert held
    assert held.item_id == known.item_id
    gold_contests.withdraw_gold(session, known.id, by=None, reason="x", now=NOW)
    answer_next(session, queue, user, GOOD)
    assert session.query(GoldResult).count() == 0
    taken = review.claim_review_item(session, queue.id, other.id, now=NOW)
    assert taken
    assert taken.item_id != known.item_id


@pytest.mark.parametrize(
    ("result", "resolution", "error"),
    [(0, "upheld", Conflict), (1, "maybe", InvalidInput), (1, "withdrawn", InvalidInput)],
)
def test_a_resolution_that_cannot_be_is_refused(
    session: Session, desk: Desk, result: int, resolution: str, error: type[StropError]
) -> None:
    """The second result is contested, the first is not; a withdrawal needs its reason."""
    _, results = one_paused(session, desk)
    contest(session, desk, results[1])
    with pytest.raises(error):
        gold_contests.resolve_contest(session, results[result].id, resolution, by=None, now=NOW)


def test_an_answer_is_withdrawn_once(session: Session, desk: Desk) -> None:
    _, results = one_paused(session, desk)
    gold_id = results[0].gold_id
    gold_contests.withdraw_gold(session, gold_id, by=None, reason="x", now=NOW)
    with pytest.raises(Conflict):
        gold_contests.withdraw_gold(session, gold_id, by=None, reason="x", now=NOW)
    with pytest.raises(Conflict):
        contest(session, desk, results[0])


def test_a_withdrawal_resolves_every_contest_of_the_answer(session: Session, desk: Desk) -> None:
    queue, results = one_paused(session, desk)
    contest(session, desk, results[2])
    gold_contests.withdraw_gold(session, results[2].gold_id, by=None, reason="x", now=NOW)
    assert gold_contests.list_contests(session, queue.id) == []
    assert results[2].resolution == "withdrawn"


def test_the_id_of_a_slot_does_not_tell_a_known_answer(session: Session, desk: Desk) -> None:
    """Known answers come in after the rest; in order of their ids they lie among the rest."""
    queue = open_with(session, desk, overlap=2, overlap_share=1.0)
    for known in add_known(session, queue, desk, 8):
        add_slot(session.connection(), known.item_id, purpose=Purpose.GOLD)
    query = select(ReviewSlot.id, ReviewSlot.purpose).where(ReviewSlot.queue_id == queue.id)
    ids = {purpose: [] for purpose in (Purpose.REVIEW, Purpose.GOLD)}
    for slot_id, purpose in session.execute(query.order_by(ReviewSlot.position)):
        ids[Purpose(purpose)].append(slot_id)
    assert len(ids[Purpose.GOLD]) == 8
    assert any(id_ < max(ids[Purpose.REVIEW]) for id_ in ids[Purpose.GOLD])
    assert any(id_ > min(ids[Purpose.REVIEW]) for id_ in ids[Purpose.GOLD])
    assert ids[Purpose.REVIEW] != sorted(ids[Purpose.REVIEW])  # nor where the queue has it
    assert all(0 < id_ < SLOT_IDS for found in ids.values() for id_ in found)
