"""What every engine on servers has: a loop, a session, the servers, and one pass over requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

import aiohttp

from backend.engines.remote.server import RemoteServer
from backend.engines.remote.stream import AnswerStream, LoopThread

_READ_AHEAD = 512

Server = TypeVar("Server", bound=RemoteServer)
Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class RemoteEngine(Generic[Server]):
    """The part of an engine that does not depend on what its servers are.

    Args:
        name: of the engine, which its thread bears too.
        in_flight: requests with one server at a time.
        connections: open at most, over all servers.
    """

    def __init__(self, name: str, *, in_flight: int, connections: int) -> None:
        self._thread = LoopThread(f"{name}-engine")
        self._session = self._thread.run(_open_session(connections))
        self._in_flight = in_flight
        self._serving: list[Server] = []  # those that hold what was loaded last
        self._turn = 0
        self._closed = False

    def close(self) -> None:
        """Close the connections; the servers and what they hold stay as they are."""
        if not self._closed:
            self._closed = True
            self._thread.run(self._session.close())
            self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(
        self,
        requests: Iterable[Asked],
        ask: Callable[[Server, Asked], Awaitable[Answered]],
    ) -> Iterator[Answered]:
        """Have the serving servers asked, `in_flight` at a time on each, as answers arrive."""
        stream: AnswerStream[Server, Asked, Answered] = AnswerStream(
            self._serving,
            ask,
            in_flight=self._in_flight,
            ahead=max(_READ_AHEAD, 4 * self._in_flight * len(self._serving)),
        )
        return stream.run(self._thread, requests)

    def _next_server(self) -> Server:
        self._turn += 1
        return self._serving[self._turn % len(self._serving)]


async def _open_session(connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections))
