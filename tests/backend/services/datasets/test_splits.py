"""Splits keep groups and equal prompts together and come near their shares."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import InvalidInput
from backend.services.datasets.splits import assign_splits, shares_of, what_a_test_shows
from evaluators.statistics.intervals import wilson

KEYS = st.lists(
    st.tuples(st.none() | st.sampled_from("abcdefgh"), st.sampled_from("uvwxyz123")), min_size=1
)


@given(keys=KEYS, seed=st.integers(0, 50))
def test_no_group_and_no_prompt_stands_on_both_sides(
    keys: list[tuple[str | None, str]], seed: int
) -> None:
    splits = assign_splits(keys, seed=seed)
    sides: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (group, prompt), split in zip(keys, splits, strict=True):
        sides["prompt", prompt].add(split)
        if group is not None:
            sides["group", group].add(split)
    assert all(len(found) == 1 for found in sides.values())


def test_shares_are_met_and_the_seed_decides() -> None:
    keys: list[tuple[str | None, str]] = [(f"g{i // 4}", f"p{i}") for i in range(900)]
    first = assign_splits(keys, seed=1)
    assert all(
        abs(Counter(first)[name] - wanted) <= 4
        for name, wanted in {"train": 720, "validation": 90, "test": 90}.items()
    )
    assert first == assign_splits(keys, seed=1)
    assert first != assign_splits(keys, seed=2)


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(InvalidInput, match="do not sum to 1"):
        assign_splits([(None, "p")], seed=1, fractions=(0.5, 0.1, 0.1))


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("70/15/15", (0.7, 0.15, 0.15)),
        (".7/.15/.15", (0.7, 0.15, 0.15)),
        ("0/0/100", (0.0, 0.0, 1.0)),
        ("33.4/33.3/33.3", (0.334, 0.333, 0.333)),
    ],
)
def test_shares_in_hundredths_or_parts_of_one(text: str, shares: tuple[float, ...]) -> None:
    assert shares_of(text) == pytest.approx(shares)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("70/30", "are not three shares"),
        ("a/b/c", "are not three shares"),
        ("", "are not three shares"),
        ("70/15/10", "sum to 95, not to 100"),
        ("120/-10/-10", "below 0"),
        ("nan/50/50", "not to 100"),
        ("inf/0/0", "not to 100"),
    ],
)
def test_shares_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        shares_of(text)


@pytest.mark.parametrize(
    ("examples", "groups", "words"),
    [
        (60, 60, "With 60 test examples a rate has an interval of about ±0.12."),
        (60, 0, "With 60 test examples a rate has an interval of about ±0.12."),
        (400, 25, "about ±0.05; ±0.18 if each of the 25 groups answers as one."),
        (1, 1, "With 1 test example a rate has an interval of about ±0.45."),
        (0, 0, "There is no test example"),
    ],
)
def test_what_a_test_split_of_a_size_shows(examples: int, groups: int, words: str) -> None:
    assert words in what_a_test_shows(examples, groups)


def test_the_width_that_is_told_is_the_one_that_comes_out() -> None:
    """Of simulated rates of a half; Wilson's width hardly moves with the rate that is drawn."""
    rng = random.Random(3)
    for n in (30, 60, 200):
        draws = (sum(rng.random() < 0.5 for _ in range(n)) for _ in range(400))
        bounds = [wilson(drawn, n) for drawn in draws]
        width = sum(high - low for low, high in bounds) / len(bounds) / 2
        assert f"±{width:.2f}" in what_a_test_shows(n, n)
