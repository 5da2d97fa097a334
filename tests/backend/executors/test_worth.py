"""When work is left to an executor: when that saves more than starting it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from backend.executors import worth


@dataclass
class Recording:
    """An executor of this process that keeps what it was given."""

    slots: int = 2
    warm: bool = False
    name: str = "recording"
    given: list[Any] = field(default_factory=list)

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.given.append(item)
            yield work(item)

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("seconds", "slots", "warm", "given"),
    [
        pytest.param([0.0, 0.0, 0.0, 0.0], 2, False, [], id="cheap"),
        pytest.param([9.0, 0.1, 0.1, 0.1], 2, False, [], id="only what is imported is dear"),
        pytest.param([9.0, 9.0, 9.0, 9.0], 2, False, [2, 3], id="dear"),
        pytest.param([9.0, 9.0, 9.0, 9.0], 1, False, [], id="nobody to share with"),
        pytest.param([0.0, 0.5, 0.5, 0.5], 2, True, [2, 3], id="cheaper where it has begun"),
        pytest.param([9.0, 9.0, 9.0, 9.0], 2, True, [1, 2, 3], id="begun and dear"),
    ],
)
def test_the_rest_goes_to_the_executor_once_that_pays(
    monkeypatch: pytest.MonkeyPatch,
    seconds: list[float],
    slots: int,
    warm: bool,
    given: list[int],
) -> None:
    clock = [0.0]
    monkeypatch.setattr(worth.time, "perf_counter", lambda: clock[0])

    def work(item: int) -> int:
        clock[0] += seconds[item]
        return item * item

    executor = Recording(slots, warm)
    done = worth.map_if_worth(executor, work, range(4), size=lambda _: 1, total=4)
    assert list(done) == [0, 1, 4, 9]
    assert executor.given == given


def test_an_estimate_counts_by_the_size_of_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(worth.time, "perf_counter", lambda: clock[0])

    def work(item: int) -> int:
        clock[0] += item / 100
        return item

    executor = Recording()
    sizes = [10, 20, 400, 400]
    assert list(worth.map_if_worth(executor, work, sizes, size=int, total=sum(sizes))) == sizes
    assert executor.given == [400, 400], "8 s are left, of which 4 can be saved"


class Unjoined:
    """A cluster that would have to be joined to tell how many slots it has."""

    name = "unjoined"
    warm = False

    @property
    def slots(self) -> int:
        raise AssertionError("joined for a moment's work")

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        return map(work, items)

    def close(self) -> None:
        pass


def test_no_cluster_is_joined_for_a_moment() -> None:
    found = worth.map_if_worth(Unjoined(), len, ["a", "bc", "def", "g"], size=len, total=7)
    assert list(found) == [1, 2, 3, 1]
