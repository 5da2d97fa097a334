"""The curves on banking77, on a small pool made here: noise, draws, restoring, the table."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.benchmarks._banking77_models import Texts, screen_labels
from tests.benchmarks._banking77_report import Point, as_markdown, coverage, interval, summarise
from tests.benchmarks.banking77_curves import (
    Pool,
    Reviewed,
    corrupt_labels,
    draw_active,
    draw_random,
    estimate_wrong,
    play_arm,
)

WORDS = (
    "card lost stolen blocked",
    "transfer pending arrives late",
    "exchange rate abroad currency",
    "pin forgotten unblock reset",
)


@pytest.fixture(scope="module")
def texts() -> Texts:
    rng = random.Random(1)
    rows = [
        (" ".join([*rng.sample(WORDS[i % 4].split(), 2), rng.choice("abcdefgh") * 3]), f"k{i % 4}")
        for i in range(480)
    ]
    return Texts.of(rows[:400], rows[400:])


@pytest.fixture(scope="module")
def noisy(texts: Texts) -> np.ndarray:
    return corrupt_labels(texts.truth, share=0.2, confused_with=None, seed=3)


@pytest.mark.parametrize("confused", [None, np.array([1, 2, 3, 0])], ids=["uniform", "confused"])
def test_exactly_the_share_is_made_wrong(texts: Texts, confused: np.ndarray | None) -> None:
    labels = corrupt_labels(texts.truth, share=0.2, confused_with=confused, seed=3)
    wrong = labels != texts.truth
    assert wrong.sum() == 80
    if confused is not None:
        assert (labels[wrong] == confused[texts.truth[wrong]]).all()


def test_no_label_is_its_own_nearest(texts: Texts) -> None:
    nearest = texts.nearest()
    assert (nearest != np.arange(4)).all()


def test_restoring_counts_what_was_wrong_and_mends_it(texts: Texts, noisy: np.ndarray) -> None:
    pool = Pool(noisy.copy(), texts.truth)
    drawn = [Reviewed(i, 1.0) for i in range(400)]
    assert pool.restore(drawn) == 80
    assert (pool.labels == texts.truth).all()
    assert len(pool.frame) == 0


def test_a_label_is_never_reviewed_twice(texts: Texts, noisy: np.ndarray) -> None:
    pool = Pool(noisy.copy(), texts.truth)
    pool.restore([Reviewed(5, 1.0)])
    with pytest.raises(ValueError, match="had been reviewed"):
        pool.restore([Reviewed(5, 1.0)])


def test_random_draws_have_the_chance_of_the_frame(texts: Texts, noisy: np.ndarray) -> None:
    pool = Pool(noisy.copy(), texts.truth)
    pool.restore([Reviewed(i, 1.0) for i in range(200)])
    drawn = draw_random(pool, 50, random.Random(1))
    assert {item.probability for item in drawn} == {50 / 200}
    assert all(item.number >= 200 for item in drawn)


def test_active_draws_find_more_and_keep_their_chances(texts: Texts, noisy: np.ndarray) -> None:
    pool = Pool(noisy.copy(), texts.truth)
    measures = screen_labels(texts, noisy, folds=3, seed=1)
    drawn = draw_active(pool, measures, 60, random.Random(1))
    wrong = sum(noisy[item.number] != texts.truth[item.number] for item in drawn)
    assert len({item.number for item in drawn}) == len(drawn) <= 60
    assert wrong / len(drawn) > 0.4
    assert min(item.probability for item in drawn) < max(item.probability for item in drawn) <= 1


def test_the_estimate_is_of_the_whole_frame_and_not_of_what_was_targeted(
    texts: Texts, noisy: np.ndarray
) -> None:
    pool = Pool(noisy.copy(), texts.truth)
    measures = screen_labels(texts, noisy, folds=3, seed=1)
    found = [
        estimate_wrong(
            pool, draw_active(pool, measures, 100, random.Random(s)), measures["high_risk"]
        )
        for s in range(12)
    ]
    known = [estimate for estimate in found if estimate]
    assert {estimate[3] for estimate in known} == {0.2}
    assert np.mean([estimate[0] for estimate in known]) == pytest.approx(0.2, abs=0.03)


def test_an_arm_spends_its_budget_and_leaves_fewer_wrong(texts: Texts, noisy: np.ndarray) -> None:
    points = play_arm(texts, noisy, noise="uniform", arm="random", seed=1, rounds=2, budget=40)
    assert [point.spent for point in points] == [0, 40, 80]
    assert [point.wrong_left for point in points] == [
        80,
        80 - points[1].found,
        80 - points[1].found - points[2].found,
    ]


def _point(arm: str, seed: int, f1: float, estimate: list[float] | None = None) -> Point:
    return Point("uniform", seed, arm, 1, 200, 200, 40, 60, f1, estimate)


def test_gains_are_paired_by_seed() -> None:
    points = [
        _point("random", 0, 0.5),
        _point("random", 1, 0.7),
        _point("active", 1, 0.8),
        _point("active", 0, 0.6),
    ]
    (row,) = summarise(points)
    assert row["f1_gain"] == pytest.approx((0.1, 0.1, 0.1))
    assert row["random_f1"][0] == pytest.approx(0.6)
    assert "0.100 (0.100 to 0.100)" in as_markdown([row], [])


def test_the_interval_is_students() -> None:
    mean, low, high = interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert (low, high) == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), abs=1e-4)


def test_coverage_counts_truths_within_their_intervals() -> None:
    points = [
        _point("active", 0, 0.5, [0.2, 0.1, 0.3, 0.25]),
        _point("active", 1, 0.5, [0.2, 0.1, 0.3, 0.35]),
        _point("active", 2, 0.5, None),
    ]
    (row,) = coverage(points)
    assert (row["inside"], row["rounds"]) == (1, 2)
    assert row["mean_error"] == pytest.approx(-0.1)
