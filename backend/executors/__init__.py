"""Where pure work over chunks is done: in this process, in a pool of processes, on a cluster.

An executor is one entry of EXECUTORS with its module. What it is given is a function of a module,
with items and results that can be pickled: no session, no engine, nothing that is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

from backend.errors import UnknownName

if TYPE_CHECKING:
    from backend.settings import Settings

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """Does the same work on many items.

    Attributes:
        name: the entry of EXECUTORS.
        warm: it has started what it works with, so that more work costs no start.
    """

    name: str

    @property
    def slots(self) -> int:
        """How many items are worked on at once."""
        ...

    @property
    def warm(self) -> bool: ...

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """The results in the order of the items, of which twice `slots` at most are under way.

        An item is worked on again where a process or a machine died of it or beside it; what
        `work` raises is raised here.
        """
        ...

    def close(self) -> None:
        """End what was started."""
        ...


def _local(settings: Settings) -> Executor:
    from backend.executors.local import LocalExecutor

    return LocalExecutor(settings.processes)


def _ray(settings: Settings) -> Executor:
    from backend.executors.ray import RayExecutor

    return RayExecutor(settings.ray_address, home=settings.home, processes=settings.processes)


EXECUTORS: Mapping[str, Callable[[Settings], Executor]] = {"local": _local, "ray": _ray}


def open_executor(settings: Settings) -> Executor:
    """The executor that the settings name; close it after use.

    Raises:
        UnknownName: there is none of that name.
    """
    if settings.executor not in EXECUTORS:
        raise UnknownName("executor", settings.executor, EXECUTORS)
    return EXECUTORS[settings.executor](settings)
