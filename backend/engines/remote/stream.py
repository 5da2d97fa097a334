"""Keeps several servers busy for one caller that is not asynchronous.

The caller's thread reads the requests (they may come from a database session) and takes the
answers; an event loop in another thread asks the servers. Every server pulls from one line, so a
quick server gets more; at most `in_flight` requests are with one server, and at most `ahead`
requests are read before their answers are taken. A server that is gone hands its requests to the
others; when none is left the error reaches the caller, after every answer that came before it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from backend.errors import EngineUnavailable

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")
Server = TypeVar("Server")
Value = TypeVar("Value")

log = logging.getLogger(__name__)


class LoopThread:
    """An event loop in a daemon thread of its own; `close` ends it."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Run a coroutine in the loop and wait for what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def close(self) -> None:
        """Stop the loop; nothing may be running in it any more."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class AnswerStream(Generic[Server, Asked, Answered]):
    """One pass over the requests; use it once.

    Args:
        ask: asks one server one thing; raises EngineUnavailable when the server is gone, any other
            error ends the pass.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        ask: Callable[[Server, Asked], Awaitable[Answered]],
        *,
        in_flight: int,
        ahead: int,
    ) -> None:
        self._servers = servers
        self._ask = ask
        self._in_flight = in_flight
        self._ahead = ahead
        self._waiting: asyncio.Queue[Asked] = asyncio.Queue()
        self._arrived: SimpleQueue[Answered | Future[None]] = SimpleQueue()
        self._gone: set[int] = set()

    def run(self, thread: LoopThread, asked: Iterable[Asked]) -> Iterator[Answered]:
        """Yield the answers as they arrive; closing the generator early cancels what is left."""
        serving = asyncio.run_coroutine_threadsafe(self._serve(), thread.loop)
        serving.add_done_callback(self._arrived.put)
        try:
            yield from self._feed(thread, iter(asked))
        finally:
            serving.cancel()
            thread.run(_breathe())  # the cancelled requests let go of their connections

    def _feed(self, thread: LoopThread, source: Iterator[Asked]) -> Iterator[Answered]:
        unanswered, ended = 0, False
        while True:
            while not ended and unanswered < self._ahead:
                try:
                    request = next(source)
                except StopIteration:
                    ended = True
                else:
                    thread.loop.call_soon_threadsafe(self._waiting.put_nowait, request)
                    unanswered += 1
            if not unanswered:
                return
            answer = self._arrived.get()
            if isinstance(answer, Future):
                _raise_failure(answer)
            else:
                unanswered -= 1
                yield answer

    async def _serve(self) -> None:
        workers = [
            asyncio.create_task(self._work(index, server))
            for _ in range(self._in_flight)
            for index, server in enumerate(self._servers)
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, index: int, server: Server) -> None:
        while True:
            request = await self._waiting.get()
            if index in self._gone:
                self._waiting.put_nowait(request)
                return
            try:
                answer = await self._ask(server, request)
            except EngineUnavailable as error:
                self._waiting.put_nowait(request)
                self._leave(index, error)
                return
            self._arrived.put(answer)

    def _leave(self, index: int, error: EngineUnavailable) -> None:
        if index not in self._gone:
            self._gone.add(index)
            log.warning("%s %d servers left.", error.message, len(self._servers) - len(self._gone))
        if len(self._gone) == len(self._servers):
            raise error


def _raise_failure(serving: Future[None]) -> None:
    try:
        serving.result()
    except CancelledError as error:
        raise EngineUnavailable("The engine was closed while it was writing.") from error
    raise EngineUnavailable("The engine stopped before every request was answered.")


async def _breathe() -> None:
    for _ in range(3):
        await asyncio.sleep(0)
