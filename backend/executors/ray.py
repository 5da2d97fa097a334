"""A Ray cluster: one that is there, or one of this machine's processors that is started for us.

Strop has to be installed on every node, the same as here; no code is sent. What goes to a node is
the pickled work and its items, no setting and no environment. Telemetry and the dashboard of a Ray
that is started here are off; those of another cluster are its owner's.
"""

from __future__ import annotations

import hashlib
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from backend.errors import ExecutorUnavailable, InvalidInput
from backend.executors import ray_session
from backend.executors.ray_task import do_item, installation

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 3
LOOK_SECONDS = 5.0
MOST_SECONDS_WITHOUT_PROCESSOR = 60.0
SAME_EVERYWHERE = "Install the same Strop, with requirements.lock, on every node of the cluster."


class RayExecutor:
    """Tasks on a cluster, joined at the first work and left at `close`."""

    name = "ray"

    def __init__(self, address: str | None, *, home: Path, processes: int | None = None) -> None:
        """Use the cluster at an address, as the setting `ray_address` says it.

        Args:
            home: the folder of the installation.
            processes: of a Ray that is started here; None is as many as there are processors.

        Raises:
            InvalidInput: the extra is not installed.
        """
        if find_spec("ray") is None:
            raise InvalidInput(
                "The executor ray needs the extra ray.", hint='pip install "strop[ray]"'
            )
        self._address, self._home, self._processes = address, home, processes
        self._session: ray_session.Session | None = None

    @property
    def warm(self) -> bool:
        """Whether the cluster is joined."""
        return self._session is not None

    @property
    def slots(self) -> int:
        """Processors of the cluster as it is now; joins it.

        Raises:
            ExecutorUnavailable: the cluster cannot be joined, or has no processor.
        """
        count = _processors(self._join())
        if not count:
            raise ExecutorUnavailable(
                "No node of the Ray cluster has a processor to give.", hint="Start a node."
            )
        return count

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """As `Executor.map`.

        What is under way when the caller stops is worked to its end: `ray.cancel` of a task that
        ends in the same moment aborts this whole process (Ray 2.60).

        Raises:
            ExecutorUnavailable: the cluster cannot be joined, a node is installed otherwise, or
                processes died of one item again and again.
        """
        coming = iter(items)
        first = list(islice(coming, 1))
        if not first:
            return  # no cluster is joined for nothing
        coming = chain(first, coming)
        slots, ray = self.slots, self._join()
        packed = pickle.dumps(work)
        told = (installation(), hashlib.sha256(packed).hexdigest(), ray.put(packed))
        task = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(do_item)
        window: deque[Any] = deque()
        while True:
            for item in islice(coming, 2 * slots - len(window)):
                window.append(task.remote(*told, pickle.dumps(item)))
            if not window:
                return
            yield _result(ray, window.popleft())

    def close(self) -> None:
        """Leave the cluster; a Ray that was started here ends with its last user."""
        if self._session is not None:
            ray_session.leave(self._session)
            self._session = None

    def _join(self) -> Any:
        if self._session is None:
            self._session = ray_session.join(self._address, self._processes, self._home)
        import ray

        return ray


def _processors(ray: Any) -> int:
    return int(ray.cluster_resources().get("CPU", 0))


def _result(ray: Any, begun: Any) -> Any:
    """The result of a task, or what it raised."""
    _wait(ray, begun)
    try:
        kind, told = ray.get(begun)
    except ray.exceptions.RayTaskError as error:  # not of the work, which raises nothing here
        last = str(error).strip().splitlines()[-1]
        raise ExecutorUnavailable(
            f"A node of the cluster cannot do Strop's work: {last}", hint=SAME_EVERYWHERE
        ) from None
    except ray.exceptions.RayError as error:
        raise ExecutorUnavailable(
            f"The processes that worked on one item died {RETRIES + 1} times "
            f"({type(error).__name__}).",
            hint="Perhaps for want of memory: see the logs of Ray.",
        ) from None
    if kind == "differs":
        raise ExecutorUnavailable(told, hint=SAME_EVERYWHERE)
    if kind == "raised":
        raise pickle.loads(told)
    return pickle.loads(told)


def _wait(ray: Any, begun: Any) -> None:
    """Until it has ended; not for ever where the cluster lost its processors."""
    idle = 0.0
    while not ray.wait([begun], timeout=LOOK_SECONDS)[0]:
        idle = 0.0 if _processors(ray) else idle + LOOK_SECONDS
        if idle >= MOST_SECONDS_WITHOUT_PROCESSOR:
            raise ExecutorUnavailable(
                f"The Ray cluster has had no processor for {idle:.0f} seconds.",
                hint="Start a node, then resume.",
            )
