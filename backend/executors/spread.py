"""What evaluators are given in place of `map`: their blocks, done by an executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from backend.executors import Executor, open_executor
from backend.executors.worth import map_if_worth

if TYPE_CHECKING:
    from backend.settings import Settings
    from evaluators.spread import Spread

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread_over(executor: Executor, *, loads_model: bool = False) -> Spread:
    """A `map` of blocks that begins here, and goes on by the executor once that pays.

    Args:
        loads_model: the work holds a model, which uses all processors of a machine by itself: it
            leaves this process only for other machines.
    """
    if loads_model and executor.name == "local":
        return map

    def spread(
        work: Callable[[Sequence[Item]], Result], blocks: Iterable[Sequence[Item]], /
    ) -> Iterator[Result]:
        known = list(blocks)
        return map_if_worth(executor, work, known, size=len, total=sum(map(len, known)))

    return spread


@contextmanager
def spreading(settings: Settings) -> Iterator[Spread]:
    """The same by the executor that the settings name, for the time of one command."""
    executor = open_executor(settings)
    try:
        yield spread_over(executor)
    finally:
        executor.close()
