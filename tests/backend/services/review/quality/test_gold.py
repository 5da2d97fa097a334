"""Known answers at the desk: when they come, how they are judged, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput, NotFound
from backend.services import review
from backend.services.curation import Recipe, freeze_training_set, training_rows
from backend.services.review.desk.claim import NoItem, Reason
from backend.services.review.quality import gold, pauses
from backend.services.review.quality.gold_items import GoldRow, add_gold
from backend.services.review.rules import QueueRules
from backend.tables.review import GoldResult, QueueMember, ReviewItem, ReviewQueue
from tests.fixtures_quality import (
    add_known,
    answer_next,
    open_with,
    outputs_of,
    purposes_of,
)
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, splits={"train": 12})


def member(session: Session, queue: ReviewQueue, user_id: int) -> QueueMember:
    return session.get_one(QueueMember, (queue.id, user_id), populate_existing=True)


@dataclass
class Row:
    """What of a member says when a known answer is due."""

    n_gold: int
    since_gold: int
    rules: QueueRules
    seed: int = 0
    queue_id: int = 1
    user_id: int = 1


@pytest.mark.parametrize(
    ("n_gold", "since_gold", "rules", "due"),
    [
        (0, 0, QueueRules(gold_onboarding=2), True),
        (1, 5, QueueRules(gold_onboarding=2), True),
        (2, 99, QueueRules(gold_onboarding=2), False),
        (0, 0, QueueRules(), False),
        (0, 1, QueueRules(gold_every=1), True),
        (0, 0, QueueRules(gold_every=1), False),
        (5, 4, QueueRules(gold_every=10), False),
        (5, 15, QueueRules(gold_every=10), True),
    ],
)
def test_when_a_known_answer_is_due(
    n_gold: int, since_gold: int, rules: QueueRules, due: bool
) -> None:
    assert gold.due(Row(n_gold, since_gold, rules)) is due


def distances(user_id: int, seed: int) -> list[int]:
    rules = QueueRules(gold_every=10)
    return [
        next(d for d in range(30) if gold.due(Row(n, d, rules, seed, user_id=user_id)))
        for n in range(200)
    ]


def test_distances_are_drawn_and_cannot_be_counted_out() -> None:
    drawn = distances(1, 7)
    assert drawn == distances(1, 7)
    assert drawn != distances(2, 7)
    assert drawn != distances(1, 8)
    assert set(drawn) == set(range(5, 16))
    assert 9 < sum(drawn) / len(drawn) < 11


def test_onboarding_first_then_ordinary_items(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, n_items=3, gold_onboarding=2)
    add_known(session, queue, desk, 3)
    user = desk.experts[0]
    for _ in range(5):
        answer_next(session, queue, user, BAD)
    assert purposes_of(session, user) == ["gold", "gold", "review", "review", "review"]


def test_then_one_every_so_often(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, gold_every=2)
    add_known(session, queue, desk, 12)
    user = desk.experts[0]
    for _ in range(12):
        answer_next(session, queue, user, BAD)
    given = purposes_of(session, user)
    assert given[0] == "review"
    gaps = "".join("G" if purpose == "gold" else "." for purpose in given).split("G")
    assert all(1 <= len(gap) <= 3 for gap in gaps[:-1])
    assert 3 <= given.count("gold") <= 6


def test_each_known_answer_is_met_once_and_the_order_is_ones_own(
    session: Session, desk: Desk
) -> None:
    queue = open_with(session, desk, n_items=1, gold_onboarding=6)
    add_known(session, queue, desk, 6)
    orders = []
    for user in desk.experts[:2]:
        items = [answer_next(session, queue, user, BAD).item_id for _ in range(6)]
        assert len(set(items)) == 6
        orders.append(items)
    assert orders[0] != orders[1]


def test_gold_counts_in_no_progress(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, n_items=3, gold_onboarding=2)
    before = review.queue_progress(session, queue.id)
    add_known(session, queue, desk, 2)
    user = desk.experts[0]
    answer_next(session, queue, user, BAD)
    held = review.claim_review_item(session, queue.id, user.id, now=NOW)
    assert held
    after = review.queue_progress(session, queue.id)
    assert (after.total, after.done, after.leased, after.open) == (before.total, 0, 0, 3)


def test_in_ones_own_progress_gold_is_an_item_like_any_other(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, n_items=3, gold_onboarding=1)
    add_known(session, queue, desk, 1)
    user = desk.experts[0]
    seen = []
    for _ in range(2):
        assert review.claim_review_item(session, queue.id, user.id, now=NOW)
        seen.append(review.queue_progress(session, queue.id, user_id=user.id))
        answer_next(session, queue, user, BAD)
    assert seen[0] == seen[1]
    assert review.queue_progress(session, queue.id).done == 1


def test_a_finished_queue_gives_no_gold(session: Session, desk: Desk) -> None:
    """Nobody's time is asked for when nothing is left to do."""
    queue = open_with(session, desk, n_items=1, gold_every=1)
    add_known(session, queue, desk, 3)
    answer_next(session, queue, desk.experts[0], BAD)
    for user in desk.experts:
        assert review.claim_review_item(session, queue.id, user.id, now=NOW) is None


def test_gold_counts_in_no_agreement(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, n_items=3, gold_onboarding=2)
    add_known(session, queue, desk, 2)
    for user in desk.experts[:2]:
        for _ in range(2):
            answer_next(session, queue, user, BAD)
    assert all(row.figure is None for row in review.queue_agreement(session, queue.id))


def test_gold_never_trains(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, n_items=3, gold_onboarding=1)
    [known] = add_known(session, queue, desk, 1)
    user = desk.experts[0]
    answer_next(session, queue, user, BAD, correction="gold correction")
    answer_next(session, queue, user, BAD, correction="real correction")
    recipe = Recipe(queues=("q",), generations=(known.item.generation_a_id,))
    frozen = freeze_training_set(session, project_id=desk.project.id, name="s", recipe=recipe)
    written = str(list(training_rows(session, frozen.id)))
    assert "real correction" in written
    assert "gold correction" not in written


@pytest.mark.parametrize(("ratings", "passed", "score"), [(BAD, True, 1.0), (GOOD, False, 0.0)])
def test_a_submit_is_judged_and_explained(
    session: Session, desk: Desk, ratings: dict[str, object], passed: bool, score: float
) -> None:
    queue = open_with(session, desk, gold_onboarding=1)
    [known] = add_known(session, queue, desk, 1)
    done = answer_next(session, queue, desk.experts[0], ratings)
    told = gold.feedback(session, done.id)
    assert told
    assert (told.passed, told.score, told.may_contest) == (passed, score, True)
    assert told.explanation == known.explanation
    assert told.known.ratings == {"faithful": "no"}
    assert member(session, queue, desk.experts[0].id).n_gold == 1


def test_half_right_is_a_score_and_no_pass(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, gold_onboarding=1)
    add_known(session, queue, desk, 1, {"ratings": {"faithful": "no", "problem": "missing"}})
    told = gold.feedback(session, answer_next(session, queue, desk.experts[0], BAD).id)
    assert told
    assert (told.score, told.passed) == (0.5, False)


def test_an_ordinary_review_is_told_nothing(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk)
    assert gold.feedback(session, answer_next(session, queue, desk.experts[0], BAD).id) is None


def test_the_known_vote_is_shown_as_the_side(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, kind="pair", n_items=1, gold_onboarding=8, gold_bound=0.0)
    pairs = zip(outputs_of(session, desk, 0), outputs_of(session, desk, 1), strict=True)
    taken = set(session.scalars(select(ReviewItem.generation_a_id)))
    rows = [
        GoldRow(answer={"winner": "a"}, explanation="a", generation=a.id, generation_b=b.id)
        for a, b in pairs
        if a.id not in taken
    ]
    add_gold(session, queue.id, rows[:8], by=None)
    sides = []
    for _ in range(8):
        done = answer_next(session, queue, desk.experts[0], {}, winner="left")
        told = gold.feedback(session, done.id)
        assert told
        assert told.passed is (told.known.winner == "left")
        sides.append(told.known.winner)
    assert set(sides) == {"left", "right"}


@pytest.mark.parametrize(
    ("met", "n", "below"),
    [
        (0, 3, False),
        (0, 4, True),
        (1, 4, True),
        (2, 4, False),
        (3, 7, True),
        (4, 7, False),
        (5, 10, True),
        (6, 10, False),
        (7, 10, False),
    ],
)
def test_the_rule_of_the_pause(met: int, n: int, below: bool) -> None:
    assert pauses.is_below(met, n, QueueRules(gold_bound=0.7, gold_minimum=4)) is below


def below_bound(session: Session, desk: Desk, **rules: object) -> ReviewQueue:
    """A queue in which the first expert has missed four known answers."""
    queue = open_with(session, desk, gold_onboarding=4, **rules)
    add_known(session, queue, desk, 6)
    for _ in range(4):
        answer_next(session, queue, desk.experts[0], GOOD)
    return queue


def test_a_person_below_the_bound_is_paused_kindly(session: Session, desk: Desk) -> None:
    queue = below_bound(session, desk)
    user = desk.experts[0]
    found = review.claim_next(session, queue.id, user.id, now=NOW)
    assert isinstance(found, NoItem)
    assert found.reason is Reason.PAUSED
    assert found.message == pauses.GOLD_PAUSE
    reason = member(session, queue, user.id).pause_reason
    assert reason
    assert "0 of 4" in reason


def test_the_lead_sees_who_is_paused_and_why(session: Session, desk: Desk) -> None:
    queue = below_bound(session, desk)
    first, *others = pauses.gold_progress(session, queue.id)
    assert (first.pseudonym, first.n, first.met) == (desk.experts[0].pseudonym, 4, 0)
    assert first.paused_at == NOW
    assert first.low == 0.0
    assert first.high is not None
    assert 0 < first.high < 0.7
    assert [(other.n, other.low, other.paused_at) for other in others] == [(0, None, None)] * 2


def test_others_work_on_while_one_is_paused(session: Session, desk: Desk) -> None:
    queue = below_bound(session, desk)
    assert review.claim_review_item(session, queue.id, desk.experts[1].id, now=NOW)


def test_a_lifted_pause_counts_anew(session: Session, desk: Desk) -> None:
    queue = below_bound(session, desk)
    user = desk.experts[0]
    pauses.lift_pause(session, queue.id, user.id)
    assert answer_next(session, queue, user, GOOD).purpose == "gold"
    assert member(session, queue, user.id).paused_at is None
    standing = pauses.gold_progress(session, queue.id)
    assert next(one.n for one in standing if one.pseudonym == user.pseudonym) == 5


def test_a_lead_may_pause_by_hand(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk)
    user = desk.experts[0]
    pauses.pause_reviewer(session, queue.id, user.id, reason="Let us talk.", now=NOW)
    found = review.claim_next(session, queue.id, user.id, now=NOW)
    assert isinstance(found, NoItem)
    assert found.reason is Reason.PAUSED
    assert "Nothing that you did is lost" in found.message


@pytest.mark.parametrize("reason", ["", "  ", pauses.GOLD_PAUSE])
def test_a_pause_by_hand_needs_words_of_its_own(session: Session, desk: Desk, reason: str) -> None:
    queue = open_with(session, desk)
    with pytest.raises(InvalidInput):
        pauses.pause_reviewer(session, queue.id, desk.experts[0].id, reason=reason, now=NOW)


def test_only_a_paused_reviewer_can_be_let_back(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk)
    with pytest.raises(Conflict):
        pauses.lift_pause(session, queue.id, desk.experts[0].id)
    with pytest.raises(NotFound):
        pauses.lift_pause(session, queue.id, 999)


def test_judging_twice_changes_nothing(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, gold_onboarding=2)
    add_known(session, queue, desk, 2)
    done = answer_next(session, queue, desk.experts[0], BAD)
    gold.judge(session, done.id, NOW)
    assert member(session, queue, desk.experts[0].id).n_gold == 1
    assert len(session.scalars(select(GoldResult)).all()) == 1


def test_what_one_reviewed_is_no_test_of_them(session: Session, desk: Desk) -> None:
    queue = open_with(session, desk, n_items=1)
    user, other = desk.experts[:2]
    done = answer_next(session, queue, user, BAD)
    row = GoldRow(
        answer={"ratings": {"faithful": "no"}},
        explanation="x",
        generation=done.item.generation_a_id,
    )
    [known] = add_gold(session, queue.id, [row], by=None)
    assert gold.next_item(session, queue.id, user.id, 7) is None
    assert gold.next_item(session, queue.id, other.id, 7) == known.item_id
