"""Forecasts, minutes, cost, slopes, sittings, reviewers and agreement as a lead reads them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CannotCompute
from backend.schemas.review.reports import Measured
from backend.services import review
from backend.services.review import Answer, QueueRules
from backend.services.review.reports.agreement import agreement_report
from backend.services.review.reports.effects import finished_rows, place_in_sittings
from backend.services.review.reports.measured import mean_of, share_of, unknown
from backend.services.review.reports.progress import forecast_finish, queue_report
from backend.services.review.reports.reviewers import reviewer_quality
from backend.services.review.reports.slopes import slope_within
from backend.tables.review import GoldAnswer, GoldResult, Purpose, Review, ReviewItem, ReviewQueue
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, review_next

DAY = date(2026, 5, 4)
MINUTES = Measured(value=2.0, low=1.5, high=2.5, n=30, unit="minutes")


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, splits={"train": 24})


def days(*counts: int) -> dict[date, int]:
    return {DAY + timedelta(days=n): count for n, count in enumerate(counts) if count}


# Forecasts.


def test_a_steady_pace_ends_on_its_day() -> None:
    today = DAY + timedelta(days=3)
    found = forecast_finish(days(10, 10, 10, 10), 50, today=today, minutes_per_review=MINUTES)
    assert found.finish_on == found.earliest == found.latest == today + timedelta(days=5)
    assert (found.per_active_day.value, found.per_active_day.n) == (10.0, 4)
    assert (found.minutes_left.value, found.minutes_left.high) == (100.0, 125.0)
    assert found.error is None
    assert "50 reviews remain" in found.sentence


def test_idle_days_count_in_the_date_and_not_in_the_pace() -> None:
    today = DAY + timedelta(days=9)
    counts = days(12, 0, 0, 12, 0, 12, 0, 0, 12, 0)
    found = forecast_finish(counts, 48, today=today, minutes_per_review=MINUTES)
    assert found.per_active_day.value == 12.0
    assert found.earliest is not None
    assert found.finish_on is not None
    assert found.latest is not None
    assert found.earliest < found.finish_on < found.latest
    assert 6 <= (found.finish_on - today).days <= 13


def test_the_range_holds_what_comes_about() -> None:
    """Of queues whose days are alike, about 80% are done within the range."""
    within = 0
    for seed in range(100):
        rng = random.Random(seed)
        past = days(*(rng.choice([0, 5, 20]) for _ in range(20)))
        today = DAY + timedelta(days=19)
        found = forecast_finish(past, 150, today=today, minutes_per_review=MINUTES, seed=seed)
        left, needed = 150, 0
        while left > 0:
            left -= rng.choice([0, 5, 20])
            needed += 1
        if found.earliest is not None and found.latest is not None:
            finish = today + timedelta(days=needed)
            within += found.earliest <= finish <= found.latest
    assert 65 <= within <= 97


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ((), "0 reviews on 0 days"),
        ((50,), "50 reviews on 1 day;"),
        ((3, 3, 3), "9 reviews on 3 days"),
    ],
)
def test_too_little_is_no_forecast(counts: tuple[int, ...], reason: str) -> None:
    found = forecast_finish(days(*counts), 9, today=DAY, minutes_per_review=unknown("no time"))
    assert found.finish_on is None
    assert found.error == found.sentence
    assert reason in found.sentence
    assert found.minutes_left.error == "no time"


def test_nothing_left_is_done() -> None:
    found = forecast_finish(days(5), 0, today=DAY, minutes_per_review=MINUTES)
    assert (found.error, found.sentence) == (None, "Every required review is done.")


# Numbers with their n.


def test_few_values_are_no_mean() -> None:
    assert mean_of("x", [1.0, 2.0]).error is not None
    assert mean_of("x", []).error == "There is nothing to measure yet."
    assert mean_of("x", [1.0] * 9, clusters=["a"] * 9).error is not None
    assert share_of("x", []).error is not None
    found = mean_of("x", [1.0, 2.0, 3.0, 4.0], factor=0.5, unit="min")
    assert (found.value, found.n, found.unit) == (1.25, 4, "min")
    assert (found.low or 0) < 1.25 < (found.high or 0)


@pytest.mark.parametrize("value", [2.0, 0.1, 1e6 / 3])
def test_times_all_alike_have_no_interval(value: float) -> None:
    found = mean_of("m", [value] * 9, clusters=[str(n // 3) for n in range(9)], unit="s", factor=2)
    assert found.value == pytest.approx(2 * value)
    assert (found.low, found.high) == (None, None)
    assert "all values are alike" in found.note


# Slopes within sittings.


def test_a_slope_within_sittings_is_not_a_difference_between_them() -> None:
    x = [float(n % 10) for n in range(30)]
    levels = [0.0] * 10 + [50.0] * 10 + [100.0] * 10
    noise = random.Random(1)
    y = [level - 2 * hour + noise.gauss(0, 1) for level, hour in zip(levels, x, strict=True)]
    found = slope_within(x, y, [n // 10 for n in range(30)], what="values")
    assert found.value == pytest.approx(-2, abs=0.3)
    assert found.low < -2 < found.high < 0
    assert (found.n, found.sittings) == (30, 3)
    assert found.p < 1e-6


def test_no_drift_is_rarely_taken_for_one() -> None:
    alarms = 0
    for seed in range(300):
        rng = random.Random(seed)
        y = [rng.gauss(0, 1) for _ in range(40)]
        alarms += (
            slope_within(
                [float(n % 20) for n in range(40)], y, [n // 20 for n in range(40)], what="values"
            ).p
            < 0.05
        )
    assert 5 <= alarms <= 30


@pytest.mark.parametrize(
    ("x", "y", "sittings", "message"),
    [
        ([1.0] * 5, [1.0] * 5, [0] * 5, "5 values in sittings"),
        ([1.0] * 25, [1.0] * 25, list(range(25)), "0 values in sittings"),
        ([1.0] * 25, [float(n) for n in range(25)], [0] * 25, "do not vary"),
        ([float(n) for n in range(25)], [1.0] * 25, [0] * 25, "do not vary"),
        ([float(n) for n in range(25)], [3 - 0.1 * n for n in range(25)], [0] * 25, "on a line"),
    ],
)
def test_a_slope_that_cannot_be_is_a_reason(
    x: list[float], y: list[float], sittings: list[int], message: str
) -> None:
    with pytest.raises(CannotCompute, match=message):
        slope_within(x, y, sittings, what="values")


def test_half_an_hours_pause_begins_a_new_sitting(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    for minute in (0, 20, 49, 80):
        when = NOW + timedelta(minutes=minute)
        review_next(session, queue, desk.experts[0], Answer(GOOD), now=when)
        review_next(session, queue, desk.experts[1], Answer(GOOD), now=when)
    placed = place_in_sittings(finished_rows(session, queue.id))
    mine = [p for p in placed if p.row.reviewer_id == desk.experts[0].id]
    assert [round(p.hours * 60) for p in mine] == [0, 20, 49, 0]
    assert len({p.sitting for p in placed}) == 4


# Time and cost.


def answer_in(
    session: Session,
    desk: Desk,
    queue: ReviewQueue,
    seconds: float,
    *,
    now: datetime = NOW,
    user: int = 0,
    ratings: dict[str, object] | None = None,
) -> Review:
    answer = Answer(
        ratings or GOOD,  # type: ignore[arg-type]
        active_seconds=seconds,
        seconds_by_criterion={"faithful": seconds / 2},
    )
    done = review_next(session, queue, desk.experts[user], answer, now=now)
    return session.get_one(Review, done.review_id, populate_existing=True)


def test_minutes_and_cost_count_what_a_verdict_took(session: Session, desk: Desk) -> None:
    rules = QueueRules(cost_per_hour=60.0, currency="EUR", minutes_budget=30)
    queue = desk.open(session, rules=rules)
    rows = [answer_in(session, desk, queue, seconds) for seconds in (60, 120, 60, 120, 90, 300)]
    rows[-1].purpose = Purpose.GOLD
    session.flush()
    time = queue_report(session, queue.id, now=NOW).time
    assert (time.minutes_per_review.value, time.minutes_per_review.n) == (1.5, 5)
    assert (time.minutes_per_verdict.value, time.minutes_per_verdict.n) == (1.5, 5)
    assert (time.cost_per_verdict.value, time.currency) == (1.5, "EUR")
    assert (time.total_minutes, time.gold_minutes, time.budget_minutes) == (12.5, 5.0, 30)
    [criterion] = time.by_criterion
    assert (criterion.criterion, criterion.seconds.value) == ("faithful", 45.0)


def test_what_was_spent_on_an_item_counts_although_the_review_does_not(
    session: Session, desk: Desk
) -> None:
    queue = desk.open(session, n_items=3, overlap=2, overlap_share=1.0)
    for _ in range(3):
        answer_in(session, desk, queue, 60)
        answer_in(session, desk, queue, 60, user=1).extra = True
    session.flush()
    time = queue_report(session, queue.id, now=NOW).time
    assert time.minutes_per_review.value == 1.0
    assert time.minutes_per_verdict.value == 2.0
    assert "does not say what an hour costs" in (time.cost_per_verdict.error or "")


def test_a_report_says_how_the_queue_stands(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    for day in range(3):
        for n in range(4):
            when = NOW + timedelta(days=day, minutes=n)
            answer_in(session, desk, queue, 60, now=when).simulated = day == 0
    session.flush()
    report = queue_report(session, queue.id, now=NOW + timedelta(days=2))
    assert (report.total, report.done, report.open) == (24, 12, 12)
    assert (report.n_reviews, report.n_simulated) == (12, 4)
    assert [(d.reviews, d.minutes) for d in report.days] == [(4, 4.0)] * 3
    assert report.forecast.finish_on == NOW.date() + timedelta(days=5)
    assert report.forecast.minutes_left.value == 12.0


# Reviewers.


def test_reviewers_are_told_apart(session: Session, desk: Desk) -> None:
    """One is careful, one says always the same and fast, one copies the careful one."""
    queue = desk.open(session, n_items=12, overlap=3, overlap_share=1.0)
    for n in range(12):
        truth = GOOD if n % 3 else BAD
        answer_in(session, desk, queue, 60, ratings=truth)
        answer_in(session, desk, queue, 5, ratings=GOOD, user=1)
        answer_in(session, desk, queue, 70, ratings=truth, user=2)
    careful, hasty, copy = (
        next(r for r in reviewer_quality(session, queue.id) if r.pseudonym == user.pseudonym)
        for user in desk.experts
    )
    assert (careful.submitted, careful.skipped) == (12, 0)
    assert careful.minutes.value == pytest.approx(1.0)
    assert careful.agreement.n == 72
    assert careful.agreement.value == pytest.approx((36 + 24) / 72)
    assert any("gave one value only" in warning for warning in hasty.warnings)
    assert any("median 5 s a review, others 65 s" in warning for warning in hasty.warnings)
    assert any(f"identical to {careful.pseudonym}" in warning for warning in copy.warnings)
    assert not any("only" in warning or "median" in warning for warning in careful.warnings)
    assert careful.gold.error == "No item with a known answer was met."


def test_known_answers_measure_their_reviewer(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=4)
    for n, passed in enumerate([True, True, False, True]):
        done = answer_in(session, desk, queue, 60)
        done.purpose = Purpose.GOLD
        gold = GoldAnswer(item_id=done.item_id, answer={}, explanation="known")
        session.add(gold)
        session.flush()
        gold.withdrawn_at = NOW if n == 3 else None
        session.add(
            GoldResult(
                gold_id=gold.id,
                review_id=done.id,
                user_id=desk.experts[0].id,
                score=float(passed),
                passed=passed,
            )
        )
    session.flush()
    first = reviewer_quality(session, queue.id)[0]
    found = {r.pseudonym: r for r in reviewer_quality(session, queue.id)}
    mine = found[desk.experts[0].pseudonym]
    assert (mine.gold.value, mine.gold.n) == (pytest.approx(2 / 3), 3)
    assert mine.submitted == 0
    assert first.agreement.error == "Nobody else answered the same items."


def test_one_who_always_chooses_a_side_is_named(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    for _ in range(10):
        review_next(session, queue, desk.experts[0], Answer(winner="left"))
    found = {r.pseudonym: r for r in reviewer_quality(session, queue.id)}
    mine = found[desk.experts[0].pseudonym]
    assert "chose the left in all 10 decided votes" in mine.warnings


# Agreement.


def test_the_worst_items_come_first_with_what_differs(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=4, overlap=2, overlap_share=1.0)
    close = {**GOOD, "quality": 4}
    for one, other in [(GOOD, GOOD), (GOOD, close), (GOOD, BAD), (BAD, BAD)]:
        review_next(session, queue, desk.experts[0], Answer(one))
        review_next(session, queue, desk.experts[1], Answer(other))
    report = agreement_report(session, queue.id)
    assert [row.position for row in report.worst] == [2, 1]
    assert report.worst[0].disagreement > report.worst[1].disagreement > 0
    assert "faithful: no / yes" in report.worst[0].reason
    assert not report.worst[0].adjudicated
    assert len(agreement_report(session, queue.id, worst=1).worst) == 1
    names = {(row.criterion, row.coefficient) for row in report.coefficients}
    assert ("faithful", "krippendorff_alpha") in names
    faithful = next(p for p in report.raters if p.criterion == "faithful")
    assert (faithful.n, faithful.percent) == (4, 0.75)
    items = session.scalars(select(ReviewItem.id).where(ReviewItem.queue_id == queue.id)).all()
    assert report.worst[0].item_id in items


def test_an_empty_queue_has_reasons_in_place_of_numbers(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    report = agreement_report(session, queue.id)
    assert all(row.figure.error for row in report.coefficients)
    assert (report.raters, report.worst) == ([], [])
    assert len(reviewer_quality(session, queue.id)) == 3
    assert queue_report(session, queue.id, now=NOW).forecast.error is not None
    assert review.queue_votes(session, queue.id) == []
