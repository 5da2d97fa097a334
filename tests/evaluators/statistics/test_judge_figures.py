"""Small versions of tests/benchmarks/judge_licence.py and judge_coverage.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.judge_coverage import cover, read_votes, simulated
from tests.benchmarks.judge_licence import COIN, Design, count, lapses

LEAST, MOST = 0.915, 0.98  # .95 give or take three standard errors of 400 studies


@pytest.mark.parametrize("scale", ["even", "skewed", "steps"])
def test_a_simulated_coin_gets_no_licence_even_where_people_hardly_agree(scale: str) -> None:
    """One in a hundred at most; where people hardly agree the paper's test would grant more."""
    found = count(Design(scale, 60, 0.6, COIN), repeats=80)
    assert found.licensed <= 4  # the 99.9% quantile of one in a hundred
    if scale != "steps":
        assert found.by_paper > found.licensed


def test_a_simulated_judge_as_good_as_people_is_licensed() -> None:
    assert count(Design("even", 60, 0.9, 0.9), repeats=50).licensed >= 45
    assert count(Design("even", 60, 0.9, 0.6), repeats=50).licensed <= 5


def test_a_simulated_judge_that_stays_keeps_its_licence_and_one_that_drifts_does_not() -> None:
    assert lapses(0.9, 0.9, repeats=20) <= 2
    assert lapses(0.9, 0.5, repeats=20) == 20


@pytest.mark.parametrize("kind", ["rate", "steps"])
def test_a_simulated_judge_narrows_and_the_estimate_covers(kind: str) -> None:
    found = simulated(kind, 0.6, repeats=400)
    assert LEAST <= found.hits / found.n <= MOST
    assert found.width < 0.97 * found.plain


def test_a_judge_narrows_the_win_rate_of_people_and_it_covers(public_data: Path) -> None:
    votes = next(one for one in read_votes(public_data / "mtbench_human") if one.model == "gpt-4")
    assert len(votes.people) > 400
    found = cover(votes, repeats=400, endless=True)
    assert LEAST <= found.hits / found.n <= MOST
    assert found.width < found.plain
