"""The A/B that may be watched, win rates by weight, and what sways votes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CannotCompute, InvalidInput, NotFound
from backend.services import review
from backend.services.review import Answer, PairVote
from backend.services.review.desk.revise import withdraw_review
from backend.services.review.opening.design import ANCHOR
from backend.services.review.reports.ab import forecast_votes, watch_queue
from backend.services.review.reports.effects import length_effect, queue_effects, side_effect
from backend.services.review.reports.votes import cast_votes, queue_votes, rate_of, sequence_as_seen
from backend.services.review.rules import rules_from
from backend.tables.review import ReviewItem, ReviewQueue, Winner
from tests.benchmarks import watched_ab
from tests.fixtures_review import NOW, Desk, build_desk, review_next, submit, vote_on_pairs


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, splits={"test": 40})


def vote(n: int, winner_id: int | None, **changes: object) -> PairVote:
    winner = Winner.TIE if winner_id is None else (Winner.A, Winner.B)[winner_id - 1]
    left = None if winner_id is None else True
    values = {
        "review_id": n,
        "item_id": n,
        "model_ids": (1, 2),
        "winner": winner,
        "winner_id": winner_id,
        "winner_left": left,
        "cluster": str(n),
        "rater": "r",
        "simulated": False,
        **changes,
    }
    return PairVote(**values)  # type: ignore[arg-type]


# Win rates by weight.


def test_votes_weigh_by_the_inverse_of_their_pairs_chance() -> None:
    sure = [vote(n, 2, probability=1.0) for n in range(10)]
    rare = [vote(n, 1, probability=0.1) for n in range(10, 20)]
    rate = rate_of([*sure, *rare], 2)
    assert rate.value == pytest.approx(10 / 110)
    assert "inverse chance" in rate.signature
    assert rate.n == 20


def test_weights_cost_precision() -> None:
    chances = [0.05 if n % 5 == 0 else 1.0 for n in range(60)]
    votes = [vote(n, 1 + (n // 5) % 2, probability=p) for n, p in enumerate(chances)]
    alike = [vote(n, 1 + (n // 5) % 2) for n in range(60)]
    weighted, plain = rate_of(votes, 2), rate_of(alike, 2)
    assert weighted.high - weighted.low > 1.5 * (plain.high - plain.low)


@pytest.mark.parametrize("chance", [1.0, 0.5, 1 / 3, 0.07])
def test_equal_chances_change_nothing_to_the_last_digit(chance: float) -> None:
    won = [2, 1, 2, 2, None, 1, 2]
    plain = [vote(n, w, cluster=str(n // 2)) for n, w in enumerate(won)]
    weighted = [vote(n, w, cluster=str(n // 2), probability=chance) for n, w in enumerate(won)]
    assert rate_of(plain, 2) == rate_of(weighted, 2)


def test_a_sweep_of_unequal_votes_proves_less_than_its_number() -> None:
    votes = [vote(n, 2, probability=0.02 if n == 0 else 1.0) for n in range(30)]
    assert rate_of(votes, 2).low < rate_of([vote(n, 2) for n in range(30)], 2).low - 0.3


# Watching.


def let_win(
    session: Session, desk: Desk, queue: ReviewQueue, winners: Sequence[str], *, hours: int = 0
) -> None:
    """Votes in the order of the queue: "v1", "base", or an answer as the desk sends it."""
    expert = desk.experts[0]
    for n, winner in enumerate(winners):
        claim = review.claim_review_item(session, queue.id, expert.id, now=NOW)
        assert claim is not None
        choice = winner
        if winner in ("v1", "base"):
            item = session.get_one(ReviewItem, claim.item_id)
            choice = "left" if (winner == "base") == item.a_is_left else "right"
        review.submit_review(
            session,
            slot_id=claim.slot_id,
            version=claim.version,
            user_id=expert.id,
            answer=Answer(winner=choice),
            now=NOW + timedelta(hours=hours, minutes=n),
        )


def test_a_decided_ab_says_how_many_votes_were_saved(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    let_win(session, desk, queue, ["v1"] * 25)
    [watch] = watch_queue(session, queue.id)
    assert watch.decision == "better"
    assert watch.decided_at is not None
    assert 5 < watch.decided_at < 25
    assert (watch.planned, watch.saved) == (40, 40 - watch.decided_at)
    assert f"{watch.saved} votes saved against the fixed plan of 40" in watch.sentence
    assert (watch.figure.value, watch.figure.n) == (1.0, 25)
    assert (watch.figure.low or 0) > 0.5
    assert watch.more is None
    assert [point.votes for point in watch.series] == list(range(1, 26))


def test_a_decision_stays_whatever_comes_after(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    let_win(session, desk, queue, ["base"] * 20)
    [before] = watch_queue(session, queue.id)
    let_win(session, desk, queue, ["v1"] * 8, hours=1)
    [after] = watch_queue(session, queue.id)
    assert before.decision == after.decision == "not_better"
    assert before.decided_at == after.decided_at
    assert after.sentence.startswith("base is preferred to base:v1@1")


def test_an_open_ab_says_how_many_more_votes(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    let_win(session, desk, queue, ["v1", "v1", "v1", "base"] * 3)
    [watch] = watch_queue(session, queue.id)
    assert watch.decision == "undecided"
    assert (watch.decided_at, watch.saved) == (None, None)
    assert watch.more_low is not None
    assert watch.more is not None
    assert 0 < watch.more_low <= watch.more
    assert "more votes at the present rate" in watch.sentence
    assert "simulated" in watch.sentence


def test_a_margin_asks_for_more_than_a_win(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    let_win(session, desk, queue, [*["v1"] * 26, *["base"] * 4])
    assert watch_queue(session, queue.id)[0].decision == "better"
    assert watch_queue(session, queue.id, margin=0.45)[0].decision == "undecided"


def test_ties_are_half_and_no_judgement_is_nothing(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    let_win(session, desk, queue, ["v1", "tie", "both_bad", "cannot_judge"])
    [watch] = watch_queue(session, queue.id)
    assert watch.figure.value == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert (watch.figure.n, watch.votes) == (3, 4)


def test_votes_of_one_group_are_one_value(session: Session, desk: Desk) -> None:
    for example in desk.examples:
        example.group = "one patient"
    session.flush()
    queue = desk.open(session, kind="pair")
    let_win(session, desk, queue, ["v1"] * 25)
    [watch] = watch_queue(session, queue.id)
    assert watch.decision == "undecided"
    assert watch.figure.n == 1


@pytest.mark.parametrize("winners", ["v", "b", "vvv", "vb", ["tie"], ["tie", "v"]])
def test_a_few_votes_lie_inside_their_interval(
    session: Session, desk: Desk, winners: Sequence[str]
) -> None:
    queue = desk.open(session, kind="pair")
    vote_on_pairs(session, desk, queue, winners)
    [watch] = watch_queue(session, queue.id)
    value, low, high = watch.figure.value, watch.figure.low, watch.figure.high
    assert value is not None
    assert low is not None
    assert high is not None
    assert low <= value <= high
    assert "outside" not in watch.sentence
    assert not watch.figure.rough


def test_nobody_voted_is_a_reason(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    [watch] = watch_queue(session, queue.id)
    assert watch.figure.value is None
    assert "Nobody has voted" in watch.sentence
    assert watch.series == []


# The error of a watched A/B (tests/benchmarks/watched_ab.py has more of the same).


@pytest.mark.parametrize(("kind", "order"), [("rho 0", "random"), ("rho 0.5", "rounds")])
def test_no_more_false_alarms_than_it_says(kind: str, order: str) -> None:
    """Five of a hundred are allowed; a cluster's mean that is rewritten gives 12 to 14."""
    rng, sizes = np.random.default_rng(3), [5] * 60
    drawn = [watched_ab.draw_votes(rng, sizes, kind, order) for _ in range(100)]
    assert sum(watched_ab.decided(votes, sizes)[0] != "undecided" for votes in drawn) <= 5


@pytest.mark.parametrize("kind", watched_ab.KINDS)
def test_no_decision_is_taken_back_or_moved_by_later_votes_and_withdrawals(kind: str) -> None:
    rng, sizes = np.random.default_rng(4), [1, 2, 5] * 5
    found = []
    for mean in (0.05, 0.5, 0.95):
        votes = watched_ab.draw_votes(rng, sizes, kind, "random", mean=mean)
        found.append(watched_ab.looks(rng, votes, sizes))
    assert sum(changes for changes, _ in found) == 0
    assert any(made for _, made in found)


def test_the_bounds_never_widen_when_votes_are_withdrawn() -> None:
    votes = watched_ab.draw_votes(np.random.default_rng(6), [1] * 40, "rho 0", "random", mean=0.9)
    gone = NOW + timedelta(minutes=20, seconds=-30)
    votes[:15] = [replace(vote, withdrawn_at=gone) for vote in votes[:15]]
    seen = sequence_as_seen(votes, watched_ab.B, alpha=0.05, plan=watched_ab.plan_of([1] * 40))
    assert seen.low[19] > 0.3
    assert (np.diff(seen.low) >= 0).all()
    assert (np.diff(seen.high) <= 0).all()


def test_nobody_steers_the_test_by_withdrawing_votes() -> None:
    found = watched_ab.study_withdrawals(10)
    assert all(row["rate"] <= 0.05 for row in found.values())


def test_votes_enter_in_the_order_in_which_they_were_submitted(
    session: Session, desk: Desk
) -> None:
    """A review begins with its lease: who took the first item may answer last."""
    queue = desk.open(session, kind="pair")
    first, second = desk.experts[:2]
    early = review.claim_review_item(session, queue.id, first.id, now=NOW)
    assert early is not None
    [later] = vote_on_pairs(session, desk, queue, "v", expert=1)
    kept = submit(session, early, first, Answer(winner="tie"), now=NOW - timedelta(hours=1))
    order = [vote.review_id for vote in cast_votes(session, queue.id)]
    assert order == [later, kept.review_id]
    assert [vote.review_id for vote in queue_votes(session, queue.id)] == order
    assert second.id != first.id


def test_a_decision_stands_when_its_votes_are_withdrawn(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    reviews = vote_on_pairs(session, desk, queue, "v" * 16)
    [before] = watch_queue(session, queue.id)
    for review_id in reviews[2:]:
        withdraw(session, desk, review_id, hours=1)
    vote_on_pairs(session, desk, queue, "b" * 10, now=NOW + timedelta(hours=2))
    [after] = watch_queue(session, queue.id)
    assert (before.decision, before.withdrawn) == ("better", 0)
    assert (after.decision, after.decided_at) == ("better", before.decided_at)
    assert (after.votes, after.withdrawn, after.figure.n) == (12, 14, 12)
    assert after.figure.value == pytest.approx(2 / 12)
    assert (after.figure.low or 0) > 0.5
    assert "14 votes were withdrawn; a decision stands as it was made." in after.sentence
    assert "lie outside the interval" in after.sentence


def test_nothing_is_decided_on_votes_that_were_withdrawn(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    reviews = vote_on_pairs(session, desk, queue, "v" * 8)
    for review_id in reviews:
        withdraw(session, desk, review_id, hours=1)
    vote_on_pairs(session, desk, queue, "v" * 8, now=NOW + timedelta(hours=2))
    [watch] = watch_queue(session, queue.id)
    assert watch.decision == "undecided"  # 16 unanimous votes decide; eight stand
    assert (watch.votes, watch.withdrawn) == (8, 8)
    assert "8 votes were withdrawn; nothing is decided on them." in watch.sentence
    vote_on_pairs(session, desk, queue, "v" * 8, now=NOW + timedelta(hours=3))
    assert watch_queue(session, queue.id)[0].decision == "better"


def test_a_revised_vote_enters_as_it_was_first_cast(session: Session, desk: Desk) -> None:
    """The estimate is of the answers that stand; the test takes no vote back."""
    queue = desk.open(session, kind="pair", rules=rules_from({"revise_minutes": 30}))
    [first] = vote_on_pairs(session, desk, queue, "v")
    claim = review.revise(session, first, desk.experts[0].id, now=NOW)
    submit(session, claim, desk.experts[0], Answer(winner="tie"))
    [cast], [standing] = cast_votes(session, queue.id), queue_votes(session, queue.id)
    assert (cast.winner_id, standing.winner) == (desk.models[1].id, Winner.TIE)
    withdraw(session, desk, standing.review_id, hours=1)
    [cast] = cast_votes(session, queue.id)
    assert cast.withdrawn_at == NOW + timedelta(hours=1)
    assert queue_votes(session, queue.id) == []


def withdraw(session: Session, desk: Desk, review_id: int, *, hours: int) -> None:
    person, when = desk.experts[0].id, NOW + timedelta(hours=hours)
    withdraw_review(session, review_id, user_id=person, reason="misread", now=when)


def make_unequal(session: Session, queue: ReviewQueue, *, anchor: int) -> None:
    query = select(ReviewItem).where(ReviewItem.queue_id == queue.id)
    for item in session.scalars(query):
        item.stratum = ANCHOR if item.position < anchor else "high_risk"
        item.inclusion_probability = 0.2 if item.position % 2 else 0.8
    session.flush()


def test_of_an_active_design_only_the_anchor_is_watched(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    make_unequal(session, queue, anchor=12)
    let_win(session, desk, queue, ["base"] * 12 + ["v1"] * 20)
    [watch] = watch_queue(session, queue.id)
    assert (watch.figure.value, watch.figure.n) == (0.0, 12)
    assert (watch.planned, watch.votes) == (12, 12)


def test_unequal_chances_without_an_anchor_are_not_watched(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    make_unequal(session, queue, anchor=0)
    with pytest.raises(CannotCompute, match="unequal chances"):
        watch_queue(session, queue.id)


def test_watching_needs_pairs_and_sane_bounds(session: Session, desk: Desk) -> None:
    single = desk.open(session)
    with pytest.raises(NotFound, match="pairs"):
        watch_queue(session, single.id)
    with pytest.raises(InvalidInput):
        watch_queue(session, desk.open(session, "p", kind="pair").id, margin=0.5)


def test_a_clearer_lead_needs_fewer_votes() -> None:
    clear = forecast_votes([1.0] * 9 + [0.0], 10, threshold=0.5, alpha=0.05, seed=1)
    slight = forecast_votes([1.0, 1.0, 0.0] * 10, 30, threshold=0.5, alpha=0.05, seed=1)
    even = forecast_votes([1.0, 0.0] * 40, 80, threshold=0.5, alpha=0.05, seed=1)
    assert clear is not None
    assert slight is not None
    assert even is not None
    assert (clear.more or 0) < (slight.more or math.inf) < (even.more_high or math.inf)
    assert even.more_high is None
    assert forecast_votes([1.0] * 9, 9, threshold=0.5, alpha=0.05, seed=1) is None


def test_votes_per_value_scale_the_forecast() -> None:
    values = [1.0, 1.0, 0.0] * 5
    one, two = (forecast_votes(values, n, threshold=0.5, alpha=0.05, seed=1) for n in (15, 30))
    assert one is not None
    assert two is not None
    assert two.more == pytest.approx(2 * (one.more or 0), abs=1)
    assert two.more_limit == 2 * one.more_limit


# What sways votes.


def test_side_bias_is_an_exact_test_of_pairs() -> None:
    found = side_effect([vote(n, 1) for n in range(10)])
    assert (found.figure.value, found.figure.n) == (1.0, 10)
    assert found.p == pytest.approx(2 / 1024)
    assert found.figure.low == pytest.approx(0.6915, abs=1e-4)


def test_several_votes_on_a_pair_are_one_trial() -> None:
    votes = [vote(n, 1, item_id=n % 8) for n in range(24)]
    assert side_effect(votes).figure.n == 8
    drawn = [vote(8 + i, 1, item_id=99, winner_left=bool(i)) for i in range(2)]
    assert side_effect([*votes, *drawn]).figure.n == 8


def test_few_pairs_tell_nothing_of_sides() -> None:
    with pytest.raises(CannotCompute, match="5 pairs are decided"):
        side_effect([vote(n, 1) for n in range(5)])


def lengthen(session: Session, desk: Desk, *, by: int) -> None:
    """Odd examples: base is longer; even ones: v1 is."""
    from backend.tables.runs import Generation

    numbers = {example.id: n for n, example in enumerate(desk.examples)}
    for output in session.scalars(select(Generation)):
        of_base = output.model_version_id == desk.models[0].id
        longer = of_base == (numbers[output.example_id] % 2 == 1)
        output.text = f"{'b' if of_base else 'v'}{'x' * (20 + by * longer)}"
    session.flush()


def longer_wins(session: Session, desk: Desk, queue: ReviewQueue, *, but: int = 0) -> list[str]:
    items = session.scalars(
        select(ReviewItem).where(ReviewItem.queue_id == queue.id).order_by(ReviewItem.position)
    )
    winners = []
    for n, item in enumerate(items):
        base_is_longer = len(item.generation_a.text or "") > len(item.generation_b.text or "")  # type: ignore[union-attr]
        winners.append("base" if base_is_longer == (n >= but) else "v1")
    return winners


def test_a_liking_for_length_is_seen_beside_the_models(session: Session, desk: Desk) -> None:
    lengthen(session, desk, by=30)
    queue = desk.open(session, kind="pair")
    let_win(session, desk, queue, longer_wins(session, desk, queue, but=8))
    found = length_effect(session, queue_votes(session, queue.id))
    assert found.figure.n == 40
    assert found.figure.unit == "odds ratio per 30 characters"
    assert found.figure.low is not None
    assert found.figure.low > 1
    assert found.p is not None
    assert found.p < 0.01
    # 32 of 40 votes for the longer answer: odds of 4.
    assert found.figure.value == pytest.approx(4.0, rel=0.2)


def test_equal_lengths_have_no_effect_to_find(session: Session, desk: Desk) -> None:
    lengthen(session, desk, by=0)
    queue = desk.open(session, kind="pair")
    let_win(session, desk, queue, ["v1", "base"] * 6)
    [_, length, *_] = queue_effects(session, queue.id)
    assert length.name == "length"
    assert "equal lengths" in (length.figure.error or "")


def test_all_effects_of_a_pair_queue_have_a_sentence(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    let_win(session, desk, queue, ["left"] * 30)
    found = {(e.name, e.subject): e for e in queue_effects(session, queue.id)}
    side = found["side", "left"]
    assert side.figure.value == 1.0
    assert "more than chance explains" in side.sentence
    assert set(found) == {
        ("side", "left"),
        ("length", "longer answer"),
        ("order", "choosing left"),
        ("order", "deciding nothing"),
        ("fatigue", "time per review"),
        ("fatigue", "accuracy on known answers"),
    }
    assert all(effect.sentence for effect in found.values())
    assert "do not vary" in found["order", "choosing left"].sentence


def test_a_single_queue_is_searched_for_drifts_of_its_ratings(session: Session) -> None:
    desk = build_desk(session, splits={"train": 24})
    queue = desk.open(session)
    for n in range(24):
        answer = Answer(
            {"faithful": "yes", "quality": 5 if n < 12 else 1, "problem": "none"},
            active_seconds=100 * math.exp(-n / 20) * (1 + 0.05 * (n % 3)),
        )
        review_next(session, queue, desk.experts[0], answer, now=NOW + timedelta(minutes=5 * n))
    found = {(e.name, e.subject): e for e in queue_effects(session, queue.id)}
    quality = found["order", "quality"]
    assert (quality.figure.value or 0) < -1
    assert (quality.p or 1) < 0.001
    assert "falls" in quality.sentence
    speed = found["fatigue", "time per review"]
    # A twentieth of a nat every five minutes: 12 of them in an hour.
    assert speed.figure.value == pytest.approx(100 * math.expm1(-12 / 20), abs=3)
    assert (speed.figure.n, speed.figure.unit) == (24, "percent per hour")
