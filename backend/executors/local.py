"""The processors of this machine: a pool of processes, or this process where one is enough."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Generic, TypeVar

from backend.errors import reason_of

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_DEATHS = 3


class LocalExecutor:
    """A pool of processes, started at its first work and kept until `close`."""

    name = "local"

    def __init__(self, processes: int | None = None) -> None:
        """Take `processes` at most; None is as many as this process may use processors."""
        self.slots = processes or len(os.sched_getaffinity(0))
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    @property
    def warm(self) -> bool:
        """Whether the pool is there."""
        return self._pool is not None

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """As `Executor.map`; with one slot in this process itself."""
        if self.slots == 1:
            yield from map(work, items)
            return
        window: deque[_Ahead[Item, Result]] = deque()
        coming = iter(items)
        try:
            while True:
                for item in islice(coming, 2 * self.slots - len(window)):
                    window.append(_Ahead(item, self._submit(work, item)))
                if not window:
                    return
                yield self._result(work, window)
        finally:  # whoever asked wants no more of it
            for ahead in window:
                ahead.future.cancel()

    def close(self) -> None:
        """End the pool; work that has not begun is left, and what is under way not waited for."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None

    def _submit(self, work: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Begin work on an item; in a new pool where a process of the old one died while idle."""
        with self._lock:
            if self._pool is None:
                self._pool = _open_pool(self.slots, work.__module__)
            try:
                return self._pool.submit(_carry, work, item)
            except BrokenProcessPool:
                self._pool = _open_pool(self.slots, work.__module__)
                return self._pool.submit(_carry, work, item)

    def _result(
        self, work: Callable[[Item], Result], window: deque[_Ahead[Item, Result]]
    ) -> Result:
        """The first of the window; where a process of the pool died, all of it is begun again."""
        deaths = 0
        while True:
            try:
                result = window[0].future.result()
            except BrokenProcessPool:
                deaths += 1
                if deaths == MOST_DEATHS:
                    raise
                for ahead in window:
                    ahead.future = self._submit(work, ahead.item)
            else:
                window.popleft()
                return result


def _open_pool(slots: int, module: str) -> ProcessPoolExecutor:
    # a fork would take the threads' locks of a worker with it
    context = get_context("forkserver")
    # imported once and not in each process; of no effect where the server runs already
    context.set_forkserver_preload(["__main__", __name__, module])
    return ProcessPoolExecutor(slots, mp_context=context, initializer=_live_with_parent)


def _live_with_parent() -> None:
    """End this process of a pool when the process that started it is gone, however it went.

    A pool waits on a pipe of which it holds both ends, and would never notice.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the whole group
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _carry(work: Callable[[Item], Result], item: Item) -> Result:
    """The work on an item; of an error that no other process could be shown, its words."""
    try:
        return work(item)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # whatever its class does in being taken apart
            raise RuntimeError(reason_of(error)) from error
        raise


class _Ahead(Generic[Item, Result]):
    """An item that is worked on."""

    def __init__(self, item: Item, future: Future[Result]) -> None:
        self.item = item
        self.future = future
