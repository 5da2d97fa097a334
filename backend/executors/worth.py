"""Whether work is worth an executor: what takes a moment is done here and starts nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from backend.executors import Executor

Item = TypeVar("Item")
Result = TypeVar("Result")

START_SECONDS = 2.0
"""What must be saved at least. Two processes that can score are there after 0.3 s of the clock on a
quiet machine (n=5), several times that on a busy machine, and an hour of cheap runs should
never pay for them."""
WARM_SECONDS = 0.2


def map_if_worth(
    executor: Executor,
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    size: Callable[[Item], int],
    total: int,
) -> Generator[Result]:
    """As `Executor.map`, but begun in this process, and left to the executor once that pays.

    The first item tells nothing, since whatever `work` imports is loaded with it; from the second
    on, its seconds tell what the rest would take. Give small items first.

    Args:
        size: how much of `total` an item is.
        total: of all items together, in the same unit.
    """
    left, coming, warm = total, iter(items), executor.warm
    for number, item in enumerate(coming):
        begun = time.perf_counter()
        result = work(item)
        seconds = time.perf_counter() - begun
        left -= size(item)
        yield result
        rest, least = seconds / max(1, size(item)) * left, WARM_SECONDS if warm else START_SECONDS
        # how many slots there are a cluster knows that it joined: asked when it may matter
        if (warm or number > 0) and rest > least and rest * (1 - 1 / executor.slots) > least:
            break
    yield from executor.map(work, coming)
