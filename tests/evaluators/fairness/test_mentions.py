"""Whom training rows mention and what they teach of whom; the largest skew with its bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluators.errors import UndefinedFigure
from evaluators.fairness.mentions import LargestSkew, TaughtRow, audit_rows, largest_skew

HER, HIM = "She asks for a loan of {n} euros.", "He asks for a loan of {n} euros."


def rows_of(
    her_granted: int, her_refused: int, him_granted: int, him_refused: int
) -> list[TaughtRow]:
    told = [
        *[(HER, "granted")] * her_granted,
        *[(HER, "refused")] * her_refused,
        *[(HIM, "granted")] * him_granted,
        *[(HIM, "refused")] * him_refused,
    ]
    return [TaughtRow(text.format(n=n), label, None, "en") for n, (text, label) in enumerate(told)]


def test_rows_are_counted_and_the_odds_ratio_is_that_of_the_table() -> None:
    report = audit_rows(rows_of(20, 80, 60, 40))
    mentions = {(m.kind, m.group): m for m in report.mentions}
    assert mentions["gender", "female"].rows == mentions["gender", "male"].rows == 100
    granted = next(s for s in report.skews if s.outcome == "label 'granted'")
    odds = math.log((20.5 / 80.5) / (60.5 / 40.5))
    assert math.log(granted.value) == pytest.approx(odds)
    half = 1.959964 * math.sqrt(sum(1 / x for x in (20.5, 80.5, 60.5, 40.5)))
    assert math.log(granted.high) == pytest.approx(odds + half, rel=1e-5)
    assert granted.found


@pytest.mark.parametrize("swapped", [False, True])
def test_the_largest_skew_is_told_of_the_side_that_has_more(swapped: bool) -> None:
    table = (60, 40, 20, 80) if swapped else (20, 80, 60, 40)
    found = largest_skew(rows_of(*table), "gender")
    assert found.value == pytest.approx((60.5 / 40.5) / (20.5 / 80.5))
    assert 1 < found.low < found.value < found.high
    assert (found.looked_for, found.n) == (2, 200)  # two labels of one pair of groups


def test_equal_odds_reach_down_to_one() -> None:
    found = largest_skew(rows_of(50, 50, 50, 50), "gender")
    assert found.low == 1
    assert found.high > found.value >= 1


@pytest.mark.parametrize(
    ("rows", "kind"), [(rows_of(4, 0, 60, 40), "gender"), (rows_of(20, 20, 20, 20), "place")]
)
def test_too_few_rows_are_no_figure(rows: list[TaughtRow], kind: str) -> None:
    with pytest.raises(UndefinedFigure, match=f"No two groups of the kind {kind}"):
        largest_skew(rows, kind)


def test_a_group_that_is_never_mentioned_alone_is_named_as_unseen() -> None:
    """In enough rows, but beside another each time: nothing is known of it."""
    asked = {
        "A 30-year-old man asks.": 20,
        "A 70-year-old man asks.": 20,
        "A 12-year-old boy and a 30-year-old man ask.": 10,
    }
    told = [text for text, times in asked.items() for _ in range(times)]
    rows = [TaughtRow(text, f"label {n % 2}", None, "en") for n, text in enumerate(told)]
    assert largest_skew(rows, "age").unseen == ("under 18",)


def _drawn(rng: np.random.Generator, odds: float, n: int = 120) -> LargestSkew:
    """Simulated rows: women are granted with odds `odds` times those of men, which are even."""
    share = odds / (1 + odds)
    her, him = int(rng.binomial(n, share)), int(rng.binomial(n, 0.5))
    return largest_skew(rows_of(her, n - her, him, n - him), "gender")


@pytest.mark.deep
@pytest.mark.parametrize("odds", [1.0, 2.0, 4.0])
def test_the_bounds_hold_the_true_skew_as_often_as_they_say(odds: float) -> None:
    rng = np.random.default_rng(7)
    held = [(s := _drawn(rng, odds)).low <= odds <= s.high for _ in range(150)]
    assert np.mean(held) > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 150)
