"""What stands for `map`: the same results, wherever the blocks are done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

from backend.executors import worth
from backend.executors.local import LocalExecutor
from backend.executors.spread import spread_over, spreading
from backend.settings import Settings
from evaluators.spread import cut


class Elsewhere:
    """An executor of another machine that notes what it is given."""

    name = "elsewhere"
    slots = 4
    warm = False

    def __init__(self) -> None:
        self.given: list[object] = []

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.given.append(item)
            yield work(item)

    def close(self) -> None:
        pass


def total(numbers: Sequence[int]) -> int:
    return sum(numbers)


def test_blocks_are_begun_here_and_left_to_the_executor_once_that_pays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks = cut(list(range(25)), 10)
    assert [len(block) for block in blocks] == [10, 10, 5]
    executor = Elsewhere()
    assert list(spread_over(executor)(total, blocks)) == [45, 145, 110]
    assert executor.given == []
    monkeypatch.setattr(worth, "START_SECONDS", 0.0)
    assert list(spread_over(executor)(total, blocks)) == [45, 145, 110]
    assert executor.given == blocks[2:]


def test_a_model_leaves_this_process_only_for_other_machines() -> None:
    assert spread_over(LocalExecutor(2), loads_model=True) is map
    assert spread_over(LocalExecutor(2)) is not map
    assert spread_over(Elsewhere(), loads_model=True) is not map


def test_a_command_spreads_by_the_executor_of_the_settings(settings: Settings) -> None:
    with spreading(settings) as spread:
        assert list(spread(total, cut([1, 2, 3], 2))) == [3, 3]
        assert list(spread(total, [])) == []
