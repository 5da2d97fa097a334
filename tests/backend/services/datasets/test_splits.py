"""Splits keep groups and equal prompts together and come near their shares."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import InvalidInput
from backend.services.datasets.splits import assign_splits

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
